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
    /// What changes on each occasion, by [`Occasion::number`]
    edits: [Arc<[ResponseEdit]>; 4],
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
    /// All of them, by their numbers.
    const ALL: [Self; 4] = [
        Self { is_tls: false, has_credential: false },
        Self { is_tls: false, has_credential: true },
        Self { is_tls: true, has_credential: false },
        Self { is_tls: true, has_credential: true },
    ];

    fn number(self) -> usize {
        usize::from(self.is_tls) * 2 + usize::from(self.has_credential)
    }

    fn is_for(self, on: AnswersSet) -> bool {
        match on {
            AnswersSet::All => true,
            AnswersSet::Tls => self.is_tls,
            AnswersSet::Credentials => self.has_credential,
        }
    }
}

impl Set {
    fn edit(&self) -> ResponseEdit {
        let (name, value) = (Arc::clone(&self.name), Arc::clone(&self.value));
        if self.replaces { ResponseEdit::Replace(name, value) } else { ResponseEdit::Keep(name, value) }
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
        let set: Box<[Set]> = set.collect();
        let remove: Box<[Arc<str>]> = headers.remove.iter().map(|name| name.as_str().into()).collect();
        let removed = || remove.iter().cloned().map(ResponseEdit::Remove);
        let edits = Occasion::ALL.map(|occasion| {
            let set = set.iter().filter(|set| occasion.is_for(set.on)).map(Set::edit);
            removed().chain(set).collect()
        });
        Self { set, remove, edits }
    }

    /// What changes.
    pub(crate) fn edit(&self, occasion: Occasion, edits: &mut ResponseEdits) {
        if let Some(compiled) = self.edits.get(occasion.number()).filter(|compiled| !compiled.is_empty()) {
            edits.extend(compiled);
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
