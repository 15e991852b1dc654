//! The sample API and the player together, without a gateway between them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc;

use bartizan_demo::api;
use bartizan_demo::ledger::Ledger;
use bartizan_demo::operations::OPERATIONS;
use bartizan_demo::player::{Options, play};

/// Starts the API on a free port; it ends with the test process.
fn start_api() -> String {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(format!("http://{}", listener.local_addr().unwrap())).unwrap();
            api::serve(listener).await.unwrap();
        });
    });
    told.recv().unwrap()
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().new_agent()
}

#[test]
fn every_operation_is_served() {
    let target = start_api();
    for operation in OPERATIONS {
        let path = operation.template.replace(['{', '}'], "");
        let request = ureq::http::Request::builder().method(operation.method).uri(format!("{target}{path}"));
        let response = match operation.method {
            "POST" | "PUT" | "PATCH" => agent().run(request.body("".to_owned()).unwrap()),
            _ => agent().run(request.body(()).unwrap()),
        };
        let mut response = response.unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        let name = format!("{} {}", operation.method, operation.template);
        assert_ne!(response.status(), 405, "{name}");
        assert!(!text.contains("nothing at this path"), "{name}: {text}");
    }
}

#[test]
fn what_is_not_in_the_table_is_not_served() {
    let target = start_api();
    assert_eq!(agent().get(format!("{target}/.env")).call().unwrap().status(), 404);
    assert_eq!(agent().delete(format!("{target}/products/BK-41000")).call().unwrap().status(), 405);
}

#[test]
fn the_bank_is_weak_where_the_stories_need_it() {
    let target = start_api();
    let get = |path: &str, token: Option<&str>| {
        let mut request = agent().get(format!("{target}{path}"));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.call().unwrap()
    };
    let body = serde_json::json!({"email": "bruno.kowalski.1001@mail.example", "password": "kettle-26682"});
    let login: serde_json::Value =
        agent().post(format!("{target}/v2/login")).send_json(&body).unwrap().body_mut().read_json().unwrap();
    let token = login["token"].as_str().unwrap_or_else(|| panic!("{login}"));
    assert_eq!(get("/v1/accounts/20450017", None).status(), 200, "the old version asks nobody who they are");
    assert_eq!(get("/v2/accounts/20450017", None).status(), 401);
    assert_eq!(get("/v2/accounts/20450017", Some(token)).status(), 200);
    assert_eq!(get("/v2/accounts/20450020", Some(token)).status(), 403, "the account of another");
    assert_eq!(get("/v2/profiles/1002", Some(token)).status(), 200, "anyone's profile");
    assert_eq!(get("/admin/accounts/20450020", Some(token)).status(), 200, "an operation for staff");
    assert_eq!(get("/admin/users", Some(token)).status(), 403);
}

#[test]
fn the_gateway_may_ask_whose_a_token_is_and_nobody_else() {
    let target = start_api();
    let body = serde_json::json!({"email": "bruno.kowalski.1001@mail.example", "password": "kettle-26682"});
    let login: serde_json::Value =
        agent().post(format!("{target}/v2/login")).send_json(&body).unwrap().body_mut().read_json().unwrap();
    let token = login["token"].as_str().unwrap_or_else(|| panic!("{login}"));
    let ask = |credential: &str, token: &str| {
        let request = agent().post(format!("{target}/oauth/introspect")).header("authorization", credential);
        request.send_form([("token", token)]).unwrap()
    };
    // `gateway` and the text of demo/introspection.secret
    let secret = include_str!("../../introspection.secret").trim_end();
    assert_eq!(secret, "heron-on-one-leg-77");
    let gateway = "Basic Z2F0ZXdheTpoZXJvbi1vbi1vbmUtbGVnLTc3";
    let known: serde_json::Value = ask(gateway, token).body_mut().read_json().unwrap();
    let expected = serde_json::json!({"active": true, "sub": "1001", "accounts": ["20450017"], "roles": ["customer"]});
    assert_eq!(known, expected);
    let unknown: serde_json::Value = ask(gateway, "bt_0").body_mut().read_json().unwrap();
    assert_eq!(unknown, serde_json::json!({"active": false}));
    assert_eq!(ask("Basic Z2F0ZXdheTp4", token).status(), 401);
}

fn check_sums(ledger: &Ledger) {
    let rows = || ledger.operations.iter().chain(&ledger.unlisted);
    assert_eq!(rows().map(|row| row.requests).sum::<u64>(), ledger.requests);
    let attacks: u64 = ledger.attacks.values().map(|tally| tally.requests).sum();
    assert_eq!(attacks + ledger.honest.requests, ledger.requests);
    for row in rows() {
        assert_eq!(row.statuses.values().sum::<u64>(), row.requests, "{row:?}");
        assert_eq!(row.classes.values().sum::<u64>(), row.requests, "{row:?}");
        assert!(!row.statuses.keys().any(|status| *status >= 500), "{row:?}");
    }
}

#[test]
fn five_seconds_of_play_add_up() {
    let target = start_api();
    let ledger = play(&Options { target, rate: 500.0, seconds: Some(5), seed: 7 }).unwrap();
    check_sums(&ledger);
    assert_eq!(ledger.failures, 0, "{:?}", ledger.failure_samples);
    assert!(ledger.requests > 1000, "{}", ledger.summary());
    let played: BTreeSet<_> =
        ledger.operations.iter().map(|row| (row.method.as_str(), row.template.as_str())).collect();
    let missing: Vec<_> = OPERATIONS
        .iter()
        .map(|operation| (operation.method, operation.template))
        .filter(|operation| !played.contains(operation))
        .collect();
    assert!(missing.len() <= 4, "not played: {missing:?}");
    let answered = ledger.operations.iter().filter(|row| row.classes.contains_key("2xx")).count();
    assert!(answered + 6 >= played.len(), "{answered} of {} operations were answered well", played.len());
    for attack in [
        "object-enumeration",
        "credential-stuffing",
        "scanner",
        "forbidden-method",
        "denied-network",
        "large-header",
        "exploit",
        "changed-number",
        "forged-payment",
        "greedy-partner",
    ] {
        assert!(ledger.attacks.get(attack).is_some_and(|tally| tally.requests > 0), "{attack} was not played");
    }
}

#[test]
fn a_target_that_is_dead_is_an_error() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = play(&Options { target, rate: 100.0, seconds: Some(1), seed: 1 }).unwrap_err();
    assert!(error.to_string().contains("nothing answered"), "{error}");
}

#[test]
fn the_gateways_configuration_is_valid_without_a_warning() {
    let parsed = bartizan_config::parse(include_str!("../../bartizan.yaml"), "demo/bartizan.yaml", Path::new("demo"));
    let told: Vec<String> = parsed.diagnostics.iter().map(ToString::to_string).collect();
    assert_eq!(told, [""; 0]);
    let config = parsed.config.unwrap();
    assert_eq!(config.apis.len(), 2);
    assert_eq!(config.policies.len(), 12);
}
