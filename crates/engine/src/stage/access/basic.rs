//! User name and password (RFC 7617), against argon2id hashes in the configuration.
//!
//! A hash takes some 20 ms and 19 MiB on purpose, so the host computes it, on as many threads as it likes to spend, and a
//! right password is remembered for some minutes by a keyed digest. An unknown user costs as much as a wrong password:
//! the answer does not tell which names exist.

use std::collections::HashMap;
use std::sync::Arc;

use bartizan_config::{BasicMethod, User};
use bartizan_model::{CredentialKind, Principal, Secret, Strength};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::api_key::AUTHORITY;
use super::authenticate::Verdict;
use super::checks;
use super::token;
use super::verified::{Fault, Privacy, Verified, Who};
use crate::bounded::Digest;
use crate::question::{PasswordCheck, Question, Reply};
use crate::stage::HeadContext;
use crate::state::sha256;

/// LIMIT: bytes of user name and password, encoded.
const CREDENTIALS_BYTES_MAX: usize = 1024;
/// How long a right password is remembered.
const REMEMBERED_SECS: i64 = 600;

/// The users of one method.
#[derive(Debug)]
pub(crate) struct BasicRules {
    id: Digest,
    users: HashMap<Box<str>, Entry>,
    /// What an unknown user's password is compared with
    decoy: Arc<str>,
}

#[derive(Debug)]
struct Entry {
    hash: Arc<str>,
    scopes: Vec<Box<str>>,
    roles: Vec<Box<str>>,
}

impl BasicRules {
    pub(crate) fn new(method: &BasicMethod, is_subject_plain: bool) -> Self {
        let boxed = |words: &[String]| words.iter().map(|word| word.as_str().into()).collect();
        let entry = |user: &User| Entry {
            hash: user.password_hash.as_str().into(),
            scopes: boxed(&user.scopes),
            roles: boxed(&user.roles),
        };
        Self {
            id: sha256(&[b"basic", &[u8::from(is_subject_plain)], format!("{method:?}").as_bytes()]),
            users: method.users.iter().map(|user| (user.name.as_str().into(), entry(user))).collect(),
            decoy: method.users.first().map(|user| user.password_hash.as_str()).unwrap_or_default().into(),
        }
    }

    pub(crate) fn verdict(&self, ctx: &mut HeadContext<'_>, privacy: Privacy<'_>) -> Verdict {
        let encoded = match token::authorization(ctx.fields) {
            Ok(Some(found)) if found.scheme == b"basic" => found.credentials,
            Ok(_) => return Verdict::Absent,
            Err(fault) => return Verdict::Refused(fault),
        };
        let Some((user, password)) = decoded(encoded) else {
            return Verdict::Refused(Fault::new(&checks::MALFORMED, "it is not a user name and a password"));
        };
        // The digest is keyed: without the installation's key, memory gives nothing to guess passwords with.
        let name = sha256(&[privacy.key.expose(), &self.id, user.as_bytes(), &password]);
        let now = ctx.now.as_secs();
        if let Some(known) = ctx.snapshot.access().verified.find(&name).filter(|known| known.holds(now, None)) {
            return Verdict::Known(known);
        }
        let entry = self.users.get(user.as_str());
        let wrong = Verdict::Refused(Fault::new(&checks::PASSWORD, "the user name or the password is wrong"));
        match (ctx.asked.reply_to(&name), entry) {
            (Some(Reply::Password { is_right: true }), Some(entry)) => {
                let who = Who::new(principal(&user, entry), privacy);
                let until_secs = now.saturating_add(REMEMBERED_SECS);
                let verified = Arc::new(Verified { who: Ok(who), from_secs: i64::MIN, until_secs, keys: None });
                ctx.snapshot.access().verified.insert(name, Arc::clone(&verified));
                return Verdict::Known(verified);
            }
            (Some(Reply::Password { .. }), _) => return wrong,
            (
                None
                | Some(
                    Reply::Done
                    | Reply::Introspection(_)
                    | Reply::External { .. }
                    | Reply::Counted(_)
                    | Reply::Unavailable,
                ),
                _,
            ) => {}
        }
        let hash = entry.map_or(&self.decoy, |entry| &entry.hash);
        let check = PasswordCheck { hash: Arc::clone(hash), password: Secret::new(password.into_boxed_slice()) };
        if ctx.asked.ask(name, || Question::Password(check)) {
            return Verdict::Asked;
        }
        Verdict::Refused(Fault::new(&checks::UNAVAILABLE, "the password cannot be compared at the moment"))
    }
}

fn principal(user: &str, entry: &Entry) -> Principal {
    Principal {
        scopes: entry.scopes.clone(),
        roles: entry.roles.clone(),
        ..Principal::new(AUTHORITY, user, CredentialKind::Basic, Strength::Shared)
    }
}

/// User name and password; the first `:` parts them (RFC 7617 §2).
fn decoded(encoded: &[u8]) -> Option<(String, Vec<u8>)> {
    let text = encoded.get(..).filter(|text| text.len() <= CREDENTIALS_BYTES_MAX)?;
    let bytes = STANDARD.decode(text).ok()?;
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    let (user, password) = bytes.split_at_checked(colon)?;
    let user = String::from_utf8(user.to_vec()).ok()?;
    Some((user, password.get(1..)?.to_vec()))
}
