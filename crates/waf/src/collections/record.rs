//! One record: named members, each with a value and perhaps a time at which it ends.

use bartizan_model::Timestamp;

use crate::run::{leading_number, plain_number};

/// LIMIT: members of one record; rules that people write keep fewer than ten.
const MEMBERS_MAX: usize = 64;
/// LIMIT: bytes of a member's name, which a rule may make from what a client sent.
const NAME_BYTES_MAX: usize = 128;
/// LIMIT: bytes of a member's text; longer ones were never kept by ModSecurity 2 either (1,008 for a whole record).
const TEXT_BYTES_MAX: usize = 1024;
/// Bytes that a member needs besides its name and text.
const MEMBER_BYTES: usize = 128;

const MICROS: i64 = 1_000_000;

/// A change that a limit forbids; the record stays as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

/// A member's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// A number, the usual case
    Number(i64),
    /// Anything else
    Text(Box<[u8]>),
}

#[derive(Clone, Debug)]
struct Member {
    /// Lower case
    name: Box<[u8]>,
    value: Kept,
    ends: Option<Timestamp>,
    /// Until when `deprecatevar` has been reckoned with
    aged: Timestamp,
}

/// What rules keep for one key of one collection.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) created: Timestamp,
    /// `None` while nothing was written
    pub(crate) updated: Option<Timestamp>,
    /// Exchanges that changed it
    pub(crate) updates: u64,
    /// Seconds that it is kept after a change
    pub(crate) timeout_s: u32,
    is_removed: bool,
    members: Vec<Member>,
}

impl Kept {
    /// A text, as a number when nothing is lost by that.
    pub(crate) fn of(text: &[u8]) -> Self {
        plain_number(text).map_or_else(|| Self::Text(text.into()), Self::Number)
    }

    /// Appends it as text.
    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Self::Text(text) => out.extend_from_slice(text),
        }
    }

    /// How long it is as text, at most.
    pub(crate) fn written_bytes_max(&self) -> usize {
        self.bytes().max(20) // the longest number
    }

    fn number(&self) -> i64 {
        match self {
            Self::Number(number) => *number,
            Self::Text(text) => leading_number(text),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Number(_) => 0,
            Self::Text(text) => text.len(),
        }
    }
}

impl Record {
    /// A record in which nothing has been written.
    pub(crate) const fn new(now: Timestamp, timeout_s: u32) -> Self {
        Self { created: now, updated: None, updates: 0, timeout_s, is_removed: false, members: Vec::new() }
    }

    /// Bytes of memory of its members, estimated.
    pub(crate) fn bytes(&self) -> usize {
        self.members.iter().map(|member| MEMBER_BYTES + member.name.len() + member.value.bytes()).sum()
    }

    /// Whether its time is over.
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.is_removed || after(self.updated.unwrap_or(self.created), self.timeout_s.into()) <= now
    }

    /// Ends the whole record.
    pub(crate) const fn remove(&mut self) {
        self.is_removed = true;
    }

    /// Drops the members whose time is over.
    pub(crate) fn forget_expired(&mut self, now: Timestamp) {
        self.members.retain(|member| !member.is_over(now));
    }

    /// The members that there are, in the order in which they came.
    pub(crate) fn members(&self, now: Timestamp) -> impl Iterator<Item = (&[u8], &Kept)> {
        self.members.iter().filter(move |member| !member.is_over(now)).map(|member| (&*member.name, &member.value))
    }

    /// Notes a change; the first of an exchange counts.
    pub(crate) fn touch(&mut self, now: Timestamp, is_first: bool) {
        // Exchanges overlap and clocks jump: time does not run backwards in a record.
        self.updated = Some(self.updated.unwrap_or(now).max(now));
        self.updates = self.updates.saturating_add(is_first.into());
    }

    /// Sets a member.
    pub(crate) fn set(&mut self, name: &[u8], value: Kept, now: Timestamp) -> Result<(), Refused> {
        if value.bytes() > TEXT_BYTES_MAX {
            return Err(Refused);
        }
        if let Some(member) = self.find(name) {
            member.value = value;
            return Ok(());
        }
        if self.members.len() >= MEMBERS_MAX || name.len() > NAME_BYTES_MAX {
            return Err(Refused);
        }
        self.members.push(Member { name: name.into(), value, ends: None, aged: now });
        Ok(())
    }

    /// Adds to a member, which is 0 before.
    pub(crate) fn add(&mut self, name: &[u8], amount: i64, now: Timestamp) -> Result<(), Refused> {
        let old = self.find(name).map_or(0, |member| member.value.number());
        self.set(name, Kept::Number(old.saturating_add(amount)), now)
    }

    /// Forgets a member, its end too.
    pub(crate) fn unset(&mut self, name: &[u8]) {
        self.members.retain(|member| *member.name != *name);
    }

    /// Ends a member after so many seconds, if it is there.
    pub(crate) fn end(&mut self, name: &[u8], seconds: i64, now: Timestamp) {
        if let Some(member) = self.find(name) {
            member.ends = Some(after(now, seconds));
        }
    }

    /// Takes `amount` from a member for every `seconds` since that was last done, down to 0.
    ///
    /// ModSecurity 2 reckons from the record's last update, so that a counter that is raised more often than once in
    /// `seconds` never falls. Here it falls steadily.
    pub(crate) fn decay(&mut self, name: &[u8], amount: i64, seconds: i64, now: Timestamp) {
        let Some(member) = self.find(name) else { return };
        let period = seconds.max(1).saturating_mul(MICROS);
        let steps = i64::try_from(now.micros_since(member.aged)).unwrap_or(i64::MAX) / period;
        if steps > 0 {
            member.aged = member.aged.plus_micros(steps.saturating_mul(period));
            let less = amount.max(0).saturating_mul(steps);
            member.value = Kept::Number(member.value.number().saturating_sub(less).max(0));
        }
    }

    fn find(&mut self, name: &[u8]) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| *member.name == *name)
    }
}

impl Member {
    fn is_over(&self, now: Timestamp) -> bool {
        self.ends.is_some_and(|ends| ends <= now)
    }
}

fn after(time: Timestamp, seconds: i64) -> Timestamp {
    time.plus_micros(seconds.saturating_mul(MICROS))
}
