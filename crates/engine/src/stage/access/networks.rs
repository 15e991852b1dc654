//! ACC-105: the client's country, network operator or list is denied. ACC-106: it is not among those allowed.
//!
//! A listed deny wins. When the client's address is in doubt, every candidate must pass. An address that the data does not
//! know fails an allow list, unless the policy says otherwise: access defaults to closed. In a recording without addresses
//! nothing is proven.

use bartizan_model::{CheckInfo, Finding, Location, Part, Severity, Source};

use crate::networks::{AddressFacts, Country};
use crate::stage::HeadContext;

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

    /// What speaks against where a request comes from, if anything.
    pub(crate) fn check(&self, ctx: &HeadContext<'_>) -> Option<Finding> {
        let rival = ctx.facts.rival.map(|rival| ctx.snapshot.address_data().find(rival));
        let client = ctx.facts.client.ip.map(|_| ctx.address_facts());
        let facts = || client.into_iter().chain(&rival);
        if facts().next().is_none() {
            let is_closed = ctx.source == Source::Gateway && self.has_allow();
            return is_closed.then(|| finding(&NOT_ALLOWED, "the client's address is not known".to_owned()));
        }
        let denied = facts().find_map(|facts| self.denied(facts)).map(|evidence| finding(&DENIED, evidence));
        let not_allowed = || facts().find_map(|facts| self.not_allowed(facts));
        denied.or_else(|| not_allowed().map(|evidence| finding(&NOT_ALLOWED, evidence)))
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

fn finding(info: &CheckInfo, evidence: String) -> Finding {
    info.finding(Location::named(Part::Connection, "client"), evidence)
}
