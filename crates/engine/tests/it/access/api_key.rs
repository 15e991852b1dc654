//! API keys: made, shown, rotated, taken back.

use bartizan_engine::{API_KEY_RANDOM_BYTES, ApiKey, ApiKeyGrant, ApiKeyRefused, ApiKeys, NewApiKey};
use bartizan_model::{CredentialKind, Strength};

use super::desk::{Call, Desk, at};

const POLICY: &str = "{ methods: [{ api_key: {} }] }";
const WITH_QUERY: &str = "{ methods: [{ api_key: { query: api_key } }] }";
const PEPPER: [u8; 32] = [5; 32];

fn grant(application: &str) -> ApiKeyGrant {
    ApiKeyGrant {
        application: application.into(),
        owner: Some("team-shop".into()),
        plan: None,
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
    let both = ApiKeys::new(PEPPER, [new.key, ending]);
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
    assert_eq!((principal.credential, principal.strength), (CredentialKind::ApiKey, Strength::Shared));
    assert_eq!(principal.application.as_deref(), Some("shop"));
}
