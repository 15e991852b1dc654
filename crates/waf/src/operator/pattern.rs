//! Regular expressions: `rx`. Linear in the value, whatever the pattern.
//!
//! Patterns are written for PCRE and run by `regex-automata` over bytes: [`dialect`] rewrites what the two read differently. `.`
//! matches every byte and `$` only the very end, as ModSecurity 2 and Coraza have it and the Core Rule Set expects.
//!
//! A pattern with macros is compiled when they are expanded; the last one is kept, since macros seldom change their value.

mod dialect;
mod loose;

use std::sync::{Arc, RwLock};

use regex_automata::Input;
use regex_automata::meta::Regex;
use regex_automata::util::primitives::NonMaxUsize;
use regex_syntax::hir::{Class, ClassBytesRange, Hir, HirKind, Look, Repetition};
use regex_syntax::{Parser, ParserBuilder};

use super::{CAPTURES_MAX, Captures, Fault};

use loose::Loose;

/// LIMIT: bytes of a pattern's automaton. The largest of the Core Rule Set needs less than 1 MiB; a hundred patterns of this size fit
/// in memory.
const AUTOMATON_BYTES_MAX: usize = 10 << 20;

/// LIMIT: the same for a pattern that is compiled while a request waits: about a millisecond of work.
const EXPANDED_AUTOMATON_BYTES_MAX: usize = 256 << 10;

/// LIMIT: levels of groups in a pattern; the parser's own stack-safe limit.
const NESTING_MAX: u32 = 250;

/// LIMIT: bytes of states that a lazy automaton keeps for each thread before it starts over. The default of 2 MiB is more than hundreds
/// of patterns together need.
const STATE_CACHE_BYTES: usize = 512 << 10;

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    /// Without long bounds, and the bytes of the longest value of which it says the same
    loose: Option<(Regex, usize)>,
    /// It matches every value, from its first byte to its last
    takes_all: bool,
}

impl Pattern {
    /// Compiles a pattern.
    pub(super) fn new(pattern: &[u8]) -> Result<Self, Fault> {
        Self::of_hir(&hir(pattern)?)
    }

    /// Compiles a pattern that was parsed, and perhaps rewritten, before.
    pub(crate) fn of_hir(hir: &Hir) -> Result<Self, Fault> {
        let loose = match Loose::of(hir) {
            Some(loose) => Some((regex(&loose.hir, AUTOMATON_BYTES_MAX)?, loose.exact_bytes_max)),
            None => None,
        };
        Ok(Self { loose, ..Self::with_limit(hir, AUTOMATON_BYTES_MAX)? })
    }

    /// Compiles it as it is.
    fn with_limit(hir: &Hir, automaton_bytes_max: usize) -> Result<Self, Fault> {
        Ok(Self { regex: regex(hir, automaton_bytes_max)?, loose: None, takes_all: takes_all(hir) })
    }

    /// Whether it matches anywhere in `input`.
    pub(crate) fn is_match(&self, input: &[u8]) -> bool {
        self.takes_all || self.telling(input).is_some_and(|regex| regex.is_match(input))
    }

    /// What tells whether and where this value matches; `None` when it does not.
    // PERF: patterns of thousands of states are too many for the lazy automaton; without bounds most are a few dozen.
    fn telling(&self, input: &[u8]) -> Option<&Regex> {
        match &self.loose {
            Some((loose, exact_bytes_max)) if input.len() <= *exact_bytes_max => Some(loose),
            Some((loose, _)) => loose.is_match(input).then_some(&self.regex),
            None => Some(&self.regex),
        }
    }

    /// Whether it matches every value as a whole: `^.*$`.
    pub(crate) const fn takes_all(&self) -> bool {
        self.takes_all
    }

    /// Finds its first match and the groups in it.
    pub(super) fn find(&self, input: &[u8], captures: &mut Captures) -> bool {
        if self.takes_all {
            captures.set_span(0..input.len());
            return true;
        }
        let Some(regex) = self.telling(input) else { return false };
        // More slots than the pattern has groups make one of the engines behind it read past its table.
        let wanted = regex.captures_len().min(captures.asked());
        if wanted <= 1 {
            let found = regex.search(&Input::new(input));
            found.iter().for_each(|found| captures.set_span(found.range()));
            return found.is_some();
        }
        // Most values do not match, and saying so is much cheaper than finding groups.
        if !regex.is_match(input) {
            return false;
        }
        let mut slots: [Option<NonMaxUsize>; 2 * CAPTURES_MAX] = [None; 2 * CAPTURES_MAX];
        let asked = slots.get_mut(..wanted * 2).unwrap_or_default();
        if regex.search_slots(&Input::new(input), asked).is_none() {
            return false;
        }
        let (spans, _) = slots.as_chunks::<2>();
        captures.set_spans(spans.iter().take(wanted).map(|span| match span {
            [Some(start), Some(end)] => Some(start.get()..end.get()),
            _ => None,
        }));
        true
    }

    /// Its first match that does not begin before `start`.
    // PERF: whether it matches at all is not asked of `loose` first: whoever looks for the next match would ask again each time.
    pub(super) fn find_from(&self, input: &[u8], start: usize) -> Option<std::ops::Range<usize>> {
        let exact = self.loose.as_ref().filter(|(_, exact_bytes_max)| input.len() <= *exact_bytes_max);
        let regex = exact.map_or(&self.regex, |(loose, _)| loose);
        (start <= input.len())
            .then(|| regex.search(&Input::new(input).range(start..)))
            .flatten()
            .map(|found| found.range())
    }
}

fn regex(hir: &Hir, automaton_bytes_max: usize) -> Result<Regex, Fault> {
    let config = Regex::config()
        .utf8_empty(false)
        .nfa_size_limit(Some(automaton_bytes_max))
        .hybrid_cache_capacity(STATE_CACHE_BYTES);
    Regex::builder().configure(config).build_from_hir(hir).map_err(|error| Fault {
        message: format!("the pattern cannot be compiled: {error}"),
        help: "bound its repetitions, or split it".to_owned(),
    })
}

/// Whether a pattern is `^.*$`.
fn takes_all(hir: &Hir) -> bool {
    let HirKind::Concat(parts) = hir.kind() else { return false };
    let [first, middle, last] = parts.as_slice() else { return false };
    let is_any = match middle.kind() {
        HirKind::Repetition(Repetition { min: 0, max: None, greedy: true, sub }) => {
            matches!(sub.kind(), HirKind::Class(Class::Bytes(bytes)) if bytes.ranges() == [ClassBytesRange::new(0, u8::MAX)])
        }
        _ => false,
    };
    let is_look = |part: &Hir, look: Look| matches!(part.kind(), HirKind::Look(found) if *found == look);
    is_look(first, Look::Start) && is_any && is_look(last, Look::End)
}

/// A pattern as the engine means it: over bytes, case as the pattern says.
///
/// # Errors
///
/// A [`Fault`] when the pattern cannot be read, or needs what linear-time matching does not have (look-around, back-references).
pub(crate) fn hir(pattern: &[u8]) -> Result<Hir, Fault> {
    let pattern = dialect::translate(pattern)?;
    parser().parse(&pattern).map_err(|error| {
        let reason = match &error {
            regex_syntax::Error::Parse(error) => error.kind().to_string(),
            regex_syntax::Error::Translate(error) => error.kind().to_string(),
            _ => error.to_string(),
        };
        Fault {
            message: format!("the pattern cannot be read: {reason}"),
            help: "look-around and back-references are not available; escape what is meant literally".to_owned(),
        }
    })
}

fn parser() -> Parser {
    ParserBuilder::new().unicode(false).utf8(false).dot_matches_new_line(true).nest_limit(NESTING_MAX).build()
}

/// A pattern with macros: the last expansion of it.
#[derive(Debug, Default)]
pub(crate) struct Expanded {
    last: RwLock<Option<Expansion>>,
}

/// A text that macros gave, and the pattern it writes.
#[derive(Debug)]
struct Expansion {
    text: Box<[u8]>,
    pattern: Option<Arc<Pattern>>,
}

impl Expanded {
    /// The pattern that `text` writes; `None`, which matches nothing, when it writes none.
    pub(super) fn of(&self, text: &[u8]) -> Option<Arc<Pattern>> {
        if let Ok(last) = self.last.read()
            && let Some(expansion) = last.as_ref()
            && *expansion.text == *text
        {
            return expansion.pattern.clone();
        }
        let pattern =
            hir(text).and_then(|hir| Pattern::with_limit(&hir, EXPANDED_AUTOMATON_BYTES_MAX)).ok().map(Arc::new);
        // A request never waits here: whoever finds the place taken goes on without keeping its pattern.
        if let Ok(mut last) = self.last.try_write() {
            *last = Some(Expansion { text: text.into(), pattern: pattern.clone() });
        }
        pattern
    }
}
