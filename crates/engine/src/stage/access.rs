//! Who may call, and how: the policies over methods and client addresses.

pub(crate) mod addresses;
pub(crate) mod methods;

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
            Rule::Limits(_) | Rule::Threats(_) | Rule::Content(_) | Rule::Rate(_) => {}
        }
    }
}
