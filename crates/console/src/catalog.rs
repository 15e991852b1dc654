//! The catalog as the console reads it: every known endpoint, in memory, searched, counted and sorted in one pass.

use std::collections::HashMap;

use bartizan_catalog::EndpointRecord;
use bartizan_model::EndpointId;

use crate::endpoints::EndpointSummary;

/// LIMIT: values of one facet; the most frequent ones are given.
const FACET_VALUES_MAX: usize = 50;

/// What endpoints can be narrowed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Facet {
    Api,
    Method,
    Host,
    Auth,
    Status,
}

impl Facet {
    pub(crate) const ALL: [Self; 5] = [Self::Api, Self::Method, Self::Host, Self::Auth, Self::Status];
}

/// What to look for. An empty list does not narrow.
#[derive(Debug, Default)]
pub(crate) struct EndpointFilter {
    /// Words that must all occur in method, host, template, API or id, without case
    pub(crate) words: Vec<String>,
    /// Wanted values by facet, in the order of [`Facet::ALL`]
    pub(crate) wanted: [Vec<String>; 5],
}

/// Endpoints that fit, and how often each value of each facet occurs among those that fit all other facets.
pub(crate) struct Matches<'a> {
    pub(crate) endpoints: Vec<&'a EndpointSummary>,
    pub(crate) facets: [Vec<(String, u64)>; 5],
}

struct Entry {
    record: EndpointRecord,
    summary: EndpointSummary,
    /// What words are looked for in, in lower case
    text: String,
}

/// A copy of the catalog for reading: made when the catalog has changed, shared by requests.
pub struct CatalogView {
    entries: Vec<Entry>,
    by_id: HashMap<EndpointId, usize>,
}

impl CatalogView {
    /// A view of these endpoints.
    pub fn new(endpoints: Vec<EndpointRecord>) -> Self {
        let entries: Vec<Entry> = endpoints.into_iter().map(Entry::new).collect();
        let by_id = entries.iter().enumerate().map(|(at, entry)| (entry.record.id, at)).collect();
        Self { entries, by_id }
    }

    /// Everything known of one endpoint.
    pub(crate) fn endpoint(&self, id: EndpointId) -> Option<&EndpointRecord> {
        let at = *self.by_id.get(&id)?;
        self.entries.get(at).map(|entry| &entry.record)
    }

    /// Every endpoint.
    pub(crate) fn summaries(&self) -> impl Iterator<Item = &EndpointSummary> {
        self.entries.iter().map(|entry| &entry.summary)
    }

    /// The endpoints that fit, unsorted, and the facets.
    pub(crate) fn find(&self, filter: &EndpointFilter) -> Matches<'_> {
        let mut endpoints = Vec::new();
        let mut counts: [HashMap<&str, u64>; 5] = Default::default();
        for entry in &self.entries {
            if !filter.words.iter().all(|word| entry.text.contains(word)) {
                continue;
            }
            let summary = &entry.summary;
            let failed = failed_facets(summary, filter);
            match failed.as_slice() {
                [] => {
                    endpoints.push(summary);
                    for (facet, counts) in Facet::ALL.into_iter().zip(&mut counts) {
                        count(summary, facet, counts);
                    }
                }
                [only] => {
                    if let Some(counts) = counts.get_mut(*only as usize) {
                        count(summary, *only, counts);
                    }
                }
                [_, ..] => {}
            }
        }
        Matches { endpoints, facets: counts.map(most_frequent) }
    }
}

impl Entry {
    fn new(record: EndpointRecord) -> Self {
        let summary = EndpointSummary::from(&record);
        let EndpointSummary { id, method, host, template, api, .. } = &summary;
        let api = api.as_deref().unwrap_or_default();
        let text = format!("{method} {host}{template} {api} {id}").to_lowercase();
        Self { record, summary, text }
    }
}

fn failed_facets(summary: &EndpointSummary, filter: &EndpointFilter) -> Vec<Facet> {
    let fails = |(facet, wanted): &(Facet, &Vec<String>)| {
        !wanted.is_empty() && !values(summary, *facet).any(|value| wanted.iter().any(|wanted| wanted == value))
    };
    Facet::ALL.into_iter().zip(&filter.wanted).filter(fails).map(|(facet, _)| facet).collect()
}

fn count<'a>(summary: &'a EndpointSummary, facet: Facet, counts: &mut HashMap<&'a str, u64>) {
    for value in values(summary, facet) {
        *counts.entry(value).or_default() += 1;
    }
}

/// The values that an endpoint has under a facet.
fn values<'a>(summary: &'a EndpointSummary, facet: Facet) -> Box<dyn Iterator<Item = &'a str> + 'a> {
    match facet {
        Facet::Api => Box::new(summary.api.as_deref().into_iter()),
        Facet::Method => Box::new(std::iter::once(summary.method.as_str())),
        Facet::Host => Box::new(std::iter::once(summary.host.as_str())),
        Facet::Auth => Box::new(summary.auth.iter().map(String::as_str)),
        Facet::Status => Box::new(summary.statuses.classes()),
    }
}

fn most_frequent(counts: HashMap<&str, u64>) -> Vec<(String, u64)> {
    let mut counts: Vec<(&str, u64)> = counts.into_iter().collect();
    counts.sort_unstable_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then(a.cmp(b)));
    counts.truncate(FACET_VALUES_MAX);
    counts.into_iter().map(|(value, count)| (value.to_owned(), count)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use bartizan_catalog::{AuthCount, EndpointState, StatusCount};
    use bartizan_model::{PathTemplate, Timestamp};

    use super::*;

    fn record(number: usize) -> EndpointRecord {
        let (method, host) = (["GET", "POST", "PUT"][number % 3], format!("host{}.example", number % 20));
        let template: PathTemplate = format!("/v1/resource{number}/{{id}}").parse().unwrap();
        EndpointRecord {
            id: EndpointId::of(method, &host, &template),
            method: method.into(),
            host: host.into(),
            template,
            api: (number.is_multiple_of(2)).then(|| "bank".into()),
            state: EndpointState::Discovered,
            first_seen: Timestamp::from_micros(1),
            last_seen: Timestamp::from_micros(2),
            requests: number as u64,
            denied: 0,
            errors: 0,
            statuses: vec![StatusCount { status: 200, count: 1 }, StatusCount { status: 404, count: 1 }],
            auth: vec![AuthCount { kind: None, count: 1 }],
            request_types: Vec::new(),
            response_types: Vec::new(),
            parameters: Vec::new(),
            callers: Vec::new(),
            callers_distinct: 0,
            paths_sample: Vec::new(),
            merges: Vec::new(),
        }
    }

    #[test]
    fn a_facet_ignores_its_own_choice_and_obeys_the_others() {
        let view = CatalogView::new((0..60).map(record).collect());
        let mut filter = EndpointFilter::default();
        filter.wanted[Facet::Method as usize] = vec!["GET".to_owned()];
        let found = view.find(&filter);
        assert_eq!(found.endpoints.len(), 20);
        let methods = &found.facets[Facet::Method as usize];
        assert_eq!(*methods, [("GET".to_owned(), 20), ("POST".to_owned(), 20), ("PUT".to_owned(), 20)]);
        assert_eq!(found.facets[Facet::Api as usize], [("bank".to_owned(), 10)]);
        assert_eq!(found.facets[Facet::Status as usize], [("2xx".to_owned(), 20), ("4xx".to_owned(), 20)]);
    }

    #[test]
    fn ten_thousand_endpoints_are_searched_while_a_person_types() {
        let view = CatalogView::new((0..10_000).map(record).collect());
        let filter = EndpointFilter { words: vec!["resource9".to_owned()], ..EndpointFilter::default() };
        let begun = Instant::now();
        let found = view.find(&filter);
        let took = begun.elapsed();
        println!("{} of 10,000 endpoints in {took:?}; everything in {:?}", found.endpoints.len(), {
            let begun = Instant::now();
            assert_eq!(view.find(&EndpointFilter::default()).endpoints.len(), 10_000);
            begun.elapsed()
        });
        assert_eq!(found.endpoints.len(), 1111);
        assert!(took < Duration::from_secs(1), "{took:?}, unoptimized");
    }
}
