//! How much a request may be (target, header section, header fields, body), and how many of them there may be.

pub(crate) mod body;
pub(crate) mod header;
pub(crate) mod rate;
pub(crate) mod target;

use crate::policy::Rule;
use crate::stage::access::watch;
use crate::stage::{HeadContext, applying};

pub(crate) fn run(ctx: &mut HeadContext<'_>) {
    for (index, policy) in applying(ctx.snapshot, ctx.facts) {
        let Rule::Limits(limits) = &policy.rule else { continue };
        target::check(ctx.head.target, limits, index, ctx.notices);
        header::check(ctx.fields.bytes, ctx.head.headers.len(), limits, index, ctx.notices);
    }
    body::open(ctx);
    watch::open(ctx);
    rate::run(ctx);
}
