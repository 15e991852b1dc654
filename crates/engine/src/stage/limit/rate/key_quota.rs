//! The quota that an API key brings along: so many requests of its application in any window.
//!
//! It needs no `rate` policy. The `authenticate` policy that let the key in answers for it, by its mode. The keys of one
//! application count together, so that a rotation neither doubles nor resets what it may use; numbers that differ are
//! counted apart. What is refused here, or by another limit, uses up nothing.

use std::sync::Arc;

use bartizan_model::{Location, Part};

use super::fields::Item;
use super::{checks, span};
use crate::counters::Slot;
use crate::decide::{Ground, Refusal};
use crate::policy::PolicyIndex;
use crate::stage::HeadContext;
use crate::stage::access::api_key::KnownKey;

/// What clients know it by.
pub(super) const NAME: &str = "api-key";

/// What a key's quota said.
#[derive(Debug)]
pub(crate) struct KeyCharge {
    pub(super) policy: PolicyIndex,
    known: Arc<KnownKey>,
    slot: Slot,
    is_admitted: bool,
    remaining: u64,
    wait_us: u64,
}

/// Counts a request against the quota of its key, if it has one.
pub(super) fn charge(ctx: &mut HeadContext<'_>) -> Option<KeyCharge> {
    let metered = ctx.facts.metered.as_ref()?;
    let (policy, id) = (metered.by, &*metered.key_id);
    let known = ctx.snapshot.access().api_keys().known(id)?;
    let (quota, table) = known.quota()?;
    let taken = table.take(known.application, ctx.rates.at, 1, false);
    if !taken.is_admitted {
        let (requests, per) = (quota.requests(), span(quota.per_s() * 1000));
        let evidence = format!("more than {requests} requests in {per} with key `{id}`");
        let finding = checks::QUOTA.finding(Location::part(Part::Connection), evidence);
        ctx.notices.push(finding, Ground::Policy(policy, Refusal::TooManyRequests));
    }
    let (slot, is_admitted) = (taken.slot, taken.is_admitted);
    let (remaining, wait_us) = (taken.remaining, taken.wait_us);
    Some(KeyCharge { policy, known, slot, is_admitted, remaining, wait_us })
}

impl KeyCharge {
    /// The request goes no further.
    pub(super) fn give_back(&mut self, at: u64) {
        if let (true, Some((_, table))) = (self.is_admitted, self.known.quota()) {
            table.give_back(self.known.application, self.slot, at, 1);
            self.remaining += 1;
        }
    }

    /// Microseconds until it admits the next request, when it refused this one.
    pub(super) fn refused_for_us(&self) -> Option<u64> {
        (!self.is_admitted).then_some(self.wait_us)
    }

    /// Adds its items to `RateLimit-Policy` and `RateLimit`.
    pub(super) fn tell(&self, written: &mut String, left: &mut String) {
        let Some((quota, _)) = self.known.quota() else { return };
        let item = Item::new(NAME, "", false, quota.requests(), Some(quota.per_s().saturating_mul(1000)), None);
        item.tell(self.remaining, self.wait_us, written, left);
    }
}
