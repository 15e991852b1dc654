//! The access policies that wait for a request's body: methods named in it, and URLs.
//!
//! They stand among the access policies; what they need of the body is said once it is known whether one follows, which is
//! after its limits are set (`limit/body.rs`).

use bartizan_config::MethodOverrides;
use bartizan_model::{Location, Mode, Part, Source};
use smallvec::SmallVec;

use super::media::{self, BodyForm};
use super::overrides::{self, Overrides};
use super::ssrf::UNSEEN;
use crate::decide::{Ground, Notices, Refusal};
use crate::held::HeldBody;
use crate::policy::{Policies, PolicyIndex, Rule};
use crate::stage::threat::INCOMPLETE;
use crate::stage::{HeadContext, applying};

/// The policies that wait.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    waiting: SmallVec<[PolicyIndex; 2]>,
    method: Box<[u8]>,
    form: BodyForm,
    /// A body passes that no policy looks at
    pub(crate) is_blind: bool,
}

/// Says what is needed of the body.
pub(crate) fn open(ctx: &mut HeadContext<'_>) {
    *ctx.watches = Watches::default(); // the stage runs again when a limit had to ask
    if !ctx.body.is_expected || !ctx.snapshot.policies().has_watches() {
        return;
    }
    let is_streaming = ctx.facts.is_streaming();
    for (index, policy) in applying(ctx.snapshot, ctx.facts) {
        let bytes = if let Rule::Ssrf(rules) = &policy.rule {
            // A recording that no API is known for does not say that its body was streamed.
            if is_streaming && (ctx.source == Source::Gateway || ctx.facts.route.is_some()) {
                let finding = UNSEEN.finding(Location::part(Part::Body), "the body streams by unread");
                ctx.notices.push(finding, Ground::Policy(index, Refusal::Forbidden));
            }
            rules.body_bytes_max
        } else if let Rule::Methods { overrides, .. } = &policy.rule
            && *overrides != MethodOverrides::Ignore
            // Frameworks look for a method in the body of a `POST` alone.
            && ctx.head.method.eq_ignore_ascii_case(b"POST")
            && (overrides::is_looked_at(ctx.fields.content_type) || media::is_ambiguous(ctx.head.headers))
        {
            if is_streaming {
                let words = "no method was looked for in the body, which streams by";
                ctx.notices.push(INCOMPLETE.finding(Location::part(Part::Body), words), Ground::Noted);
            }
            overrides::BODY_BYTES_MAX
        } else {
            continue;
        };
        if is_streaming {
            ctx.watches.is_blind = true;
            continue;
        }
        if ctx.watches.waiting.is_empty() {
            ctx.watches.method = ctx.head.method.into();
            ctx.watches.form = BodyForm::of(ctx);
        }
        ctx.held.want(bytes);
        ctx.body.is_held |= policy.mode == Mode::Enforce;
        ctx.watches.waiting.push(index);
    }
}

impl Watches {
    /// The request is complete.
    pub(crate) fn request_end(&mut self, policies: &Policies, held: &HeldBody, out: &mut Notices) {
        for index in std::mem::take(&mut self.waiting) {
            let Some(policy) = policies.policy(index) else { continue };
            let noticed = if let Rule::Methods { allow, overrides, .. } = &policy.rule {
                let body = self.form.body(held, overrides::BODY_BYTES_MAX);
                if body.is_cut {
                    let words = "methods were looked for in the body's first bytes";
                    out.push(INCOMPLETE.finding(Location::part(Part::Body), words), Ground::Noted);
                }
                Overrides { what: *overrides, allow, method: &self.method }.body(&body)
            } else if let Rule::Ssrf(rules) = &policy.rule {
                let body = self.form.body(held, rules.body_bytes_max);
                if body.bytes.is_empty() { None } else { rules.body(&body) }
            } else {
                None
            };
            if let Some((finding, refusal)) = noticed {
                out.push(finding, Ground::Policy(index, refusal));
            }
        }
    }
}
