//! Overview, configuration, checks and status.

use bartizan_console::CachePurge;
use serde_json::{Value, json};

use crate::traffic::YAML;
use crate::world::World;

#[test]
fn the_overview_counts_the_window_and_says_how_everything_does() {
    let world = World::new(1000);
    let admin = world.admin();
    let overview = admin.get("/overview").expect(200).json;
    let totals = &overview["totals"];
    let counts = ["requests", "allowed", "observed", "denied", "errors"].map(|word| totals[word].as_u64().unwrap());
    assert_eq!(counts, [1000, 700, 100, 100, 100]);
    assert!((49..=51).contains(&totals["clients"].as_u64().unwrap()), "{totals}");
    assert_eq!(overview["previous"]["requests"], 0);
    let top = &overview["top_checks"][0];
    assert_ne!(top["title"], top["check"], "a check is shown by its title");
    assert_eq!(overview["new_endpoints"].as_array().unwrap().len(), catalog_size(&world));
    assert_eq!(overview["events"], json!({"written": 10, "dropped": 3, "queued": 2, "queue_max": 1000}));
    assert_eq!(overview["store"]["state"], "ok");
    let names: Vec<&Value> = overview["sources"].as_array().unwrap().iter().map(|source| &source["name"]).collect();
    assert_eq!(names, ["gateway", "exchanges"]);
    assert_eq!(overview["upstreams"][0]["targets"][0]["healthy"], true);

    let empty = admin.get("/overview?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z").expect(200).json;
    assert_eq!(empty["totals"]["requests"], 0);
    assert_eq!(empty["new_endpoints"], json!([]));
}

fn catalog_size(world: &World) -> usize {
    world.levers.catalog.lock().unwrap().endpoints().len().min(20)
}

#[test]
fn the_running_configuration_shows_what_each_policy_does() {
    let world = World::new(1000);
    let admin = world.admin();
    let config = admin.get("/config").expect(200).json;
    assert_eq!(config["yaml"], YAML);
    assert_eq!(config["policies"][0]["summary"], "only GET, POST");
    assert_eq!(config["policies"][0]["denied_24h"], 100);
    assert_eq!(config["policies"][1]["observed_24h"], 100);
    assert_eq!(config["policies"][0]["scope"], json!({"apis": ["bank"], "methods": [], "paths": []}));
    assert_eq!(config["apis"][1]["hosts"], json!(["shop.example"]));
    assert_eq!(config["upstreams"][0]["targets"], json!([{"address": "127.0.0.1:9001", "weight": 1}]));
    assert_eq!(config["listeners"][0]["address"], "127.0.0.1:8080");
}

#[test]
fn a_policy_shows_what_it_would_have_denied_of_how_many_requests() {
    let world = World::new(1000);
    let admin = world.admin();
    let report = admin.get("/policies").expect(200).json;
    let [enforced, observing, rate] = [0_usize, 1, 2].map(|at| report["policies"][at].clone());
    assert_eq!(
        (&enforced["name"], &enforced["kind"], &enforced["mode"]),
        (&json!("no-deletes"), &json!("methods"), &json!("enforce"))
    );
    assert_eq!(
        (&enforced["requests"], &enforced["denied"], &enforced["observed"]),
        (&json!(500), &json!(100), &json!(0))
    );
    assert_eq!(
        (&observing["requests"], &observing["denied"], &observing["observed"]),
        (&json!(1000), &json!(0), &json!(100))
    );
    assert_eq!((&rate["requests"], &rate["scope_query"]), (&json!(100), &json!("api:shop path:/orders,/orders/*")));
    assert_eq!((&rate["last_hit"], &rate["observed"]), (&Value::Null, &json!(0)));
    let check = &observing["checks"][0];
    assert_eq!((&check["check"], &check["count"]), (&json!("LIM-101"), &json!(100)));
    assert_ne!(check["title"], check["check"]);
    assert_eq!(observing["endpoints"][0]["template"], "/products");
    assert!((4..=6).contains(&observing["clients"].as_u64().unwrap()), "{observing}");
    let hits = |policy: &Value, word: &str| -> u64 {
        policy["series"].as_array().unwrap().iter().map(|bucket| bucket[word].as_u64().unwrap()).sum()
    };
    assert_eq!((hits(&enforced, "denied"), hits(&observing, "observed")), (100, 100));
    assert_eq!(report["former"], json!([]));

    let earlier = admin.get("/policies?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z").expect(200).json;
    assert_eq!((&earlier["policies"][1]["requests"], &earlier["policies"][1]["observed"]), (&json!(0), &json!(0)));
    admin.get("/policies?from=2020-01-02T00:00:00Z&to=2020-01-01T00:00:00Z").expect(400);
    world.stranger().get("/policies").expect(401);
}

#[test]
fn a_rate_limit_shows_whom_it_counts_and_how_many_are_near_it() {
    let world = World::new(1000);
    let admin = world.admin();
    let limits = admin.get("/limits").expect(200).json;
    assert_eq!(limits["policies"].as_array().unwrap().len(), 1, "of rate policies only");
    let rate = &limits["policies"][0];
    assert_eq!(
        (&rate["name"], &rate["mode"], &rate["key"]),
        (&json!("few-orders"), &json!("observe"), &json!("address"))
    );
    let quota = &rate["limits"][0];
    assert_eq!(
        (&quota["kind"], &quota["most"], &quota["per_ms"]),
        (&json!("quota"), &json!(1_000_000), &json!(3_600_000))
    );
    assert_eq!(quota["state"], json!({"keys": 7, "near": 2, "spent": 1, "bytes": 4096, "overflowed_total": 0}));
    assert_eq!(rate["requests"], 25, "of the last quarter of an hour");
    world.stranger().get("/limits").expect(401);
}

#[test]
fn the_history_lists_revisions_and_gives_each_in_full() {
    let world = World::new(0);
    let admin = world.admin();
    let revisions = admin.get("/config/revisions").expect(200).json;
    assert_eq!(revisions.as_array().unwrap().len(), 1);
    assert_eq!(revisions[0]["cause"], "start");
    let revision = admin.get("/config/revisions/1").expect(200).json;
    assert_eq!(revision["yaml"], YAML);
    admin.get("/config/revisions/2").expect(404);
    admin.get("/config/revisions/first").expect(404);
}

#[test]
fn a_draft_is_checked_by_the_same_validator() {
    let world = World::new(0);
    let admin = world.admin();
    assert_eq!(admin.post("/config/check", &json!({"yaml": YAML})).expect(200).json["diagnostics"], json!([]));
    let draft = YAML.replace("mode: enforce", "mode: enforced");
    let diagnostics = admin.post("/config/check", &json!({"yaml": draft})).expect(200).json["diagnostics"].clone();
    assert_eq!(diagnostics[0]["severity"], "error");
    assert_eq!(diagnostics[0]["position"]["line"], 19, "{diagnostics}");
}

#[test]
fn checks_and_status_describe_the_product() {
    let world = World::new(0);
    let admin = world.admin();
    let checks = admin.get("/checks").expect(200).json;
    assert_eq!(checks.as_array().unwrap().len(), bartizan_engine::CHECKS.len());
    let status = admin.get("/status").expect(200).json;
    assert_eq!(
        (&status["version"], &status["generation"], &status["dropped"]),
        (&json!("0.1.0"), &json!(2), &json!(3))
    );
    assert_eq!(status["started_at"], "2026-01-31T12:00:00.000000Z");
    let ages: Vec<_> = status["address_data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| json!([file["name"], file["age_days"], file["is_old"]]))
        .collect();
    assert_eq!(ages, [json!(["world", 11, false]), json!(["operators", 122, true]), json!(["lists", null, false])]);
}

#[test]
fn kept_answers_are_forgotten_as_asked() {
    let world = World::new(0);
    let admin = world.admin();
    assert!(admin.post("/cache/purge", &json!({"policy": "no-deletes"})).expect(404).detail().contains("`no-deletes`"));
    assert!(admin.post("/cache/purge", &json!({"api": "chip"})).expect(404).detail().contains("`chip`"));
    admin.post("/cache/purge", &json!({"paths": "/"})).expect(400);
    assert_eq!(admin.post("/cache/purge", &json!({})).expect(200).json["answers"], 1);
    admin.post("/cache/purge", &json!({"api": "bank", "path_prefix": "/prices/"})).expect(200);
    let (api, path_prefix) = (Some("bank".to_owned()), Some("/prices/".to_owned()));
    let purged = world.levers.purged.lock().unwrap().clone();
    assert_eq!(purged, [CachePurge::default(), CachePurge { policy: None, api, path_prefix }]);
}
