//! Things with an id and an owner, the newest of each owner.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

/// LIMIT: things of one owner; the oldest goes first.
const PER_OWNER_MAX: usize = 40;

/// Things of one kind.
#[derive(Default)]
pub(super) struct Shelf {
    things: HashMap<String, (u64, Value)>,
    by_owner: HashMap<u64, VecDeque<String>>,
}

impl Shelf {
    pub(super) fn put(&mut self, owner: u64, id: &str, thing: Value) {
        let ids = self.by_owner.entry(owner).or_default();
        if self.things.insert(id.to_owned(), (owner, thing)).is_none() {
            ids.push_back(id.to_owned());
        }
        if ids.len() > PER_OWNER_MAX
            && let Some(oldest) = ids.pop_front()
        {
            self.things.remove(&oldest);
        }
    }

    /// Owner and thing.
    pub(super) fn find(&self, id: &str) -> Option<(u64, &Value)> {
        self.things.get(id).map(|(owner, thing)| (*owner, thing))
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Value> {
        let (owner, thing) = self.things.remove(id)?;
        if let Some(ids) = self.by_owner.get_mut(&owner) {
            ids.retain(|known| known != id);
        }
        Some(thing)
    }

    /// What `owner` has, newest first.
    pub(super) fn of(&self, owner: u64) -> Vec<Value> {
        let ids = self.by_owner.get(&owner).into_iter().flatten().rev();
        ids.filter_map(|id| self.things.get(id)).map(|(_, thing)| thing.clone()).collect()
    }

    /// Takes away everything of `owner`.
    pub(super) fn take_all(&mut self, owner: u64) -> Vec<Value> {
        let things = self.of(owner);
        for id in self.by_owner.remove(&owner).into_iter().flatten() {
            self.things.remove(&id);
        }
        things
    }
}
