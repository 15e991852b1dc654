//! LIM-206: a query parameter asks for a larger page than the policy allows.
//!
//! What is not a plain number is refused too: `-1`, `0`, `all` and `1e9` ask some services for everything.

use bartizan_model::{Location, Part};

use super::checks;
use crate::decide::{Ground, Notices, Refusal};
use crate::parameters;
use crate::policy::PolicyIndex;
use crate::redact;

/// Which parameters, and how much.
#[derive(Debug)]
pub(crate) struct PageSize {
    pub(crate) parameters: Box<[Box<[u8]>]>,
    pub(crate) max: u64,
}

impl PageSize {
    pub(crate) fn new(page_size: &bartizan_config::PageSize) -> Self {
        let parameters = page_size.parameters.iter().map(|name| name.as_bytes().into()).collect();
        Self { parameters, max: page_size.max.into() }
    }

    pub(crate) fn check(&self, query: Option<&[u8]>, policy: PolicyIndex, out: &mut Notices) {
        let Some(query) = query else { return };
        for (name, value) in parameters::query_pairs(query) {
            let name = parameters::decode(name);
            if !self.parameters.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
                continue;
            }
            let value = parameters::decode(value);
            let Some(fault) = self.fault(value.trim_ascii()) else { continue };
            let location = Location { part: Part::Query, name: redact::member(Part::Query, &name) };
            out.push(checks::PAGE.finding(location, fault), Ground::Policy(policy, Refusal::UnprocessableContent));
            return;
        }
    }

    fn fault(&self, value: &[u8]) -> Option<String> {
        if value.is_empty() {
            return None;
        }
        if !value.iter().all(u8::is_ascii_digit) {
            return Some("not a plain number".to_owned());
        }
        let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
        let asked = value.iter().fold(0, add);
        match asked {
            0 => Some("zero stands for everything in some services".to_owned()),
            _ if asked > self.max => Some(format!("more than the {} that are allowed", self.max)),
            _ => None,
        }
    }
}
