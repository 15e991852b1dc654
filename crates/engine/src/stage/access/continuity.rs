//! ACC-240: a known caller calls from two places that nobody can be in: a token, key or password is in other hands too.
//!
//! Who calls was verified before; here it is asked whether that can still be the same. Where a call comes from is told by
//! the client's address alone, as `identify` found it, and by the files of `address_data`; when forwarding headers
//! contradict each other, both addresses are. What is not known, or on a list to be ignored, moves nobody. A refused
//! token is told what would help (RFC 9470: a later authentication of the user); where the credential cannot show one,
//! the policy says whether the call is refused or only told. `whereabouts.rs` has the judgment.
//! Sources: NIST SP 800-207 §2.1 (tenet 6: authentication is continual), RFC 9470, RFC 9068 §2.2.1 (`auth_time`);
//! OWASP API2:2023; CWE-294, CWE-613.

use bartizan_config::{Continuity, ContinuityKey};
use bartizan_model::{CheckInfo, Confirmation, CredentialKind, Location, Mode, Part, Principal, Severity};

use super::token;
use super::verified::Who;
use crate::decide::{Ground, Refusal};
use crate::policy::{Policy, PolicyIndex, Rule};
use crate::stage::HeadContext;
use crate::whereabouts::{CallerKey, Journey, Proof, Seen, Sighting, Terms};

pub(crate) static INFO: CheckInfo = CheckInfo {
    id: "ACC-240",
    title: "impossible travel",
    severity: Severity::High,
    owasp: "API2:2023",
    cwe: &[294, 613],
    since: "0.1",
    why: "one caller calls from two places that nobody can be in within the time: somebody else has its token, key or \
          password too",
    fix: "ask the caller; when it was not the caller, revoke the credential. When it was (a VPN, a mobile carrier, a job \
          elsewhere), put those networks on a list for `ignore_labels`, or allow more countries",
};

/// How far an issuer's clock may be ahead. A verification beyond it proves nothing: it would prove everything until then.
const CLOCK_AHEAD_SECS: i64 = 60;

/// A `continuity` policy, compiled.
#[derive(Debug)]
pub(crate) struct ContinuityRules {
    terms: Terms,
    key: ContinuityKey,
    ignore_labels: Box<[Box<str>]>,
    issued_at: bool,
    denies_without_step_up: bool,
}

/// Runs every policy that applies.
pub(crate) fn run(ctx: &mut HeadContext<'_>) {
    let snapshot = ctx.snapshot;
    if !snapshot.policies().has_continuity() {
        return;
    }
    let Some(verified) = ctx.facts.caller.clone() else { return };
    let Ok(who) = &verified.who else { return };
    for index in ctx.facts.policies.clone() {
        let Some(policy) = snapshot.policies().policy(index) else { continue };
        if let Rule::Continuity(rules) = &policy.rule {
            rules.run(ctx, index, policy, who);
        }
    }
}

impl ContinuityRules {
    pub(crate) fn new(written: &Continuity) -> Self {
        Self {
            terms: Terms {
                window_secs: written.window_secs,
                countries_max: written.countries_max,
                operators_max: written.operators_max,
                speed_max: written.speed_max,
            },
            key: written.key,
            ignore_labels: written.ignore_labels.iter().map(|label| label.as_str().into()).collect(),
            issued_at: written.issued_at,
            denies_without_step_up: written.denies_without_step_up,
        }
    }

    fn run(&self, ctx: &mut HeadContext<'_>, index: PolicyIndex, policy: &Policy, who: &Who) {
        let now = seconds(ctx.now.as_secs());
        let verified_secs = self.verified_secs(who, ctx.now.as_secs());
        let proof = Proof { verified_secs, is_demanded: policy.mode == Mode::Enforce && verified_secs.is_some() };
        let caller = self.caller(ctx, policy, who);
        let (mut contested, mut returned) = (None, None);
        for sighting in self.sightings(ctx).into_iter().flatten() {
            match ctx.snapshot.access().whereabouts.see(caller, sighting, now, &self.terms, proof) {
                Some(Seen::Contested { journey, since_secs }) => contested = Some((sighting, journey, since_secs)),
                Some(Seen::Returned(journey)) => returned = Some((sighting, journey)),
                Some(Seen::Settled) | None => {}
            }
        }
        let location = Location::named(Part::Connection, "client");
        if let Some((sighting, journey, since_secs)) = contested {
            let ground = match (verified_secs.is_some(), self.denies_without_step_up) {
                (true, _) => {
                    let challenge =
                        step_up(&who.principal, &super::authorize::realm(ctx), now.saturating_sub(since_secs));
                    ctx.facts.challenges.push((index, vec![challenge]));
                    Ground::Policy(index, Refusal::Unauthorized)
                }
                (false, true) => Ground::Policy(index, Refusal::Forbidden),
                (false, false) => Ground::Noted,
            };
            ctx.notices.push(INFO.finding(location, evidence("", sighting, journey)), ground);
        } else if let Some((sighting, journey)) = returned {
            // The place that was there first goes on; the other one is contested from now on.
            ctx.notices.push(INFO.finding(location, evidence("back in ", sighting, Some(journey))), Ground::Noted);
        }
    }

    /// Where the call comes from, by each address that the client may have.
    fn sightings(&self, ctx: &HeadContext<'_>) -> [Option<Sighting>; 2] {
        let client = ctx.facts.client.ip.map(|_| ctx.address_facts());
        let rival = ctx.facts.rival.map(|rival| ctx.snapshot.address_data().find(rival));
        [client, rival.as_ref()].map(|facts| {
            let facts = facts?;
            let is_ignored = facts.labels.iter().any(|label| self.ignore_labels.iter().any(|name| **name == **label));
            let sighting = Sighting::new(facts);
            (!is_ignored && self.terms.can_judge(&sighting)).then_some(sighting)
        })
    }

    /// Who it is under this policy: policies do not mix, as they see different traffic by different terms.
    fn caller(&self, ctx: &HeadContext<'_>, policy: &Policy, who: &Who) -> CallerKey {
        let mut hasher = blake3::Hasher::new_keyed(ctx.snapshot.key().expose());
        let mut piece = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_be_bytes()).update(bytes);
        };
        piece(b"whereabouts");
        piece(policy.name.as_bytes());
        piece(who.actor.as_bytes());
        match self.key {
            ContinuityKey::Principal => {}
            ContinuityKey::Credential => {
                piece(who.principal.credential.as_str().as_bytes());
                match (&who.principal.credential_id, who.principal.confirmation, token::presented(ctx.fields)) {
                    (Some(id), _, _) => piece(id.as_bytes()),
                    (None, _, Ok(Some(presented))) if is_token(&who.principal) => piece(presented.text),
                    (None, Some(Confirmation::CertificateThumbprint(thumbprint)), _) => piece(&thumbprint),
                    (None, Some(Confirmation::KeyThumbprint(_)) | None, _) => {} // the principal has one credential
                }
            }
        }
        CallerKey::from_be_bytes(hasher.finalize().as_bytes().first_chunk().copied().unwrap_or_default())
    }

    /// When the user was verified, by what the credential says; `None` when it cannot say.
    fn verified_secs(&self, who: &Who, now: i64) -> Option<u32> {
        let issued = who.login.issued_secs.filter(|_| self.issued_at);
        let verified = who.login.authenticated_secs.or(issued).filter(|_| is_token(&who.principal))?;
        let is_believed = verified <= now.saturating_add(CLOCK_AHEAD_SECS);
        Some(if is_believed { seconds(verified) } else { 0 })
    }
}

/// Whether an authorization server issued the credential, and can issue another.
fn is_token(principal: &Principal) -> bool {
    match principal.credential {
        CredentialKind::Jwt | CredentialKind::IntrospectedToken => true,
        CredentialKind::ApiKey
        | CredentialKind::Basic
        | CredentialKind::Certificate
        | CredentialKind::Signature
        | CredentialKind::External => false,
    }
}

/// RFC 9470 §3: the user has to be verified again, later than the first call from the new place.
fn step_up(principal: &Principal, realm: &str, contested_for_secs: u32) -> String {
    let scheme = match principal.confirmation {
        Some(Confirmation::KeyThumbprint(_)) => "DPoP",
        Some(Confirmation::CertificateThumbprint(_)) | None => "Bearer",
    };
    let age_max = contested_for_secs.saturating_sub(1); // in the same second proves nothing
    format!(
        "{scheme} realm=\"{realm}\", error=\"insufficient_user_authentication\", error_description=\"the user has to be \
         verified again\", max_age=\"{age_max}\""
    )
}

/// The epoch's seconds as they are kept: until 2106, and from 1970 on.
fn seconds(secs: i64) -> u32 {
    u32::try_from(secs.max(0)).unwrap_or(u32::MAX)
}

/// First place, second place, minutes between: no address and no name.
fn evidence(word: &str, here: Sighting, journey: Option<Journey>) -> String {
    let Some(Journey { from, elapsed_secs, kilometers }) = journey else {
        return format!("{}: the user was not verified since it moved there", place(here));
    };
    let after = match elapsed_secs / 60 {
        0 => "less than a minute".to_owned(),
        1 => "1 minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    };
    let away = kilometers.map(|kilometers| format!(", {kilometers} km away")).unwrap_or_default();
    format!("{word}{} {after} after {}{away}", place(here), place(from))
}

fn place(sighting: Sighting) -> String {
    let country = sighting.country.map(|code| format!("`{}`", String::from_utf8_lossy(&code)));
    match (country, sighting.operator) {
        (Some(country), Some(operator)) => format!("{country} (AS{operator})"),
        (Some(country), None) => country,
        (None, Some(operator)) => format!("AS{operator}"),
        (None, None) => "a place without a name".to_owned(),
    }
}
