//! The tree of all chains of transformations that the rules of a class ask for: grown chain by chain, then laid out in the order in
//! which it is walked.
//!
//! Most steps change nothing in most values, which the categories of a value's bytes prove. So what is read of a step that changes
//! nothing is little and stands next to what is read after it: the steps below a step follow it, and each knows where they end.

use crate::Transform;
use crate::transform::{ByteSet, Trigger};

use super::categories::Categories;
use super::need::{Need, Needs};
use super::{Bits, NONE, Step, StepRules, insert, meet, or};

/// What other bytes can be written with.
pub(super) const ESCAPES: ByteSet = ByteSet::of(b"%\\");

/// A step while the tree grows.
#[derive(Debug)]
struct Branch {
    transform: Option<Transform>,
    /// A value without these categories stays as it is; all ones: it may always change
    triggers: u64,
    /// Rules whose chain ends here
    rules: Bits,
    /// The steps after it
    next: Vec<usize>,
    /// Rules whose chains end here or below, and what may change a value there
    below: (Bits, u64),
    /// No match of a rule whose chain ends here or below is shorter, nor is it made longer on the way
    length_min: usize,
    /// No match of a rule whose chain ends here or below needs a text that is shorter; 0 when some rule needs none
    text_min: usize,
    /// Values over an alphabet stay over it here and below
    is_closed: bool,
}

/// The tree while it grows.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// First the value as it is, and each step behind the one that it follows
    branches: Vec<Branch>,
    /// Of the texts that rules need in what Base64 is decoded to, in both cases
    text_bytes: Vec<u8>,
}

impl Tree {
    /// Adds a rule's chain.
    pub(super) fn add(&mut self, transforms: &[Transform], number: u32, needs: &Needs, categories: &Categories) {
        let texts = match &needs.general {
            Need::Literals(texts) if texts.iter().flatten().all(u8::is_ascii_graphic) => texts.as_slice(),
            Need::Literals(_) | Need::Nothing | Need::Byte(_) | Need::NoProofAgainstSqli => &[],
        };
        if transforms.contains(&Transform::Base64Decode) {
            self.text_bytes.extend(texts.iter().flatten().flat_map(|byte| [*byte, byte.to_ascii_uppercase()]));
        }
        let end = grow(&mut self.branches, transforms, categories);
        if let Some(branch) = self.branches.get_mut(end) {
            insert(&mut branch.rules, number);
            branch.length_min = branch.length_min.min(needs.length_min);
            branch.text_min = branch.text_min.min(texts.iter().map(Vec::len).min().unwrap_or(0));
        }
    }

    /// Bytes that can stand in a text that rules need in what Base64 is decoded to, or vanish from it.
    pub(super) fn text_bytes(&self) -> ByteSet {
        let vanishing = b" \t\n\x0b\x0c\r\xc2\xa0\0+";
        self.text_bytes.iter().chain(vanishing).copied().collect()
    }

    /// Sums up what is below each step, and loosens what triggers it.
    pub(super) fn loosen(&mut self, categories: &Categories, needs_bytes: &Bits) {
        sum_up(&mut self.branches);
        loosen(&mut self.branches, categories, needs_bytes);
        sum_up(&mut self.branches);
        for at in 0..self.branches.len() {
            let below = descendants(&self.branches, at);
            let keeps = below.iter().filter_map(|at| self.branches.get(*at)).all(keeps_texts);
            if let Some(branch) = self.branches.get_mut(at).filter(|_| !keeps) {
                branch.text_min = 0;
            }
        }
    }

    /// The first steps that decode Base64, and all of these with what is below them.
    pub(super) fn decoders(&self) -> (Vec<usize>, Vec<usize>) {
        let is_decoder = |branch: &Branch| branch.transform == Some(Transform::Base64Decode);
        let mut decoders: Vec<usize> =
            (0..self.branches.len()).filter(|at| self.branches.get(*at).is_some_and(is_decoder)).collect();
        // A decoder below a decoder is reached through it.
        let inner: Vec<usize> = decoders.iter().flat_map(|at| descendants(&self.branches, *at)).collect();
        decoders.retain(|at| !inner.contains(at));
        let decoded = decoders.iter().copied().chain(inner).collect();
        (decoders, decoded)
    }

    /// What triggers any step but these.
    pub(super) fn triggers_but(&self, left_out: &[usize]) -> u64 {
        let others = self.branches.iter().enumerate().filter(|(at, _)| !left_out.contains(at));
        others.fold(0, |all, (_, branch)| all | branch.triggers)
    }

    /// The steps in the order in which they are walked, and the place that each now has.
    pub(super) fn flat(&self) -> (Vec<Step>, Vec<usize>) {
        let mut steps: Vec<Step> = Vec::with_capacity(self.branches.len());
        let mut places = vec![0; self.branches.len()];
        // Those that are still to be laid out, the next one last.
        let mut todo = if self.branches.is_empty() { Vec::new() } else { vec![0] };
        while let Some(at) = todo.pop() {
            let Some(branch) = self.branches.get(at) else { continue };
            if let Some(place) = places.get_mut(at) {
                *place = steps.len();
            }
            let end = steps.len() + 1 + descendants(&self.branches, at).len();
            steps.push(Step {
                transform: branch.transform,
                triggers: branch.triggers,
                triggers_below: branch.below.1,
                end,
                length_min: branch.length_min,
                text_min: branch.text_min,
                is_closed: branch.is_closed,
                rules: Box::new(StepRules { here: branch.rules, below: branch.below.0 }),
            });
            todo.extend(branch.next.iter().rev());
        }
        (steps, places)
    }
}

/// The step at the end of a chain, with the steps that lead to it.
fn grow(steps: &mut Vec<Branch>, transforms: &[Transform], categories: &Categories) -> usize {
    let new = |transform: Option<Transform>| Branch {
        transform,
        triggers: transform.map_or(0, |transform| triggers(&[transform], categories)),
        rules: NONE,
        next: Vec::new(),
        below: (NONE, 0),
        length_min: usize::MAX,
        text_min: usize::MAX,
        is_closed: false,
    };
    if steps.is_empty() {
        steps.push(new(None));
    }
    let mut at = 0;
    for transform in transforms {
        let known = steps.get(at).and_then(|step| {
            step.next
                .iter()
                .copied()
                .find(|next| steps.get(*next).is_some_and(|next| next.transform == Some(*transform)))
        });
        at = known.unwrap_or_else(|| {
            steps.push(new(Some(*transform)));
            let next = steps.len() - 1;
            if let Some(step) = steps.get_mut(at) {
                step.next.push(next);
            }
            next
        });
    }
    at
}

/// Sums up what is below each step; later steps are never above earlier ones.
fn sum_up(steps: &mut [Branch]) {
    for at in (0..steps.len()).rev() {
        let Some(step) = steps.get(at) else { continue };
        let mut below = (step.rules, 0);
        let (mut length_min, mut text_min) = (step.length_min, step.text_min);
        for next in step.next.iter().filter_map(|next| steps.get(*next)) {
            length_min = length_min.min(next.length_min);
            text_min = text_min.min(next.text_min);
            or(&mut below.0, &next.below.0);
            below.1 |= next.below.1 | next.triggers;
        }
        if let Some(step) = steps.get_mut(at) {
            step.below = below;
            (step.length_min, step.text_min) = (length_min, text_min);
        }
    }
}

/// Whether a text without white space that is there after this step was there before it, but for bytes that the step takes out
/// ([`Tree::text_bytes`] has them) or for escapes, of which [`ESCAPES`] says that there are none.
fn keeps_texts(branch: &Branch) -> bool {
    match branch.transform {
        None
        | Some(
            Transform::JsDecode
            | Transform::Lowercase
            | Transform::RemoveNulls
            | Transform::RemoveWhitespace
            | Transform::UrlDecodeUni,
        ) => true,
        // It puts a blank in, which must stay.
        Some(Transform::ReplaceComments) => branch.next.is_empty(),
        Some(_) => false,
    }
}

/// Loosens what triggers a step, where a change could not matter to the search for literals.
fn loosen(steps: &mut [Branch], categories: &Categories, needs_bytes: &Bits) {
    let letters = categories.of_set(&ByteSet::EMPTY.with_range(b'A', b'Z'));
    let dot = categories.of_set(&ByteSet::of(b"."));
    for at in 0..steps.len() {
        let below: Vec<Transform> =
            descendants(steps, at).iter().filter_map(|at| steps.get(*at)).filter_map(|step| step.transform).collect();
        let Some(step) = steps.get_mut(at) else { continue };
        step.is_closed = step.transform.iter().chain(&below).all(|transform| is_closed(*transform));
        if below.iter().any(|transform| !only_shortens(*transform)) {
            step.length_min = 0;
        }
        let asks_for_bytes = meet(&step.below.0, needs_bytes);
        if asks_for_bytes {
            continue;
        }
        match step.transform {
            Some(Transform::Lowercase | Transform::CmdLine) if below.iter().all(|next| ignores_case(*next)) => {
                step.triggers &= !letters;
            }
            // Without a slash only `.` and `..` as a whole change, and what becomes of them is part of what they were.
            Some(Transform::NormalizePath | Transform::NormalizePathWin) => step.triggers &= !dot,
            _ => {}
        }
    }
}

/// Every step below one.
fn descendants(steps: &[Branch], at: usize) -> Vec<usize> {
    let mut found = Vec::new();
    let mut todo = vec![at];
    while let Some(step) = todo.pop().and_then(|at| steps.get(at)) {
        found.extend(&step.next);
        todo.extend(&step.next);
    }
    found
}

/// Whether what `lowercase` or `cmdLine` do to letters may as well be left out before this transformation, when what
/// follows is only searched without regard to case.
const fn ignores_case(transform: Transform) -> bool {
    matches!(
        transform,
        Transform::CmdLine
            | Transform::CompressWhitespace
            | Transform::Lowercase
            | Transform::NormalizePath
            | Transform::NormalizePathWin
            | Transform::RemoveNulls
            | Transform::RemoveWhitespace
            | Transform::ReplaceComments
            | Transform::Trim
    )
}

/// Whether a transformation leaves a value over each of the alphabets over that alphabet, and makes none longer.
///
/// What they put in is a blank for a blank, a comma or a comment, a slash for a slash or a backslash, or a letter in the
/// other case; those that stand in no alphabet's value, such as escapes and backticks, do not come into it.
const fn is_closed(transform: Transform) -> bool {
    matches!(
        transform,
        Transform::CmdLine
            | Transform::CompressWhitespace
            | Transform::CssDecode
            | Transform::JsDecode
            | Transform::Lowercase
            | Transform::NormalizePath
            | Transform::NormalizePathWin
            | Transform::RemoveNulls
            | Transform::RemoveWhitespace
            | Transform::ReplaceComments
            | Transform::WithoutMarkdownCode
    )
}

/// Whether a transformation never makes a value longer.
const fn only_shortens(transform: Transform) -> bool {
    matches!(
        transform,
        Transform::CmdLine
            | Transform::CompressWhitespace
            | Transform::CssDecode
            | Transform::JsDecode
            | Transform::Lowercase
            | Transform::RemoveNulls
            | Transform::RemoveWhitespace
            | Transform::ReplaceComments
            | Transform::UrlDecodeUni
            | Transform::WithoutMarkdownCode
    )
}

/// The chain without `lowercase` at its end: literals are looked for without regard to case.
pub(super) fn folded(transforms: &[Transform]) -> &[Transform] {
    match transforms {
        [rest @ .., Transform::Lowercase] => rest,
        all => all,
    }
}

/// The categories without which the chain changes nothing.
pub(super) fn triggers(transforms: &[Transform], categories: &Categories) -> u64 {
    transforms.iter().fold(0, |all, transform| match transform.trigger() {
        Trigger::Always => u64::MAX,
        Trigger::Bytes(set) => all | categories.of_set(set),
    })
}
