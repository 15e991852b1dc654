//! Who is the client: the socket's peer, or, behind trusted proxies, whom they say they speak for.
//!
//! Forwarding headers from anybody else are ignored. A trusted proxy writes one of `X-Forwarded-For` and `Forwarded`
//! and may pass on the other as the client forged it. When both are there and disagree, `X-Forwarded-For` names the
//! client, because nearly every proxy writes it, but address policies must hold for both addresses.

use crate::forwarded::{List, nearest_untrusted};
use crate::stage::HeadContext;

pub(crate) fn run(ctx: &mut HeadContext<'_>) {
    let Some(peer) = ctx.peer else { return };
    let trusted = ctx.snapshot.trusted_proxies();
    if !(ctx.fields.x_forwarded_for || ctx.fields.forwarded) || !trusted.contains(peer) {
        return;
    }
    let walk = |list| nearest_untrusted(ctx.head.headers, list, trusted, peer);
    let customary = ctx.fields.x_forwarded_for.then(|| walk(List::XForwardedFor));
    let standard = ctx.fields.forwarded.then(|| walk(List::Forwarded));
    let client = customary.or(standard).unwrap_or(peer);
    ctx.facts.client.ip = Some(client);
    ctx.facts.client.via = (client != peer).then_some(peer);
    ctx.facts.rival = standard.filter(|standard| *standard != client);
}
