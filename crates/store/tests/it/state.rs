//! Users, sessions, revisions, catalog, key, lock.

use std::os::unix::fs::PermissionsExt;

use bartizan_model::{Diagnostic, DiagnosticSeverity, Position, Secret, Timestamp};
use bartizan_store::{CatalogEntry, Error, NewRevision, RevisionCause, RevisionOutcome, Role, Session, Store, User};

use crate::sample::{count, event, open};

fn time(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn user(name: &str) -> User {
    User {
        name: name.to_owned(),
        role: Role::Admin,
        password_hash: Secret::new("$argon2id$made-up".to_owned()),
        created: time(5),
    }
}

fn session(byte: u8, user: &str) -> Session {
    Session { token_hash: [byte; 32], user: user.to_owned(), created: time(1), last_seen: time(1), expires: time(100) }
}

#[test]
fn the_installation_key_stays_and_is_private() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let key = open(&data).installation_key();
    assert_eq!(open(&data).installation_key(), key);
    assert_ne!(open(&directory.path().join("other")).installation_key(), key);
    let mode = |name: &str| std::fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("events"), mode("state.db")), (0o700, 0o700, 0o600));
}

#[test]
fn users_are_added_once_changed_and_deleted_with_their_sessions() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.block_on(async {
        assert!(store.create_first_user(&user("Jane")).await.unwrap());
        assert!(!store.create_first_user(&user("mallory")).await.unwrap());
        assert!(!store.create_user(&user("jane")).await.unwrap(), "names are compared without case");
        assert!(store.create_user(&User { role: Role::Viewer, ..user("bob") }).await.unwrap());
        assert_eq!(store.user("JANE").await.unwrap(), Some(user("Jane")));
        assert_eq!(store.user("nobody").await.unwrap(), None);
        let names: Vec<String> = store.users().await.unwrap().into_iter().map(|user| user.name).collect();
        assert_eq!(names, ["bob", "Jane"]);
        store.create_session(&session(1, "jane")).await.unwrap();
        assert!(store.set_password("Jane", &Secret::new("new".to_owned())).await.unwrap());
        assert_eq!(store.session(&[1; 32], time(2)).await.unwrap(), None, "a new password ends sessions");
        assert_eq!(store.user("Jane").await.unwrap().unwrap().password_hash.expose(), "new");
        store.create_session(&session(2, "bob")).await.unwrap();
        assert!(store.delete_user("bob").await.unwrap());
        assert_eq!(store.session(&[2; 32], time(2)).await.unwrap(), None);
        assert!(!store.delete_user("bob").await.unwrap());
        assert!(store.create_session(&session(3, "bob")).await.is_err());
    });
}

#[test]
fn a_session_lasts_until_it_expires_or_is_ended() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.block_on(async {
        store.create_user(&user("jane")).await.unwrap();
        store.create_session(&session(1, "jane")).await.unwrap();
        store.create_session(&session(2, "jane")).await.unwrap();
        let found = store.session(&[1; 32], time(99)).await.unwrap();
        assert_eq!(found, Some((session(1, "jane"), user("jane"))));
        assert_eq!(store.session(&[1; 32], time(100)).await.unwrap(), None);
        store.touch_session(&[1; 32], time(50), time(200)).await.unwrap();
        let (touched, _) = store.session(&[1; 32], time(150)).await.unwrap().unwrap();
        assert_eq!((touched.last_seen, touched.expires), (time(50), time(200)));
        assert_eq!(store.delete_expired_sessions(time(150)).await.unwrap(), 1);
        store.delete_session(&[1; 32]).await.unwrap();
        assert_eq!(store.session(&[1; 32], time(2)).await.unwrap(), None);
    });
}

#[test]
fn revisions_are_numbered_and_kept_in_full() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let diagnostic = Diagnostic {
        severity: DiagnosticSeverity::Error,
        code: "CFG-001".to_owned(),
        file: "b.yaml".to_owned(),
        position: Some(Position { line: 1, column: 2 }),
        path: "listeners".to_owned(),
        message: "unknown key".to_owned(),
        help: String::new(),
    };
    let new = NewRevision {
        time: time(7),
        author: "system".to_owned(),
        cause: RevisionCause::Signal,
        outcome: RevisionOutcome::Rejected,
        message: "1 fault".to_owned(),
        yaml: "abc".to_owned(),
        diagnostics: vec![diagnostic],
    };
    store.block_on(async {
        assert_eq!(store.add_revision(&new).await.unwrap(), 1);
        assert_eq!(store.add_revision(&NewRevision { diagnostics: vec![], ..new.clone() }).await.unwrap(), 2);
        let numbers: Vec<u64> = store.revisions(10).await.unwrap().iter().map(|line| line.revision).collect();
        assert_eq!(numbers, [2, 1]);
        let detail = store.revision(1).await.unwrap().unwrap();
        assert_eq!((&detail.yaml, &detail.diagnostics), (&new.yaml, &new.diagnostics));
        let json = serde_json::to_value(&detail).unwrap();
        assert_eq!((&json["cause"], &json["outcome"]), (&"signal".into(), &"rejected".into()));
        // FIPS 180-2, appendix B.1
        assert_eq!(json["yaml_sha256"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(store.revision(3).await.unwrap(), None);
        assert_eq!(store.revision(u64::MAX).await.unwrap(), None);
        assert_eq!(store.applied_revision().await.unwrap(), None);
        let applied = NewRevision { outcome: RevisionOutcome::Applied, yaml: "def".to_owned(), ..new.clone() };
        assert_eq!(store.add_revision(&applied).await.unwrap(), 3);
        assert_eq!(store.add_revision(&new).await.unwrap(), 4);
        let detail = store.applied_revision().await.unwrap().unwrap();
        assert_eq!((detail.revision.revision, detail.yaml.as_str()), (3, "def"));
    });
}

#[test]
fn the_catalog_becomes_what_was_saved_last() {
    let directory = tempfile::tempdir().unwrap();
    let entry = |key: &str, json: &str| CatalogEntry { key: key.to_owned(), json: json.to_owned() };
    let store = open(directory.path());
    store.block_on(async {
        store.save_catalog(&[entry("a", "1"), entry("b", "2")]).await.unwrap();
        store.save_catalog(&[entry("b", "3"), entry("c", "4")]).await.unwrap();
    });
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.block_on(store.load_catalog()).unwrap(), [entry("b", "3"), entry("c", "4")]);
}

#[test]
fn a_second_writer_is_told_who_has_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let error = Store::open(directory.path(), bartizan_store::StoreOptions::default()).err().unwrap();
    assert!(error.to_string().contains(&format!("in use by process {}", std::process::id())), "{error}");
    drop(store);
    open(directory.path());
}

#[test]
fn a_reader_works_beside_the_writer_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(Store::open_read_only(directory.path()), Err(Error::NoData(_))));
    let writer = open(directory.path());
    writer.append(&[event(1)]);
    writer.flush().unwrap();
    let reader = Store::open_read_only(directory.path()).unwrap();
    assert_eq!(count(&reader), 1);
    writer.append(&[event(2)]);
    writer.flush().unwrap();
    writer.block_on(writer.create_user(&user("jane"))).unwrap();
    assert_eq!(count(&reader), 2);
    assert_eq!(reader.installation_key(), writer.installation_key());
    assert_eq!(reader.health().segments, 2);
    reader.block_on(async {
        assert_eq!(reader.user("jane").await.unwrap(), Some(user("jane")));
        assert!(matches!(reader.create_user(&user("bob")).await, Err(Error::ReadOnly)));
    });
    drop(writer);
    assert_eq!(count(&Store::open_read_only(directory.path()).unwrap()), 2, "and after the writer has gone");
}

#[tokio::test]
async fn a_store_is_opened_asked_and_dropped_on_a_runtime_of_the_callers() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.append(&[event(1)]);
    assert!(store.create_user(&user("jane")).await.unwrap());
    assert_eq!(store.search(crate::sample::query("")).await.unwrap().items.len(), 1);
    drop(store);
}
