//! Calls from web pages of other origins: ACC-110 the page may not call, ACC-111 it asks for more than it may,
//! ACC-112 it reaches into a private network.
//!
//! A preflight is answered here: it carries no credential (Fetch standard, "CORS-preflight fetch"), so it would fail
//! where callers must be known, and it must not be left to an upstream that says yes to everybody. It passes every other
//! stage. Under an enforced policy the gateway alone tells browsers what pages may do: what the upstream says of it goes.
//! Requests of no page, and of pages of the API itself, are not looked at. The check also stands before WebSocket
//! handshakes, which browsers send with an `Origin` and without a preflight (CWE-1385).
//! Sources: Fetch standard §3.3 (CORS protocol) and §4.8 (preflight); WICG Private Network Access.

use std::sync::Arc;

use bartizan_config::{Cors, HeaderNames};
use bartizan_model::{CheckInfo, Location, Mode, Part, RequestHead, Severity};

use super::origin::{OriginSet, Said, Site, is_same};
use crate::decide::{Ground, Notices, Refusal};
use crate::policy::{PolicyIndex, Rule};
use crate::response_edits::{ResponseEdit, ResponseEdits};
use crate::stage::{HeadContext, applying};

pub(crate) static ORIGIN: CheckInfo = CheckInfo {
    id: "ACC-110",
    title: "web origin not allowed",
    severity: Severity::Medium,
    owasp: "API8:2023",
    cwe: &[346, 942, 1385],
    since: "0.1",
    why: "a web page that nobody vouched for calls the API from a user's browser",
    fix: "when the page is welcome, add its origin to the policy; otherwise nothing: its users' browsers are protected",
};

pub(crate) static PREFLIGHT: CheckInfo = CheckInfo {
    id: "ACC-111",
    title: "web page asks for more than it may",
    severity: Severity::Low,
    owasp: "API8:2023",
    cwe: &[942],
    since: "0.1",
    why: "a page of an allowed origin uses a method or a header field that no page was meant to use",
    fix: "when it is meant, add the method or the field to the policy; otherwise look at what the page does",
};

pub(crate) static PRIVATE_NETWORK: CheckInfo = CheckInfo {
    id: "ACC-112",
    title: "web page reaches into a private network",
    severity: Severity::Medium,
    owasp: "API8:2023",
    cwe: &[346, 918],
    since: "0.1",
    why: "a page from the Internet uses its visitor's browser to call what only the inside can reach",
    fix: "when the page is meant to, write `private_network: true`; otherwise look at who made the page",
};

/// LIMIT: names in `Access-Control-Request-Headers` that are looked at; pages ask for a handful.
const REQUESTED_MAX: usize = 64;

/// Fields that say what pages may do: an enforced policy writes them anew.
const OWNED: [&str; 7] = [
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-allow-private-network",
    "access-control-expose-headers",
    "access-control-max-age",
];

/// Request fields that every page may send (Fetch, "CORS-safelisted request-header"); `content-type` only with values
/// that browsers do not ask for, so it is not among them.
const SAFELISTED: [&str; 4] = ["accept", "accept-language", "content-language", "range"];

/// A `cors` policy, compiled.
#[derive(Debug)]
pub(crate) struct CorsRules {
    any_origin: bool,
    origins: OriginSet,
    opaque_origin: bool,
    methods: Box<[Box<[u8]>]>,
    headers: Option<Box<[Box<[u8]>]>>,
    private_network: bool,
    told: Edits,
}

/// What browsers are told, but for the origin, which is the page's own.
#[derive(Debug)]
struct Edits {
    /// What the upstream says goes
    owned: Arc<[ResponseEdit]>,
    /// To a page that may call, on a preflight and on another call
    preflight: Arc<[ResponseEdit]>,
    call: Arc<[ResponseEdit]>,
    /// What the answer depends on, on a preflight and on another call
    vary_preflight: Arc<[ResponseEdit]>,
    vary_call: Arc<[ResponseEdit]>,
    allow_origin: Arc<str>,
    any: Arc<str>,
    private_network: ResponseEdit,
}

/// What an enforced policy tells the browser.
#[derive(Debug)]
pub(crate) struct Told {
    policy: PolicyIndex,
    /// The origin that may read the answer
    origin: Option<Arc<str>>,
    /// The request is a preflight that is answered here
    pub(crate) is_preflight: bool,
    asks_for_private_network: bool,
}

impl CorsRules {
    pub(crate) fn new(cors: &Cors) -> Self {
        let bytes = |texts: &[String]| texts.iter().map(|text| text.as_bytes().into()).collect();
        Self {
            any_origin: cors.any_origin,
            origins: OriginSet::new(&cors.origins),
            opaque_origin: cors.opaque_origin,
            methods: bytes(&cors.methods),
            headers: match &cors.headers {
                HeaderNames::Any => None,
                HeaderNames::Listed(names) => Some(bytes(names)),
            },
            private_network: cors.private_network,
            told: Edits::new(cors),
        }
    }

    fn allows(&self, said: Said<'_>) -> bool {
        match said {
            Said::Nothing => true,
            Said::Null => self.opaque_origin,
            Said::Origin(origin) => self.any_origin || self.origins.contains(origin),
            Said::Malformed => false,
        }
    }

    /// What is wrong with the call of a page, if anything.
    fn fault(&self, said: Said<'_>, call: &Call<'_>) -> Option<(&'static CheckInfo, &'static str, &'static str)> {
        if !self.allows(said) {
            let evidence = match said {
                Said::Null => "a page without an origin (`null`)",
                Said::Malformed => "several origins, or none that can be read",
                Said::Nothing | Said::Origin(_) => "the page's origin is not on the list",
            };
            return Some((&ORIGIN, "origin", evidence));
        }
        if !self
            .methods
            .iter()
            .any(|method| **method == *call.method || (&**method == b"GET" && call.method == b"HEAD"))
        {
            let field = if call.is_preflight { "access-control-request-method" } else { "origin" };
            return Some((&PREFLIGHT, field, "the method is not on the list"));
        }
        if !call.requested().all(|name| self.allows_header(name)) {
            return Some((&PREFLIGHT, "access-control-request-headers", "a header field is not on the list"));
        }
        if call.asks_for_private_network && !self.private_network {
            let field = "access-control-request-private-network";
            return Some((&PRIVATE_NETWORK, field, "the page comes from a wider network"));
        }
        None
    }

    /// `*` is every field but `Authorization` (Fetch, "CORS non-wildcard request-header name").
    fn allows_header(&self, name: &[u8]) -> bool {
        let is = |known: &[u8]| known.eq_ignore_ascii_case(name);
        SAFELISTED.iter().any(|known| is(known.as_bytes()))
            || match &self.headers {
                None => !is(b"authorization"),
                Some(names) => names.iter().any(|known| is(known)),
            }
    }

    fn tell(&self, told: &Told, edits: &mut ResponseEdits) {
        let compiled = &self.told;
        edits.extend(&compiled.owned);
        if let Some(origin) = &told.origin {
            let value = if self.any_origin { &compiled.any } else { origin };
            edits.push(ResponseEdit::Replace(Arc::clone(&compiled.allow_origin), Arc::clone(value)));
            edits.extend(if told.is_preflight { &compiled.preflight } else { &compiled.call });
            if told.is_preflight && told.asks_for_private_network {
                edits.push(compiled.private_network.clone());
            }
        }
        edits.extend(if told.is_preflight { &compiled.vary_preflight } else { &compiled.vary_call });
    }
}

impl Edits {
    fn new(cors: &Cors) -> Self {
        let words = |names: &HeaderNames| match names {
            HeaderNames::Any => "*".to_owned(),
            HeaderNames::Listed(names) => names.join(", "),
        };
        let set = |name: &str, value: &str| ResponseEdit::Replace(name.into(), value.into());
        let written = |name, value: String| (!value.is_empty()).then(|| set(name, &value));
        let credentials = || cors.credentials.then(|| set("access-control-allow-credentials", "true"));
        let methods = Some(set("access-control-allow-methods", &cors.methods.join(", ")));
        let headers = written("access-control-allow-headers", words(&cors.headers));
        let max_age = Some(set("access-control-max-age", &cors.max_age_secs.to_string()));
        let exposed = written("access-control-expose-headers", words(&cors.exposed_headers));
        let vary = || (!cors.any_origin).then_some(ResponseEdit::Vary("origin"));
        let asked = ["access-control-request-method", "access-control-request-headers"].map(ResponseEdit::Vary);
        Self {
            owned: OWNED.into_iter().map(|name| ResponseEdit::Remove(name.into())).collect(),
            preflight: [credentials(), methods, headers, max_age].into_iter().flatten().collect(),
            call: [credentials(), exposed].into_iter().flatten().collect(),
            vary_preflight: vary().into_iter().chain(asked).collect(),
            vary_call: vary().into_iter().collect(),
            allow_origin: "access-control-allow-origin".into(),
            any: "*".into(),
            private_network: set("access-control-allow-private-network", "true"),
        }
    }
}

/// What a page wants to do.
struct Call<'a> {
    method: &'a [u8],
    head: &'a RequestHead<'a>,
    is_preflight: bool,
    asks_for_private_network: bool,
}

impl<'a> Call<'a> {
    fn of(head: &'a RequestHead<'a>) -> Self {
        let is_options = head.method == b"OPTIONS";
        let asked = is_options.then(|| head.header("access-control-request-method")).flatten();
        Self {
            method: asked.unwrap_or(head.method),
            head,
            is_preflight: asked.is_some(),
            asks_for_private_network: asked.is_some()
                && head.header("access-control-request-private-network") == Some(b"true"),
        }
    }

    /// Names in every `Access-Control-Request-Headers` of a preflight. More than are looked at end with a name that no
    /// list has.
    fn requested(&self) -> impl Iterator<Item = &'a [u8]> {
        let is_preflight = self.is_preflight;
        let is_wanted = move |name: &[u8]| is_preflight && name.eq_ignore_ascii_case(b"access-control-request-headers");
        let fields = self.head.headers.iter().filter(move |field| is_wanted(field.name));
        let names = fields.flat_map(|field| field.value.split(|byte| *byte == b','));
        let names = names.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty());
        names.enumerate().take(REQUESTED_MAX + 1).map(|(at, name)| if at < REQUESTED_MAX { name } else { &b","[..] })
    }
}

/// Asks every `cors` policy; what the first enforced one tells the browser.
pub(crate) fn run(ctx: &mut HeadContext<'_>) -> Option<Told> {
    let said = Said::of(ctx.head.headers);
    let call = Call::of(ctx.head);
    let host = ctx.facts.host.as_ref();
    let is_foreign = match said {
        Said::Nothing => false,
        Said::Origin(origin) => !is_same(origin, host, ctx.head.scheme),
        // A page that tells nobody where it is (`Referrer-Policy: no-referrer`) sends `null` with its own forms too.
        Said::Null => Site::of(ctx.head.headers) != Site::Own,
        Said::Malformed => true,
    };
    let mut told = None;
    for (index, policy) in applying(ctx.snapshot, ctx.facts) {
        let Rule::Cors(rules) = &policy.rule else { continue };
        let fault = is_foreign.then(|| rules.fault(said, &call)).flatten();
        if let Some((info, field, evidence)) = fault {
            push(info, field, evidence, index, ctx.notices);
        }
        if policy.mode == Mode::Enforce && told.is_none() {
            let origin = match said {
                Said::Origin(origin) if is_foreign => std::str::from_utf8(origin).ok().map(Arc::from),
                Said::Null if is_foreign => Some("null".into()),
                Said::Nothing | Said::Null | Said::Origin(_) | Said::Malformed => None,
            };
            told = Some(Told {
                policy: index,
                origin: origin.filter(|_| fault.is_none()),
                is_preflight: is_foreign && call.is_preflight,
                asks_for_private_network: call.asks_for_private_network,
            });
        }
    }
    told
}

fn push(info: &CheckInfo, field: &str, evidence: &str, policy: PolicyIndex, out: &mut Notices) {
    let finding = info.finding(Location::named(Part::Header, field), evidence);
    out.push(finding, Ground::Policy(policy, Refusal::Forbidden));
}

/// What browsers are told, on whatever answer.
pub(crate) fn edit(told: &Told, policies: &crate::policy::Policies, edits: &mut ResponseEdits) {
    let Some(Rule::Cors(rules)) = policies.policy(told.policy).map(|policy| &policy.rule) else { return };
    rules.tell(told, edits);
}
