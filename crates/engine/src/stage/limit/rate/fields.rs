//! What clients are told of their limits: `RateLimit-Policy`, `RateLimit` and `Retry-After`.
//!
//! Sources: draft-ietf-httpapi-ratelimit-headers-10 (fields and the problem type `quota-exceeded`), RFC 9651 (structured
//! fields), RFC 9110 §10.2.3. Only enforced limits are told, and only where the policy's `announce` says so: the names of
//! policies go out with them. `Retry-After` goes out with every refusal.

use std::fmt::Write;

use super::{Limit, RateRules, Rates, is_told, limit_of};
use crate::policy::Policies;

/// A limit as clients see it.
#[derive(Debug)]
pub(crate) struct Item {
    /// Name of the policy, and of the limit where it has several
    pub(crate) name: Box<str>,
    /// Item of `RateLimit-Policy`
    policy: Box<str>,
    /// Beginning of that of `RateLimit`
    left: Box<str>,
}

impl Item {
    pub(crate) fn new(
        policy: &str,
        kind: &str,
        is_one_of_several: bool,
        quota: u64,
        window_ms: Option<u64>,
        unit: Option<&str>,
    ) -> Self {
        let name = if is_one_of_several { format!("{policy}.{kind}") } else { policy.to_owned() };
        let mut item = format!("\"{name}\";q={quota}");
        // Whole seconds are all that the field can say.
        if let Some(seconds) = window_ms.filter(|ms| ms.is_multiple_of(1000)).map(|ms| ms / 1000) {
            let _ = write!(item, ";w={seconds}");
        }
        if let Some(unit) = unit {
            let _ = write!(item, ";qu=\"{unit}\"");
        }
        Self { left: format!("\"{name}\";r=").into(), name: name.into(), policy: item.into() }
    }

    /// Adds it to `RateLimit-Policy` and, with what is left, to `RateLimit`.
    pub(crate) fn tell(&self, remaining: u64, wait_us: u64, written: &mut String, left: &mut String) {
        if !written.is_empty() {
            written.push_str(", ");
            left.push_str(", ");
        }
        written.push_str(&self.policy);
        left.push_str(&self.left);
        let _ = write!(left, "{remaining}");
        if wait_us > 0 && wait_us < u64::MAX {
            let _ = write!(left, ";t={}", seconds(wait_us));
        }
    }
}

/// A header field, its name in lower case.
pub(crate) type Field = (&'static str, String);

impl Rates {
    /// `RateLimit-Policy` and `RateLimit` of the limits that were asked.
    pub(crate) fn response_fields(&self, policies: &Policies) -> Vec<Field> {
        if self.charges.is_empty() {
            return Vec::new();
        }
        // PERF: long enough for two limits, so that the texts seldom grow.
        let (mut written, mut left) = (String::with_capacity(128), String::with_capacity(128));
        for (limit, charge) in self.told(policies) {
            limit.item.tell(charge.remaining, charge.wait_us, &mut written, &mut left);
        }
        if written.is_empty() { Vec::new() } else { vec![("ratelimit-policy", written), ("ratelimit", left)] }
    }

    /// `Retry-After` of a refusal: when the last of the limits that refused would admit it; none when none ever will.
    pub(crate) fn retry_after(&self, policies: &Policies) -> Option<Field> {
        let refused = self.charges.iter().filter(|charge| !charge.is_admitted && is_told(policies, charge.at.policy));
        let wait = refused.map(|charge| charge.wait_us).max()?;
        (wait < u64::MAX).then(|| ("retry-after", seconds(wait).to_string()))
    }

    /// Names of the limits that refused.
    pub(crate) fn violated<'a>(&'a self, policies: &'a Policies) -> Vec<&'a str> {
        let limits = self.told(policies).filter(|(_, charge)| !charge.is_admitted);
        limits.map(|(limit, _)| &*limit.item.name).collect()
    }

    /// How long a refused attempt to log in is told to wait: the same for all.
    pub(crate) fn login_retry_after(&self) -> Option<Field> {
        let seconds = self.logins.iter().map(|attempt| attempt.retry_after_secs()).max()?;
        Some(("retry-after", seconds.to_string()))
    }

    fn told<'s, 'p: 's>(&'s self, policies: &'p Policies) -> impl Iterator<Item = (&'s Limit, &'s super::Charge)> + 's {
        self.charges.iter().filter_map(move |charge| {
            let (rules, limit): (&RateRules, _) = limit_of(policies, &self.brought, charge.at)?;
            (rules.is_announced && is_told(policies, charge.at.policy)).then_some((limit, charge))
        })
    }
}

/// Whole seconds, at least one.
fn seconds(micros: u64) -> u64 {
    micros.div_ceil(1_000_000).max(1)
}
