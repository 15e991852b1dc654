//! What an inspection asks of its host, because the answer needs a network, a disk or a second of computing.
//!
//! A host that cannot answer says nothing (`Inspection::can_ask` is off) or replies [`Reply::Unavailable`]; access then
//! stays closed. After a reply the stage that asked runs again from its beginning, so it asks before it concludes.

use std::sync::Arc;

use bartizan_config::{ExternalMethod, IntrospectionMethod, KeySource};
use bartizan_model::Secret;

use crate::bounded::Digest;
use crate::counters::shared::{CountWish, Counted};

/// LIMIT: questions of one exchange; each method of a policy may have one.
const QUESTIONS_MAX: usize = 8;

/// A question to the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Fetch the keys of this source, give them to `AccessState::publish_keys` and reply [`Reply::Done`]; or say
    /// `keys_unreachable` and reply [`Reply::Unavailable`]. Many exchanges may ask at once, for any name that a token
    /// invents: one fetch answers all who asked before it began, and how often there is one is the host's to bound
    Keys {
        /// Where they are
        source: Arc<KeySource>,
    },
    /// Ask the authorization server about this token (RFC 7662), and reply with its answer
    Introspection {
        /// Whom to ask, and as whom
        method: Arc<IntrospectionMethod>,
        /// The token
        token: Secret<Box<[u8]>>,
    },
    /// Ask the external authorizer about this request, and reply with its answer
    External {
        /// Whom to ask, and how long
        method: Arc<ExternalMethod>,
        /// What it is told: JSON, with credentials
        request: Secret<Box<[u8]>>,
    },
    /// Compute whether this password is right, on a thread that may take some 20 ms and 19 MiB; bound how many do so
    Password(PasswordCheck),
    /// Count this in limits that gateways share, and reply with [`Reply::Counted`]. What nobody waits for any more is
    /// not counted, or taken back
    Count(Vec<CountWish>),
}

/// A password to compare with its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordCheck {
    pub(crate) hash: Arc<str>,
    pub(crate) password: Secret<Box<[u8]>>,
}

impl PasswordCheck {
    /// Computes it: argon2id with the hash's own parameters, which the configuration bounds to 256 MiB and 16 passes.
    pub fn run(&self) -> Reply {
        use argon2::password_hash::phc::PasswordHash;
        use argon2::{Argon2, PasswordVerifier as _};
        let is_right = PasswordHash::new(&self.hash)
            .is_ok_and(|hash| Argon2::default().verify_password(self.password.expose(), &hash).is_ok());
        Reply::Password { is_right }
    }
}

/// The host's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is done, or was tried
    Done,
    /// The body of the authorization server's answer, at most 64 KiB of it
    Introspection(Vec<u8>),
    /// The external authorizer answered
    External {
        /// Status of its answer
        status: u16,
        /// At most 64 KiB of its body
        body: Vec<u8>,
    },
    /// The password was compared
    Password {
        /// Whether it is right
        is_right: bool,
    },
    /// How each wish was counted, in their order; `None` where the store was silent
    Counted(Vec<Option<Counted>>),
    /// The host cannot say
    Unavailable,
}

/// The questions of one exchange.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// The host can answer questions
    pub(crate) can_ask: bool,
    pending: Option<(Digest, Question)>,
    replies: Vec<(Digest, Reply)>,
}

impl Asked {
    /// Asks, unless it cannot be or was answered already. Whether the stage has to stop here.
    pub(crate) fn ask(&mut self, name: Digest, question: impl FnOnce() -> Question) -> bool {
        if !self.can_ask || self.replies.len() >= QUESTIONS_MAX || self.reply_to(&name).is_some() {
            return false;
        }
        self.pending = Some((name, question()));
        true
    }

    /// What the host said to the question of this name.
    pub(crate) fn reply_to(&self, name: &Digest) -> Option<&Reply> {
        self.replies.iter().find(|(asked, _)| asked == name).map(|(_, reply)| reply)
    }

    /// The question that waits for a reply.
    pub(crate) fn pending(&self) -> Option<&Question> {
        self.pending.as_ref().map(|(_, question)| question)
    }

    /// Takes the host's reply. Whether one was waited for.
    pub(crate) fn reply(&mut self, reply: Reply) -> bool {
        let Some((name, _)) = self.pending.take() else { return false };
        self.replies.push((name, reply));
        true
    }
}
