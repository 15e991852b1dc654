//! The catalog as rows of text, and back.
//!
//! One row for each host (`host:NAME`: its trie and candidates) and one for each endpoint (`endpoint:NAME:SLOT`: its
//! counters), so a store that compares rows writes only what changed. Rows come from a disk: what does not fit together is
//! left out and counted, never trusted.

use std::collections::BTreeMap;

use bartizan_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::host::{Candidate, Entry, Host};
use crate::trie::{Node, NodeId, Slot, Trie};
use crate::{Catalog, CatalogLimits, CatalogRow};

#[derive(Serialize)]
struct HostOut<'a> {
    name: &'a str,
    last_seen: Timestamp,
    requests: u64,
    nodes: Vec<(NodeId, &'a Node)>,
    candidates: &'a BTreeMap<Box<str>, Candidate>,
}

#[derive(Deserialize)]
struct HostIn {
    name: Box<str>,
    last_seen: Timestamp,
    requests: u64,
    nodes: Vec<(NodeId, Node)>,
    candidates: BTreeMap<Box<str>, Candidate>,
}

#[derive(Serialize, Deserialize)]
struct EntryRow<H, E> {
    host: H,
    slot: Slot,
    entry: E,
}

impl Catalog {
    /// Everything, as rows with unique keys, in order.
    pub fn save(&self) -> Vec<CatalogRow> {
        let mut rows = Vec::new();
        for host in self.hosts.values() {
            let out = HostOut {
                name: &host.name,
                last_seen: host.last_seen,
                requests: host.requests,
                nodes: host.trie.saved(),
                candidates: &host.candidates,
            };
            rows.extend(row(format!("host:{}", host.name), &out));
            for (slot, entry) in host.live() {
                let key = format!("endpoint:{}:{slot:08}", host.name);
                rows.extend(row(key, &EntryRow { host: &*host.name, slot, entry }));
            }
        }
        rows.sort_by(|a, b| a.key.cmp(&b.key));
        rows
    }

    /// A catalog as it was saved, under `limits` that may have changed. Rows that cannot be read, or do not fit the
    /// others, are counted in [`CatalogStats::bad_rows`](crate::CatalogStats::bad_rows) and left out.
    pub fn load(limits: CatalogLimits, rows: impl IntoIterator<Item = CatalogRow>) -> Self {
        let mut catalog = Self::new(limits);
        let mut entries: BTreeMap<Box<str>, BTreeMap<Slot, Entry>> = BTreeMap::new();
        for row in rows {
            let read = if row.key.starts_with("endpoint:") {
                serde_json::from_str::<EntryRow<Box<str>, Entry>>(&row.json)
                    .ok()
                    .filter(|row| is_sound(&row.entry))
                    .map(|row| {
                        entries.entry(row.host).or_default().insert(row.slot, row.entry);
                    })
            } else {
                serde_json::from_str::<HostIn>(&row.json).ok().and_then(|saved| catalog.load_host(saved))
            };
            catalog.losses.bad_rows += u64::from(read.is_none());
        }
        for (name, entries) in entries {
            let rows = entries.len() as u64;
            let placed = catalog.hosts.get_mut(&name).map_or(0, |host| host.place(entries));
            catalog.losses.bad_rows += rows - placed;
        }
        for host in catalog.hosts.values_mut() {
            host.drop_loose_methods();
        }
        catalog.revision = u64::from(!catalog.hosts.is_empty());
        catalog
    }

    fn load_host(&mut self, saved: HostIn) -> Option<()> {
        let trie = Trie::restore(saved.nodes, self.limits.literals_max, self.limits.nodes_max)?;
        let mut host = Host::new(&saved.name, &self.limits);
        host.trie = trie;
        host.last_seen = saved.last_seen;
        host.requests = saved.requests;
        host.candidates = saved.candidates;
        self.hosts.insert(saved.name, host);
        Some(())
    }
}

impl Host {
    /// Puts saved entries where the trie expects them; how many fitted.
    fn place(&mut self, entries: BTreeMap<Slot, Entry>) -> u64 {
        let mut placed = 0;
        let expected: BTreeMap<Slot, NodeId> = self
            .trie
            .saved()
            .into_iter()
            .flat_map(|(id, node)| node.methods.iter().map(move |(_, slot)| (*slot, id)))
            .collect();
        let size = expected.keys().next_back().map_or(0, |slot| *slot as usize + 1);
        if size > expected.len().saturating_mul(64) + 1024 {
            return 0; // slots are dense but for what merges freed
        }
        self.entries.resize(size, Entry::default());
        for (slot, entry) in entries {
            let fits =
                expected.get(&slot) == Some(&entry.node) && self.slot_at(entry.node, &entry.method) == Some(slot);
            if let Some(place) = self.entries.get_mut(slot as usize).filter(|_| fits) {
                *place = entry;
                self.label(slot);
                placed += 1;
            }
        }
        self.free =
            (0..).zip(&self.entries).filter(|(_, entry)| entry.reference.is_none()).map(|(slot, _)| slot).collect();
        placed
    }

    /// Lets go of methods whose entries were not saved.
    fn drop_loose_methods(&mut self) {
        let nodes: Vec<NodeId> = self.trie.saved().into_iter().map(|(id, _)| id).collect();
        for id in nodes.into_iter().rev() {
            let entries = &self.entries;
            let is_live = |slot: Slot| entries.get(slot as usize).is_some_and(|entry| entry.reference.is_some());
            self.trie.node_mut(id).methods.retain(|(_, slot)| is_live(*slot));
        }
    }
}

fn is_sound(entry: &Entry) -> bool {
    entry.tally.callers_distinct.is_sound()
}

fn row(key: String, value: &impl Serialize) -> Option<CatalogRow> {
    let json = serde_json::to_string(value).ok()?;
    Some(CatalogRow { key, json })
}
