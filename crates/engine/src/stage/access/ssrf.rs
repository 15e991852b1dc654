//! Server-side request forgery: a parameter makes the upstream fetch what only the inside can reach.
//!
//! ACC-130: the URL has a scheme, host or port that is not allowed. ACC-131: it leads to an internal address or name.
//! ACC-132: what it leads to is hidden, or two readers could disagree about it. ACC-133: the values could not all be looked
//! at. Names are not resolved here: between this check and the upstream's own look-up an answer can change (DNS rebinding).
//! So nothing is concluded from what a name means now; the names that exist to mean an internal address are refused, and
//! an upstream that must fetch any name has to look at the address that it connects to.
//! Sources: OWASP API7:2023; CWE-918; RFC 6890; WHATWG URL.

pub(crate) mod address;
pub(crate) mod url;

use std::borrow::Cow;
use std::net::IpAddr;

use bartizan_config::{HostPattern, Ssrf};
use bartizan_content::{FaultClass, Format, Kind, Limits, decode};
use bartizan_model::{CheckInfo, Finding, Location, Part, Severity};

use super::media::{Body, second_reading};
use crate::address::AddressSet;
use crate::decide::Refusal;
use crate::parameters::{self, is_spelled, plain_name};
use crate::redact;
use address::{is_internal, spells_internal};
use url::{Expectation, Lead, Reading, Target, read};

const fn info(
    id: &'static str,
    title: &'static str,
    severity: Severity,
    why: &'static str,
    fix: &'static str,
) -> CheckInfo {
    CheckInfo { id, title, severity, owasp: "API7:2023", cwe: &[918], since: "0.1", why, fix }
}

pub(crate) static NOT_ALLOWED: CheckInfo = info(
    "ACC-130",
    "URL parameter leads where it may not",
    Severity::Medium,
    "an upstream that fetches any URL reads files (`file:`), speaks to other services (`gopher:`), and lends its address",
    "when the target is meant, add its scheme, host or port to the policy; otherwise look at who sends it",
);

pub(crate) static INTERNAL: CheckInfo = info(
    "ACC-131",
    "URL parameter leads inside",
    Severity::High,
    "the upstream can reach what the client cannot: metadata of the cloud with its credentials, administration, neighbors",
    "look at who sends it and at what the upstream fetched; when the target is meant, add it to `hosts` or `networks`",
);

pub(crate) static HIDDEN: CheckInfo = info(
    "ACC-132",
    "URL parameter hides where it leads",
    Severity::High,
    "an unusual spelling is there to pass a check that reads it differently from the library that fetches it",
    "let the client write scheme, host and path plainly; look at who sends it",
);

pub(crate) static UNSEEN: CheckInfo = info(
    "ACC-133",
    "URL parameters not all looked at",
    Severity::Medium,
    "a body that is too long, broken, called two things or streamed may hold URLs that nobody has checked; access \
     defaults to closed",
    "raise `body_bytes_max` of the policy, or narrow its scope to requests whose bodies it can read",
);

/// Endings of names that no public service has: RFC 6761, RFC 6762, RFC 8375, and those that companies and clusters use.
const INTERNAL_ENDINGS: [&str; 12] = [
    "arpa",
    "cluster",
    "consul",
    "corp",
    "home",
    "internal",
    "intranet",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "private",
];

/// A `ssrf` policy, compiled.
#[derive(Debug)]
pub(crate) struct SsrfRules {
    /// Segments of names and paths, lower case, `*` for any; empty = every value
    parameters: Box<[Segments]>,
    /// The same as servers take names of queries and forms
    plain: Box<[Segments]>,
    schemes: Box<[Box<str>]>,
    hosts: Box<[HostPattern]>,
    ports: Box<[u16]>,
    networks: AddressSet,
    disguises: Box<[Box<str>]>,
    pub(crate) body_bytes_max: usize,
}

/// Segments of a name or a path.
type Segments = Box<[Box<[u8]>]>;

/// What is wrong with a URL.
type Fault = (&'static CheckInfo, &'static str);

impl SsrfRules {
    pub(crate) fn new(ssrf: &Ssrf) -> Self {
        let segments = |name: &String| {
            let folded = parameters::folded(name.as_bytes()).to_ascii_lowercase();
            folded.split(|byte| *byte == b'.').map(Box::from).collect()
        };
        let plain = |name: &String| {
            let plain = plain_name(name.as_bytes());
            plain.split(|byte| *byte == b'_').filter(|segment| !segment.is_empty()).map(Box::from).collect()
        };
        Self {
            plain: ssrf.parameters.iter().map(plain).collect(),
            parameters: ssrf.parameters.iter().map(segments).collect(),
            schemes: ssrf.schemes.iter().map(|scheme| scheme.as_str().into()).collect(),
            hosts: ssrf.hosts.as_slice().into(),
            ports: ssrf.ports.as_slice().into(),
            networks: AddressSet::new(&ssrf.networks),
            disguises: ssrf.disguises.iter().map(|suffix| suffix.as_str().into()).collect(),
            body_bytes_max: usize::try_from(ssrf.body_bytes_max).unwrap_or(usize::MAX),
        }
    }

    /// Looks at the query's parameters; tells of the first that leads astray, which is enough to refuse the request.
    pub(crate) fn query(&self, query: Option<&[u8]>) -> Option<Finding> {
        query.into_iter().flat_map(parameters::query_pairs).find_map(|(name, value)| {
            self.look_at_pair(Part::Query, &parameters::decode(name), || parameters::decode(value))
        })
    }

    /// Looks at a body's values, up to the first that leads astray; says how the request is refused.
    pub(crate) fn body(&self, body: &Body<'_>) -> Option<(Finding, Refusal)> {
        let unseen = |evidence: &str, refusal| Some((UNSEEN.finding(Location::part(Part::Body), evidence), refusal));
        if body.form.is_ambiguous {
            return unseen("two fields say what kind of body it is", Refusal::BadRequest);
        }
        if body.is_cut {
            return unseen("the body is longer than the policy looks at", Refusal::ContentTooLarge);
        }
        let limits = Limits::default();
        let inflated = body.unpack(&limits);
        if inflated.as_ref().is_some_and(|inflated| inflated.fault.is_some()) {
            return unseen("the body cannot be unpacked", Refusal::BadRequest);
        }
        let bytes = inflated.as_ref().and_then(|inflated| inflated.bytes.as_deref()).unwrap_or(body.bytes);
        let declared = body.format(bytes);
        let second = second_reading(declared, bytes);
        let mut readings = [Some(declared), second].into_iter().flatten();
        readings.find_map(|format| match self.reading(format, bytes, &limits) {
            Ok(found) => found.map(|finding| (finding, Refusal::Forbidden)),
            Err(Broken) if Some(format) == second && may_begin_with_anything(declared) => None,
            Err(Broken) => unseen("the body breaks off, or is not of its media type", Refusal::BadRequest),
        })
    }

    /// Looks at a body's values as one format has them.
    fn reading(&self, format: Format<'_>, bytes: &[u8], limits: &Limits) -> Result<Option<Finding>, Broken> {
        let content = decode(format, bytes, limits);
        if content.faults().iter().any(|fault| fault.kind.class() != FaultClass::Oddity) {
            return Err(Broken);
        }
        Ok(match format {
            Format::Form | Format::Multipart(_) => {
                let mut fields = content.roots().filter(|field| field.kind() != Kind::File);
                fields.find_map(|field| self.look_at_pair(Part::Body, field.key(), || Cow::Borrowed(field.value())))
            }
            Format::Json | Format::Xml | Format::Graphql | Format::Protobuf | Format::Grpc => {
                let mut walk = content.walk();
                let mut found = None;
                while let (None, Some((path, leaf))) = (&found, walk.next()) {
                    let is_meant = || is_one_of(&self.parameters, &parameters::folded(path));
                    found = self.look(Part::Body, path, || Cow::Borrowed(leaf.value()), is_meant);
                }
                found
            }
            Format::Raw | Format::Cookies => None,
        })
    }

    /// Looks at one value of a query or a form.
    fn look_at_pair<'v>(&self, part: Part, name: &[u8], value: impl FnOnce() -> Cow<'v, [u8]>) -> Option<Finding> {
        self.look(part, name, value, || is_spelled(name, |spelled| self.is_pair_meant(spelled)))
    }

    /// Looks at one value, if its name is meant.
    fn look<'v>(
        &self,
        part: Part,
        name: &[u8],
        value: impl FnOnce() -> Cow<'v, [u8]>,
        is_meant: impl Fn() -> bool,
    ) -> Option<Finding> {
        let expectation = match self.parameters.is_empty() {
            true => Expectation::Anything,
            false if is_meant() => Expectation::Url,
            false => return None,
        };
        let (info, evidence) = self.fault(&value(), expectation)?;
        Some(info.finding(Location { part, name: redact::member(part, name) }, evidence))
    }

    /// Whether the name of a query's or a form's parameter is one of those named, as servers take it.
    fn is_pair_meant(&self, name: &[u8]) -> bool {
        let plain = plain_name(name);
        let segments = || plain.split(|byte| *byte == b'_').filter(|segment| !segment.is_empty());
        is_one_of(&self.parameters, name)
            || self.plain.iter().any(|wanted| {
                let mut segments = segments();
                leads(wanted, &mut segments) && segments.next().is_none()
            })
    }

    /// What is wrong with a value, if anything.
    fn fault(&self, value: &[u8], expectation: Expectation) -> Option<Fault> {
        match read(value, expectation) {
            Reading::Nothing => None,
            Reading::Ambiguous(reason) => Some((&HIDDEN, reason)),
            Reading::Leads(lead) => self.lead_fault(&lead),
        }
    }

    fn lead_fault(&self, lead: &Lead) -> Option<Fault> {
        let is_known = lead.scheme.as_ref().is_none_or(|scheme| self.schemes.contains(scheme));
        if !is_known {
            return Some((&NOT_ALLOWED, "the scheme is not on the list"));
        }
        let host = match &lead.host {
            Ok(host) => host,
            Err(reason) => return Some((&HIDDEN, reason)),
        };
        if lead.port.is_some_and(|port| !self.ports.contains(&port)) {
            // Where it leads says more than the port.
            return self.target_fault(host).or(Some((&NOT_ALLOWED, "the port is not on the list")));
        }
        let second = lead.second.as_ref().and_then(|second| self.target_fault(second));
        self.target_fault(host).or(second)
    }

    fn target_fault(&self, target: &Target) -> Option<Fault> {
        match target {
            Target::Address(address) => self.address_fault(*address),
            Target::Odd(readings) => {
                let is_inside = readings.iter().flatten().any(|address| is_internal(*address));
                Some(if is_inside {
                    (&INTERNAL, "an internal address in an unusual spelling")
                } else {
                    (&HIDDEN, "an address in an unusual spelling")
                })
            }
            Target::Name(name) => self.name_fault(name),
        }
    }

    fn address_fault(&self, address: IpAddr) -> Option<Fault> {
        if self.networks.contains(address) {
            None
        } else if is_internal(address) {
            Some((&INTERNAL, "an internal address"))
        } else {
            self.is_unlisted(&address.to_string()).then_some((&NOT_ALLOWED, "the address is not on the list"))
        }
    }

    fn name_fault(&self, name: &str) -> Option<Fault> {
        let is_listed = !self.hosts.is_empty() && !self.is_unlisted(name);
        let is_below =
            |ending: &str| name.strip_suffix(ending).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        if is_listed {
            None
        } else if !name.contains('.') || INTERNAL_ENDINGS.iter().any(|ending| is_below(ending)) {
            Some((&INTERNAL, "an internal name"))
        } else if self.disguises.iter().any(|suffix| is_below(suffix)) {
            Some((&HIDDEN, "a name that is an address in disguise"))
        } else if spells_internal(name) {
            Some((&HIDDEN, "a name that spells an internal address"))
        } else {
            self.is_unlisted(name).then_some((&NOT_ALLOWED, "the host is not on the list"))
        }
    }

    /// Whether there is a list of hosts, and `name` is not on it.
    fn is_unlisted(&self, name: &str) -> bool {
        let is_one = |host: &HostPattern| match host {
            HostPattern::Exact(listed) => listed == name,
            HostPattern::Wildcard(suffix) => name.len() > suffix.len() && name.ends_with(suffix.as_str()),
        };
        !self.hosts.is_empty() && !self.hosts.iter().any(is_one)
    }
}

/// Whether a path is one of those named: without case, without what roots paths, and with the items of a list.
fn is_one_of(parameters: &[Segments], path: &[u8]) -> bool {
    let path = path.strip_prefix(b"json.").or_else(|| path.strip_prefix(b"xml.")).unwrap_or(path);
    let is_end = |byte: &u8| matches!(byte, b'.' | b'[' | b']');
    parameters.iter().any(|wanted| {
        let mut segments = path.split(is_end).filter(|segment| !segment.is_empty());
        leads(wanted, &mut segments) && segments.all(|rest| rest.iter().all(u8::is_ascii_digit))
    })
}

/// Whether `segments` begin with those that are wanted.
fn leads<'n>(wanted: &[Box<[u8]>], segments: &mut impl Iterator<Item = &'n [u8]>) -> bool {
    wanted
        .iter()
        .all(|segment| segments.next().is_some_and(|found| **segment == *b"*" || segment.eq_ignore_ascii_case(found)))
}

/// Whether honest bodies of this format begin like JSON or XML and are neither: braces open a GraphQL document, and the
/// first bytes of binary messages are what they are.
fn may_begin_with_anything(format: Format<'_>) -> bool {
    match format {
        Format::Graphql | Format::Protobuf | Format::Grpc => true,
        Format::Raw | Format::Form | Format::Cookies | Format::Json | Format::Xml | Format::Multipart(_) => false,
    }
}

/// A body that is not whole, or not of its format.
struct Broken;
