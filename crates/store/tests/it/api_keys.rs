//! API keys in the state database: several processes, one order of changes, uses apart.

use bartizan_model::Timestamp;
use bartizan_store::{ApiKeyRecord, ApiKeySet, ApiKeyUsed, Error, KeyQuota, Store};

use crate::sample::open;

const DAY: i64 = 86_400 * 1_000_000;

fn time(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn record(id: &str, application: &str) -> ApiKeyRecord {
    ApiKeyRecord {
        id: id.to_owned(),
        digest: [7; 32],
        application: application.to_owned(),
        owner: Some("team \"shop\"".to_owned()),
        plan: Some("gold".to_owned()),
        scopes: vec!["orders:read".to_owned(), "a,b".to_owned()],
        roles: vec![],
        quota: Some(KeyQuota { requests: 1000, per_s: 86_400 }),
        created: time(5),
        created_by: "ann".to_owned(),
        expires: Some(time(900 * DAY)),
        rotated: None,
        revoked: None,
        revoked_by: None,
        last_used: None,
        calls: 0,
    }
}

fn keys(store: &Store) -> ApiKeySet {
    store.block_on(store.api_keys()).unwrap()
}

fn put(store: &Store, seen: u64, records: &[ApiKeyRecord]) -> bool {
    store.block_on(store.put_api_keys(seen, records, time(10))).unwrap()
}

#[test]
fn keys_are_kept_in_full_and_each_change_has_a_number() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    assert_eq!(keys(&store), ApiKeySet::default());
    let (one, two) = (record("k1", "shop"), ApiKeyRecord { quota: None, expires: None, ..record("k2", "bank") });
    assert!(put(&store, 0, &[one.clone(), two.clone()]));
    assert_eq!(keys(&store), ApiKeySet { revision: 1, keys: vec![two.clone(), one.clone()] });
    let ended = ApiKeyRecord {
        expires: Some(time(20)),
        rotated: Some(time(11)),
        revoked: Some(time(12)),
        revoked_by: Some("bob".to_owned()),
        ..one
    };
    assert!(put(&store, 1, std::slice::from_ref(&ended)));
    drop(store);
    let store = open(directory.path());
    assert_eq!(keys(&store), ApiKeySet { revision: 2, keys: vec![two, ended] });
    assert_eq!(store.block_on(store.api_keys_revision()).unwrap(), 2);
}

#[test]
fn whoever_read_before_somebody_elses_change_must_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = open(directory.path());
    let beside = Store::open_state(directory.path()).unwrap();
    assert!(beside.is_read_only(), "events stay with the gateway");
    assert!(put(&beside, 0, &[record("k1", "shop")]));
    assert!(!put(&gateway, 0, &[record("k2", "shop")]), "made from what is no longer so");
    assert_eq!(keys(&gateway).keys, [record("k1", "shop")]);
    assert!(put(&gateway, 1, &[record("k2", "shop")]));
    assert_eq!(keys(&beside).revision, 2);
    assert_eq!(beside.installation_key(), gateway.installation_key());
}

#[test]
fn changes_that_are_made_at_once_are_all_kept() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = open(directory.path());
    let add = |store: &Store, id: String| {
        while !put(store, store.block_on(store.api_keys_revision()).unwrap(), &[record(&id, "shop")]) {}
    };
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let store = if writer == 0 { gateway.clone() } else { Store::open_state(directory.path()).unwrap() };
            scope.spawn(move || (0..10).for_each(|number| add(&store, format!("k{writer}-{number}"))));
        }
    });
    let found = keys(&gateway);
    assert_eq!((found.revision, found.keys.len()), (40, 40));
}

#[test]
fn uses_are_added_without_a_new_revision_and_survive_a_change() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    put(&store, 0, &[record("k1", "shop"), record("k2", "shop")]);
    let used = |id: &str, at, calls| ApiKeyUsed { id: id.to_owned(), last_used: time(at), calls };
    store.block_on(store.note_api_key_uses(&[used("k1", 100, 3), used("gone", 100, 3)])).unwrap();
    store.block_on(store.note_api_key_uses(&[used("k1", 90, 2)])).unwrap();
    put(&store, 1, &[record("k1", "shop")]);
    let found = keys(&store);
    assert_eq!(found.revision, 2);
    let uses: Vec<_> = found.keys.iter().map(|key| (key.id.as_str(), key.last_used, key.calls)).collect();
    assert_eq!(uses, [("k1", Some(time(100)), 5), ("k2", None, 0)]);
}

#[test]
fn a_key_that_ended_long_ago_is_forgotten_and_others_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let ends = |id: &str, expires: Option<i64>, revoked: Option<i64>| ApiKeyRecord {
        expires: expires.map(|day| time(day * DAY)),
        revoked: revoked.map(|day| time(day * DAY)),
        ..record(id, "shop")
    };
    put(
        &store,
        0,
        &[
            ends("expired", Some(10), None),
            ends("revoked", Some(900), Some(10)),
            ends("revoked-after-its-end", Some(10), Some(900)),
            ends("recent", Some(500), None),
            ends("endless", None, None),
        ],
    );
    assert!(store.block_on(store.put_api_keys(1, &[], time(400 * DAY))).unwrap());
    let ids: Vec<String> = keys(&store).keys.into_iter().map(|key| key.id).collect();
    assert_eq!(ids, ["endless", "recent"]);
}

#[test]
fn a_reader_reads_and_does_not_write() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    put(&store, 0, &[record("k1", "shop")]);
    let reader = Store::open_read_only(directory.path()).unwrap();
    assert_eq!(keys(&reader), keys(&store));
    let refused = reader.block_on(reader.put_api_keys(1, &[], time(10)));
    assert!(matches!(refused, Err(Error::ReadOnly)), "{refused:?}");
    assert!(reader.block_on(reader.note_api_key_uses(&[])).is_err());
}

#[test]
fn state_can_be_made_before_any_gateway_has_run() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("new");
    let store = Store::open_state(&data).unwrap();
    put(&store, 0, &[record("k1", "shop")]);
    let key = store.installation_key();
    drop(store);
    let gateway = open(&data);
    assert_eq!((keys(&gateway).keys.len(), gateway.installation_key()), (1, key));
}
