//! ACC-105: the client's country, network operator or list is denied. ACC-106: it is not among those allowed.
//!
//! A listed deny wins. When the client's address is in doubt, every candidate must pass. An address that the data does not
//! know fails an allow list, unless the policy says otherwise: access defaults to closed. In a recording without addresses
//! nothing is proven.

use std::net::IpAddr;

use bartizan_model::{CheckInfo, Location, Part, Severity, Source};

use crate::decide::{Ground, Notices, Refusal};
use crate::networks::{AddressData, AddressFacts, Country};
use crate::policy::PolicyIndex;

pub(crate) static DENIED: CheckInfo = CheckInfo {
    id: "ACC-105",
    title: "client network denied",
    severity: Severity::Medium,
    owasp: "API8:2023",
    cwe: &[284],
    since: "0.1",
    why: "calls come from a country, an operator or a list of networks (hosting, anonymizers) that nobody expects here",
    fix: "when the client is welcome, take its country, operator or list off the policy; otherwise nothing",
};

pub(crate) static NOT_ALLOWED: CheckInfo = CheckInfo {
    id: "ACC-106",
    title: "client network not allowed",
    severity: Severity::Medium,
    owasp: "API8:2023",
    cwe: &[284],
    since: "0.1",
    why: "an endpoint for certain countries, operators or networks is called from elsewhere",
    fix: "when the client is welcome, add its country, operator or list to the policy; see how old the data is",
};

/// A `networks` policy, compiled.
#[derive(Debug)]
pub(crate) struct NetworkRules {
    countries: Lists<Country>,
    asns: Lists<u32>,
    labels: Lists<Box<str>>,
    allow_unknown: bool,
}

#[derive(Debug)]
struct Lists<T> {
    allow: Box<[T]>,
    deny: Box<[T]>,
}

impl<T> Lists<T> {
    fn new<W>(lists: &bartizan_config::NetworkLists<W>, compile: impl Fn(&W) -> T) -> Self {
        Self { allow: lists.allow.iter().map(&compile).collect(), deny: lists.deny.iter().map(&compile).collect() }
    }
}

impl NetworkRules {
    pub(crate) fn new(rules: &bartizan_config::Networks) -> Self {
        Self {
            countries: Lists::new(&rules.countries, |code| *code),
            asns: Lists::new(&rules.asns, |number| *number),
            labels: Lists::new(&rules.labels, |label: &String| label.as_str().into()),
            allow_unknown: rules.allow_unknown,
        }
    }

    pub(crate) fn check(
        &self,
        source: Source,
        addresses: [Option<IpAddr>; 2],
        data: &AddressData,
        policy: PolicyIndex,
        out: &mut Notices,
    ) {
        let mut known = addresses.into_iter().flatten().peekable();
        if known.peek().is_none() {
            if source == Source::Gateway && self.has_allow() {
                push(&NOT_ALLOWED, "the client's address is not known".to_owned(), policy, out);
            }
            return;
        }
        let facts: [Option<AddressFacts>; 2] = [known.next(), known.next()].map(|address| Some(data.find(address?)));
        let facts = || facts.iter().flatten();
        if let Some(evidence) = facts().find_map(|facts| self.denied(facts)) {
            push(&DENIED, evidence, policy, out);
        } else if let Some(evidence) = facts().find_map(|facts| self.not_allowed(facts)) {
            push(&NOT_ALLOWED, evidence, policy, out);
        }
    }

    fn has_allow(&self) -> bool {
        !(self.countries.allow.is_empty() && self.asns.allow.is_empty() && self.labels.allow.is_empty())
    }

    fn denied(&self, facts: &AddressFacts) -> Option<String> {
        if let Some(country) = facts.country.filter(|country| self.countries.deny.contains(country)) {
            return Some(format!("the country `{}` is on the deny list", text(country)));
        }
        if let Some(asn) = facts.asn.filter(|asn| self.asns.deny.contains(asn)) {
            return Some(format!("the operator `AS{asn}` is on the deny list"));
        }
        let label = facts.labels.iter().find(|label| self.labels.deny.iter().any(|denied| **denied == ***label))?;
        Some(format!("networks of the list `{label}` are denied"))
    }

    /// Every kind that has an allow list must be on it.
    fn not_allowed(&self, facts: &AddressFacts) -> Option<String> {
        let unknown = |what: &str| (!self.allow_unknown).then(|| format!("the client's {what} is not known"));
        if !self.countries.allow.is_empty() {
            match facts.country {
                Some(country) if self.countries.allow.contains(&country) => {}
                Some(country) => return Some(format!("the country `{}` is not on the allow list", text(country))),
                None => {
                    if let Some(evidence) = unknown("country") {
                        return Some(evidence);
                    }
                }
            }
        }
        if !self.asns.allow.is_empty() {
            match facts.asn {
                Some(asn) if self.asns.allow.contains(&asn) => {}
                Some(asn) => return Some(format!("the operator `AS{asn}` is not on the allow list")),
                None => {
                    if let Some(evidence) = unknown("operator") {
                        return Some(evidence);
                    }
                }
            }
        }
        let is_listed = facts.labels.iter().any(|label| self.labels.allow.iter().any(|allowed| **allowed == **label));
        (!self.labels.allow.is_empty() && !is_listed).then(|| "the client is on none of the lists allowed".to_owned())
    }
}

fn text(country: Country) -> String {
    String::from_utf8_lossy(&country).into_owned()
}

fn push(info: &CheckInfo, evidence: String, policy: PolicyIndex, out: &mut Notices) {
    let finding = info.finding(Location::named(Part::Connection, "client"), evidence);
    out.push(finding, Ground::Policy(policy, Refusal::Forbidden));
}
