//! ACC-104: a request names another method than its own, for a framework that believes it.
//!
//! `X-HTTP-Method-Override`, `_method` and their kin turn a `POST` that every policy sees into a `DELETE` that none does.
//! Fields and the query are looked at in the head, forms and JSON when the body is complete. A name is taken as servers
//! take it: without case, and with `_` for `-`. Sources: CWE-650; Rails, Laravel, Symfony, Spring, Express `method-override`,
//! OData ("verb tunneling").

use bartizan_config::MethodOverrides;
use bartizan_content::{Format, Limits, decode};
use bartizan_model::{CheckInfo, Finding, Location, Part, RequestHead, Severity};

use super::media::{Body, second_reading};
use super::methods;
use crate::decide::Refusal;
use crate::edits::is_same_field;
use crate::fields::Fields;
use crate::parameters;

pub(crate) static INFO: CheckInfo = CheckInfo {
    id: "ACC-104",
    title: "method overridden",
    severity: Severity::Medium,
    owasp: "API5:2023",
    cwe: &[650, 436],
    since: "0.1",
    why: "a framework that believes a second method carries out what no policy has seen, such as a `DELETE` inside a `POST`",
    fix: "let the client send the method itself; where it cannot, write `overrides: check`, so that the named method must be \
          allowed too",
};

/// Fields that name another method.
const FIELDS: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// Parameters that do.
const PARAMETERS: [&str; 5] =
    ["_method", "_http_method", "x-http-method-override", "x-http-method", "x-method-override"];

/// What stands in all of them.
const METHOD: &[u8] = b"method";

/// What media types of gRPC begin with.
const GRPC: &[u8] = b"application/grpc";

/// LIMIT: bytes of a body in which a method is looked for: an API's default limit for bodies.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 20;

/// LIMIT: bytes of a method; longer words are no methods.
const METHOD_BYTES_MAX: usize = 32;

/// What a policy over methods makes of them.
pub(crate) struct Overrides<'a> {
    pub(crate) what: MethodOverrides,
    pub(crate) allow: &'a [Box<[u8]>],
    /// The request's own
    pub(crate) method: &'a [u8],
}

/// What was noticed, and how the request is refused for it.
type Notice = (Finding, Refusal);

impl Overrides<'_> {
    /// Looks at the head; tells of the first method that may not be named, which is enough to refuse the request.
    pub(crate) fn head(&self, head: &RequestHead<'_>, fields: &Fields<'_>) -> Option<Notice> {
        if self.what == MethodOverrides::Ignore {
            return None;
        }
        // Those that name a method are parameters to us.
        let headers = if fields.parameters { head.headers } else { &[] };
        let in_field = headers.iter().find_map(|field| {
            let name = FIELDS.iter().find(|name| is_same_field(name.as_bytes(), field.name))?;
            self.judge(Part::Header, name, field.value)
        });
        in_field.or_else(|| {
            head.query().into_iter().flat_map(parameters::query_pairs).find_map(|(name, value)| {
                self.judge(Part::Query, parameter(&parameters::decode(name))?, &parameters::decode(value))
            })
        })
    }

    /// Looks at a body: members of a form, and of an object at the top of JSON.
    pub(crate) fn body(&self, body: &Body<'_>) -> Option<Notice> {
        if body.form.is_ambiguous && !body.bytes.is_empty() {
            let evidence = "two fields say what kind of body it is";
            return Some((INFO.finding(Location::part(Part::Body), evidence), Refusal::BadRequest));
        }
        let limits = Limits::default();
        let inflated = body.unpack(&limits).and_then(|inflated| inflated.bytes);
        let bytes = inflated.as_deref().unwrap_or(body.bytes);
        if !may_name_a_method(bytes) {
            return None;
        }
        let declared = body.format(bytes);
        // Servers that read forms whatever they are called.
        let is_form_too = declared == Format::Raw;
        let readings = [Some(declared), second_reading(declared, bytes), is_form_too.then_some(Format::Form)];
        let noticed = readings.into_iter().flatten().find_map(|format| self.reading(format, bytes, &limits));
        noticed.or_else(|| if body.is_plain_text() { self.lines(bytes) } else { None })
    }

    /// Looks at a form as web pages write it in plain text: a member a line, nothing encoded (HTML §4.10.21.8).
    fn lines(&self, bytes: &[u8]) -> Option<Notice> {
        bytes.split(|byte| matches!(byte, b'\r' | b'\n')).find_map(|line| {
            let (name, value) = line.split_at_checked(memchr::memchr(b'=', line)?)?;
            self.judge(Part::Body, parameter(name)?, value.get(1..)?)
        })
    }

    /// Looks at a body's members as one format has them.
    fn reading(&self, format: Format<'_>, bytes: &[u8], limits: &Limits) -> Option<Notice> {
        let content = decode(format, bytes, limits);
        match format {
            Format::Form | Format::Multipart(_) => {
                content.roots().find_map(|field| self.judge(Part::Body, parameter(field.key())?, field.value()))
            }
            Format::Json => {
                let mut walk = content.walk();
                let mut found = None;
                while let (None, Some((path, leaf))) = (&found, walk.next()) {
                    let name = path.strip_prefix(b"json.").and_then(parameter);
                    found = name.and_then(|name| self.judge(Part::Body, name, leaf.value()));
                }
                found
            }
            Format::Raw | Format::Cookies | Format::Xml | Format::Graphql | Format::Protobuf | Format::Grpc => None,
        }
    }

    /// Frameworks turn the word into upper case before they compare it.
    fn judge(&self, part: Part, name: &str, named: &[u8]) -> Option<Notice> {
        let named = named.trim_ascii();
        let is_word = !named.is_empty() && named.len() <= METHOD_BYTES_MAX && named.iter().all(u8::is_ascii_graphic);
        if !is_word || named.eq_ignore_ascii_case(self.method) {
            return None;
        }
        let location = Location::named(part, name);
        match self.what {
            MethodOverrides::Ignore => None,
            MethodOverrides::Refuse => {
                Some((INFO.finding(location, "another method than the request's own"), Refusal::BadRequest))
            }
            MethodOverrides::Check if self.allow.iter().any(|allowed| allowed.eq_ignore_ascii_case(named)) => None,
            MethodOverrides::Check => {
                let evidence = "the method named beside the request's own is not on the list";
                Some((methods::INFO.finding(location, evidence), Refusal::MethodNotAllowed))
            }
        }
    }
}

/// PERF: whether it is worth decoding a body: a parameter's name stands in it, or is encoded (`%`, `\u`).
fn may_name_a_method(bytes: &[u8]) -> bool {
    let is_word = |at| bytes.get(at..at + METHOD.len()).is_some_and(|word: &[u8]| word.eq_ignore_ascii_case(METHOD));
    let is_written = || memchr::memchr2_iter(b'm', b'M', bytes).any(is_word);
    memchr::memchr(b'%', bytes).is_some() || memchr::memmem::find(bytes, b"\\u").is_some() || is_written()
}

/// The parameter of this name, as it is told.
fn parameter(name: &[u8]) -> Option<&'static str> {
    PARAMETERS.into_iter().find(|known| is_same_field(known.as_bytes(), name))
}

/// Whether a body of this type may name a method: any may be JSON to an upstream that does not look at the type. Calls of
/// gRPC stay out, which are streams that wait for answers.
pub(crate) fn is_looked_at(content_type: Option<&[u8]>) -> bool {
    let is_grpc = |value: &[u8]| value.trim_ascii().get(..GRPC.len()).is_some_and(|one| one.eq_ignore_ascii_case(GRPC));
    !content_type.is_some_and(is_grpc)
}

#[cfg(test)]
mod tests {
    use super::FIELDS;
    use crate::fields::Role;

    #[test]
    fn fields_that_name_a_method_are_parameters() {
        for name in FIELDS.into_iter().flat_map(|name| [name.to_owned(), name.replace('-', "_")]) {
            assert_eq!(Role::of(name.as_bytes()), Role::Other, "{name}");
        }
    }
}
