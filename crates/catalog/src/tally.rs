//! What is counted of one endpoint while events come in.
//!
//! Every list is bounded and sorted or short, so that an event of a known endpoint with known parameters allocates
//! nothing. Two tallies add up ([`Tally::absorb`]) when templates merge, and one can be taken out of a sum again
//! ([`Tally::remove`]) when a merge is undone.

use bartizan_model::{ActorKind, AuthKind, Ending, Event, Parameter, ParameterPlace, Timestamp, ValueKind};
use serde::{Deserialize, Serialize};

use crate::CatalogLimits;
use crate::distinct::Distinct;
use crate::limits::{MEDIA_TYPES_MAX, PATHS_SAMPLE_MAX, STATUSES_MAX};

/// What stands for the media types that no longer fitted.
const OTHER: &str = "(other)";

/// Counters of one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Tally {
    pub(crate) api: Option<Box<str>>,
    pub(crate) first_seen: Timestamp,
    pub(crate) last_seen: Timestamp,
    pub(crate) requests: u64,
    pub(crate) denied: u64,
    pub(crate) errors: u64,
    /// By status, ascending
    pub(crate) statuses: Vec<(u16, u64)>,
    /// Events without a credential
    pub(crate) anonymous: u64,
    /// By kind, ascending
    pub(crate) auth: Vec<(AuthKind, u64)>,
    pub(crate) request_types: Vec<(Box<str>, u64)>,
    pub(crate) response_types: Vec<(Box<str>, u64)>,
    /// By place and name, ascending
    pub(crate) parameters: Vec<ParameterTally>,
    /// Kinds of the values of path parameters, by position and kind
    pub(crate) path_kinds: Vec<(u8, ValueKind, u64)>,
    pub(crate) callers: Vec<Caller>,
    pub(crate) callers_distinct: Distinct,
    pub(crate) paths_sample: Vec<Box<str>>,
}

/// Counters of one parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ParameterTally {
    pub(crate) place: ParameterPlace,
    pub(crate) name: Box<str>,
    pub(crate) seen: u64,
    pub(crate) kinds: Vec<(ValueKind, u64)>,
}

/// One of the callers with most events (space saving: Metwally, Agrawal, El Abbadi, ICDT 2005).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Caller {
    pub(crate) hash: u64,
    pub(crate) kind: ActorKind,
    pub(crate) id: String,
    pub(crate) count: u64,
    pub(crate) last_seen: Timestamp,
}

impl Tally {
    /// Counts an event. `learn`: the upstream answered for it, so that its parameters and its path are worth keeping.
    pub(crate) fn observe(&mut self, event: &Event, actor_hash: u64, learn: bool, limits: &CatalogLimits) {
        if self.requests == 0 || event.time < self.first_seen {
            self.first_seen = event.time;
        }
        self.last_seen = if self.requests == 0 { event.time } else { self.last_seen.max(event.time) };
        self.requests += 1;
        self.denied += u64::from(event.decision.is_stop());
        self.errors += u64::from(is_error(event));
        add_sorted(&mut self.statuses, event.status, 1, STATUSES_MAX);
        self.count_auth(event);
        self.count_caller(event, actor_hash, limits.callers_max);
        if let Some(media) = event.request_type.as_deref() {
            add_named(&mut self.request_types, media, 1);
        }
        if let Some(media) = event.response_type.as_deref() {
            add_named(&mut self.response_types, media, 1);
        }
        if learn {
            if self.api.is_none() {
                self.api = event.api.as_deref().map(Into::into);
            }
            event.parameters.iter().for_each(|parameter| self.count_parameter(parameter, limits.parameters_max));
            self.keep_path(&event.path);
        }
    }

    fn count_auth(&mut self, event: &Event) {
        if event.auth.is_empty() {
            self.anonymous += 1;
        }
        for kind in event.auth.iter() {
            add_sorted(&mut self.auth, kind, 1, AuthKind::ALL.len());
        }
    }

    fn count_caller(&mut self, event: &Event, hash: u64, callers_max: usize) {
        self.callers_distinct.insert(hash);
        if let Some(caller) = self.callers.iter_mut().find(|caller| caller.hash == hash) {
            caller.count += 1;
            caller.last_seen = caller.last_seen.max(event.time);
        } else if self.callers.len() < callers_max {
            let (kind, id) = (event.actor.kind, String::from(&*event.actor.id));
            self.callers.push(Caller { hash, kind, id, count: 1, last_seen: event.time });
        } else if let Some(rarest) = self.callers.iter_mut().min_by_key(|caller| (caller.count, caller.last_seen)) {
            rarest.hash = hash;
            rarest.kind = event.actor.kind;
            rarest.id.clear(); // PERF: the buffer is used again; a popular endpoint sees new callers all the time
            rarest.id.push_str(&event.actor.id);
            rarest.count += 1;
            rarest.last_seen = event.time;
        }
    }

    fn count_parameter(&mut self, parameter: &Parameter, parameters_max: usize) {
        if parameter.place == ParameterPlace::Path {
            return; // the template knows better
        }
        let key = (parameter.place, &*parameter.name);
        let at = match self.parameters.binary_search_by(|tally| (tally.place, &*tally.name).cmp(&key)) {
            Ok(at) => at,
            Err(at) => {
                let tally = ParameterTally {
                    place: parameter.place,
                    name: parameter.name.clone(),
                    seen: 1,
                    kinds: vec![(parameter.kind, 1)],
                };
                self.parameters.insert(at, tally);
                self.trim_parameters(parameters_max, at);
                return;
            }
        };
        if let Some(tally) = self.parameters.get_mut(at) {
            tally.seen += 1;
            add_sorted(&mut tally.kinds, parameter.kind, 1, usize::MAX);
        }
    }

    /// Drops the rarest parameter but `newest` when there is one too many.
    fn trim_parameters(&mut self, parameters_max: usize, newest: usize) {
        if self.parameters.len() > parameters_max {
            let others = self.parameters.iter().enumerate().filter(|(at, _)| *at != newest);
            if let Some((rarest, _)) = others.min_by_key(|(_, tally)| tally.seen) {
                self.parameters.remove(rarest);
            }
        }
    }

    fn keep_path(&mut self, path: &str) {
        if self.paths_sample.len() < PATHS_SAMPLE_MAX && !self.paths_sample.iter().any(|kept| &**kept == path) {
            self.paths_sample.push(path.into());
        }
    }

    /// Counts the kind of a value of the path parameter at `position`.
    pub(crate) fn count_path_kind(&mut self, position: usize, kind: ValueKind, count: u64) {
        let position = u8::try_from(position).unwrap_or(u8::MAX);
        match self.path_kinds.iter_mut().find(|slot| (slot.0, slot.1) == (position, kind)) {
            Some(slot) => slot.2 += count,
            None => self.path_kinds.push((position, kind, count)),
        }
    }

    /// Takes back `count` values of the path parameter at `position`.
    pub(crate) fn discount_path_kind(&mut self, position: usize, kind: ValueKind, count: u64) {
        let same = |slot: &&mut (u8, ValueKind, u64)| usize::from(slot.0) == position && slot.1 == kind;
        if let Some(slot) = self.path_kinds.iter_mut().find(same) {
            slot.2 = slot.2.saturating_sub(count);
        }
        self.path_kinds.retain(|slot| slot.2 > 0);
    }

    /// Forgets the kinds at `position`: the segment is a literal again.
    pub(crate) fn forget_path_kinds(&mut self, position: usize) {
        self.path_kinds.retain(|slot| usize::from(slot.0) != position);
    }

    /// Adds another endpoint's counters to these.
    pub(crate) fn absorb(&mut self, other: &Self, limits: &CatalogLimits) {
        if other.requests == 0 {
            return;
        }
        if self.requests == 0 || other.first_seen < self.first_seen {
            self.first_seen = other.first_seen;
        }
        self.last_seen = if self.requests == 0 { other.last_seen } else { self.last_seen.max(other.last_seen) };
        self.api = self.api.take().or_else(|| other.api.clone());
        self.requests += other.requests;
        self.denied += other.denied;
        self.errors += other.errors;
        self.anonymous += other.anonymous;
        other.statuses.iter().for_each(|(key, count)| add_sorted(&mut self.statuses, *key, *count, STATUSES_MAX));
        other.auth.iter().for_each(|(key, count)| add_sorted(&mut self.auth, *key, *count, usize::MAX));
        other.request_types.iter().for_each(|(name, count)| add_named(&mut self.request_types, name, *count));
        other.response_types.iter().for_each(|(name, count)| add_named(&mut self.response_types, name, *count));
        other.path_kinds.iter().for_each(|(at, kind, count)| self.count_path_kind(usize::from(*at), *kind, *count));
        self.absorb_parameters(other, limits.parameters_max);
        self.absorb_callers(other, limits.callers_max);
        other.paths_sample.iter().for_each(|path| self.keep_path(path));
    }

    fn absorb_parameters(&mut self, other: &Self, parameters_max: usize) {
        for theirs in &other.parameters {
            let key = (theirs.place, &*theirs.name);
            match self.parameters.binary_search_by(|tally| (tally.place, &*tally.name).cmp(&key)) {
                Ok(at) => {
                    if let Some(ours) = self.parameters.get_mut(at) {
                        ours.seen += theirs.seen;
                        theirs.kinds.iter().for_each(|(kind, n)| add_sorted(&mut ours.kinds, *kind, *n, usize::MAX));
                    }
                }
                Err(at) => {
                    self.parameters.insert(at, theirs.clone());
                    self.trim_parameters(parameters_max, at);
                }
            }
        }
    }

    fn absorb_callers(&mut self, other: &Self, callers_max: usize) {
        self.callers_distinct.absorb(&other.callers_distinct);
        for theirs in &other.callers {
            match self.callers.iter_mut().find(|ours| ours.hash == theirs.hash) {
                Some(ours) => {
                    ours.count += theirs.count;
                    ours.last_seen = ours.last_seen.max(theirs.last_seen);
                }
                None => self.callers.push(theirs.clone()),
            }
        }
        self.callers.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.id.cmp(&b.id)));
        self.callers.truncate(callers_max);
    }

    /// Takes a part out of this sum again. What cannot be subtracted (sketches, examples, first and last seen) stays.
    pub(crate) fn remove(&mut self, part: &Self) {
        self.requests = self.requests.saturating_sub(part.requests);
        self.denied = self.denied.saturating_sub(part.denied);
        self.errors = self.errors.saturating_sub(part.errors);
        self.anonymous = self.anonymous.saturating_sub(part.anonymous);
        subtract(&mut self.statuses, &part.statuses);
        subtract(&mut self.auth, &part.auth);
        subtract(&mut self.request_types, &part.request_types);
        subtract(&mut self.response_types, &part.response_types);
        for (at, kind, count) in &part.path_kinds {
            if let Some(slot) = self.path_kinds.iter_mut().find(|slot| (slot.0, slot.1) == (*at, *kind)) {
                slot.2 = slot.2.saturating_sub(*count);
            }
        }
        self.path_kinds.retain(|slot| slot.2 > 0);
        for theirs in &part.parameters {
            let same = |ours: &&mut ParameterTally| ours.place == theirs.place && ours.name == theirs.name;
            if let Some(ours) = self.parameters.iter_mut().find(same) {
                ours.seen = ours.seen.saturating_sub(theirs.seen);
                subtract(&mut ours.kinds, &theirs.kinds);
            }
        }
        self.parameters.retain(|tally| tally.seen > 0);
        for theirs in &part.callers {
            if let Some(ours) = self.callers.iter_mut().find(|ours| ours.hash == theirs.hash) {
                ours.count = ours.count.saturating_sub(theirs.count);
            }
        }
        self.callers.retain(|caller| caller.count > 0);
        self.paths_sample.retain(|path| !part.paths_sample.contains(path));
    }
}

/// Whether an event counts as an error: the exchange failed, or the status says so.
fn is_error(event: &Event) -> bool {
    match event.ending {
        Ending::Answered | Ending::Stopped => event.status >= 500,
        Ending::ClientClosed
        | Ending::Malformed
        | Ending::NoRoute
        | Ending::UpstreamUnreachable
        | Ending::UpstreamTimeout
        | Ending::UpstreamFailed
        | Ending::InternalFault => true,
    }
}

/// Adds to the counter of `key` in an ascending list of at most `max` keys; a key too many is not counted.
pub(crate) fn add_sorted<K: Ord>(counts: &mut Vec<(K, u64)>, key: K, count: u64, max: usize) {
    match counts.binary_search_by(|slot| slot.0.cmp(&key)) {
        Ok(at) => {
            if let Some(slot) = counts.get_mut(at) {
                slot.1 += count;
            }
        }
        Err(at) if counts.len() < max => counts.insert(at, (key, count)),
        Err(_) => {}
    }
}

fn add_named(counts: &mut Vec<(Box<str>, u64)>, name: &str, count: u64) {
    let name = if counts.len() < MEDIA_TYPES_MAX || counts.iter().any(|slot| &*slot.0 == name) { name } else { OTHER };
    match counts.iter_mut().find(|slot| &*slot.0 == name) {
        Some(slot) => slot.1 += count,
        None => counts.push((name.into(), count)),
    }
}

fn subtract<K: PartialEq>(counts: &mut Vec<(K, u64)>, part: &[(K, u64)]) {
    for (key, count) in part {
        if let Some(slot) = counts.iter_mut().find(|slot| slot.0 == *key) {
            slot.1 = slot.1.saturating_sub(*count);
        }
    }
    counts.retain(|slot| slot.1 > 0);
}
