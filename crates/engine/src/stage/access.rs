//! Who may call, and how: the policies over methods, client addresses and web pages, and (stages of their own) over callers
//! and what they may do.

pub(crate) mod addresses;
pub(crate) mod api_key;
pub(crate) mod authenticate;
pub(crate) mod authorize;
mod basic;
pub(crate) mod checks;
mod claims;
pub(crate) mod continuity;
pub(crate) mod cors;
pub(crate) mod csrf;
mod dpop;
mod external;
mod introspection;
pub(crate) mod jose;
pub(crate) mod jwks;
mod jwt;
pub(crate) mod media;
pub(crate) mod methods;
mod mtls;
pub(crate) mod networks;
mod nonce;
mod origin;
pub(crate) mod overrides;
pub(crate) mod response_headers;
pub(crate) mod signature;
pub(crate) mod ssrf;
mod token;
pub(crate) mod verified;
pub(crate) mod watch;

use crate::decide::{Ground, Refusal};
use crate::policy::Rule;
use crate::stage::{HeadContext, applying};
use overrides::Overrides;

pub(crate) fn run(ctx: &mut HeadContext<'_>) {
    // An access log has no header fields; that they are missing proves nothing.
    if ctx.snapshot.policies().has_cors() && !ctx.lacks_headers {
        ctx.facts.cors = cors::run(ctx);
    }
    for (index, policy) in applying(ctx.snapshot, ctx.facts) {
        match &policy.rule {
            // No upstream gets it: which methods those take is another matter.
            Rule::Methods { .. } if ctx.facts.is_preflight() => {}
            Rule::Methods { allow, overrides, .. } => {
                methods::check(ctx.head.method, allow, index, ctx.notices);
                let overrides = Overrides { what: *overrides, allow, method: ctx.head.method };
                if let Some((finding, refusal)) = overrides.head(ctx.head, ctx.fields) {
                    ctx.notices.push(finding, Ground::Policy(index, refusal));
                }
            }
            Rule::Addresses { allow, deny } => {
                let addresses = [ctx.facts.client.ip, ctx.facts.rival];
                addresses::check(ctx.source, addresses, allow, deny, index, ctx.notices);
            }
            Rule::Networks(rules) => {
                if let Some(finding) = rules.check(ctx) {
                    ctx.notices.push(finding, Ground::Policy(index, Refusal::Forbidden));
                }
            }
            Rule::Ssrf(rules) => {
                if let Some(finding) = rules.query(ctx.head.query()) {
                    ctx.notices.push(finding, Ground::Policy(index, Refusal::Forbidden));
                }
            }
            Rule::Csrf(rules) if !ctx.lacks_headers => {
                if let Some(finding) = rules.check(ctx) {
                    ctx.notices.push(finding, Ground::Policy(index, Refusal::Forbidden));
                }
            }
            Rule::Csrf(_)
            | Rule::Cors(_)
            | Rule::ResponseHeaders(_)
            | Rule::Cache(_)
            | Rule::Limits(_)
            | Rule::Threats(_)
            | Rule::Content(_)
            | Rule::Rate(_)
            | Rule::Authenticate(_)
            | Rule::Continuity(_)
            | Rule::Authorize(_) => {}
        }
    }
}
