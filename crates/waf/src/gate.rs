//! Which rules may match at all: asked once per value, before any rule runs.
//!
//! A rule cannot match a value that lacks what every match must contain: a literal, or a byte of some set. So each value
//! is read once: a table finds its bytes' categories, which prove most transformations to change nothing; one automaton
//! over the literals of all rules finds the rules that it may matter to. Only these then run on it, exactly as if every
//! rule had been asked. What is said here is a necessary condition only: a value that is let through costs time, a value
//! that is held back wrongly would be a hole, so the whole is tested against the same plan without gates.
//!
//! Sources: Aho and Corasick, CACM 18 (1975); required literals as in RE2's FilteredRE2 (Cox, 2010).

pub(crate) mod alphabet;
mod automaton;
mod categories;
mod compile;
mod eligible;
mod idle;
mod made;
pub(crate) mod need;
mod steps;

use std::collections::HashMap;

use crate::Transform;
use crate::inputs::List;
use crate::operator::may_be_sqli;
use crate::transform::ByteSet;

use self::automaton::Automaton;
use self::categories::Categories;
pub(crate) use self::compile::build;
pub(crate) use self::eligible::RECURRING_SCALARS;
use self::steps::ESCAPES;

/// LIMIT: rules behind one gate, in words of 64; the rest is always asked. The Core Rule Set at its highest level has some
/// 300 for requests, and ours as many links.
pub(crate) const WORDS: usize = 8;

/// A set of gated rules.
pub(crate) type Bits = [u64; WORDS];

/// No rule.
pub(crate) const NONE: Bits = [0; WORDS];

/// The gate before the phases of requests, or of responses.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// By head: its links that are behind the gate, by place, with their numbers; the first numbers of all heads ascend
    /// as the rules run
    pub(crate) numbers: HashMap<u32, Vec<(u8, u32)>>,
    /// By number: the head, and the link's place in it
    links: Vec<(u32, u8)>,
    /// By number, for links that make members of `TX`: the texts of which a value needs one
    texts: HashMap<u32, Vec<Vec<u8>>>,
    /// Rules that do nothing but take values away, each with the links that may look at them
    removers: Vec<(u32, Bits)>,
    categories: Categories,
    /// By transformation: a value without these categories stays as it is; all ones: it may always change
    triggers: Vec<u64>,
    /// For values over each alphabet, and last for all others
    fields: Vec<Field>,
    /// By length of a value, up to the last: the rules that may match so short a value
    lengths: Vec<Bits>,
    classes: Vec<Class>,
    /// Class of the values and of the names of each list
    lists: [(Option<usize>, Option<usize>); List::COUNT],
    /// Classes of values whose member's name matters, by the length of the name, which is in lower case
    named: [Vec<NamesOfLength>; List::COUNT],
    scalars: Vec<(crate::Variable, usize)>,
}

/// Names of one length, in lower case, with the classes of the values that they name.
type NamesOfLength = Vec<(Box<[u8]>, usize)>;

/// What is looked for in values of certain bytes.
#[derive(Debug, Default)]
struct Field {
    /// Categories that such a value does not have
    foreign: u64,
    automaton: Automaton,
    /// Rules that may match such a value at all
    rules: Bits,
    /// Those of them that nothing is required for
    unfiltered: Bits,
}

/// Values that the same rules look at.
#[derive(Debug, Default)]
struct Class {
    /// Rules that need a byte of a set: categories, rules
    bytes: Vec<(u64, Bits)>,
    /// Rules that need what no proof rules out to be SQL
    sqli: Bits,
    /// Rules that need neither, so that what they need is searched for
    searched: Bits,
    /// Categories of bytes that some chain may change, Base64 aside
    triggers: u64,
    /// The tree of all chains: the first step is the value as it is, and what is below a step follows it
    steps: Vec<Step>,
    /// Steps that decode Base64, which no byte proves idle
    decoders: Vec<usize>,
    /// Bytes of which a text that rules need in what was decoded consists, and such as may vanish from it
    text_bytes: ByteSet,
    /// Rules with a chain that has no such step
    plain: Bits,
}

/// A transformation after the ones above it in the tree of chains. The steps below it follow it.
#[derive(Debug)]
struct Step {
    transform: Option<Transform>,
    /// A value without these categories stays as it is; all ones: it may always change
    triggers: u64,
    /// What may change a value below
    triggers_below: u64,
    /// The place behind the steps below
    end: usize,
    /// No match of a rule whose chain ends here or below is shorter, nor is it made longer on the way
    length_min: usize,
    /// No match of a rule whose chain ends here or below needs a text that is shorter; 0 when that says nothing
    text_min: usize,
    /// Values over an alphabet stay over it here and below
    is_closed: bool,
    // PERF: apart, so that a step that is passed over is one line of the cache.
    rules: Box<StepRules>,
}

/// The rules of a step.
#[derive(Debug)]
struct StepRules {
    /// Whose chain ends here
    here: Bits,
    /// Whose chain ends here or below
    below: Bits,
}

/// A value, and what is known of it before it is searched.
struct Look<'v> {
    bytes: &'v [u8],
    /// The categories of its bytes
    present: u64,
    field: &'v Field,
    /// Rules that may match a value of such bytes and of this length
    able: Bits,
}

/// Buffers of [`Gate::candidates`].
#[derive(Debug, Default)]
pub(crate) struct GateScratch {
    /// Changed values
    values: Vec<Vec<u8>>,
    /// Steps that have led to the value that is looked at
    todo: Vec<usize>,
    /// Steps that change it
    changing: Vec<(Transform, usize)>,
}

impl Gate {
    /// The class of the value of a list's member.
    pub(crate) fn class_of(&self, list: List, name: &[u8]) -> Option<usize> {
        let named = self.named.get(list as usize).and_then(|named| named.get(name.len()));
        let found = named.and_then(|named| named.iter().find(|(lower, _)| name.eq_ignore_ascii_case(lower)));
        found.map(|(_, class)| *class).or(self.lists.get(list as usize)?.0)
    }

    /// The class of the names in a list.
    pub(crate) fn class_of_names(&self, list: List) -> Option<usize> {
        self.lists.get(list as usize)?.1
    }

    /// The link of this number: its head, and its place in it.
    pub(crate) fn link(&self, number: u32) -> Option<(u32, u8)> {
        self.links.get(number as usize).copied()
    }

    /// Whether what a link makes of this value may matter to the rest of its chain.
    pub(crate) fn is_of_use(&self, number: u32, value: &[u8]) -> bool {
        let Some(texts) = self.texts.get(&number) else { return true };
        let lower = value.to_ascii_lowercase();
        texts.iter().any(|text| memchr::memmem::find(&lower, text).is_some())
    }

    /// The categories of a value's bytes.
    pub(crate) fn present(&self, value: &[u8]) -> u64 {
        self.categories.of(value)
    }

    /// Whether the transformation leaves a value of these categories as it is.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the table has an entry for each of them")]
    pub(crate) fn is_idle(&self, transform: Transform, present: u64) -> bool {
        !is_triggered(present, self.triggers[transform as usize])
    }

    /// Leaves out rules that would only take a value away from rules that do not look at it anyway.
    pub(crate) fn without_idle(&self, mut found: Bits) -> Bits {
        let all = found;
        for (number, askers) in &self.removers {
            if contains(&all, *number) && !meet(&all, askers) {
                remove(&mut found, *number);
            }
        }
        found
    }

    /// The scalar variables that some gated rule looks at, with their classes.
    pub(crate) fn scalars(&self) -> impl Iterator<Item = (crate::Variable, usize)> {
        self.scalars.iter().copied()
    }

    /// The rules that may match this value.
    pub(crate) fn candidates(&self, class: usize, value: &[u8], scratch: &mut GateScratch) -> Bits {
        let Some(class) = self.classes.get(class) else { return NONE };
        let mut found = NONE;
        let Some(look) = self.look(value) else { return NONE };
        if is_triggered(look.present, class.triggers) {
            let begin = scratch.todo.len();
            scratch.todo.push(0);
            self.walk(class, begin, &look, scratch, &mut found);
            return found;
        }
        self.scan(class, &look, &class.plain, &mut found);
        self.decode(class, &look, scratch, &mut found);
        found
    }

    /// Looks at what `base64Decode` makes of a value that nothing before it changes: decoded once for all chains.
    fn decode(&self, class: &Class, look: &Look<'_>, scratch: &mut GateScratch, found: &mut Bits) {
        let len_max = if class.decoders.is_empty() { 0 } else { decoded_len_max(look.bytes) };
        let is_long_enough = |at: &&usize| class.steps.get(**at).is_some_and(|step| len_max >= step.length_min);
        if !class.decoders.iter().any(|at| is_long_enough(&at)) {
            return;
        }
        let mut buffer = scratch.values.pop().unwrap_or_default();
        buffer.clear();
        if Transform::Base64Decode.apply(look.bytes, &mut buffer)
            && may_hold_text(class, &class.decoders, &buffer)
            && let Some(look) = self.look(&buffer)
        {
            let begin = scratch.todo.len();
            scratch.todo.extend(class.decoders.iter().filter(is_long_enough));
            self.walk(class, begin, &look, scratch, found);
        }
        scratch.values.push(buffer);
    }

    /// What is known of a value before it is searched.
    fn look<'v>(&'v self, bytes: &'v [u8]) -> Option<Look<'v>> {
        let present = self.categories.of(bytes);
        let field = self.fields.iter().find(|field| present & field.foreign == 0)?;
        let mut able = field.rules;
        let long_enough = self.lengths.get(bytes.len()).or(self.lengths.last())?;
        able.iter_mut().zip(long_enough).for_each(|(able, long)| *able &= long);
        Some(Look { bytes, present, field, able })
    }

    /// Walks the tree of chains on from the steps of `todo` that stand behind `begin`, which have all led to this value:
    /// steps that change nothing share it; those that change it go on with a value of their own, one for all that do the
    /// same to it. The depth is that of the rules' chains.
    fn walk(&self, class: &Class, begin: usize, look: &Look<'_>, scratch: &mut GateScratch, found: &mut Bits) {
        let mut wanted = NONE;
        let changing = scratch.changing.len();
        loop {
            while scratch.todo.len() > begin {
                let Some(first) = scratch.todo.pop() else { break };
                self.pass(class, first, look, scratch, &mut wanted);
            }
            if scratch.changing.len() <= changing {
                break;
            }
            self.change(class, changing, look, scratch, found);
        }
        self.scan(class, look, &wanted, found);
    }

    /// Passes over the steps from `first` on that leave the value as it is, and notes their rules and the steps that change it.
    fn pass(&self, class: &Class, first: usize, look: &Look<'_>, scratch: &mut GateScratch, wanted: &mut Bits) {
        let end = class.steps.get(first).map_or(first, |step| step.end);
        let mut at = first;
        while let Some(step) = class.steps.get(at).filter(|_| at < end) {
            // What has led to the first step is done.
            if let Some(transform) = step.transform.filter(|_| at != first && is_triggered(look.present, step.triggers))
            {
                if !is_pointless(step, transform, look) {
                    scratch.changing.push((transform, at));
                }
                at = step.end;
            } else if !is_triggered(look.present, step.triggers_below) {
                or(wanted, &step.rules.below);
                at = step.end;
            } else {
                or(wanted, &step.rules.here);
                at += 1;
            }
        }
    }

    /// Takes the steps of one transformation from those of `changing` that stand behind `first`, and walks on from there.
    /// Should it leave the value as it is after all, the steps are put in `todo`.
    fn change(&self, class: &Class, first: usize, look: &Look<'_>, scratch: &mut GateScratch, found: &mut Bits) {
        let Some((transform, _)) = scratch.changing.last().copied() else { return };
        let begin = scratch.todo.len();
        let mut at = first;
        while let Some((other, step)) = scratch.changing.get(at).copied() {
            if other == transform {
                scratch.todo.push(step);
                scratch.changing.swap_remove(at);
            } else {
                at += 1;
            }
        }
        let mut buffer = scratch.values.pop().unwrap_or_default();
        buffer.clear();
        if transform.apply(look.bytes, &mut buffer) {
            let steps = scratch.todo.get(begin..).unwrap_or_default();
            let is_of_use = transform != Transform::Base64Decode || may_hold_text(class, steps, &buffer);
            if let Some(look) = self.look(&buffer).filter(|_| is_of_use) {
                self.walk(class, begin, &look, scratch, found);
            }
            scratch.todo.truncate(begin);
        }
        scratch.values.push(buffer);
    }

    /// Adds those of the `wanted` rules that these bytes may matter to.
    fn scan(&self, class: &Class, look: &Look<'_>, wanted: &Bits, found: &mut Bits) {
        let mut wanted = *wanted;
        wanted.iter_mut().zip(&look.able).for_each(|(wanted, able)| *wanted &= able);
        if is_none(&wanted) {
            return;
        }
        let mut hits = look.field.unfiltered;
        for (categories, rules) in &class.bytes {
            if look.present & categories != 0 {
                or(&mut hits, rules);
            }
        }
        if meet(&class.sqli, &wanted) && may_be_sqli(look.bytes) {
            or(&mut hits, &class.sqli);
        }
        // Nothing more can be found when every rule that is wanted is there already.
        let rest = wanted.iter().zip(&hits).zip(&class.searched);
        if rest.fold(0, |all, ((wanted, hit), searched)| all | wanted & searched & !hit) != 0 {
            or(&mut hits, &look.field.automaton.scan(look.bytes));
        }
        for ((found, hit), wanted) in found.iter_mut().zip(&hits).zip(&wanted) {
            *found |= hit & wanted;
        }
    }
}

/// Whether two sets have a rule in common.
#[inline]
fn meet(one: &Bits, other: &Bits) -> bool {
    one.iter().zip(other).fold(0, |all, (one, other)| all | one & other) != 0
}

/// Whether a set is empty.
// PERF: comparing arrays with `==` calls the C library, which was a tenth of the time for a body of many values.
#[inline]
pub(crate) fn is_none(bits: &Bits) -> bool {
    bits.iter().fold(0, |all, word| all | word) == 0
}

/// Whether a value of these categories may change where these categories are triggers. What any value triggers, an empty one does,
/// too: its length is `0`.
#[inline]
const fn is_triggered(present: u64, triggers: u64) -> bool {
    present & triggers != 0 || triggers == u64::MAX
}

/// Whether no rule that a step leads to can match what it makes of a value.
fn is_pointless(step: &Step, transform: Transform, look: &Look<'_>) -> bool {
    step.is_closed && !meet(&step.rules.below, &look.able)
        || transform == Transform::Base64Decode && decoded_len_max(look.bytes) < step.length_min
}

/// Whether what Base64 was decoded to may hold a text that rules need there, now or after the steps below these. Most of what
/// is read as Base64 is none, and decodes to bytes at random.
fn may_hold_text(class: &Class, steps: &[usize], decoded: &[u8]) -> bool {
    let least = steps.iter().filter_map(|at| class.steps.get(*at)).map(|step| step.text_min).min().unwrap_or(0);
    let mut run = 0;
    least == 0
        || decoded.iter().any(|byte| {
            run = if class.text_bytes.contains(*byte) { run + 1 } else { 0 };
            run >= least || ESCAPES.contains(*byte)
        })
}

/// Bytes that `base64Decode` makes of a value at most: it reads up to the first byte that is not of the alphabet.
fn decoded_len_max(value: &[u8]) -> usize {
    let is_read = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'\r' | b'\n');
    value.iter().take_while(is_read).count() * 3 / 4
}

/// Adds a set to another.
#[inline]
pub(crate) fn or(into: &mut Bits, other: &Bits) {
    into.iter_mut().zip(other).for_each(|(into, other)| *into |= other);
}

/// Takes a rule out of a set.
pub(crate) fn remove(bits: &mut Bits, number: u32) {
    if let Some(word) = bits.get_mut(number as usize / 64) {
        *word &= !(1 << (number % 64));
    }
}

/// Puts a rule in a set.
fn insert(bits: &mut Bits, number: u32) {
    if let Some(word) = bits.get_mut(number as usize / 64) {
        *word |= 1 << (number % 64);
    }
}

/// The rules of a set.
pub(crate) fn numbers(bits: &Bits) -> impl Iterator<Item = u32> + use<> {
    let bits = *bits;
    (0..)
        .zip(bits)
        .flat_map(|(word, bits)| (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| word * 64 + bit))
}

/// Whether a rule is in a set.
pub(crate) fn contains(bits: &Bits, number: u32) -> bool {
    bits.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
}
