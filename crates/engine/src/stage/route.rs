//! Where the request goes: host and path to an API, method and template to an endpoint, and which policies apply.
//!
//! The route follows the raw path, as the upstream will get it. Policies of an API apply also when only another
//! reading of the path (see `path.rs`) leads to it.

use bartizan_model::{CheckInfo, HttpVersion, Location, Part, Severity};
use smallvec::SmallVec;

use crate::decide::{Ground, Refusal};
use crate::host::Host;
use crate::policy::Subject;
use crate::routes::ApiIndex;
use crate::stage::HeadContext;

/// No API has this host and path.
pub(crate) static NO_ROUTE: CheckInfo = CheckInfo {
    id: "ENG-102",
    title: "no route",
    severity: Severity::Info,
    owasp: "API9:2023",
    cwe: &[],
    since: "0.1",
    why: "somebody asks for hosts or paths that are not served here: a scanner, a stale client or a missing API",
    fix: "when the path should be served, add an API for it; otherwise look at who asks",
};

/// The host cannot be told.
pub(crate) static HOST: CheckInfo = CheckInfo {
    id: "ENG-103",
    title: "host missing or ambiguous",
    severity: Severity::Medium,
    owasp: "API8:2023",
    cwe: &[444, 20],
    since: "0.1",
    why: "a request whose host two servers could read differently can reach another API than the one it was judged for \
          (RFC 9112 section 3.2)",
    fix: "mend the client: one Host field, a plain name or address, the same as in an absolute request target",
};

pub(crate) fn run(ctx: &mut HeadContext<'_>) {
    ctx.facts.host = Host::parse(ctx.head.authority, ctx.head.scheme);
    if let Some(fault) = host_fault(ctx) {
        let location = Location::named(Part::Header, "host");
        ctx.notices.push(HOST.finding(location, fault), Ground::Always(Refusal::BadRequest));
    }
    let (name, host) = match &ctx.facts.host {
        Some(host) => (host.name(), host.as_str()),
        None => ("", ""),
    };
    let path = ctx.head.path();
    let routes = ctx.snapshot.routes();
    let found = routes.find(name, path);
    ctx.facts.route = found.and_then(|api| routes.route(api, ctx.readings)).cloned();
    ctx.facts.endpoint = ctx.snapshot.endpoints().find(ctx.head.method, host, path).cloned();

    let mut apis: SmallVec<[ApiIndex; 3]> = found.into_iter().collect();
    if ctx.readings.is_ambiguous() {
        let readings = [ctx.readings.normal(), ctx.readings.lax()].into_iter().chain(ctx.readings.others());
        for api in readings.filter_map(|path| routes.find(name, path)) {
            if !apis.contains(&api) {
                apis.push(api);
            }
        }
    }
    let subject = Subject { method: ctx.head.method, readings: ctx.readings, now: ctx.now, apis: &apis };
    ctx.facts.policies.extend(ctx.snapshot.policies().applying(&subject));
    if ctx.facts.route.is_none() {
        ctx.notices.push(NO_ROUTE.finding(Location::part(Part::Path), "no API has this host and path"), Ground::Noted);
    }
}

/// Why the host cannot be told, if so.
fn host_fault(ctx: &HeadContext<'_>) -> Option<&'static str> {
    if ctx.fields.hosts > 1 {
        return Some("several Host fields");
    }
    match (&ctx.facts.host, ctx.fields.host) {
        (None, _) if ctx.head.authority.is_empty() => {
            (ctx.head.version != HttpVersion::Http10 && !ctx.lacks_headers).then_some("no host")
        }
        (None, _) => Some("not a host name or address"),
        (Some(host), Some(field)) if !host.is_same(field, ctx.head.scheme) => {
            Some("the Host field differs from the request target's host")
        }
        (Some(_), _) => None,
    }
}
