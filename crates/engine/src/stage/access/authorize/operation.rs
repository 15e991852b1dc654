//! Which operation a request is, in every reading of its path, with the path's parameters.
//!
//! A rule restricts, so it applies when any reading of the path (see `path.rs`) leads to its operation; a request is
//! something that is spoken of only when all do. In one reading the operation with a literal where others have a
//! parameter is meant, and the one whose template goes further. Servers that route without case see another operation
//! where a literal is written in other case: then both are held against the request.

use std::sync::Arc;

use bartizan_config::Operation;
use bartizan_model::Segment;
use smallvec::SmallVec;

use crate::path::Readings;
use crate::redact;

/// LIMIT: operations, or readings with other parameters, that one request is taken for; honest ones are one, a path that
/// is built to be many is refused.
const MATCHES_MAX: usize = 16;

/// LIMIT: readings of a path that one condition, or all Cedar policies, are computed for; honest paths have one to six.
const PATHS_MAX: usize = 16;

/// The operations of one policy, the most specific first.
#[derive(Debug)]
pub(crate) struct Operations {
    list: Box<[Compiled]>,
}

/// One operation.
#[derive(Debug)]
struct Compiled {
    /// Its place in the configuration
    number: usize,
    methods: Box<[Box<[u8]>]>,
    segments: Box<[Part]>,
    is_open: bool,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Literal(Box<[u8]>),
    Parameter(Arc<str>),
    /// Only while they are sorted
    Rest,
}

/// What a request is.
#[derive(Debug, Default)]
pub(crate) struct Matches<'r> {
    /// Each differs from the others in operation or parameters
    pub(crate) list: SmallVec<[Match<'r>; 1]>,
    /// Every reading is some operation
    pub(crate) is_complete: bool,
    /// There are more, which are not in the list
    pub(crate) is_cut: bool,
}

/// One operation with its path's parameters, decoded.
#[derive(Debug)]
pub(crate) struct Match<'r> {
    /// Its place in the configuration; `None` = the policy names no operations and takes every request
    pub(crate) operation: Option<usize>,
    pub(crate) values: Values,
    /// The readings of the path that lead to it
    paths: SmallVec<[&'r [u8]; 1]>,
}

/// Path parameters: name and value.
type Values = SmallVec<[(Arc<str>, Box<[u8]>); 2]>;

/// What operations are sorted by: their segments, then whether they take all methods.
type Rank = (Vec<(u8, Box<[u8]>)>, bool);

impl Operations {
    pub(crate) fn new(written: &[Operation]) -> Self {
        let mut list: Vec<Compiled> = (0..).zip(written).map(|(number, one)| Compiled::new(number, one)).collect();
        list.sort_by_cached_key(Compiled::rank);
        for one in &mut list {
            one.segments = std::mem::take(&mut one.segments).into_iter().filter(|part| *part != Part::Rest).collect();
        }
        Self { list: list.into() }
    }

    /// What `method` on a path with these readings is.
    pub(crate) fn matches<'r>(&self, method: &[u8], readings: &'r Readings<'_>) -> Matches<'r> {
        let mut found = Matches { list: SmallVec::new(), is_complete: true, is_cut: false };
        self.read(method, readings.raw(), true, &mut found);
        if readings.is_ambiguous() {
            self.read(method, readings.normal(), true, &mut found);
            for path in std::iter::once(readings.lax()).chain(readings.others()) {
                self.read(method, path, false, &mut found);
            }
        }
        found
    }

    /// One reading.
    fn read<'r>(&self, method: &[u8], reading: &'r [u8], is_encoded: bool, found: &mut Matches<'r>) {
        if self.list.is_empty() {
            return found.add(None, SmallVec::new(), reading);
        }
        let path = reading.strip_prefix(b"/").unwrap_or(reading);
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let segments: SmallVec<[&[u8]; 16]> = path.split(|byte| *byte == b'/').collect();
        let decode = |segment: &[u8]| {
            let mut decoded = Vec::with_capacity(segment.len());
            match is_encoded {
                true => redact::decode_onto(&mut decoded, segment, false),
                false => decoded.extend_from_slice(segment),
            }
            decoded.into_boxed_slice()
        };
        let mut is_any = false;
        for exactly in [true, false] {
            let mut fitting = self.list.iter().filter(|one| one.has_method(method));
            let Some(one) = fitting.find(|one| one.has_form(&segments, exactly)) else { continue };
            is_any = true;
            let parameters = one.segments.iter().zip(&segments);
            let values = parameters.filter_map(|(part, segment)| match part {
                Part::Parameter(name) => Some((Arc::clone(name), decode(segment))),
                Part::Literal(_) | Part::Rest => None,
            });
            found.add(Some(one.number), values.collect(), reading);
        }
        found.is_complete &= is_any;
    }
}

impl<'r> Matches<'r> {
    /// Adds what a reading leads to.
    fn add(&mut self, operation: Option<usize>, values: Values, reading: &'r [u8]) {
        let is_full = self.list.len() == MATCHES_MAX;
        let known = self.list.iter_mut().find(|one| one.operation == operation && one.values == values);
        match known {
            // One more than the limit tells that there are more.
            Some(known) if known.paths.len() <= PATHS_MAX && !known.paths.contains(&reading) => {
                known.paths.push(reading);
            }
            Some(_) => {}
            None if is_full => self.is_cut = true,
            None => self.list.push(Match { operation, values, paths: std::iter::once(reading).collect() }),
        }
    }
}

impl Compiled {
    fn new(number: usize, written: &Operation) -> Self {
        let part = |segment: &Segment| match segment {
            Segment::Literal(literal) => Part::Literal(literal.as_bytes().into()),
            Segment::Parameter(name) => Part::Parameter(Arc::from(&**name)),
        };
        let parts = written.template.segments().iter().map(part);
        let is_root =
            written.is_open && matches!(written.template.segments(), [Segment::Literal(only)] if only.is_empty());
        let parts = parts.filter(|_| !is_root).chain(written.is_open.then_some(Part::Rest));
        Self {
            number,
            methods: written.methods.iter().map(|method| method.as_bytes().into()).collect(),
            segments: parts.collect(),
            is_open: written.is_open,
        }
    }

    /// Literals before parameters before any rest; named methods before all.
    fn rank(&self) -> Rank {
        let rank = |part: &Part| match part {
            Part::Literal(literal) => (0, literal.clone()),
            Part::Parameter(_) => (1, Box::default()),
            Part::Rest => (2, Box::default()),
        };
        (self.segments.iter().map(rank).collect(), self.methods.is_empty())
    }

    /// Compared without case, as scopes are; `HEAD` does what `GET` does (RFC 9110 §9.3.2).
    fn has_method(&self, method: &[u8]) -> bool {
        let is_head = method.eq_ignore_ascii_case(b"HEAD");
        self.methods.is_empty()
            || self.methods.iter().any(|known| known.eq_ignore_ascii_case(method) || is_head && **known == *b"GET")
    }

    fn has_form(&self, segments: &[&[u8]], exactly: bool) -> bool {
        let fits = |(part, segment): (&Part, &&[u8])| match part {
            Part::Literal(literal) if exactly => **literal == **segment,
            Part::Literal(literal) => literal.eq_ignore_ascii_case(segment),
            Part::Parameter(_) => !segment.is_empty(),
            Part::Rest => false,
        };
        let is_long_enough = match self.is_open {
            true => segments.len() >= self.segments.len(),
            false => segments.len() == self.segments.len(),
        };
        is_long_enough && self.segments.iter().zip(segments).all(fits)
    }
}

impl Match<'_> {
    /// The path in each reading that leads here, as sent first; `None` when they are too many.
    pub(crate) fn paths(&self) -> Option<&[&[u8]]> {
        (self.paths.len() <= PATHS_MAX).then_some(self.paths.as_slice())
    }

    /// The value of a path parameter.
    pub(crate) fn value(&self, name: &str) -> Option<&[u8]> {
        self.values.iter().find(|(known, _)| **known == *name).map(|(_, value)| &**value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operations() -> Operations {
        let operation = |id: &str, methods: &[&str], path: &str| {
            let (form, is_open) = path.strip_suffix("/**").map_or((path, false), |form| (form, true));
            let form = if form.is_empty() { "/" } else { form };
            Operation {
                id: id.to_owned(),
                methods: methods.iter().map(|method| (*method).to_owned()).collect(),
                template: form.parse().unwrap(),
                is_open,
                query: Vec::new(),
            }
        };
        Operations::new(&[
            operation("read", &["GET"], "/accounts/{id}"),
            operation("own", &["GET"], "/accounts/me"),
            operation("cards", &["GET"], "/accounts/{id}/cards/{card}"),
            operation("rest", &[], "/accounts/**"),
            operation("root", &["GET"], "/"),
            operation("anything", &["POST"], "/**"),
        ])
    }

    /// The matches as `number name=value`, and whether they are all there is.
    fn check(method: &str, path: &str, wanted: &[&str], is_complete: bool) {
        let readings = Readings::of(path.as_bytes());
        let found = operations().matches(method.as_bytes(), &readings);
        let shown = found.list.iter().map(|one| {
            let values = one.values.iter().map(|(name, value)| format!(" {name}={}", value.escape_ascii()));
            format!("{}{}", one.operation.unwrap(), values.collect::<String>())
        });
        assert_eq!(shown.collect::<Vec<_>>(), wanted, "{method} {path}");
        assert_eq!(found.is_complete, is_complete, "{method} {path}");
    }

    #[test]
    fn the_most_specific_operation_is_meant() {
        check("GET", "/accounts/7", &["0 id=7"], true);
        check("GET", "/accounts/7/", &["0 id=7"], true);
        check("HEAD", "/accounts/7", &["0 id=7"], true);
        check("get", "/accounts/7", &["0 id=7"], true);
        check("GET", "/accounts/me", &["1"], true);
        check("GET", "/accounts/7/cards/8", &["2 id=7 card=8"], true);
        check("GET", "/accounts/7/cards", &["3"], true);
        check("GET", "/accounts", &["3"], true);
        check("PUT", "/accounts/7", &["3"], true);
        check("GET", "/", &["4"], true);
        check("POST", "/", &["5"], true);
        check("POST", "/elsewhere/at/all", &["5"], true);
        check("GET", "/elsewhere", &[], false);
    }

    #[test]
    fn a_literal_in_other_case_is_both() {
        check("GET", "/accounts/ME", &["0 id=ME", "1"], true);
        check("GET", "/Accounts/7", &["0 id=7"], true);
    }

    #[test]
    fn parameters_are_decoded_once_and_every_reading_counts() {
        check("GET", "/accounts/a%20b", &["0 id=a b"], true);
        check("GET", "/accounts/%37", &["0 id=7"], true);
        check("GET", "/accounts/%2537", &["0 id=%37", "0 id=7"], true);
        check("GET", "/accounts/7;v=1", &["0 id=7;v=1", "0 id=7"], true);
        check("GET", "/accounts/8/../7", &["3", "0 id=7"], true);
        check("GET", "/x/%2e%2e/accounts/7", &["0 id=7"], false);
        check("GET", "/accounts/a%2fb", &["0 id=a/b", "3"], true);
    }

    #[test]
    fn a_policy_without_operations_takes_every_request_for_one() {
        let readings = Readings::of(b"/x/%2e%2e/y");
        let found = Operations::new(&[]).matches(b"GET", &readings);
        assert_eq!((found.list.len(), found.is_complete), (1, true));
        assert_eq!(found.list[0].operation, None);
        assert_eq!(found.list[0].paths(), Some([b"/x/%2e%2e/y".as_slice(), b"/y"].as_slice()));
    }
}
