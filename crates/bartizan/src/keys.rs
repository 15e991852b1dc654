//! API keys between their record in the store and the engine that checks them: made, rotated, taken back.
//!
//! `bartizan key` ([`verb`]) and the console change records through the same three functions; a running gateway
//! ([`keeper`]) notices by the revision of the records. A change is made from what was read, and read again when
//! somebody was faster. The secret is handed to whoever asked for the key, and is in no record, log or event.

pub(crate) mod keeper;
pub(crate) mod verb;

use bartizan_config::Config;
use bartizan_console::{KeyRefused, MadeKey, NewKey};
use bartizan_engine::{API_KEY_RANDOM_BYTES, ApiKey, ApiKeyGrant, ApiKeyQuota, ApiKeyRefused, ApiKeys, api_key_pepper};
use bartizan_model::Timestamp;
use bartizan_store::{ApiKeyRecord, ApiKeySet, Error as StoreError, KeyQuota, Store};

use crate::clock;

/// LIMIT: how often a change is made anew because somebody else was faster.
const ATTEMPTS_MAX: u32 = 20;
/// LIMIT: characters of an application's name, and of a plan's.
const NAME_CHARS_MAX: usize = 64;
/// LIMIT: characters of an owner.
const OWNER_CHARS_MAX: usize = 128;
/// LIMIT: scopes, and roles, as a principal has them.
const WORDS_MAX: usize = 128;
/// LIMIT: bytes of a scope or role.
const WORD_BYTES_MAX: usize = 255;
/// LIMIT: longest time that a rotated key goes on working: 90 days, in milliseconds.
const GRACE_MS_MAX: u64 = 90 * 86_400_000;

/// LIMIT: longest life of a key that ends: 100 years, in microseconds; what lies beyond is a slip of the finger.
const LIFE_US_MAX: u64 = 100 * 366 * 86_400 * 1_000_000;

/// Names of the plans that a configuration has.
pub(crate) fn plans_of(config: &Config) -> Vec<String> {
    config.plans.iter().map(|plan| plan.name.clone()).collect()
}

/// Makes a key. `plans` are those that there are.
pub(crate) async fn create(store: &Store, new: NewKey, plans: &[String], author: &str) -> Result<MadeKey, KeyRefused> {
    if let Some(plan) = &new.plan {
        has_plan(plan, plans).map_err(KeyRefused::Bad)?;
    }
    let grant = grant(new, clock::now()).map_err(KeyRefused::Bad)?;
    for _ in 0..ATTEMPTS_MAX {
        let (set, keys, now) = read(store).await?;
        let made = match keys.create(grant.clone(), &random()?, now) {
            Err(ApiKeyRefused::Taken) => continue,
            made => made.map_err(refusal)?,
        };
        let record = record_of(&made.key, author);
        if store.put_api_keys(set.revision, std::slice::from_ref(&record), now).await.map_err(failure)? {
            return Ok(MadeKey { record, text: made.text });
        }
    }
    Err(busy())
}

/// Makes a key that takes the place of the key `id`, which works for another `grace_ms`.
pub(crate) async fn rotate(store: &Store, id: &str, grace_ms: u64, author: &str) -> Result<MadeKey, KeyRefused> {
    if grace_ms > GRACE_MS_MAX {
        return Err(KeyRefused::Bad("the old key goes on working for at most 90 days".to_owned()));
    }
    let grace_us = i64::try_from(grace_ms * 1000).unwrap_or(i64::MAX);
    for _ in 0..ATTEMPTS_MAX {
        let (set, keys, now) = read(store).await?;
        let old = set.keys.iter().find(|key| key.id == id).ok_or_else(|| missing(id))?;
        let (new, ending) = match keys.rotate(id, &random()?, now, now.plus_micros(grace_us)) {
            Err(ApiKeyRefused::Taken) => continue,
            rotated => rotated.map_err(refusal)?,
        };
        let record = record_of(&new.key, author);
        let old = ApiKeyRecord { expires: ending.expires_at, rotated: ending.rotated_at, ..old.clone() };
        if store.put_api_keys(set.revision, &[record.clone(), old], now).await.map_err(failure)? {
            return Ok(MadeKey { record, text: new.text });
        }
    }
    Err(busy())
}

/// Takes a key back. One that has ended already stays as it is.
pub(crate) async fn revoke(store: &Store, id: &str, author: &str) -> Result<ApiKeyRecord, KeyRefused> {
    for _ in 0..ATTEMPTS_MAX {
        let (set, _, now) = read(store).await?;
        let old = set.keys.into_iter().find(|key| key.id == id).ok_or_else(|| missing(id))?;
        if old.revoked.is_some() {
            return Ok(old);
        }
        let record = ApiKeyRecord { revoked: Some(now), revoked_by: Some(author.to_owned()), ..old };
        if store.put_api_keys(set.revision, std::slice::from_ref(&record), now).await.map_err(failure)? {
            return Ok(record);
        }
    }
    Err(busy())
}

/// The keys as the engine knows them.
pub(crate) fn engine_keys(store: &Store, records: &[ApiKeyRecord]) -> ApiKeys {
    ApiKeys::new(api_key_pepper(&store.installation_key()), records.iter().map(key_of))
}

async fn read(store: &Store) -> Result<(ApiKeySet, ApiKeys, Timestamp), KeyRefused> {
    let set = store.api_keys().await.map_err(failure)?;
    let keys = engine_keys(store, &set.keys);
    Ok((set, keys, clock::now()))
}

fn random() -> Result<[u8; API_KEY_RANDOM_BYTES], KeyRefused> {
    let mut random = [0; API_KEY_RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(|error| KeyRefused::Failed(format!("no random numbers: {error}")))?;
    Ok(random)
}

fn refusal(refused: ApiKeyRefused) -> KeyRefused {
    match refused {
        ApiKeyRefused::Unknown | ApiKeyRefused::TwoLive | ApiKeyRefused::Rotated | ApiKeyRefused::Taken => {
            KeyRefused::Conflict(refused.to_string())
        }
    }
}

fn missing(id: &str) -> KeyRefused {
    KeyRefused::Missing(format!("there is no key `{}`", bartizan_model::excerpt(id)))
}

fn failure(error: StoreError) -> KeyRefused {
    match error {
        StoreError::Full(..) => KeyRefused::Conflict(error.to_string()),
        other => KeyRefused::Failed(other.to_string()),
    }
}

fn busy() -> KeyRefused {
    KeyRefused::Failed("the keys are being changed by others all the time; try again".to_owned())
}

/// A key of a plan that there is not would be refused.
fn has_plan(plan: &str, plans: &[String]) -> Result<(), String> {
    if plans.iter().any(|known| known == plan) {
        return Ok(());
    }
    let known: Vec<String> = plans.iter().map(|known| format!("`{known}`")).collect();
    let help = if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
    let shown = bartizan_model::excerpt(plan);
    Err(format!("the running configuration has no plan `{shown}` ({help}); add it to `plans` first"))
}

/// What was asked for, if it can be.
fn grant(new: NewKey, now: Timestamp) -> Result<ApiKeyGrant, String> {
    let NewKey { application, owner, plan, scopes, roles, quota, expires } = new;
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-' | '@' | ':' | '/');
    if application.is_empty() || application.len() > NAME_CHARS_MAX || !application.chars().all(is_name) {
        return Err("an application's name has 1 to 64 letters, digits, `.`, `_`, `-`, `@`, `:` or `/`".to_owned());
    }
    for (what, text, max) in [("an owner", &owner, OWNER_CHARS_MAX), ("a plan's name", &plan, NAME_CHARS_MAX)] {
        let is_fit = |text: &String| !text.trim().is_empty() && text.chars().count() <= max;
        if text.as_ref().is_some_and(|text| !is_fit(text) || text.chars().any(char::is_control)) {
            return Err(format!("{what} has 1 to {max} characters"));
        }
    }
    for (what, words) in [("scope", &scopes), ("role", &roles)] {
        if words.len() > WORDS_MAX {
            return Err(format!("a key has at most {WORDS_MAX} {what}s"));
        }
        // RFC 6749 §3.3: scope-token
        let is_token = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        let is_word = |word: &&String| !word.is_empty() && word.len() <= WORD_BYTES_MAX && word.bytes().all(is_token);
        if let Some(bad) = words.iter().find(|word| !is_word(word)) {
            let shown = bartizan_model::excerpt(bad);
            return Err(format!("{what} `{shown}`: write 1 to 255 printable characters without spaces, `\"` and `\\`"));
        }
    }
    if expires.is_some_and(|expires| expires <= now) {
        return Err("a key ends in the future; this time has passed".to_owned());
    }
    if expires.is_some_and(|expires| expires.micros_since(now) > LIFE_US_MAX) {
        return Err("a key ends within 100 years; one that is given no end has none".to_owned());
    }
    let quota = quota.map(|quota| ApiKeyQuota::new(quota.requests, quota.per_s).ok_or(QUOTA_FAULT)).transpose()?;
    let boxed = |words: Vec<String>| words.into_iter().map(String::into_boxed_str).collect();
    Ok(ApiKeyGrant {
        application: application.into(),
        owner: owner.map(Into::into),
        plan: plan.map(Into::into),
        quota,
        scopes: boxed(scopes),
        roles: boxed(roles),
        expires_at: expires,
    })
}

/// What is wrong with a quota.
const QUOTA_FAULT: &str = "a quota has 1 to 1,000,000,000,000 requests in 1 second to 366 days";

fn record_of(key: &ApiKey, author: &str) -> ApiKeyRecord {
    let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    let words = |words: &[Box<str>]| words.iter().map(ToString::to_string).collect();
    ApiKeyRecord {
        id: key.id.to_string(),
        digest: key.digest,
        application: key.application.to_string(),
        owner: text(&key.owner),
        plan: text(&key.plan),
        scopes: words(&key.scopes),
        roles: words(&key.roles),
        quota: key.quota.map(|quota| KeyQuota { requests: quota.requests(), per_s: quota.per_s() }),
        created: key.created_at,
        created_by: author.to_owned(),
        expires: key.expires_at,
        rotated: key.rotated_at,
        revoked: key.revoked_at,
        revoked_by: None,
        last_used: None,
        calls: 0,
    }
}

fn key_of(record: &ApiKeyRecord) -> ApiKey {
    let text = |text: &Option<String>| text.as_deref().map(Into::into);
    let words = |words: &[String]| words.iter().map(|word| word.as_str().into()).collect();
    ApiKey {
        id: record.id.as_str().into(),
        digest: record.digest,
        application: record.application.as_str().into(),
        owner: text(&record.owner),
        plan: text(&record.plan),
        quota: record.quota.and_then(|quota| ApiKeyQuota::new(quota.requests, quota.per_s)),
        scopes: words(&record.scopes),
        roles: words(&record.roles),
        created_at: record.created,
        expires_at: record.expires,
        rotated_at: record.rotated,
        revoked_at: record.revoked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(application: &str) -> NewKey {
        NewKey { application: application.to_owned(), ..NewKey::default() }
    }

    fn fault(new: NewKey) -> String {
        grant(new, Timestamp::from_micros(10)).unwrap_err()
    }

    #[test]
    fn what_is_asked_for_must_make_sense() {
        assert!(grant(new("team/shop-backend@eu:1"), Timestamp::from_micros(10)).is_ok());
        for name in ["", "a b", "a\nb", "ä", &"x".repeat(65)] {
            assert!(fault(new(name)).contains("1 to 64"), "{name}");
        }
        let scope = |scope: &str| NewKey { scopes: vec![scope.to_owned()], ..new("a") };
        for bad in ["", "a b", "a\"b", "a\\b", "ä", &"x".repeat(256)] {
            assert!(fault(scope(bad)).starts_with("scope `"), "{bad}");
        }
        assert!(fault(NewKey { roles: vec!["r".to_owned(); 129], ..new("a") }).contains("at most 128 roles"));
        assert!(fault(NewKey { owner: Some(" ".to_owned()), ..new("a") }).contains("an owner"));
        assert!(fault(NewKey { plan: Some("a\u{1b}".to_owned()), ..new("a") }).contains("a plan"));
        assert!(fault(NewKey { expires: Some(Timestamp::from_micros(10)), ..new("a") }).contains("future"));
        let never = Timestamp::from_micros(i64::MAX);
        assert!(fault(NewKey { expires: Some(never), ..new("a") }).contains("100 years"));
        let quota = |requests, per_s| NewKey { quota: Some(KeyQuota { requests, per_s }), ..new("a") };
        assert_eq!(fault(quota(0, 1)), QUOTA_FAULT);
        assert_eq!(fault(quota(1, 0)), QUOTA_FAULT);
    }

    #[test]
    fn a_key_of_a_plan_that_there_is_not_is_not_made() {
        let plans = ["gold".to_owned(), "free".to_owned()];
        assert_eq!(has_plan("gold", &plans), Ok(()));
        assert!(has_plan("silver", &plans).unwrap_err().contains("no plan `silver` (it has `gold`, `free`)"));
        assert!(has_plan("gold", &[]).unwrap_err().contains("it has none"));
    }

    #[test]
    fn a_record_gives_the_key_back_that_it_was_made_of() {
        let quota = Some(KeyQuota { requests: 5, per_s: 60 });
        let asked = NewKey { owner: Some("ann".to_owned()), scopes: vec!["s".to_owned()], quota, ..new("shop") };
        let keys = ApiKeys::new([1; 32], []);
        let grant = grant(asked, Timestamp::from_micros(10)).unwrap();
        let made = keys.create(grant, &[3; API_KEY_RANDOM_BYTES], Timestamp::from_micros(10)).unwrap();
        let key = ApiKey { rotated_at: Some(Timestamp::from_micros(11)), ..made.key };
        assert_eq!(key_of(&record_of(&key, "ann")), key);
    }

    #[test]
    fn keys_are_made_rotated_and_taken_back_in_a_store_and_their_secrets_are_not_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open_state(directory.path()).unwrap();
        let made = store.block_on(create(&store, new("shop"), &[], "ann")).unwrap();
        let rotated = store.block_on(rotate(&store, &made.record.id, 60_000, "bob")).unwrap();
        assert_ne!(made.text.expose(), rotated.text.expose());
        let full = store.block_on(create(&store, new("shop"), &[], "ann")).map(|made| made.record);
        assert!(matches!(full, Err(KeyRefused::Conflict(why)) if why.contains("two live keys")));
        let revoked = store.block_on(revoke(&store, &rotated.record.id, "ann")).unwrap();
        assert_eq!(revoked.revoked_by.as_deref(), Some("ann"));
        assert_eq!(store.block_on(revoke(&store, &rotated.record.id, "bob")).unwrap(), revoked, "once is enough");
        let gone = store.block_on(revoke(&store, "nothing", "ann"));
        assert!(matches!(gone, Err(KeyRefused::Missing(_))), "{gone:?}");
        let records = store.block_on(store.api_keys()).unwrap().keys;
        let states: Vec<_> = records.iter().map(|key| key.state(clock::now()).as_str()).collect();
        assert_eq!(states, ["rotating", "revoked"]);
        drop(store);
        for entry in std::fs::read_dir(directory.path()).unwrap().flatten().filter(|entry| entry.path().is_file()) {
            let bytes = std::fs::read(entry.path()).unwrap();
            for text in [&made.text, &rotated.text] {
                let secret = text.expose().split('_').nth(2).unwrap().as_bytes();
                assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{:?}", entry.path());
            }
        }
    }
}
