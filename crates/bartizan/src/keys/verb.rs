//! `bartizan key`: API keys from the command line, also while a gateway runs on the same data directory.
//!
//! Standard output has what was asked for and nothing else: a new key alone, so that a script can take it; a table, or
//! JSON. A key may be named by its id, by its application when that has one live key, or by its whole text (a key that
//! leaked); the text is never printed again.

use std::path::Path;

use anyhow::{Result, anyhow};
use bartizan_config::{duration_ms, duration_text};
use bartizan_console::{KeyRefused, MadeKey, NewKey};
use bartizan_model::{Timestamp, excerpt};
use bartizan_store::{ApiKeyRecord, KeyQuota, Store};
use serde_json::{Value, json};

use crate::arguments::{CreateKey, KeyVerb, Keys};
use crate::table::{self, Table};
use crate::{REFUSED, clock, output};

/// Who changes keys here, as records and the console say it.
const AUTHOR: &str = "command line";
/// What is printed where a key has no such thing.
const NONE: &str = "-";

/// Why nothing was done.
enum Fault {
    /// What was asked for is not possible: for whoever asked
    Refused(String),
    /// It could not be done
    Failed(anyhow::Error),
}

impl From<KeyRefused> for Fault {
    fn from(refused: KeyRefused) -> Self {
        match refused {
            KeyRefused::Bad(why) | KeyRefused::Missing(why) | KeyRefused::Conflict(why) => Self::Refused(why),
            KeyRefused::Failed(why) => Self::Failed(anyhow!(why)),
        }
    }
}

impl From<bartizan_store::Error> for Fault {
    fn from(error: bartizan_store::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Does what the verb says.
pub(crate) fn run(verb: &KeyVerb) -> Result<u8> {
    let done = match verb {
        KeyVerb::Create(options) => create(options),
        KeyVerb::List { all, options } => list(*all, options),
        KeyVerb::Show { key, options } => show(key, options),
        KeyVerb::Rotate { key, grace, options } => rotate(key, grace, options),
        KeyVerb::Revoke { key, all, options } => revoke(key, *all, options),
    };
    match done {
        Ok(()) => Ok(0),
        Err(Fault::Refused(why)) => {
            output::note(&format!("bartizan: {why}"));
            Ok(REFUSED)
        }
        Err(Fault::Failed(error)) => Err(error),
    }
}

fn create(options: &CreateKey) -> Result<(), Fault> {
    let new = NewKey {
        application: options.application.clone(),
        owner: options.owner.clone(),
        plan: options.plan.clone(),
        scopes: options.scopes.clone(),
        roles: options.roles.clone(),
        quota: options.quota.as_deref().map(quota).transpose().map_err(Fault::Refused)?,
        expires: options.expires.as_deref().map(end).transpose().map_err(Fault::Refused)?,
    };
    let directory = &options.options.data.data_dir;
    let is_new = !directory.join("state.db").exists();
    let store = Store::open_state(directory)?;
    let plans = if new.plan.is_some() { running_plans(&store)? } else { Vec::new() };
    let made = store.block_on(super::create(&store, new, &plans, AUTHOR))?;
    if is_new {
        output::note(&format!("note: `{}` was empty; run the gateway with `--data-dir` there", directory.display()));
    }
    tell(&made, options.options.json);
    Ok(())
}

/// Plans of the configuration that runs here, or ran last. A key of a plan that there is not would be refused everywhere, so
/// that what is not known is no reason to make one.
fn running_plans(store: &Store) -> Result<Vec<String>, Fault> {
    let Some(applied) = store.block_on(store.applied_revision())? else {
        let why = "which plans there are is not known: no configuration has run on this data directory; start the gateway \
                   with `--data-dir` there, then make the key";
        return Err(Fault::Refused(why.to_owned()));
    };
    let parsed = bartizan_config::parse(&applied.yaml, "bartizan.yaml", Path::new(""));
    let config = parsed.config.ok_or_else(|| {
        let revision = applied.revision.revision;
        let fault = parsed.diagnostics.first().map(ToString::to_string).unwrap_or_default();
        Fault::Refused(format!(
            "which plans there are is not known: this version cannot read the configuration that ran last (revision \
             {revision}: {fault}); start the gateway with one that it can, then make the key"
        ))
    })?;
    Ok(super::plans_of(&config))
}

fn rotate(name: &str, grace: &str, options: &Keys) -> Result<(), Fault> {
    let fault = || Fault::Refused(format!("grace `{grace}`: write a time such as `12h` or `7d`"));
    let grace_ms = duration_ms(grace).ok_or_else(fault)?;
    let store = open(options)?;
    let old = find(&store, name)?;
    let made = store.block_on(super::rotate(&store, &old.id, grace_ms, AUTHOR))?;
    tell(&made, options.json);
    let set = store.block_on(store.api_keys())?;
    let end = set.keys.iter().find(|key| key.id == old.id).and_then(|key| key.expires);
    output::note(&format!("key `{}` goes on working until {}", old.id, end.map_or(NONE.to_owned(), text_of)));
    Ok(())
}

/// The key on standard output, what it is on standard error.
fn tell(made: &MadeKey, is_json: bool) {
    let record = &made.record;
    if is_json {
        let mut object = as_json(record, clock::now());
        object["key"] = json!(made.text.expose());
        output::print(&format!("{object:#}\n"));
    } else {
        output::print(&format!("{}\n", made.text.expose()));
    }
    output::note(&format!(
        "key `{}` of `{}` is made; this is the only time it is shown",
        record.id, record.application
    ));
    output::note("a running gateway takes it within two seconds");
}

fn revoke(name: &str, all: bool, options: &Keys) -> Result<(), Fault> {
    let store = open(options)?;
    let now = clock::now();
    let ids = if all {
        let keys = store.block_on(store.api_keys())?.keys;
        let live = keys.into_iter().filter(|key| key.application == name && key.state(now).is_accepted());
        live.map(|key| key.id).collect()
    } else {
        vec![find(&store, name)?.id]
    };
    if ids.is_empty() {
        let name = excerpt(name);
        return Err(Fault::Refused(format!("no application `{name}` has a live key; `bartizan key list` shows them")));
    }
    let mut revoked = Vec::new();
    for id in &ids {
        let record = store.block_on(super::revoke(&store, id, AUTHOR))?;
        let at = record.revoked.map_or(NONE.to_owned(), text_of);
        output::note(&format!("key `{id}` of `{}` is revoked since {at}", record.application));
        revoked.push(as_json(&record, clock::now()));
    }
    output::note("a running gateway refuses it within two seconds");
    if options.json {
        output::print(&format!("{:#}\n", Value::Array(revoked)));
    }
    Ok(())
}

fn list(all: bool, options: &Keys) -> Result<(), Fault> {
    let store = Store::open_read_only(&options.data.data_dir)?;
    let now = clock::now();
    let keys = store.block_on(store.api_keys())?.keys;
    let total = keys.len();
    let keys: Vec<ApiKeyRecord> = keys.into_iter().filter(|key| all || key.state(now).is_accepted()).collect();
    if options.json {
        let keys = keys.iter().map(|key| as_json(key, now)).collect();
        output::print(&format!("{:#}\n", Value::Array(keys)));
        return Ok(());
    }
    if total == 0 {
        output::note("there are no API keys; make one with `bartizan key create APPLICATION`");
        return Ok(());
    }
    let mut rows = Table::new(&[
        "id",
        "application",
        "owner",
        "scopes",
        "plan",
        "quota",
        "state",
        "expires",
        "last used",
        "calls",
    ]);
    for key in &keys {
        rows.push([
            key.id.clone(),
            key.application.clone(),
            or_none(key.owner.as_deref()),
            or_none(Some(key.scopes.join(" ").as_str())),
            or_none(key.plan.as_deref()),
            key.quota.map_or(NONE.to_owned(), quota_text),
            key.state(now).as_str().to_owned(),
            key.expires.map_or("never".to_owned(), text_of),
            key.last_used.map_or("never".to_owned(), text_of),
            key.calls.to_string(),
        ]);
    }
    rows.print();
    let shown = table::count(keys.len(), "key", "keys");
    let hidden = total - keys.len();
    let ended = if hidden > 0 { format!(", {hidden} ended; --all shows them") } else { String::new() };
    output::note(&format!("{shown}{ended}"));
    Ok(())
}

fn show(name: &str, options: &Keys) -> Result<(), Fault> {
    let store = Store::open_read_only(&options.data.data_dir)?;
    let now = clock::now();
    let key = find(&store, name)?;
    if options.json {
        output::print(&format!("{:#}\n", as_json(&key, now)));
        return Ok(());
    }
    let by = |time: Option<Timestamp>, who: Option<&str>| match (time, who) {
        (Some(time), Some(who)) => format!("{time} by {who}"),
        (Some(time), None) => time.to_string(),
        (None, _) => NONE.to_owned(),
    };
    let lines = [
        ("id", key.id.clone()),
        ("application", key.application.clone()),
        ("owner", or_none(key.owner.as_deref())),
        ("plan", or_none(key.plan.as_deref())),
        ("scopes", or_none(Some(key.scopes.join(" ").as_str()))),
        ("roles", or_none(Some(key.roles.join(" ").as_str()))),
        ("quota", key.quota.map_or(NONE.to_owned(), quota_text)),
        ("state", key.state(now).as_str().to_owned()),
        ("created", by(Some(key.created), Some(&key.created_by))),
        ("expires", key.expires.map_or("never".to_owned(), text_of)),
        ("rotated", by(key.rotated, None)),
        ("revoked", by(key.revoked, key.revoked_by.as_deref())),
        ("last used", key.last_used.map_or("never".to_owned(), text_of)),
        ("calls", key.calls.to_string()),
    ];
    output::print(&lines.map(|(name, value)| format!("{name:<12} {value}\n")).concat());
    Ok(())
}

/// An existing directory, for changes.
fn open(options: &Keys) -> Result<Store, Fault> {
    let directory = &options.data.data_dir;
    if !directory.join("state.db").is_file() {
        return Err(bartizan_store::Error::NoData(directory.clone()).into());
    }
    Ok(Store::open_state(directory)?)
}

/// The key that somebody means.
fn find(store: &Store, name: &str) -> Result<ApiKeyRecord, Fault> {
    let keys = store.block_on(store.api_keys())?.keys;
    let now = clock::now();
    chosen(keys, name, now).map_err(Fault::Refused)
}

fn chosen(keys: Vec<ApiKeyRecord>, name: &str, now: Timestamp) -> Result<ApiKeyRecord, String> {
    let parts: Vec<&str> = name.split('_').collect();
    let (id, is_text) = match parts[..] {
        ["bz", id, _, _] => (id, true), // a whole key
        _ => (name, false),
    };
    if let Some(key) = keys.iter().find(|key| key.id == id) {
        return Ok(key.clone());
    }
    if is_text {
        return Err("there is no such key; it may be of another installation".to_owned());
    }
    let of_application: Vec<ApiKeyRecord> = keys.into_iter().filter(|key| key.application == name).collect();
    let mut live = of_application.iter().filter(|key| key.state(now).is_accepted());
    match (live.next(), live.next()) {
        (Some(key), None) => Ok(key.clone()),
        (Some(one), Some(other)) => {
            let (one, other) = (described(one, now), described(other, now));
            Err(format!("`{name}` has two live keys, {one} and {other}; name one of them"))
        }
        (None, _) if of_application.is_empty() => {
            let name = excerpt(name);
            Err(format!("there is no key or application `{name}`; `bartizan key list` shows what there is"))
        }
        (None, _) => Err(format!("every key of `{name}` has ended; `bartizan key list --all` shows them")),
    }
}

fn described(key: &ApiKeyRecord, now: Timestamp) -> String {
    format!("`{}` ({}, made {})", key.id, key.state(now).as_str(), key.created)
}

fn as_json(key: &ApiKeyRecord, now: Timestamp) -> Value {
    let mut object = serde_json::to_value(key).unwrap_or_default(); // strings, numbers and times cannot fail
    object["state"] = json!(key.state(now).as_str());
    object
}

fn or_none(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or(NONE).to_owned()
}

fn text_of(time: Timestamp) -> String {
    time.to_string()
}

fn quota_text(quota: KeyQuota) -> String {
    format!("{}/{}", quota.requests, duration_text(quota.per_s.saturating_mul(1000)))
}

/// `10000/1d`.
fn quota(text: &str) -> Result<KeyQuota, String> {
    let fault = || format!("quota `{text}`: write requests and a time in whole seconds, such as `10000/1d` or `50/1m`");
    let (requests, per) = text.split_once('/').ok_or_else(fault)?;
    let per_ms = duration_ms(per).filter(|ms| ms.is_multiple_of(1000)).ok_or_else(fault)?;
    Ok(KeyQuota { requests: requests.parse().map_err(|_| fault())?, per_s: per_ms / 1000 })
}

/// `90d` from now on, or a time.
fn end(text: &str) -> Result<Timestamp, String> {
    if let Some(ms) = duration_ms(text) {
        let micros = i64::try_from(ms.saturating_mul(1000)).unwrap_or(i64::MAX);
        return Ok(clock::now().plus_micros(micros));
    }
    let fault = |_| format!("end `{text}`: write a time such as `90d`, or when, such as `2027-01-31T00:00:00Z`");
    text.parse().map_err(fault)
}

#[cfg(test)]
mod tests {
    use bartizan_store::{NewRevision, RevisionCause, RevisionOutcome};

    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn record(id: &str, application: &str, revoked: Option<i64>) -> ApiKeyRecord {
        ApiKeyRecord {
            id: id.to_owned(),
            digest: [0; 32],
            application: application.to_owned(),
            owner: None,
            plan: None,
            scopes: Vec::new(),
            roles: Vec::new(),
            quota: None,
            created: at(1),
            created_by: AUTHOR.to_owned(),
            expires: None,
            rotated: None,
            revoked: revoked.map(at),
            revoked_by: None,
            last_used: None,
            calls: 0,
        }
    }

    #[test]
    fn a_key_is_found_by_its_id_its_text_or_its_application() {
        let keys = || {
            vec![
                record("k1", "shop", None),
                record("k2", "shop", Some(2)),
                record("k3", "bank", None),
                record("k4", "bank", None),
            ]
        };
        let found = |name: &str| chosen(keys(), name, at(10)).map(|key| key.id);
        assert_eq!(found("k2").as_deref(), Ok("k2"), "by its id, live or not");
        assert_eq!(found("bz_k3_secret_sum").as_deref(), Ok("k3"), "by its text");
        assert_eq!(found("shop").as_deref(), Ok("k1"), "by its application, which has one live key");
        assert!(found("bank").unwrap_err().contains("two live keys, `k3`"));
        let stranger = found("bz_k9_secret_sum").unwrap_err();
        assert!(!stranger.contains("secret"), "{stranger}");
        assert!(found("nobody").unwrap_err().contains("no key or application `nobody`"));
        let ended = chosen(vec![record("k1", "shop", Some(2))], "shop", at(10)).map(|key| key.id);
        assert!(ended.unwrap_err().contains("every key of `shop` has ended"));
    }

    #[test]
    fn quotas_and_ends_are_read_as_people_write_them() {
        assert_eq!(quota("10000/1d"), Ok(KeyQuota { requests: 10_000, per_s: 86_400 }));
        assert_eq!(quota_text(KeyQuota { requests: 50, per_s: 60 }), "50/1m");
        for bad in ["", "10", "10/", "/1d", "10/day", "x/1d", "-1/1d", "10/1500ms", "10 / 1d"] {
            assert!(quota(bad).unwrap_err().starts_with("quota `"), "{bad}");
        }
        assert_eq!(end("2027-01-31T00:00:00Z").unwrap().to_string(), "2027-01-31T00:00:00.000000Z");
        assert!(end("90d").unwrap() > clock::now());
        assert!(end("tomorrow").unwrap_err().contains("`90d`"));
    }

    #[test]
    fn the_plans_are_those_of_the_configuration_that_runs_however_many_were_refused_since() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open_state(directory.path()).unwrap();
        let refusal = |found: Result<Vec<String>, Fault>| match found {
            Err(Fault::Refused(why)) => why,
            Err(Fault::Failed(error)) => panic!("{error:#}"),
            Ok(plans) => panic!("{plans:?}"),
        };
        assert!(refusal(running_plans(&store)).contains("no configuration has run"));
        let add = |outcome: RevisionOutcome, yaml: &str| {
            let revision = NewRevision {
                time: at(1),
                author: AUTHOR.to_owned(),
                cause: RevisionCause::File,
                outcome,
                message: String::new(),
                yaml: yaml.to_owned(),
                diagnostics: Vec::new(),
            };
            store.block_on(store.add_revision(&revision)).unwrap();
        };
        let ran = "listeners: [{ address: \"127.0.0.1:1\" }]\nplans: [{ name: gold }]\n\
                   upstreams: [{ name: a, targets: [{ address: \"127.0.0.1:2\" }] }]\n";
        add(RevisionOutcome::Applied, &ran.replace("gold", "silver"));
        add(RevisionOutcome::Applied, ran);
        for _ in 0..120 {
            add(RevisionOutcome::Rejected, "plans: [{ name: bronze }]");
        }
        assert_eq!(running_plans(&store).unwrap_or_else(|_| panic!("plans")), ["gold"]);
        add(RevisionOutcome::Applied, "of: another version");
        assert!(refusal(running_plans(&store)).contains("revision 123"));
    }

    #[test]
    fn what_is_shown_of_a_key_lacks_its_digest() {
        let shown = as_json(&record("k1", "shop", None), at(10));
        assert_eq!(shown["state"], "live");
        assert_eq!(shown.get("digest"), None);
    }
}
