//! Fields of answers that browsers obey, and those that tell what runs here.
//!
//! An enforced policy changes them, on the upstream's answers and on our own. An observed one tells what it would change:
//! POS-101 a field that protects browsers is missing or another, POS-102 a field tells what software answers. Nothing is
//! ever refused. Sources: RFC 6797 (HSTS), Fetch (`X-Content-Type-Options`), CSP Level 3, Referrer Policy, RFC 9111 §5.2;
//! OWASP Secure Headers.

use std::sync::Arc;

use bartizan_config::AnswersSet;
use bartizan_model::{CheckInfo, Location, Part, ResponseHead, Severity};

use crate::decide::{Ground, Notices};
use crate::response_edits::{ResponseEdit, ResponseEdits};

pub(crate) static MISSING: CheckInfo = CheckInfo {
    id: "POS-101",
    title: "protective response header missing",
    severity: Severity::Info,
    owasp: "API8:2023",
    cwe: &[693, 1021, 525],
    since: "0.1",
    why: "without these fields browsers guess media types, let pages be framed, keep private answers and fall back to clear \
          text",
    fix: "set the policy to `enforce`, or let the upstream send the field",
};

pub(crate) static TELLTALE: CheckInfo = CheckInfo {
    id: "POS-102",
    title: "response tells what software answers",
    severity: Severity::Info,
    owasp: "API8:2023",
    cwe: &[200, 497],
    since: "0.1",
    why: "names and versions of software say which of its weaknesses to try first",
    fix: "set the policy to `enforce`, or switch the field off in the upstream",
};

/// A `response_headers` policy, compiled.
#[derive(Debug)]
pub(crate) struct HeaderRules {
    set: Box<[Set]>,
    remove: Box<[Arc<str>]>,
}

#[derive(Debug)]
struct Set {
    name: Arc<str>,
    value: Arc<str>,
    replaces: bool,
    on: AnswersSet,
}

/// What the fields depend on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occasion {
    pub(crate) is_tls: bool,
    /// The request carries a credential
    pub(crate) has_credential: bool,
}

impl Occasion {
    fn is_for(self, on: AnswersSet) -> bool {
        match on {
            AnswersSet::All => true,
            AnswersSet::Tls => self.is_tls,
            AnswersSet::Credentials => self.has_credential,
        }
    }
}

impl HeaderRules {
    pub(crate) fn new(headers: &bartizan_config::ResponseHeaders) -> Self {
        let set = headers.set.iter().map(|set| Set {
            name: set.name.as_str().into(),
            value: set.value.as_str().into(),
            replaces: set.replaces,
            on: set.on,
        });
        Self { set: set.collect(), remove: headers.remove.iter().map(|name| name.as_str().into()).collect() }
    }

    /// What changes.
    pub(crate) fn edit(&self, occasion: Occasion, edits: &mut ResponseEdits) {
        for name in &self.remove {
            edits.push(ResponseEdit::Remove(Arc::clone(name)));
        }
        for set in self.set.iter().filter(|set| occasion.is_for(set.on)) {
            let (name, value) = (Arc::clone(&set.name), Arc::clone(&set.value));
            edits.push(match set.replaces {
                true => ResponseEdit::Replace(name, value),
                false => ResponseEdit::Keep(name, value),
            });
        }
    }

    /// What would change.
    pub(crate) fn observe(&self, occasion: Occasion, head: &ResponseHead<'_>, out: &mut Notices) {
        let mut tell = |info: &CheckInfo, name: &str, evidence: &str| {
            out.push(info.finding(Location::named(Part::Response, name), evidence), Ground::Noted);
        };
        for name in self.remove.iter().filter(|name| head.header(name).is_some()) {
            tell(&TELLTALE, name, "would be removed");
        }
        for set in self.set.iter().filter(|set| occasion.is_for(set.on)) {
            match head.header(&set.name) {
                None => tell(&MISSING, &set.name, "would be set"),
                Some(value) if set.replaces && value != set.value.as_bytes() => {
                    tell(&MISSING, &set.name, "would be replaced");
                }
                Some(_) => {}
            }
        }
    }
}
