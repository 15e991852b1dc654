//! Cross-site request forgery: a page of somebody else makes a browser send a request with its user's credentials.
//!
//! ACC-120: the request comes from another site. ACC-121: a request with cookies does not say where it comes from.
//! ACC-122: the token that is to be sent twice is missing or wrong. A browser says where a request comes from in
//! `Sec-Fetch-Site`, and pages can change neither it nor `Origin`; where both are missing `Referer` is looked at. A
//! credential in a field that no browser sends by itself proves that no other page made the request: a page of another
//! origin cannot set such a field without a preflight.
//! Sources: Fetch Metadata (W3C) §2.4; Fetch standard; OWASP CSRF prevention; CWE-352, CWE-1385.

use bartizan_config::Csrf;
use bartizan_model::{AuthKind, CheckInfo, Finding, Location, Part, Severity};

use super::origin::{OriginSet, Said, Site, is_same, of_url};
use crate::parameters::cookie_pairs;
use crate::stage::HeadContext;

pub(crate) static CROSS_SITE: CheckInfo = CheckInfo {
    id: "ACC-120",
    title: "request forged from another site",
    severity: Severity::High,
    owasp: "API8:2023",
    cwe: &[352, 1385],
    since: "0.1",
    why: "a page of somebody else makes a user's browser change something here, with that user's credentials",
    fix: "when the page is welcome, add its origin to the policy; otherwise look at which page it is",
};

pub(crate) static UNKNOWN: CheckInfo = CheckInfo {
    id: "ACC-121",
    title: "request with cookies from nowhere",
    severity: Severity::Medium,
    owasp: "API8:2023",
    cwe: &[352, 346],
    since: "0.1",
    why: "a browser says where a request comes from; this one carries cookies like a browser and says nothing",
    fix: "let scripts send a token or a key instead of cookies; where they cannot, write `allow_unknown: true`",
};

pub(crate) static TOKEN: CheckInfo = CheckInfo {
    id: "ACC-122",
    title: "anti-forgery token missing or wrong",
    severity: Severity::High,
    owasp: "API8:2023",
    cwe: &[352],
    since: "0.1",
    why: "only pages of the API itself can read the cookie whose value must be sent in the field",
    fix: "let the page copy the cookie into the field; when it does, look at who sends the request",
};

/// LIMIT: bytes that a token has at least; shorter ones can be guessed.
const TOKEN_BYTES_MIN: usize = 16;

/// A `csrf` policy, compiled.
#[derive(Debug)]
pub(crate) struct CsrfRules {
    origins: OriginSet,
    same_site: bool,
    safe_methods: Box<[Box<[u8]>]>,
    allow_unknown: bool,
    token: Option<(Box<[u8]>, Box<str>)>,
}

/// Where a request comes from.
enum Source {
    /// From a page that may, or from no page
    Welcome,
    /// It does not say
    Unknown,
    /// From a page that may not; the field that says so, and in words
    Foreign(&'static str, &'static str),
}

impl CsrfRules {
    pub(crate) fn new(csrf: &Csrf) -> Self {
        let token = csrf.token.as_ref();
        Self {
            origins: OriginSet::new(&csrf.origins),
            same_site: csrf.same_site,
            safe_methods: csrf.safe_methods.iter().map(|method| method.as_bytes().into()).collect(),
            allow_unknown: csrf.allow_unknown,
            token: token.map(|token| (token.cookie.as_bytes().into(), token.header.as_str().into())),
        }
    }

    /// What speaks against a request, if anything.
    pub(crate) fn check(&self, ctx: &HeadContext<'_>) -> Option<Finding> {
        let is_safe = self.safe_methods.iter().any(|method| **method == *ctx.head.method);
        if (is_safe && !is_handshake(ctx)) || has_own_credential(ctx) {
            return None;
        }
        let header = |name: &str| Location::named(Part::Header, name);
        match self.source(ctx) {
            Source::Foreign(field, evidence) => return Some(CROSS_SITE.finding(header(field), evidence)),
            Source::Unknown if ctx.fields.cookies && !self.allow_unknown => {
                let evidence = "neither `Sec-Fetch-Site` nor `Origin` nor `Referer`";
                return Some(UNKNOWN.finding(Location::part(Part::Header), evidence));
            }
            Source::Unknown | Source::Welcome => {}
        }
        let (cookie, field) = self.token.as_ref()?;
        token_fault(ctx, cookie, field).map(|evidence| TOKEN.finding(header(field), evidence))
    }

    fn source(&self, ctx: &HeadContext<'_>) -> Source {
        const SITE: &str = "sec-fetch-site";
        let said = Said::of(ctx.head.headers);
        let is_listed = matches!(said, Said::Origin(origin) if self.origins.contains(origin));
        match Site::of(ctx.head.headers) {
            Site::Unsaid => self.by_origin(ctx, said),
            Site::Own => Source::Welcome,
            Site::Same if self.same_site => Source::Welcome,
            Site::Same | Site::Cross if is_listed => Source::Welcome,
            Site::Same => Source::Foreign(SITE, "the browser says `same-site`"),
            Site::Cross => Source::Foreign(SITE, "the browser says `cross-site`"),
            Site::Malformed => Source::Foreign(SITE, "a value that no browser sends"),
        }
    }

    fn by_origin(&self, ctx: &HeadContext<'_>, said: Said<'_>) -> Source {
        let is_welcome =
            |origin: &[u8]| is_same(origin, ctx.facts.host.as_ref(), ctx.head.scheme) || self.origins.contains(origin);
        match said {
            Said::Origin(origin) if is_welcome(origin) => Source::Welcome,
            Said::Origin(_) => Source::Foreign("origin", "the origin is another"),
            Said::Null => Source::Foreign("origin", "a page without an origin (`null`)"),
            Said::Malformed => Source::Foreign("origin", "several origins, or none that can be read"),
            Said::Nothing => match ctx.head.header("referer").filter(|referer| !referer.is_empty()) {
                None => Source::Unknown,
                Some(referer) if of_url(referer).is_some_and(is_welcome) => Source::Welcome,
                Some(_) => Source::Foreign("referer", "the page is of another origin"),
            },
        }
    }
}

/// A WebSocket handshake is a `GET` that opens a channel with the user's cookies.
fn is_handshake(ctx: &HeadContext<'_>) -> bool {
    let names_websocket = |value: &[u8]| {
        value.split(|byte| *byte == b',').any(|word| word.trim_ascii().eq_ignore_ascii_case(b"websocket"))
    };
    let mut upgrades = ctx.head.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(b"upgrade"));
    upgrades.any(|field| names_websocket(field.value))
}

/// Whether the request carries a credential that a browser never adds by itself. A key in the query is none: whoever
/// writes a link writes its query.
fn has_own_credential(ctx: &HeadContext<'_>) -> bool {
    /// Schemes that browsers answer challenges with, beside Basic and Digest (RFC 4559).
    const AMBIENT: [&[u8]; 3] = [b"negotiate", b"ntlm", b"kerberos"];
    let scheme = |value: &[u8]| {
        let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
        value.get(..end).unwrap_or_default().to_ascii_lowercase()
    };
    if ctx.credentials.key_header.is_some() {
        return true;
    }
    match ctx.credentials.authorization {
        Some((AuthKind::Bearer | AuthKind::Jwt, _)) => true,
        Some((AuthKind::OtherAuthorization, value)) => !AMBIENT.contains(&&*scheme(value)),
        _ => false,
    }
}

/// What is wrong with the token, if anything: every cookie of its name must have the value of the one field.
fn token_fault(ctx: &HeadContext<'_>, cookie: &[u8], field: &str) -> Option<&'static str> {
    let mut sent = ctx.head.headers.iter().filter(|other| other.name.eq_ignore_ascii_case(field.as_bytes()));
    let (Some(sent), None) = (sent.next(), sent.next()) else {
        return Some("the field is missing, or stands there twice");
    };
    let cookies = ctx.head.headers.iter().filter(|other| other.name.eq_ignore_ascii_case(b"cookie"));
    let pairs = cookies.flat_map(|cookies| cookie_pairs(cookies.value));
    let mut values = pairs.filter(|(name, _)| *name == cookie).map(|(_, value)| value).peekable();
    if values.peek().is_none() {
        return Some("the cookie is missing");
    }
    if sent.value.len() < TOKEN_BYTES_MIN {
        return Some("shorter than a token is");
    }
    // Both come from the client: how long the comparison takes tells nobody anything.
    (!values.all(|value| value == sent.value)).then_some("cookie and field differ")
}
