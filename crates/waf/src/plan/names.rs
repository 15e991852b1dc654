//! Names of `TX` members as numbers, and text with macros as templates.

use std::collections::HashMap;

use crate::Variable;
use crate::ast::{Text, TextPart};
use crate::inputs::List;
use crate::operator::CAPTURES_MAX;

use super::link::{Source, source_of};

/// A member of `TX` whose name is known at load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Slot(pub(crate) u32);

impl Slot {
    /// Whether it is one of `TX.0` to `TX.9`.
    pub(crate) const fn is_capture(self) -> bool {
        (self.0 as usize) < CAPTURES_MAX
    }
}

/// The members of `TX` that rules name, lower case.
#[derive(Debug, Default)]
pub(crate) struct Names {
    slots: HashMap<Vec<u8>, Slot>,
    texts: Vec<Box<[u8]>>,
}

impl Names {
    /// The first ten members are what a rule captured.
    pub(crate) fn new() -> Self {
        let mut names = Self::default();
        for digit in b'0'..=b'9' {
            names.slot(&[digit]);
        }
        names
    }

    /// The number of this name, a new one when it is new.
    pub(crate) fn slot(&mut self, name: &[u8]) -> Slot {
        let lower = name.to_ascii_lowercase();
        if let Some(slot) = self.slots.get(&lower) {
            return *slot;
        }
        let slot = Slot(u32::try_from(self.texts.len()).unwrap_or(u32::MAX));
        self.texts.push(lower.clone().into());
        self.slots.insert(lower, slot);
        slot
    }

    /// The number of this name, which is in lower case.
    pub(crate) fn find(&self, lower: &[u8]) -> Option<Slot> {
        self.slots.get(lower).copied()
    }

    /// The name of a slot.
    pub(crate) fn text(&self, slot: Slot) -> &[u8] {
        self.texts.get(slot.0 as usize).map(|text| &**text).unwrap_or_default()
    }

    /// Every number.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        (0..u32::try_from(self.texts.len()).unwrap_or(u32::MAX)).map(Slot)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }
}

/// Text whose macros are resolved to where their values come from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Template(pub(crate) Vec<Piece>);

/// A piece of a [`Template`].
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    /// As it is
    Literal(Box<[u8]>),
    /// A member of `TX`
    Tx(Slot),
    /// Something about the rule that runs: `id`, `msg`, `severity`, …
    Rule(Box<str>),
    /// A variable, and a member's name in lower case
    Value(Source, Option<Box<[u8]>>),
}

impl Template {
    /// Resolves a text.
    pub(crate) fn new(text: &Text, names: &mut Names) -> Self {
        Self(text.parts.iter().map(|part| piece(part, names)).collect())
    }

    /// Whether `TX.0` to `TX.9` are in it.
    pub(crate) fn reads_captures(&self) -> bool {
        self.0.iter().any(|piece| match piece {
            Piece::Tx(slot) | Piece::Value(Source::Slot(slot), _) => slot.is_capture(),
            Piece::Value(source, _) => *source == Source::Tx,
            Piece::Literal(_) | Piece::Rule(_) => false,
        })
    }

    /// The bytes, when nothing in it changes.
    pub(crate) fn literal(&self) -> Option<&[u8]> {
        match self.0.as_slice() {
            [] => Some(b""),
            [Piece::Literal(bytes)] => Some(bytes),
            _ => None,
        }
    }
}

fn piece(part: &TextPart, names: &mut Names) -> Piece {
    match part {
        TextPart::Literal(bytes) => Piece::Literal(bytes.clone().into()),
        TextPart::Macro(Variable::Tx, Some(name)) => Piece::Tx(names.slot(name.as_bytes())),
        TextPart::Macro(Variable::Rule, Some(name)) => Piece::Rule(name.to_ascii_lowercase().into()),
        TextPart::Macro(variable, name) => {
            let lower = name.as_ref().map(|name| name.to_ascii_lowercase().into_bytes().into_boxed_slice());
            Piece::Value(source_of(*variable, lower.as_deref()), lower)
        }
    }
}

/// The lists behind a variable, and whether it is their names that are meant.
pub(crate) fn lists_of(variable: Variable) -> Option<(&'static [List], bool)> {
    use List::{
        ArgsGet, ArgsPost, Cookies, Files, FilesContent, FilesNames, FilesSizes, PartHeaders, RequestHeaders,
        ResponseHeaders,
    };
    Some(match variable {
        Variable::Args => (&[ArgsGet, ArgsPost], false),
        Variable::ArgsNames => (&[ArgsGet, ArgsPost], true),
        Variable::ArgsGet => (&[ArgsGet], false),
        Variable::ArgsGetNames => (&[ArgsGet], true),
        Variable::ArgsPost => (&[ArgsPost], false),
        Variable::ArgsPostNames => (&[ArgsPost], true),
        Variable::RequestCookies => (&[Cookies], false),
        Variable::RequestCookiesNames => (&[Cookies], true),
        Variable::RequestHeaders => (&[RequestHeaders], false),
        Variable::RequestHeadersNames => (&[RequestHeaders], true),
        Variable::ResponseHeaders => (&[ResponseHeaders], false),
        Variable::ResponseHeadersNames => (&[ResponseHeaders], true),
        Variable::Files => (&[Files], false),
        Variable::FilesNames => (&[FilesNames], false),
        Variable::FilesSizes => (&[FilesSizes], false),
        Variable::FilesTmpContent => (&[FilesContent], false),
        Variable::MultipartPartHeaders => (&[PartHeaders], false),
        _ => return None,
    })
}
