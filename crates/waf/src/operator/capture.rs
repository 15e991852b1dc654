//! What an operator captured: `TX.0` to `TX.9`.

use std::ops::Range;

use smallvec::SmallVec;

use crate::inputs::{Span, Text};

/// LIMIT: SecLang has `TX.0` to `TX.9`.
pub(crate) const CAPTURES_MAX: usize = 10;

/// One thing that was captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part<'c> {
    /// A part of the value that the operator was given
    Span(Range<usize>),
    /// Text that is no part of it
    Text(&'c [u8]),
}

impl Part<'_> {
    /// As a span; `value` is the value that the operator was given.
    pub(crate) fn keep(self, value: Span, text: &mut Text) -> Span {
        match self {
            Self::Span(range) => value.part(range.start, range.end),
            Self::Text(bytes) => text.push(bytes),
        }
    }
}

/// What an operator captured, reused from one call to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Captures {
    /// Parts of the input, by number; `None` for a group that took no part
    spans: SmallVec<[Option<Range<usize>>; CAPTURES_MAX]>,
    /// Instead of the input's part, the text for `TX.0`
    text: Vec<u8>,
    has_text: bool,
    /// How many are asked for, from `TX.0` on; all of them unless set
    asked: Option<usize>,
}

impl Captures {
    /// What was captured, with its number; `input` is the value that the operator was given.
    #[cfg(test)]
    pub(crate) fn iter<'a>(&'a self, input: &'a [u8]) -> impl Iterator<Item = (usize, &'a [u8])> {
        let text = self.has_text.then_some((0, self.text.as_slice()));
        let spans =
            self.spans.iter().enumerate().filter_map(|(number, span)| Some((number, input.get(span.clone()?)?)));
        text.into_iter().chain(spans)
    }

    /// What was captured as `TX.0`; `input` is the value that the operator was given.
    pub(crate) fn whole<'a>(&'a self, input: &'a [u8]) -> Option<&'a [u8]> {
        match self.part(0)? {
            Part::Span(range) => input.get(range),
            Part::Text(text) => Some(text),
        }
    }

    /// What was captured under a number.
    pub(crate) fn part(&self, number: usize) -> Option<Part<'_>> {
        match number {
            0 if self.has_text => Some(Part::Text(&self.text)),
            _ => self.spans.get(number)?.clone().map(Part::Span),
        }
    }

    /// Has operators find no more than the first so many.
    pub(crate) fn ask_for(&mut self, count: usize) {
        self.asked = Some(count);
    }

    /// How many are to be found.
    pub(super) fn asked(&self) -> usize {
        self.asked.unwrap_or(CAPTURES_MAX).min(CAPTURES_MAX)
    }

    /// Forgets what was captured.
    pub(crate) fn clear(&mut self) {
        self.spans.clear();
        self.text.clear();
        self.has_text = false;
    }

    /// One part of the input, as `TX.0`.
    pub(super) fn set_span(&mut self, span: Range<usize>) {
        self.clear();
        self.spans.push(Some(span));
    }

    /// Text that is no part of the input, as `TX.0`.
    pub(super) fn set_text(&mut self, text: &[u8]) {
        self.clear();
        self.text.extend_from_slice(text);
        self.has_text = true;
    }

    /// Parts of the input, at most [`CAPTURES_MAX`] of them.
    pub(super) fn set_spans(&mut self, spans: impl Iterator<Item = Option<Range<usize>>>) {
        self.clear();
        self.spans.extend(spans.take(CAPTURES_MAX));
    }
}
