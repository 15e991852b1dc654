//! Who may call, and how: the policies over methods and client addresses, and (stages of their own) over callers and what
//! they may do.

pub(crate) mod addresses;
pub(crate) mod api_key;
pub(crate) mod authenticate;
pub(crate) mod authorize;
mod basic;
pub(crate) mod checks;
mod claims;
mod dpop;
mod introspection;
pub(crate) mod jose;
pub(crate) mod jwks;
mod jwt;
pub(crate) mod methods;
mod mtls;
pub(crate) mod signature;
mod token;
pub(crate) mod verified;

use crate::policy::Rule;
use crate::stage::{HeadContext, applying};

pub(crate) fn run(ctx: &mut HeadContext<'_>) {
    for (index, policy) in applying(ctx.snapshot, ctx.facts) {
        match &policy.rule {
            Rule::Methods { allow, .. } => methods::check(ctx.head.method, allow, index, ctx.notices),
            Rule::Addresses { allow, deny } => {
                let addresses = [ctx.facts.client.ip, ctx.facts.rival];
                addresses::check(ctx.source, addresses, allow, deny, index, ctx.notices);
            }
            Rule::Limits(_)
            | Rule::Threats(_)
            | Rule::Content(_)
            | Rule::Rate(_)
            | Rule::Authenticate(_)
            | Rule::Authorize(_) => {}
        }
    }
}
