//! Where a known caller calls from: two countries in an hour, and everything that only looks like it.

use std::sync::Arc;

use bartizan_config::AddressFileKind;
use bartizan_engine::{
    API_KEY_RANDOM_BYTES, AddressData, AddressFacts, AddressFile, ApiKeyGrant, ApiKeys, Coordinates, Question, Reply,
    Snapshot,
};
use bartizan_model::{Event, Source};
use serde_json::{Value, json};

use super::desk::{AUDIENCE, Call, Desk, ISSUER, NOW, Served, Signer};

/// Addresses of Germany, the same in the other family, Austria (which `lists` has as `partners`), the United States, and
/// nowhere.
const DE: &str = "192.0.2.7";
const CH: &str = "2001:db8:1::7";
const AT: &str = "198.51.100.7";
const US: &str = "203.0.113.200";
const PRIVATE: &str = "10.1.2.3";
const MINUTE: i64 = 60;

fn desk(mode: &str, continuity: &str) -> Desk {
    let desk = Desk::with_policies(&policies(mode, continuity));
    desk.publish(&[Signer::ed25519(1).named("one")]);
    desk
}

fn policies(mode: &str, continuity: &str) -> String {
    format!(
        "trusted_proxies: [10.0.0.0/24]
address_data:
  - {{ name: countries, file: countries.csv, holds: countries }}
  - {{ name: database, file: sample.mmdb }}
  - {{ name: points, file: coordinates.csv, holds: coordinates }}
  - {{ name: lists, file: lists.csv, holds: labels }}
policies:
  - name: callers
    mode: enforce
    authenticate:
      anonymous: true
      subject: plain
      methods:
        - jwt: {{ issuer: \"{ISSUER}\", audiences: [\"{AUDIENCE}\"], jwks_file: keys.jwks }}
        - api_key: {{}}
        - introspection: {{ url: \"https://login.example/introspect\", client_id: gate, client_secret_file: secret }}
  - {{ name: home, mode: {mode}, continuity: {continuity} }}
"
    )
}

/// A token of `subject`, whose user was verified so many seconds after [`NOW`].
fn token(subject: &str, verified_secs: Option<i64>) -> String {
    let mut claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": NOW + 86_400 });
    if let Some(verified) = verified_secs {
        claims["auth_time"] = (NOW + verified).into();
    }
    signed(&claims)
}

fn signed(claims: &Value) -> String {
    Signer::ed25519(1).sign(&json!({ "alg": "EdDSA", "kid": "one" }), claims)
}

fn call(token: &str, from: &'static str, after_secs: i64) -> Call {
    Call { from: Some(from), after_secs, ..Call::bearer(token) }
}

fn served(desk: &Desk, token: &str, from: &'static str, after_secs: i64) -> Served {
    desk.serve(&call(token, from, after_secs))
}

/// Whether a call was refused, and whether it was told of.
fn outcome(served: &Served) -> (Option<String>, bool) {
    (served.check(), is_told(&served.event))
}

fn is_told(event: &Event) -> bool {
    event.findings.iter().any(|finding| finding.check.as_str() == "ACC-240")
}

fn evidence(served: &Served) -> String {
    served.event.findings.iter().map(|finding| finding.evidence.to_string()).collect()
}

/// What a second call does after one from Germany: from where, after how many seconds, and whether it is contested.
fn seconds() -> Vec<(&'static str, &'static str, i64, bool)> {
    vec![
        ("from another country", US, 12 * MINUTE, true),
        ("from a country next door", AT, MINUTE, true),
        ("from another country in the other family", CH, 0, true),
        ("at the end of the hour", US, 60 * MINUTE, true),
        ("from the same country", "192.0.2.250", MINUTE, false),
        ("from another country after the hour", US, 61 * MINUTE, false),
        ("from a private address", PRIVATE, MINUTE, false),
        ("from an address that no file knows", "9.9.9.9", MINUTE, false),
    ]
}

pub fn tally() -> Vec<(&'static str, bool)> {
    seconds().into_iter().map(|(_, _, _, is_contested)| ("ACC-240", !is_contested)).collect()
}

#[test]
fn two_countries_within_the_hour_are_impossible_and_the_old_place_goes_on() {
    for (name, from, after, is_contested) in seconds() {
        let desk = desk("enforce", "{}");
        let token = token("jane", Some(-MINUTE));
        assert_eq!(outcome(&served(&desk, &token, DE, 0)), (None, false), "{name}");
        let second = served(&desk, &token, from, after);
        assert_eq!(outcome(&second), (is_contested.then(|| "ACC-240".to_owned()), is_contested), "{name}");
        assert_eq!(served(&desk, &token, DE, after).check(), None, "{name}: the owner goes on");
        let other = self::token("john", Some(0));
        assert_eq!(outcome(&served(&desk, &other, US, after)), (None, false), "{name}: others are elsewhere");
    }
}

#[test]
fn the_finding_says_where_and_when_and_whom_and_nothing_that_was_sent() {
    let desk = desk("enforce", "{}");
    let token = token("jane", Some(0));
    served(&desk, &token, DE, 0);
    let second = served(&desk, &token, US, 12 * MINUTE + 30);
    assert_eq!(evidence(&second), "`US` (AS64497) 12 minutes after `DE`");
    assert_eq!(second.event.findings[0].location.to_string(), "connection.client");
    assert_eq!(second.event.principal.as_ref().map(|principal| &*principal.subject), Some("jane"));
    assert_eq!(second.event.decision.status, 401);
    assert_eq!(
        second.challenges(),
        ["Bearer realm=\"api\", error=\"insufficient_user_authentication\", error_description=\"the user has to be \
          verified again\", max_age=\"0\""]
    );
    let told = format!("{:?}{:?}", second.event.findings, second.answer);
    for secret in [token.as_str(), DE, US] {
        assert!(!told.contains(secret), "{told}");
    }
    let soon = served(&desk, &self::token("jane", Some(1)), US, 14 * MINUTE);
    assert_eq!(evidence(&soon), "`US` (AS64497) 14 minutes after `DE`");
    assert!(soon.challenges()[0].ends_with("max_age=\"89\""), "{:?}", soon.challenges());
}

#[test]
fn a_user_who_was_verified_after_the_move_is_let_in_and_one_who_was_before_is_not() {
    let begun = 10 * MINUTE;
    for (name, verified, is_in) in [
        ("after it", Some(begun + 1), true),
        ("in the same second", Some(begun), false),
        ("before it", Some(begun - 1), false),
        ("in a future that no clock explains", Some(begun + 3600), false),
    ] {
        let desk = desk("enforce", "{}");
        let old = token("jane", Some(-MINUTE));
        served(&desk, &old, DE, 0);
        assert_eq!(served(&desk, &old, US, begun).check().as_deref(), Some("ACC-240"));
        let after = served(&desk, &token("jane", verified), US, begun + MINUTE);
        assert_eq!(outcome(&after), ((!is_in).then(|| "ACC-240".to_owned()), !is_in), "{name}");
        assert_eq!(served(&desk, &old, DE, begun + MINUTE).check(), None, "{name}");
    }
}

#[test]
fn the_time_of_issue_stands_in_for_the_time_of_login_unless_that_is_switched_off() {
    let claims = |issued: i64, login: Value| {
        let mut claims =
            json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "jane", "exp": NOW + 86_400, "iat": NOW + issued });
        if !login.is_null() {
            claims["auth_time"] = login;
        }
        signed(&claims)
    };
    // settings, `auth_time` of the second token, the check that refuses it, whether it is told
    for (settings, login, refused, is_told) in [
        ("{}", json!(null), None, false),
        ("{}", json!(NOW), Some("ACC-240"), true),
        ("{}", json!("yesterday"), None, false),
        ("{ issued_at: false, without_step_up: deny }", json!(null), Some("ACC-240"), true),
        ("{ issued_at: false }", json!(null), None, true),
        ("{ issued_at: false }", json!(NOW + 700), None, false),
    ] {
        let desk = desk("enforce", settings);
        served(&desk, &claims(0, json!(NOW)), DE, 0);
        served(&desk, &claims(0, json!(NOW)), US, 10 * MINUTE);
        let second = served(&desk, &claims(11 * MINUTE, login.clone()), US, 12 * MINUTE);
        assert_eq!(outcome(&second), (refused.map(str::to_owned), is_told), "{settings} {login}");
    }
}

#[test]
fn observed_it_is_told_and_nobody_is_stopped() {
    let desk = desk("observe", "{}");
    let token = token("jane", Some(0));
    served(&desk, &token, DE, 0);
    let second = served(&desk, &token, US, MINUTE);
    assert_eq!(outcome(&second), (None, true));
    let decision = &second.event.decision;
    assert_eq!((decision.applied, decision.status, decision.policy.as_deref()), (false, 401, Some("home")));
    assert_eq!(
        outcome(&served(&desk, &token, US, 62 * MINUTE)),
        (None, false),
        "the old place was silent for the hour"
    );
}

#[test]
fn a_caller_that_cannot_step_up_is_told_of_and_passes_unless_somebody_wrote_otherwise() {
    let grant = ApiKeyGrant {
        application: "shop".into(),
        owner: None,
        plan: None,
        quota: None,
        scopes: Vec::new(),
        roles: Vec::new(),
        expires_at: None,
    };
    let made = ApiKeys::new([5; 32], []).create(grant, &[1; API_KEY_RANDOM_BYTES], super::desk::at(0)).unwrap();
    let with = |from, after_secs| Call {
        from: Some(from),
        after_secs,
        ..Call::get("/").with("x-api-key", made.text.expose().as_str())
    };
    for (settings, refused) in [("{}", None), ("{ without_step_up: deny }", Some("ACC-240"))] {
        let desk = desk("enforce", settings);
        desk.access.publish_api_keys(ApiKeys::new([5; 32], [made.key.clone()]));
        assert_eq!(outcome(&desk.serve(&with(DE, 0))), (None, false));
        let second = desk.serve(&with(US, MINUTE));
        assert_eq!(outcome(&second), (refused.map(str::to_owned), true), "{settings}");
        assert!(second.challenges().is_empty(), "no challenge would help");
        assert_eq!(second.event.decision.status, if refused.is_some() { 403 } else { 0 });
        assert_eq!(outcome(&desk.serve(&with(DE, 2 * MINUTE))), (None, false), "{settings}");
        assert_eq!(outcome(&desk.serve(&with(US, 63 * MINUTE))), (None, false), "{settings}: the window has passed");
    }
}

#[test]
fn a_network_on_a_list_to_be_ignored_moves_nobody() {
    let settings = "{ countries_max: 1, ignore_labels: [partners, vpn] }";
    let desk = desk("enforce", settings);
    let token = token("jane", Some(0));
    served(&desk, &token, DE, 0);
    assert_eq!(outcome(&served(&desk, &token, AT, MINUTE)), (None, false), "an exit of a VPN");
    assert_eq!(outcome(&served(&desk, &token, US, 2 * MINUTE)), (Some("ACC-240".to_owned()), true));
    assert_eq!(outcome(&served(&desk, &token, DE, 3 * MINUTE)), (None, false));
}

#[test]
fn forwarding_headers_of_strangers_move_nobody_and_contradictions_hide_nobody() {
    let desk = desk("enforce", "{}");
    let token = token("jane", Some(0));
    let forwarded = |from, after, fields: &[(&str, &str)]| {
        let call = fields.iter().fold(call(&token, from, after), |call, (name, value)| call.with(name, *value));
        outcome(&desk.serve(&call))
    };
    let contested = (Some("ACC-240".to_owned()), true);
    assert_eq!(forwarded(DE, 0, &[("x-forwarded-for", US), ("forwarded", &format!("for={US}"))]), (None, false));
    assert_eq!(forwarded(DE, 1, &[("x-forwarded-for", AT)]), (None, false), "a stranger's header is not read");
    assert_eq!(forwarded(US, 2, &[("x-forwarded-for", DE)]), contested, "nor does it bring anybody home");
    assert_eq!(forwarded("10.0.0.1", 3, &[("x-forwarded-for", DE)]), (None, false), "a proxy's is");
    assert_eq!(forwarded("10.0.0.1", 4, &[("x-forwarded-for", AT)]), contested);
    // The proxy writes one of the two, and passes on the other as the client forged it.
    assert_eq!(forwarded("10.0.0.1", 5, &[("x-forwarded-for", US), ("forwarded", &format!("for={DE}"))]), contested);
    assert_eq!(forwarded("10.0.0.1", 6, &[("x-forwarded-for", DE), ("forwarded", &format!("for={US}"))]), contested);
}

#[test]
fn speed_and_operators_are_asked_for_where_they_are_written() {
    let token = token("jane", Some(0));
    let fast = desk("enforce", "{ speed_max: 900 }");
    assert_eq!(outcome(&served(&fast, &token, DE, 0)), (None, false));
    assert_eq!(outcome(&served(&fast, &token, AT, 20 * MINUTE)), (None, false), "another country, as far as errors go");
    let far = served(&fast, &token, US, 2 * 3600);
    assert_eq!(far.check().as_deref(), Some("ACC-240"));
    assert!(evidence(&far).starts_with("`US` (AS64497) 100 minutes after `AT`, 67"), "{}", evidence(&far));
    assert_eq!(outcome(&served(&fast, &self::token("john", Some(0)), US, 8 * 3600)), (None, false));

    let operators = desk("enforce", "{ operators_max: 1 }");
    assert_eq!(outcome(&served(&operators, &token, "203.0.113.1", 0)), (None, false));
    assert_eq!(outcome(&served(&operators, &token, DE, 1)), (None, false), "no file knows the operator");
    assert_eq!(outcome(&served(&operators, &token, US, 2)), (Some("ACC-240".to_owned()), true));
    assert_eq!(evidence(&served(&operators, &token, US, 3)), "`US` (AS64497) less than a minute after `SE` (AS64496)");
}

#[test]
fn a_city_database_tells_countries_and_coordinates() {
    let cities = [("203.0.113.0", 25, "DE", [52.52, 13.4]), ("2001:db8::", 32, "AU", [-33.87, 151.21])];
    let bytes = crate::mmdb::city_database(&cities, 1_767_225_600);
    let data = AddressData::new(vec![AddressFile::read("cities", AddressFileKind::Database, bytes).unwrap()]);
    for (address, (_, _, country, [latitude, longitude])) in ["203.0.113.9", "2001:db8::9"].into_iter().zip(cities) {
        let facts = data.find(address.parse().unwrap());
        assert_eq!(facts.country.as_ref().map(|code| code.as_slice()), Some(country.as_bytes()));
        assert_eq!(facts.coordinates, Coordinates::new(latitude, longitude));
    }
    assert_eq!(data.find("203.0.113.200".parse().unwrap()), AddressFacts::default());
}

#[test]
fn each_credential_has_places_of_its_own_where_that_is_written() {
    let (first, second) = (token("jane", Some(0)), token("jane", Some(1)));
    for (settings, is_contested) in [("{ key: principal }", true), ("{ key: credential }", false)] {
        let desk = desk("enforce", settings);
        served(&desk, &first, DE, 0);
        assert_eq!(served(&desk, &second, US, MINUTE).check().is_some(), is_contested, "{settings}");
        assert_eq!(served(&desk, &first, US, 2 * MINUTE).check().as_deref(), Some("ACC-240"), "{settings}");
    }
}

#[test]
fn an_introspected_token_steps_up_too() {
    let desk = desk("enforce", "{}");
    let serve = |token: &str, verified: i64, from, after| {
        let answer = json!({ "active": true, "sub": "jane", "auth_time": NOW + verified }).to_string();
        let reply = move |question: &Question| match question {
            Question::Introspection { .. } => Reply::Introspection(answer.clone().into_bytes()),
            Question::Keys { .. } | Question::Password(_) | Question::External { .. } | Question::Count(_) => {
                Reply::Unavailable
            }
        };
        desk.serve_with(&call(token, from, after), Some(&reply))
    };
    assert_eq!(outcome(&serve("opaque-one", 0, DE, 0)), (None, false));
    assert_eq!(serve("opaque-one", 0, US, MINUTE).check().as_deref(), Some("ACC-240"));
    assert_eq!(outcome(&serve("opaque-two", MINUTE + 5, US, 2 * MINUTE)), (None, false));
}

#[test]
fn a_reload_goes_on_with_what_was_seen_and_policies_do_not_mix() {
    let first = desk("enforce", "{}");
    let token = token("jane", Some(0));
    served(&first, &token, DE, 0);
    let reload = |continuity: &str| {
        let snapshot = crate::host::snapshot(&policies("enforce", continuity), "");
        let snapshot = Snapshot::with_endpoints(&snapshot, 3, &[]).with_access(Arc::clone(&first.access));
        Desk { snapshot: Arc::new(snapshot), access: Arc::clone(&first.access) }
    };
    assert_eq!(served(&reload("{ window: 2h }"), &token, US, 90 * MINUTE).check().as_deref(), Some("ACC-240"));
    assert_eq!(first.access.watched_callers(), (1, 0));
    let renamed = policies("enforce", "{ window: 2h }").replace("name: home", "name: other");
    let snapshot = Snapshot::with_endpoints(&crate::host::snapshot(&renamed, ""), 4, &[]);
    let other = Desk { snapshot: Arc::new(snapshot.with_access(Arc::clone(&first.access))), ..first };
    assert_eq!(outcome(&served(&other, &token, US, 91 * MINUTE)), (None, false));
}

#[test]
fn a_recording_is_judged_by_its_own_clock() {
    let desk = desk("enforce", "{}");
    let told = |from: &str, after_secs: i64| {
        let request = format!(
            "at {after_secs}s\nfrom {from}\nGET / HTTP/1.1\nHost: api.example\nAuthorization: Bearer {}",
            token("jane", Some(0))
        );
        let exchange = crate::document::exchange(&request, Some("HTTP/1.1 200 OK\n\n"));
        let now = super::desk::at(999_999);
        let judged = bartizan_engine::judge(&desk.snapshot, &exchange, Source::Exchanges, crate::host::ID, now);
        let stage = judged.trace.iter().find(|stage| stage.stage == "continuity");
        stage.is_some_and(|stage| !stage.findings.is_empty())
    };
    assert_eq!([told(DE, 0), told(US, 600), told(DE, 900), told(US, 8000)], [false, true, false, false]);
}
