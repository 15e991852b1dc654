//! What one exchange has of the collections that outlive it: the records that its rules have opened.
//!
//! A record is looked at and changed where it is, so that what one exchange writes the next rule of another reads. Only
//! what a record says of itself (`IS_NEW`, `UPDATE_COUNTER`, its times) stays as it was when it was opened, as in
//! ModSecurity 2, which copies. A link's `initcol` runs before its `setvar`s and its `expirevar` after them, in
//! whatever order they are written, for each value that matches.

use std::sync::Arc;

use bartizan_model::Timestamp;
use smallvec::SmallVec;

use crate::Variable;
use crate::collections::{Collections, Kept, Record, RecordId};
use crate::plan::{Change, Keep, Link, SetVarOp, Template};

use super::rule::Runner;

/// The records that an exchange has opened.
#[derive(Debug, Default)]
pub(crate) struct Persistent {
    store: Option<Store>,
    pub(crate) now: Timestamp,
    /// One a collection; there are five
    opened: SmallVec<[Opened; 2]>,
}

#[derive(Debug)]
struct Store {
    collections: Arc<Collections>,
    scope: Box<[u8]>,
}

/// An opened record, and what was known of it then.
#[derive(Debug)]
struct Opened {
    collection: Variable,
    id: RecordId,
    key: Box<[u8]>,
    is_new: bool,
    created: Timestamp,
    updated: Option<Timestamp>,
    updates: u64,
    timeout_s: u32,
    /// This exchange is among the record's updates
    is_counted: bool,
}

/// What is done to a member.
enum Deed {
    Set(Kept),
    Add(i64),
    Unset,
    End(i64),
    Decay {
        amount: i64,
        seconds: i64,
    },
    /// `TIMEOUT`: how long the record is kept
    Timeout(i64),
    /// `!KEY`: the record goes
    Remove,
    /// The name is one that the record uses itself
    Refuse,
}

impl Persistent {
    /// Keeps records in `collections`, apart from those of other scopes.
    pub(crate) fn keep_in(&mut self, collections: Arc<Collections>, scope: &[u8]) {
        self.store = Some(Store { collections, scope: scope.into() });
    }

    /// Finds the record of a key. The first key that a collection is opened with stays; an empty one opens nothing.
    fn open(&mut self, collection: Variable, key: &[u8], timeout_s: u32) {
        let Some(store) = &self.store else { return };
        if key.is_empty() || self.opened.iter().any(|opened| opened.collection == collection) {
            return;
        }
        let id = store.collections.id(&store.scope, collection, key);
        let mut opened = Opened {
            collection,
            id,
            key: key.into(),
            is_new: true,
            created: self.now,
            updated: None,
            updates: 0,
            timeout_s,
            is_counted: false,
        };
        store.collections.look(id, self.now, |record| {
            opened.is_new = false;
            opened.created = record.created;
            opened.updated = record.updated;
            opened.updates = record.updates;
            opened.timeout_s = record.timeout_s;
        });
        self.opened.push(opened);
    }

    /// Shows members of a collection: the one of this name, which is in lower case, or all that rules have set.
    pub(crate) fn each(&self, collection: Variable, name: Option<&[u8]>, show: &mut dyn FnMut(&[u8], &Kept)) {
        let opened = self.opened.iter().find(|opened| opened.collection == collection);
        let (Some(store), Some(opened)) = (&self.store, opened) else { return };
        match name {
            Some(name) => {
                if let Some(value) = opened.own(name, self.now) {
                    return show(name, &value);
                }
                store.collections.look(opened.id, self.now, |record| {
                    let found = record.members(self.now).find(|(known, _)| *known == name);
                    found.into_iter().for_each(|(name, value)| show(name, value));
                });
            }
            None => {
                store.collections.look(opened.id, self.now, |record| {
                    record.members(self.now).for_each(|(name, value)| show(name, value));
                });
            }
        }
    }

    fn change(&mut self, collection: Variable, name: &[u8], deed: Deed) {
        let now = self.now;
        let opened = self.opened.iter_mut().find(|opened| opened.collection == collection);
        let (Some(store), Some(opened)) = (&self.store, opened) else { return };
        if matches!(deed, Deed::Refuse) {
            return store.collections.refuse();
        }
        let makes = matches!(deed, Deed::Set(_) | Deed::Add(_) | Deed::Timeout(_));
        let new = makes.then(|| Record::new(now, opened.timeout_s));
        store.collections.change(opened.id, now, new, |record| {
            match deed {
                Deed::Set(value) => record.set(name, value, now)?,
                Deed::Add(amount) => record.add(name, amount, now)?,
                Deed::Unset => record.unset(name),
                Deed::End(seconds) => record.end(name, seconds, now),
                Deed::Decay { amount, seconds } => record.decay(name, amount, seconds, now),
                Deed::Timeout(seconds) => {
                    record.timeout_s = u32::try_from(seconds.max(0)).unwrap_or(u32::MAX);
                }
                Deed::Remove => record.remove(),
                Deed::Refuse => {} // said above
            }
            record.touch(now, !opened.is_counted);
            opened.is_counted = true;
            Ok(())
        });
    }
}

impl Opened {
    /// What the record says of itself.
    fn own(&self, name: &[u8], now: Timestamp) -> Option<Kept> {
        let number = |number: u64| Some(Kept::Number(i64::try_from(number).unwrap_or(i64::MAX)));
        match name {
            b"key" => Some(Kept::Text(self.key.clone())),
            b"is_new" => number(self.is_new.into()),
            b"create_time" => Some(Kept::Number(self.created.as_secs())),
            b"last_update_time" => self.updated.map(|updated| Kept::Number(updated.as_secs())),
            b"update_counter" => number(self.updates),
            b"update_rate" => {
                let seconds = now.micros_since(self.created) / 1_000_000;
                number(self.updates.saturating_mul(60).checked_div(seconds).unwrap_or(0))
            }
            b"timeout" => number(self.timeout_s.into()),
            _ => None,
        }
    }
}

/// What is done to the member of this name, for the names that a record uses itself.
fn deed(name: &[u8], deed: Deed) -> Deed {
    match (name, deed) {
        (b"timeout", Deed::Set(Kept::Number(seconds))) | (b"key", Deed::End(seconds)) => Deed::Timeout(seconds),
        (b"key", Deed::Unset) => Deed::Remove,
        (
            b"key" | b"is_new" | b"create_time" | b"last_update_time" | b"update_counter" | b"update_rate" | b"timeout",
            _,
        ) => Deed::Refuse,
        (_, deed) => deed,
    }
}

impl Runner<'_> {
    /// Runs a `setvar` of a collection that outlives the exchange.
    pub(super) fn set_member(&mut self, index: usize, set: &SetVarOp) {
        let new = match &set.change {
            Change::Unset => Deed::Unset,
            Change::SetNumber(number) => Deed::Set(Kept::Number(*number)),
            Change::Set(template) => Deed::Set(Kept::of(&self.expanded(index, template))),
            Change::AddNumber(number) => Deed::Add(*number),
            Change::Add(template, sign) => Deed::Add(self.number(index, template).saturating_mul(*sign)),
        };
        self.change_member(index, set.collection, &set.name, new);
    }

    /// Runs the `initcol`s of a link, and their like.
    pub(super) fn open_collections(&mut self, index: usize, link: &Link) {
        for keep in &link.keeps {
            let Keep::Open { collection, key, says } = keep else { continue };
            let key = self.expanded(index, key);
            if let Some(says) = says {
                self.state.inputs.set_text(*says, &key);
            }
            self.state.persistent.open(*collection, &key, self.plan.settings.collection_timeout_s);
        }
    }

    /// Runs the `expirevar`s and `deprecatevar`s of a link.
    pub(super) fn age_members(&mut self, index: usize, link: &Link) {
        for keep in &link.keeps {
            match keep {
                Keep::Open { .. } => {}
                Keep::Expire { collection, name, seconds } => {
                    let end = Deed::End(self.number(index, seconds));
                    self.change_member(index, *collection, name, end);
                }
                Keep::Decay { collection, name, amount, seconds } => {
                    let (amount, seconds) = (self.number(index, amount), self.number(index, seconds));
                    self.change_member(index, *collection, name, Deed::Decay { amount, seconds });
                }
            }
        }
    }

    fn change_member(&mut self, index: usize, collection: Variable, name: &Template, what: Deed) {
        let mut name = self.expanded(index, name);
        name.make_ascii_lowercase();
        self.state.persistent.change(collection, &name, deed(&name, what));
    }
}
