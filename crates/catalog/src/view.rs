//! From counters to what people read: [`EndpointRecord`]s of a host.

use bartizan_model::{Endpoint, EndpointId, ParameterPlace, Segment, ValueKind};

use crate::form::{Form, kind_of};
use crate::host::{Candidate, Entry, Host};
use crate::naming::{self, Part};
use crate::tally::{ParameterTally, Tally};
use crate::trie::NodeId;
use crate::{
    AuthCount, CallerRecord, EndpointRecord, EndpointState, KindCount, MergeRecord, NamedCount, ParameterRecord,
    ParameterType, StatusCount,
};

/// LIMIT: values shown of one merged segment.
const SAMPLE_MAX: usize = 8;

impl Host {
    /// Discovered endpoints.
    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        self.live().filter_map(|(_, entry)| self.endpoint(entry)).collect()
    }

    fn endpoint(&self, entry: &Entry) -> Option<Endpoint> {
        Some(Endpoint {
            method: entry.method.as_ref().into(),
            host: self.name.clone(),
            template: self.template(entry.node)?,
        })
    }

    /// Everything known of every endpoint and candidate.
    pub(crate) fn records(&self) -> Vec<EndpointRecord> {
        let discovered = self.live().filter_map(|(_, entry)| {
            let mut record = record(self.endpoint(entry)?, EndpointState::Discovered, &entry.tally);
            record.merges = self.merges(entry.node, &record);
            Some(record)
        });
        let candidates = self.candidates.values().filter(|candidate| {
            self.resolve(&candidate.method, &candidate.path).is_none() // learned meanwhile by another path
        });
        let candidates = candidates.filter_map(|candidate| {
            Some(record(candidate_endpoint(&self.name, candidate)?, EndpointState::Candidate, &candidate.tally))
        });
        discovered.chain(candidates).collect()
    }

    fn merges(&self, node: NodeId, record: &EndpointRecord) -> Vec<MergeRecord> {
        let line = self.trie.lineage(node);
        let parts = line.iter().zip(record.template.segments()).enumerate();
        parts
            .filter_map(|(position, (id, segment))| {
                let variable = self.trie.node(*id).variable.as_deref()?;
                let Segment::Parameter(name) = segment else { return None };
                let sample = variable.values.iter().take(SAMPLE_MAX).map(|value| value.text.as_ref().into());
                Some(MergeRecord {
                    position,
                    name: name.clone(),
                    values_seen: variable.distinct.count(),
                    sample: sample.collect(),
                    undoable: variable.is_undoable(),
                })
            })
            .collect()
    }
}

fn candidate_endpoint(host: &str, candidate: &Candidate) -> Option<Endpoint> {
    let parts: Vec<_> = candidate
        .path
        .strip_prefix('/')?
        .split('/')
        .enumerate()
        .map(|(position, segment)| match Form::of(segment, kind_of(segment), position) {
            Form::Value => Part::Variable(kind_of(segment)),
            Form::Open(_) => Part::Literal(segment),
        })
        .collect();
    Some(Endpoint { method: candidate.method.clone(), host: host.into(), template: naming::template(&parts)? })
}

fn record(endpoint: Endpoint, state: EndpointState, tally: &Tally) -> EndpointRecord {
    let anonymous = (tally.anonymous > 0).then_some(AuthCount { kind: None, count: tally.anonymous });
    let credentials = tally.auth.iter().map(|(kind, count)| AuthCount { kind: Some(*kind), count: *count });
    EndpointRecord {
        id: EndpointId::of(&endpoint.method, &endpoint.host, &endpoint.template),
        api: tally.api.clone(),
        state,
        first_seen: tally.first_seen,
        last_seen: tally.last_seen,
        requests: tally.requests,
        denied: tally.denied,
        errors: tally.errors,
        statuses: tally.statuses.iter().map(|(status, count)| StatusCount { status: *status, count: *count }).collect(),
        auth: anonymous.into_iter().chain(credentials).collect(),
        request_types: named(&tally.request_types),
        response_types: named(&tally.response_types),
        parameters: parameters(&endpoint, tally),
        callers: callers(tally),
        callers_distinct: tally.callers_distinct.count(),
        paths_sample: tally.paths_sample.clone(),
        merges: Vec::new(),
        method: endpoint.method,
        host: endpoint.host,
        template: endpoint.template,
    }
}

fn named(counts: &[(Box<str>, u64)]) -> Vec<NamedCount> {
    let mut named: Vec<_> =
        counts.iter().map(|(value, count)| NamedCount { value: value.clone(), count: *count }).collect();
    named.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
    named
}

fn callers(tally: &Tally) -> Vec<CallerRecord> {
    let mut callers: Vec<_> = tally
        .callers
        .iter()
        .map(|caller| CallerRecord {
            kind: caller.kind,
            id: caller.id.as_str().into(),
            count: caller.count,
            last_seen: caller.last_seen,
        })
        .collect();
    callers.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.id.cmp(&b.id)));
    callers
}

/// Path parameters as the template names them, then the others by place and name.
fn parameters(endpoint: &Endpoint, tally: &Tally) -> Vec<ParameterRecord> {
    let path = endpoint.template.segments().iter().enumerate().filter_map(|(position, segment)| {
        let Segment::Parameter(name) = segment else { return None };
        let kinds = tally.path_kinds.iter().filter(|slot| usize::from(slot.0) == position);
        let kinds = kinds.map(|(_, kind, count)| (*kind, *count)).collect();
        Some(parameter(ParameterPlace::Path, name, kinds, tally.requests, tally.requests))
    });
    let others = tally.parameters.iter().map(|known: &ParameterTally| {
        parameter(known.place, &known.name, known.kinds.clone(), known.seen, tally.requests)
    });
    path.chain(others).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a share for people to read")]
fn parameter(
    place: ParameterPlace,
    name: &str,
    mut kinds: Vec<(ValueKind, u64)>,
    seen: u64,
    requests: u64,
) -> ParameterRecord {
    kinds.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    ParameterRecord {
        place,
        name: name.into(),
        data_type: data_type(&kinds),
        seen,
        share: if requests == 0 { 0.0 } else { (seen as f64 / requests as f64).min(1.0) },
        kinds: kinds.into_iter().map(|(kind, count)| KindCount { kind, count }).collect(),
    }
}

/// The narrowest type that all values but the empty ones fit.
fn data_type(kinds: &[(ValueKind, u64)]) -> ParameterType {
    let mut types = kinds.iter().filter(|(kind, _)| *kind != ValueKind::Empty).map(|(kind, _)| type_of(*kind));
    let Some(first) = types.next() else { return ParameterType::String };
    types.fold(first, |a, b| match (a, b) {
        (a, b) if a == b => a,
        (ParameterType::Integer, ParameterType::Number) | (ParameterType::Number, ParameterType::Integer) => {
            ParameterType::Number
        }
        _ => ParameterType::String,
    })
}

const fn type_of(kind: ValueKind) -> ParameterType {
    match kind {
        ValueKind::Boolean => ParameterType::Boolean,
        ValueKind::Integer => ParameterType::Integer,
        ValueKind::Decimal => ParameterType::Number,
        ValueKind::Uuid => ParameterType::Uuid,
        ValueKind::Date => ParameterType::Date,
        ValueKind::DateTime => ParameterType::DateTime,
        ValueKind::Email => ParameterType::Email,
        ValueKind::Url => ParameterType::Uri,
        ValueKind::Ip => ParameterType::Ip,
        ValueKind::Empty
        | ValueKind::Jwt
        | ValueKind::Hex
        | ValueKind::Token
        | ValueKind::Code
        | ValueKind::Word
        | ValueKind::Text => ParameterType::String,
    }
}
