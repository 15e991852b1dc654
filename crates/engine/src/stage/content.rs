//! Threat limits: how deep, how many and how long the parts of a request are, and patterns that must match nowhere.
//!
//! The head is measured at once, the body when it is complete: unpacked, decoded by its media type, and stopped at the
//! first limit, before what lies beyond it costs memory. GraphQL is also looked for where it travels: in the member
//! `query` of JSON and in the query's parameter of that name. A body longer than the policy looks at, or one that
//! streams by, passes and is told (ENG-104).

pub(crate) mod checks;
mod pattern;

use std::borrow::Cow;
use std::sync::Arc;

use bartizan_content::{Fault, FaultClass, FaultKind, Format, Kind, Limits, NodeRef, check_headers, decode, inflate};
use bartizan_model::{CheckInfo, Location, Mode, Part};
use smallvec::SmallVec;

use crate::decide::{Ground, Notices, Refusal};
use crate::held::HeldBody;
use crate::policy::{PolicyIndex, Rule};
use crate::redact;
use crate::stage::access::media::coding;
use crate::stage::threat::INCOMPLETE;
use crate::stage::{HeadContext, applying};
use pattern::{CompiledPattern, Looked};

/// What a policy of threat limits demands.
#[derive(Debug)]
pub(crate) struct ContentRules {
    limits: Limits,
    body_bytes_max: usize,
    refuse_malformed: bool,
    file_extensions: Box<[Box<[u8]>]>,
    file_types: Box<[Box<[u8]>]>,
    patterns: Box<[CompiledPattern]>,
}

impl ContentRules {
    /// Compiles a valid policy.
    pub(crate) fn new(content: &bartizan_config::Content) -> Self {
        let bytes = |texts: &[String]| texts.iter().map(|text| text.as_bytes().into()).collect();
        Self {
            limits: content.limits.clone(),
            body_bytes_max: usize::try_from(content.body_bytes_max).unwrap_or(usize::MAX),
            refuse_malformed: content.refuse_malformed,
            file_extensions: bytes(&content.file_extensions),
            file_types: bytes(&content.file_types),
            patterns: content.patterns.iter().filter_map(CompiledPattern::new).collect(),
        }
    }
}

/// The policies that wait for a request's body.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    waiting: SmallVec<[(PolicyIndex, Arc<ContentRules>); 1]>,
    content_type: Option<Box<[u8]>>,
    coding: Option<Box<[u8]>>,
    /// A body passes that no policy looks at
    pub(crate) is_blind: bool,
}

/// What is told about one policy.
struct Teller<'a> {
    policy: PolicyIndex,
    rules: &'a ContentRules,
    notices: &'a mut Notices,
}

/// Measures the head.
pub(crate) fn run(ctx: &mut HeadContext<'_>) {
    let is_streaming = ctx.facts.is_streaming();
    for (policy, compiled) in applying(ctx.snapshot, ctx.facts) {
        let Rule::Content(rules) = &compiled.rule else { continue };
        let mut teller = Teller { policy, rules, notices: ctx.notices };
        teller.head(ctx.head, ctx.readings);
        if !ctx.body.is_expected {
            continue;
        }
        if is_streaming {
            ctx.contents.is_blind = true;
            continue;
        }
        if ctx.contents.waiting.is_empty() {
            ctx.contents.content_type = ctx.fields.content_type.map(Box::from);
            ctx.contents.coding = coding(ctx.head.headers);
        }
        ctx.held.want(rules.body_bytes_max);
        ctx.body.is_held |= compiled.mode == Mode::Enforce;
        ctx.contents.waiting.push((policy, Arc::clone(rules)));
    }
}

impl Contents {
    /// The request is complete.
    pub(crate) fn request_end(&mut self, body: &HeldBody, out: &mut Notices) {
        for (policy, rules) in std::mem::take(&mut self.waiting) {
            let (bytes, is_cut) = body.first(rules.body_bytes_max);
            if is_cut {
                let words = format!("threat limits were held against the first {} bytes", rules.body_bytes_max);
                out.push(INCOMPLETE.finding(Location::part(Part::Body), words), Ground::Noted);
            }
            if bytes.is_empty() {
                continue;
            }
            let mut teller = Teller { policy, rules: &rules, notices: out };
            let (plain, is_whole) = teller.unpack(self.coding.as_deref(), bytes, is_cut);
            let format = Format::of(self.content_type.as_deref(), &plain);
            teller.body(format, &plain, is_whole);
        }
    }
}

impl Teller<'_> {
    fn head(&mut self, head: &bartizan_model::RequestHead<'_>, readings: &crate::path::Readings<'_>) {
        let rules = self.rules;
        if let Some(fault) = check_headers(head.headers.iter().map(|field| (field.name, field.value)), &rules.limits) {
            let field = head.headers.get(fault.offset as usize);
            let location =
                Location { part: Part::Header, name: field.and_then(|field| redact::member(Part::Header, field.name)) };
            self.limit(&fault, Format::Raw, location);
        }
        let wants_path = |pattern: &&CompiledPattern| pattern.looks_at(Looked::Path);
        for pattern in rules.patterns.iter().filter(wants_path) {
            let is_match = readings.any(|path| pattern.is_match(path));
            self.matched(pattern, is_match, Location::part(Part::Path), head.path());
        }
        for field in head.headers {
            self.patterns(Looked::Header, field.name, field.value, Part::Header);
            if field.name.eq_ignore_ascii_case(b"cookie") {
                self.pairs(Format::Cookies, field.value, Part::Cookie, Looked::Cookie);
            }
        }
        if let Some(query) = head.query().filter(|query| !query.is_empty()) {
            self.pairs(Format::Form, query, Part::Query, Looked::Query);
        }
    }

    /// The pairs of a query, or cookies.
    fn pairs(&mut self, format: Format<'_>, source: &[u8], part: Part, looked: Looked) {
        let content = decode(format, source, &self.rules.limits);
        self.faults(content.faults(), format, true, |_| Location::part(part));
        for pair in content.roots() {
            self.patterns(looked, pair.key(), pair.value(), part);
            if part == Part::Query && pair.key() == b"query" {
                self.graphql(pair.value(), Location::named(Part::Query, "query"));
            }
        }
    }

    /// The body without its content codings, and whether it is whole.
    fn unpack<'b>(&mut self, coding: Option<&[u8]>, bytes: &'b [u8], is_cut: bool) -> (Cow<'b, [u8]>, bool) {
        let Some(coding) = coding else { return (Cow::Borrowed(bytes), !is_cut) };
        let inflated = inflate(coding, bytes, &self.rules.limits);
        let is_whole = !is_cut && inflated.fault.is_none();
        if let Some(fault) = inflated.fault.filter(|fault| !is_cut || fault.limit.is_some()) {
            self.faults(&[fault], Format::Raw, true, |_| Location::part(Part::Body));
        }
        (inflated.bytes.map_or(Cow::Borrowed(bytes), Cow::Owned), is_whole)
    }

    fn body(&mut self, format: Format<'_>, bytes: &[u8], is_whole: bool) {
        let content = decode(format, bytes, &self.rules.limits);
        let place = |fault: &Fault| {
            let mut path = Vec::new();
            fault.node.and_then(|node| content.node(node)).inspect(|node| node.append_path(&mut path));
            Location { part: Part::Body, name: redact::member(Part::Body, &path) }
        };
        self.faults(content.faults(), format, is_whole, place);
        match format {
            Format::Json | Format::Xml => self.tree(&content),
            Format::Form | Format::Multipart(_) => {
                for part in content.roots() {
                    self.patterns(Looked::Form, part.key(), part.value(), Part::Body);
                    if part.kind() == Kind::File {
                        self.file(part);
                    }
                }
            }
            Format::Raw | Format::Cookies | Format::Graphql | Format::Protobuf | Format::Grpc => {}
        }
    }

    /// Leaves of JSON and XML.
    fn tree(&mut self, content: &bartizan_content::Content<'_>) {
        let looked = if content.format() == Format::Json { Looked::Json } else { Looked::Xml };
        let mut walk = content.walk();
        while let Some((path, leaf)) = walk.next() {
            self.patterns(looked, path, leaf.value(), Part::Body);
            if looked == Looked::Json && leaf.kind() == Kind::String && is_graphql_path(path) {
                self.graphql(leaf.value(), Location::named(Part::Body, "query"));
            }
        }
    }

    /// A GraphQL document inside something else. What only looks like one is none: its syntax is not judged.
    fn graphql(&mut self, document: &[u8], location: Location) {
        const BEGINNINGS: [&[u8]; 5] = [b"{", b"query", b"mutation", b"subscription", b"fragment"];
        let trimmed = document.trim_ascii_start();
        if !BEGINNINGS.iter().any(|beginning| trimmed.starts_with(beginning)) {
            return;
        }
        let content = decode(Format::Graphql, document, &self.rules.limits);
        for fault in content.faults().iter().filter(|fault| fault.limit.is_some()) {
            self.limit(fault, Format::Graphql, location.clone());
        }
    }

    fn file(&mut self, part: NodeRef<'_>) {
        let rules = self.rules;
        let name = part.filename().unwrap_or_default();
        let extension = name.rsplit(|byte| *byte == b'.').next().filter(|extension| extension.len() < name.len());
        let media_type = part.header(b"content-type").unwrap_or_default();
        let media_type = media_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let is_one_of = |list: &[Box<[u8]>], word: &[u8]| list.iter().any(|known| known.eq_ignore_ascii_case(word));
        let fault = if name.iter().any(|byte| matches!(byte, b'/' | b'\\' | 0)) || name == b".." {
            "its name leads elsewhere"
        } else if !rules.file_extensions.is_empty() && !is_one_of(&rules.file_extensions, extension.unwrap_or_default())
        {
            "its extension is not allowed"
        } else if !rules.file_types.is_empty() && !is_one_of(&rules.file_types, media_type) {
            "its media type is not allowed"
        } else {
            return;
        };
        let location = Location { part: Part::Body, name: redact::member(Part::Body, part.key()) };
        self.push(&checks::FILE, location, fault.to_owned(), Refusal::Forbidden);
    }

    fn faults(&mut self, faults: &[Fault], format: Format<'_>, is_whole: bool, place: impl Fn(&Fault) -> Location) {
        for fault in faults {
            match fault.kind.class() {
                FaultClass::Limit => self.limit(fault, format, place(fault)),
                FaultClass::Syntax if !is_whole => {} // the end was cut off by us
                FaultClass::Syntax => {
                    let words = format!("{}: {}", checks::format_name(format), fault.name());
                    let ground = match self.rules.refuse_malformed {
                        true => Ground::Policy(self.policy, Refusal::BadRequest),
                        false => Ground::Noted,
                    };
                    self.notices.push(checks::MALFORMED.finding(place(fault), words), ground);
                }
                FaultClass::Oddity => {
                    // Every line of multipart may end as it should, and a bare `%` stands in many honest queries.
                    if !matches!(fault.kind, FaultKind::MultipartCrlfLine | FaultKind::BadPercent) {
                        let words = format!("{}: {}", checks::format_name(format), fault.name());
                        self.notices.push(checks::ODD.finding(place(fault), words), Ground::Noted);
                    }
                }
            }
        }
    }

    fn limit(&mut self, fault: &Fault, format: Format<'_>, location: Location) {
        let Some(limit) = fault.limit else { return };
        let (info, refusal) = checks::of_limit(limit, format);
        let words = format!("beyond `{}` of {}", limit.name(), self.rules.limits.of(limit));
        self.push(info, location, words, refusal);
    }

    /// Patterns over one member; JSON's is its path.
    fn patterns(&mut self, looked: Looked, member: &[u8], value: &[u8], part: Part) {
        let rules = self.rules;
        for pattern in rules.patterns.iter().filter(|pattern| pattern.looks_at(looked) && pattern.is_meant(member)) {
            let is_match = pattern.is_match(value);
            let name = if looked == Looked::Xml { None } else { redact::member(part, member) };
            self.matched(pattern, is_match, Location { part, name }, value);
        }
    }

    fn matched(&mut self, pattern: &CompiledPattern, is_match: bool, location: Location, value: &[u8]) {
        if is_match {
            let words = format!("`{}` matches: `{}`", pattern.name(), redact::shape(pattern.part_of(value), 48));
            self.push(&checks::PATTERN, location, words, Refusal::Forbidden);
        }
    }

    fn push(&mut self, info: &CheckInfo, location: Location, words: String, refusal: Refusal) {
        /// LIMIT: findings of one request's threat limits; the event keeps no more either.
        const FINDINGS_MAX: usize = 64;
        if self.notices.len() < FINDINGS_MAX {
            self.notices.push(info.finding(location, words), Ground::Policy(self.policy, refusal));
        }
    }
}

/// `json.query`, and `json.0.query` of a batch.
fn is_graphql_path(path: &[u8]) -> bool {
    let Some(rest) = path.strip_prefix(b"json.") else { return false };
    let rest = rest.trim_ascii_start();
    let last = rest.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    let before = rest.get(..rest.len().saturating_sub(last.len() + 1)).unwrap_or_default();
    last == b"query" && before.iter().all(u8::is_ascii_digit)
}
