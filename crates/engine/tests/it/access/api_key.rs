//! API keys: made, shown, rotated, taken back.

use std::collections::BTreeSet;
use std::sync::Arc;

use bartizan_config::{FailureMode, RateSharing};
use bartizan_engine::{
    API_KEY_RANDOM_BYTES, AccessState, ApiKey, ApiKeyGrant, ApiKeyQuota, ApiKeyRefused, ApiKeyUse, ApiKeys, Counters,
    Inputs, NewApiKey, Plans, Snapshot, Step, api_key_pepper,
};
use bartizan_model::{CredentialKind, Secret, Strength};

use super::desk::{AUDIENCE, Call, Desk, ISSUER, NOW, Signer, at};
use crate::document;
use serde_json::json;

const POLICY: &str = "{ methods: [{ api_key: {} }] }";
const WITH_QUERY: &str = "{ methods: [{ api_key: { query: api_key } }] }";
const PEPPER: [u8; 32] = [5; 32];

fn grant(application: &str) -> ApiKeyGrant {
    ApiKeyGrant {
        application: application.into(),
        owner: Some("team-shop".into()),
        plan: None,
        quota: None,
        scopes: vec!["orders:read".into()],
        roles: Vec::new(),
        expires_at: None,
    }
}

fn make(keys: &[ApiKey], application: &str, random: u8) -> NewApiKey {
    let keys = ApiKeys::new(PEPPER, keys.iter().cloned());
    keys.create(grant(application), &[random; API_KEY_RANDOM_BYTES], at(0)).unwrap()
}

fn desk(policy: &str, keys: &[ApiKey]) -> Desk {
    let desk = Desk::new(policy);
    desk.access.publish_api_keys(ApiKeys::new(PEPPER, keys.iter().cloned()));
    desk
}

/// What is presented in the header, and the check that must notice.
fn spellings(text: &str) -> Vec<(&'static str, Vec<String>, Option<&'static str>)> {
    const UNKNOWN: Option<&str> = Some("ACC-213");
    let one = |text: String| vec![text];
    let [prefix, id, secret, sum] = text.split('_').collect::<Vec<_>>()[..] else { panic!("{text}") };
    let stranger = make(&[], "stranger", 77).text.expose().clone();
    let mut swapped: Vec<char> = text.chars().collect();
    swapped.swap(20, 21);
    let other_secret: String = if secret.starts_with('a') { "b" } else { "a" }.to_owned() + &secret[1..];
    vec![
        ("as it was made", one(text.to_owned()), None),
        ("no key", vec![], Some("ACC-201")),
        ("an empty key", one(String::new()), UNKNOWN),
        ("nonsense", one("nonsense".into()), UNKNOWN),
        ("a key of another installation", one(stranger), UNKNOWN),
        ("its id alone", one(id.to_owned()), UNKNOWN),
        ("without its secret", one(format!("{prefix}_{id}__{sum}")), UNKNOWN),
        ("without its checksum", one(format!("{prefix}_{id}_{secret}")), UNKNOWN),
        ("another checksum", one(format!("{prefix}_{id}_{secret}_00000000")), UNKNOWN),
        ("another secret", one(format!("{prefix}_{id}_{other_secret}_{sum}")), UNKNOWN),
        ("another prefix", one(format!("sk_{id}_{secret}_{sum}")), UNKNOWN),
        ("in upper case", one(text.to_ascii_uppercase()), UNKNOWN),
        ("two letters swapped, as people do", one(swapped.into_iter().collect()), UNKNOWN),
        ("a letter more", one(format!("{text}a")), UNKNOWN),
        ("with a scheme", one(format!("Bearer {text}")), UNKNOWN),
        ("a very long one", one("b".repeat(100_000)), UNKNOWN),
        ("two keys", vec![text.to_owned(), text.to_owned()], Some("ACC-219")),
        ("two keys, one empty", vec![text.to_owned(), String::new()], Some("ACC-219")),
    ]
}

pub fn tally() -> Vec<(&'static str, bool)> {
    let sample = make(&[], "shop", 1);
    let mut expected: Vec<_> = spellings(sample.text.expose()).into_iter().map(|(_, _, check)| check).collect();
    expected.extend([Some("ACC-214"), Some("ACC-214"), None, None]);
    super::rows(&expected)
}

#[test]
fn a_key_is_let_in_only_as_it_was_made() {
    let made = make(&[], "shop", 1);
    let desk = desk(POLICY, std::slice::from_ref(&made.key));
    let table = spellings(made.text.expose());
    assert!(table.len() >= 15);
    for (name, values, check) in table {
        let call = values.iter().fold(Call::get("/"), |call, value| call.with("X-Api-Key", value.as_str()));
        desk.check(name, &call, check);
    }
}

#[test]
fn a_key_travels_in_the_query_only_where_that_is_allowed() {
    let made = make(&[], "shop", 1);
    let text = made.text.expose();
    let inside = |target: &str| Call::get(&target.replace("KEY", text));
    let closed = desk(POLICY, std::slice::from_ref(&made.key));
    closed.check("not allowed", &inside("/?api_key=KEY"), Some("ACC-201"));
    let open = desk(WITH_QUERY, std::slice::from_ref(&made.key));
    open.check("allowed", &inside("/?api_key=KEY"), None);
    open.check("with an encoded name", &inside("/?api%5Fkey=KEY"), None);
    open.check("twice", &inside("/?api_key=KEY&api_key=KEY"), Some("ACC-219"));
    open.check("twice, once encoded", &inside("/?api_key=KEY&%61pi_key=KEY"), Some("ACC-219"));
    open.check("in both places", &inside("/?api_key=KEY").with("x-api-key", text.as_str()), Some("ACC-219"));
    let served = open.serve(&inside("/items?x=1&api_key=KEY"));
    assert_eq!(served.edits.target(format!("/items?x=1&api_key={text}").as_bytes()).unwrap(), b"/items?x=1");
    assert!(served.edits.removes(b"x-api-key"), "keys do not go on, unless somebody says otherwise");
    let event = serde_json::to_string(&served.event).unwrap();
    assert!(!event.contains(text.as_str()), "{event}");
}

#[test]
fn a_key_that_was_taken_back_or_has_expired_says_so() {
    let made = make(&[], "shop", 1);
    let call = Call::get("/").with("x-api-key", made.text.expose().as_str());
    let with = |key: ApiKey| desk(POLICY, &[key]);
    with(ApiKey { revoked_at: Some(at(0)), ..made.key.clone() }).check("revoked", &call, Some("ACC-214"));
    with(ApiKey { revoked_at: Some(at(1)), ..made.key.clone() }).check("revoked later", &call, None);
    with(ApiKey { expires_at: Some(at(0)), ..made.key.clone() }).check("expired", &call, Some("ACC-214"));
    with(ApiKey { expires_at: Some(at(1)), ..made.key }).check("expires", &call, None);
}

#[test]
fn an_application_has_two_live_keys_while_it_rotates() {
    let old = make(&[], "shop", 1);
    let keys = ApiKeys::new(PEPPER, [old.key.clone()]);
    let (new, ending) = keys.rotate(&old.key.id, &[2; API_KEY_RANDOM_BYTES], at(0), at(3600)).unwrap();
    let desk = desk(POLICY, &[new.key.clone(), ending.clone()]);
    let call = |made: &NewApiKey, after_secs| Call {
        after_secs,
        ..Call::get("/").with("x-api-key", made.text.expose().as_str())
    };
    desk.check("the old one, before its end", &call(&old, 3599), None);
    desk.check("the old one, at its end", &call(&old, 3600), Some("ACC-214"));
    desk.check("the new one", &call(&new, 3600), None);
    assert_eq!(ending.rotated_at, Some(at(0)));
    let both = ApiKeys::new(PEPPER, [new.key, ending]);
    let again = both.rotate(&old.key.id, &[4; API_KEY_RANDOM_BYTES], at(10), at(20)).map(|_| ());
    assert_eq!(again, Err(ApiKeyRefused::Rotated));
    let third = both.create(grant("shop"), &[3; API_KEY_RANDOM_BYTES], at(10)).map(|made| made.key);
    assert_eq!(third, Err(ApiKeyRefused::TwoLive));
    assert!(both.create(grant("shop"), &[3; API_KEY_RANDOM_BYTES], at(3600)).is_ok(), "one has ended");
    assert!(both.create(grant("other"), &[3; API_KEY_RANDOM_BYTES], at(10)).is_ok());
    let taken = both.create(grant("other"), &[2; API_KEY_RANDOM_BYTES], at(10)).map(|made| made.key);
    assert_eq!(taken, Err(ApiKeyRefused::Taken));
}

#[test]
fn another_pepper_makes_every_key_unknown() {
    let made = make(&[], "shop", 1);
    let desk = Desk::new(POLICY);
    desk.access.publish_api_keys(ApiKeys::new([6; 32], [made.key]));
    desk.check("stolen records", &Call::get("/").with("x-api-key", made.text.expose().as_str()), Some("ACC-213"));
}

#[test]
fn a_keys_holder_is_its_application() {
    let made = make(&[], "shop", 1);
    assert!(!format!("{made:?}").contains(made.text.expose().as_str()), "a key is not printed by accident");
    let desk = desk(
        &POLICY.replace("{ methods", "{ required_scopes: [\"orders:read\"], methods"),
        std::slice::from_ref(&made.key),
    );
    let served = desk.serve(&Call::get("/").with("x-api-key", made.text.expose().as_str()));
    let principal = served.event.principal.unwrap();
    assert_eq!(principal.credential_id.as_deref(), Some(&*made.key.id), "events name the key");
    assert_eq!((principal.credential, principal.strength), (CredentialKind::ApiKey, Strength::Shared));
    assert_eq!(principal.application.as_deref(), Some("shop"));
}

#[test]
fn a_rotated_key_lives_as_long_as_the_old_one_was_made_to() {
    let old = ApiKey { expires_at: Some(at(90)), ..make(&[], "shop", 1).key };
    let rotate = |key: ApiKey, now| {
        let id = key.id.clone();
        ApiKeys::new(PEPPER, [key]).rotate(&id, &[2; API_KEY_RANDOM_BYTES], at(now), at(now + 20))
    };
    let (new, ending) = rotate(old.clone(), 80).unwrap();
    assert_eq!((new.key.expires_at, ending.expires_at), (Some(at(170)), Some(at(90))), "a grace adds no life");
    let (new, ending) = rotate(ApiKey { expires_at: None, ..old.clone() }, 80).unwrap();
    assert_eq!((new.key.expires_at, ending.expires_at), (None, Some(at(100))));
    assert_eq!(rotate(old, 90).map(|_| ()), Err(ApiKeyRefused::Unknown), "what has ended is not rotated");
}

#[test]
fn a_lapsed_key_is_named_by_its_id_and_a_guess_is_not() {
    let made = make(&[], "shop", 1);
    let text = made.text.expose();
    let call = |text: &str| Call::get("/").with("x-api-key", text);
    let lapsed = desk(POLICY, &[ApiKey { revoked_at: Some(at(0)), ..made.key.clone() }]);
    let evidence = |served: super::desk::Served| served.event.findings[0].evidence.to_string();
    assert_eq!(evidence(lapsed.serve(&call(text))), format!("it was revoked: key `{}`", made.key.id));
    let stranger = make(&[], "stranger", 77);
    let said = evidence(lapsed.serve(&call(stranger.text.expose())));
    assert!(!said.contains(&*stranger.key.id), "an id that nobody proved is the client's word: {said}");
}

fn quota(requests: u64, per_secs: u64) -> Option<ApiKeyQuota> {
    Some(ApiKeyQuota::new(requests, per_secs).unwrap())
}

/// `made` with a quota of three requests in ten seconds.
fn metered(made: &NewApiKey) -> ApiKey {
    ApiKey { quota: quota(3, 10), ..made.key.clone() }
}

fn call(made: &NewApiKey, after_secs: i64) -> Call {
    Call { after_secs, ..Call::get("/").with("x-api-key", made.text.expose().as_str()) }
}

#[test]
fn a_key_is_used_no_more_often_than_its_quota_allows_and_is_told_so() {
    let made = make(&[], "shop", 1);
    let desk = desk(POLICY, &[metered(&made)]);
    for left in ["2", "1", "0"] {
        let served = desk.serve(&call(&made, 0));
        assert_eq!(served.check(), None, "{left} left");
    }
    let refused = desk.serve(&call(&made, 0));
    assert_eq!(refused.check().as_deref(), Some("LIM-202"));
    let field = |name: &str| refused.answer.headers.iter().find(|(field, _)| *field == name).map(|(_, value)| &**value);
    assert_eq!(field("retry-after"), Some("10"));
    assert_eq!(field("ratelimit-policy"), Some("\"key:api-key\";q=3;w=10"));
    assert_eq!(field("ratelimit"), Some("\"key:api-key\";r=0;t=10"));
    let body = String::from_utf8(refused.answer.body).unwrap();
    assert!(body.contains("quota-exceeded") && body.contains("\"key:api-key\""), "{body}");
    let evidence = &refused.event.findings[0].evidence;
    assert_eq!(**evidence, *format!("more than 3 requests in 10s with key `{}`", made.key.id));
    assert_eq!(refused.event.principal.unwrap().application.as_deref(), Some("shop"), "whom it is charged to");
    desk.check("a window later", &call(&made, 11), None);
}

#[test]
fn no_policy_shares_counts_with_the_quotas_of_keys_whatever_its_name() {
    let made = make(&[], "shop", 1);
    let rate = "rate: { key: [application], quota: { requests: 3, per: 10s } }";
    let named = |name: &str| {
        let callers = format!("{{ name: callers, mode: enforce, authenticate: {POLICY} }}");
        format!("policies: [{callers}, {{ name: {name}, mode: enforce, {rate} }}]")
    };
    let redis = "redis: { address: \"127.0.0.1:6379\", gateways: 2 }\n";
    for name in ["api-key", "key.api-key", "key"] {
        let desk = Desk::with_policies(&named(name));
        desk.access.publish_api_keys(ApiKeys::new(PEPPER, [metered(&made)]));
        for left in ["2", "1", "0"] {
            desk.check(&format!("{name}, {left} left"), &call(&made, 0), None);
        }
        let refused = desk.serve(&call(&made, 0));
        let told = refused.answer.headers.iter().find(|(field, _)| *field == "ratelimit").unwrap();
        assert_eq!(told.1, format!("\"{name}\";r=0;t=10, \"key:api-key\";r=0;t=10"), "clients can tell them apart");

        // A store has one count for what has one name there.
        let counters = Arc::new(Counters::shared(&[9; 32], 2));
        let plans = Plans::new();
        let inputs = Inputs { generation: 1, endpoints: &[], plans: &plans, counters: &counters, key: [7; 32] };
        let snapshot = Snapshot::compile(&document::config(&format!("{redis}{}", named(name))), inputs);
        let sharing = RateSharing::Leased(FailureMode::Share);
        let access = Arc::new(AccessState::counting_in(Arc::clone(&counters), sharing));
        access.publish_api_keys(ApiKeys::new(PEPPER, [metered(&made)]));
        let _running = snapshot.with_access(access);
        let limits: BTreeSet<String> = counters.shared_limits().iter().map(|limit| limit.name().to_owned()).collect();
        assert_eq!(limits.len(), 2, "{name}: {limits:?}");
    }
    let taken = format!("{}{}", "listeners: [{ address: \"127.0.0.1:1\" }]\n", named("\"key:api-key\""));
    let parsed = bartizan_config::parse(&taken, "a.yaml", "/".as_ref());
    assert!(parsed.config.is_none(), "no policy can have the name that these counts have");
    let told: Vec<String> = parsed.diagnostics.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|fault| fault.contains("`key:api-key` is not a name")), "{told:?}");
}

#[test]
fn keys_of_one_application_share_its_quota_and_other_applications_do_not() {
    let (one, two, other) = (make(&[], "shop", 1), make(&[], "shop", 2), make(&[], "bank", 3));
    let desk = desk(POLICY, &[metered(&one), metered(&two), metered(&other)]);
    desk.check("1", &call(&one, 0), None);
    desk.check("2", &call(&two, 0), None);
    desk.check("3", &call(&one, 0), None);
    desk.check("one too many", &call(&two, 0), Some("LIM-202"));
    desk.check("somebody else", &call(&other, 0), None);
    let free = make(&[], "free", 4);
    desk.access.publish_api_keys(ApiKeys::new(PEPPER, [free.key.clone()]));
    for _ in 0..10 {
        desk.check("without a quota", &call(&free, 0), None);
    }
}

#[test]
fn counts_go_on_when_keys_are_published_anew_and_begin_anew_with_other_numbers() {
    let made = make(&[], "shop", 1);
    let desk = desk(POLICY, &[metered(&made)]);
    let publish = |key: ApiKey| desk.access.publish_api_keys(ApiKeys::new(PEPPER, [key]));
    for _ in 0..3 {
        desk.check("within", &call(&made, 0), None);
    }
    publish(metered(&made));
    desk.check("republished", &call(&made, 0), Some("LIM-202"));
    publish(ApiKey { quota: quota(4, 10), ..made.key.clone() });
    desk.check("another quota", &call(&made, 0), None);
}

#[test]
fn a_quota_is_observed_where_its_policy_is() {
    let made = make(&[], "shop", 1);
    let text = format!("policies: [{{ name: callers, mode: observe, authenticate: {POLICY} }}]");
    let desk = Desk::with_policies(&text);
    desk.access.publish_api_keys(ApiKeys::new(PEPPER, [metered(&made)]));
    for _ in 0..3 {
        desk.serve(&call(&made, 0));
    }
    let last = desk.serve(&call(&made, 0));
    assert_eq!(last.step, Step::Continue);
    assert_eq!((&*last.event.findings[0].check.to_string(), last.event.decision.applied), ("LIM-202", false));
    assert!(last.answer.headers.iter().all(|(name, _)| !name.starts_with("ratelimit")), "what is observed is not told");
}

#[test]
fn what_another_limit_refuses_uses_up_nothing_of_a_key() {
    let made = make(&[], "shop", 1);
    let text = format!(
        "policies: [{{ name: callers, mode: enforce, authenticate: {POLICY} }}, \
         {{ name: pace, mode: enforce, rate: {{ quota: {{ requests: 1, per: 5s }} }} }}]"
    );
    let desk = Desk::with_policies(&text);
    desk.access.publish_api_keys(ApiKeys::new(PEPPER, [metered(&made)]));
    for after in [0, 6] {
        desk.check("the pace admits one", &call(&made, after), None);
        for _ in 0..5 {
            let refused = desk.serve(&call(&made, after));
            assert_eq!(refused.event.decision.policy.as_deref(), Some("pace"), "its quota is not used up");
        }
    }
}

#[test]
fn a_key_is_counted_by_itself_whatever_else_the_request_shows() {
    let (made, other) = (make(&[], "shop", 1), make(&[], "bank", 2));
    let text = format!(
        "policies: [{{ name: callers, mode: enforce, authenticate: {POLICY} }}, \
         {{ name: pace, mode: enforce, rate: {{ key: [api_key], quota: {{ requests: 2, per: 1h }} }} }}]"
    );
    let desk = Desk::with_policies(&text);
    desk.access.publish_api_keys(ApiKeys::new(PEPPER, [made.key.clone(), other.key.clone()]));
    let with_decoy = |made: &NewApiKey, decoy: &str| {
        Call::get("/?api_key=xyz").with("apikey", decoy).with("x-api-key", made.text.expose().as_str())
    };
    desk.check("first", &with_decoy(&made, "a-decoy-of-the-first-call"), None);
    desk.check("second", &with_decoy(&made, "a-decoy-of-the-second-call"), None);
    desk.check("third", &with_decoy(&made, "a-decoy-of-the-third-call"), Some("LIM-202"));
    desk.check("its own id is no other key", &with_decoy(&made, made.key.id.as_ref()), Some("LIM-202"));
    desk.check("another key, with the same decoy", &with_decoy(&other, "a-decoy-of-the-first-call"), None);
}

#[test]
fn a_key_that_is_only_shown_uses_up_no_count_of_one_that_is_verified() {
    let made = make(&[], "shop", 1);
    let text = format!(
        "policies: [{{ name: callers, mode: enforce, scope: {{ paths: [/known] }}, authenticate: {POLICY} }}, \
         {{ name: pace, mode: enforce, rate: {{ key: [api_key], quota: {{ requests: 1, per: 1h }} }} }}]"
    );
    let desk = Desk::with_policies(&text);
    desk.access.publish_api_keys(ApiKeys::new(PEPPER, [made.key.clone()]));
    let shown = Call::get("/").with("x-api-key", made.key.id.to_string());
    desk.check("somebody shows its id", &shown, None);
    desk.check("and goes on", &shown, Some("LIM-202"));
    desk.check("its holder", &Call::get("/known").with("x-api-key", made.text.expose().as_str()), None);
}

#[test]
fn a_key_keeps_its_quota_beside_another_credential() {
    let made = make(&[], "shop", 1);
    let jwt = format!("{{ jwt: {{ issuer: \"{ISSUER}\", audiences: [\"{AUDIENCE}\"], jwks_file: keys.jwks }} }}");
    let text = format!(
        "policies: [{{ name: people, mode: enforce, authenticate: {{ methods: [{jwt}] }} }}, \
         {{ name: applications, mode: enforce, authenticate: {POLICY} }}]"
    );
    let desk = Desk::with_policies(&text);
    let signer = Signer::ed25519(1);
    desk.publish(&[signer.named("one")]);
    desk.access.publish_api_keys(ApiKeys::new(PEPPER, [metered(&made)]));
    let claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": NOW + 600 });
    let token = signer.sign(&json!({ "alg": "EdDSA", "kid": "one" }), &claims);
    let both = call(&made, 0).with("authorization", format!("Bearer {token}"));
    for count in ["first", "second", "third"] {
        desk.check(count, &both, None);
    }
    desk.check("one too many", &both, Some("LIM-202"));
}

#[test]
fn a_quota_has_bounds() {
    for (requests, per_s) in [(0, 1), (1, 0), (1, 366 * 86_400 + 1), (1_000_000_000_001, 1)] {
        assert_eq!(ApiKeyQuota::new(requests, per_s), None, "{requests} in {per_s} s");
    }
    assert!(ApiKeyQuota::new(1_000_000_000_000, 366 * 86_400).is_some());
}

#[test]
fn uses_are_told_once_and_survive_a_publication() {
    let (shop, bank) = (make(&[], "shop", 1), make(&[], "bank", 2));
    let desk = desk(POLICY, &[shop.key.clone(), bank.key.clone()]);
    assert_eq!(desk.access.take_api_key_uses(), []);
    desk.serve(&call(&shop, 1));
    desk.serve(&call(&shop, 7));
    desk.serve(&Call::get("/").with("x-api-key", format!("{}x", shop.text.expose())));
    desk.access.publish_api_keys(ApiKeys::new(PEPPER, [shop.key.clone(), bank.key]));
    let used = ApiKeyUse { id: shop.key.id, last_at: at(7), calls: 2 };
    assert_eq!(desk.access.take_api_key_uses(), [used]);
    assert_eq!(desk.access.take_api_key_uses(), []);
}

#[test]
fn a_request_under_two_policies_is_one_use_of_its_key() {
    let made = make(&[], "shop", 1);
    let text = format!(
        "policies: [{{ name: a, mode: observe, authenticate: {POLICY} }}, {{ name: b, mode: enforce, authenticate: {POLICY} }}]"
    );
    let desk = Desk::with_policies(&text);
    desk.access.publish_api_keys(ApiKeys::new(PEPPER, [metered(&made)]));
    for _ in 0..3 {
        desk.check("within", &call(&made, 0), None);
    }
    desk.check("the policy that enforces answers for the quota", &call(&made, 0), Some("LIM-202"));
    assert_eq!(desk.access.take_api_key_uses().first().map(|used| used.calls), Some(4));
}

#[test]
fn each_installation_has_a_pepper_of_its_own_that_is_not_its_key() {
    let (one, two) = (api_key_pepper(&Secret::new([1; 32])), api_key_pepper(&Secret::new([2; 32])));
    assert_ne!(one, two);
    assert_ne!(one, [1; 32]);
}
