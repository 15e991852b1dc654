//! What rules look at: every value of an exchange as a span of one buffer that the transaction owns.
//!
//! Request heads are borrowed from the host and gone before the body is complete, so what is needed is copied once, in
//! one buffer. Collections are lists of name and value; scalar variables are single spans.

use bartizan_model::Part;
use smallvec::SmallVec;

use crate::Variable;
use crate::cut::{Cut, Left};
use crate::open::{Opened, Opener};

/// LIMIT: bytes that one exchange may bring into the buffer, decoded parts included; beyond it values are left out, and
/// the transaction says so.
pub(crate) const TEXT_BYTES_MAX: usize = 256 << 20;

/// Digits of the longest number, with its sign.
pub(crate) const DECIMAL_BYTES_MAX: usize = 20;

/// Bytes within a [`Text`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Number of bytes.
    pub(crate) const fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// `from..to` counted from this span's beginning, cut to it.
    pub(crate) fn part(self, from: usize, to: usize) -> Self {
        let at = |offset: usize| {
            u32::try_from(offset).map_or(self.end, |offset| self.start.saturating_add(offset).min(self.end))
        };
        let (start, end) = (at(from), at(to));
        Self { start, end: end.max(start) }
    }
}

/// The buffer.
#[derive(Debug, Default)]
pub(crate) struct Text {
    bytes: Vec<u8>,
    is_full: bool,
}

impl Text {
    /// The bytes of a span that this buffer gave.
    #[inline]
    pub(crate) fn at(&self, span: Span) -> &[u8] {
        self.bytes.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// Copies `bytes` in.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Span {
        self.write(|buffer| buffer.extend_from_slice(bytes), bytes.len())
    }

    /// Copies several pieces in, as one.
    pub(crate) fn push_all(&mut self, pieces: &[&[u8]]) -> Span {
        self.write(
            |buffer| pieces.iter().for_each(|piece| buffer.extend_from_slice(piece)),
            pieces.iter().map(|piece| piece.len()).sum(),
        )
    }

    /// Copies pieces in behind what a span of this buffer holds, as one.
    pub(crate) fn push_behind(&mut self, first: Span, pieces: &[&[u8]]) -> Span {
        let range = first.start as usize..first.end as usize;
        let append = |buffer: &mut Vec<u8>| {
            // INVARIANT: the span is of this buffer and this exchange, so that it lies within.
            if range.end <= buffer.len() {
                buffer.extend_from_within(range);
            }
            pieces.iter().for_each(|piece| buffer.extend_from_slice(piece));
        };
        self.write(append, first.len() + pieces.iter().map(|piece| piece.len()).sum::<usize>())
    }

    /// Writes a number.
    pub(crate) fn push_decimal(&mut self, number: u64) -> Span {
        // PERF: most numbers are one digit; formatting takes ten times as long.
        match u8::try_from(number) {
            Ok(digit @ 0..=9) => self.push(&[b'0' + digit]),
            _ => self.push_display(&number, DECIMAL_BYTES_MAX),
        }
    }

    /// Writes what a value displays as, which takes at most so many bytes.
    pub(crate) fn push_display(&mut self, value: &dyn std::fmt::Display, expected: usize) -> Span {
        use std::io::Write as _;
        self.write(|buffer| _ = write!(buffer, "{value}"), expected) // writing to a Vec cannot fail
    }

    /// Lets `write` append; `expected` is the most that it appends.
    pub(crate) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>), expected: usize) -> Span {
        if self.bytes.len().saturating_add(expected) > TEXT_BYTES_MAX {
            self.is_full = true;
            return Span::default();
        }
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.bytes.truncate(TEXT_BYTES_MAX);
        Span { start: offset(start), end: offset(self.bytes.len()) }
    }

    /// Empty but for the text that a plan's first values are spans of.
    pub(crate) fn begin_with(&mut self, first: &Self) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&first.bytes);
    }

    /// Bytes of memory.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Forgets everything and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.is_full = false;
    }
}

/// Offsets stay below [`TEXT_BYTES_MAX`], which fits.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// A member of a collection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub(crate) name: Span,
    pub(crate) value: Span,
    /// What the gate found for the value and for the name
    pub(crate) rows: (u32, u32),
    /// The removals that took the value, and the name, away from rules; see `Plan::is_removed`
    pub(crate) removals: (u64, u64),
    pub(crate) standing: Standing,
}

/// How a member came to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It was sent
    Sent,
    /// It was found inside of another value; it is not counted
    Inside,
    /// It is a name and no value: of a JSON array, whose elements have numbers; it is not counted
    Name,
}

/// Which value of the exchange one is: two with equal bytes, or of one name, are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A member of a collection by its place in it; whether its name is meant
    Member(List, u32, bool),
    /// A variable with one value
    Scalar(Variable),
    /// Made by rules
    Made,
}

/// The gate has not looked.
pub(crate) const NO_ROW: u32 = u32::MAX;

/// The gate has found nothing.
pub(crate) const NOTHING: u32 = u32::MAX - 1;

impl Item {
    /// A member that the gate has not looked at.
    pub(crate) const fn new(name: Span, value: Span) -> Self {
        Self { name, value, rows: (NO_ROW, NO_ROW), removals: (0, 0), standing: Standing::Sent }
    }
}

/// The collections that an exchange fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum List {
    ArgsGet,
    ArgsPost,
    Cookies,
    RequestHeaders,
    ResponseHeaders,
    Files,
    FilesNames,
    FilesSizes,
    FilesContent,
    PartHeaders,
    XmlText,
    XmlAttributes,
}

impl List {
    /// How many there are.
    pub(crate) const COUNT: usize = Self::ALL.len();

    /// All of them.
    pub(crate) const ALL: [Self; 12] = [
        Self::ArgsGet,
        Self::ArgsPost,
        Self::Cookies,
        Self::RequestHeaders,
        Self::ResponseHeaders,
        Self::Files,
        Self::FilesNames,
        Self::FilesSizes,
        Self::FilesContent,
        Self::PartHeaders,
        Self::XmlText,
        Self::XmlAttributes,
    ];
}

/// LIMIT: members of one collection; real requests have dozens, big JSON documents thousands.
pub(crate) const ITEMS_MAX: usize = 100_000;

const SCALARS: usize = Variable::ALL.len();

/// LIMIT: bytes of a document whose buffers are kept for the next: a tree of many small nodes takes some 30 times that.
const KEPT_SOURCE_BYTES_MAX: usize = 16 << 10;

/// All that is known of an exchange so far.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) text: Text,
    lists: [Vec<Item>; List::COUNT],
    scalars: [Option<Span>; SCALARS],
    scalar_rows: [u32; SCALARS],
    scalar_removals: [u64; SCALARS],
    /// Which part of the exchange is being filled in
    pub(crate) part: Part,
    /// Arguments so far, without those that were opened inside of values
    pub(crate) arguments: usize,
    /// What was opened inside of values
    pub(crate) opened: Opened,
    cuts: SmallVec<[Cut; 2]>,
    /// For decoding
    pub(crate) buffers: Buffers,
}

/// What decoding needs, to be used again.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    tree: bartizan_content::Scratch,
    path: Vec<u8>,
    opener: Opener,
}

impl Buffers {
    /// For the tree of a document.
    pub(crate) fn tree(&mut self) -> bartizan_content::Scratch {
        std::mem::take(&mut self.tree)
    }

    /// For the paths in it.
    pub(crate) fn path(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.path)
    }

    /// For values inside of values.
    pub(crate) fn opener(&mut self) -> Opener {
        std::mem::take(&mut self.opener)
    }

    /// Keeps what opened values of at most this length; what opened longer ones goes.
    pub(crate) fn keep_opener(&mut self, longest: usize, opener: Opener) {
        if longest <= KEPT_SOURCE_BYTES_MAX {
            self.opener = opener;
        }
    }

    /// Keeps the buffers after a document of this length; those of a large one go.
    pub(crate) fn keep(&mut self, source_bytes: usize, tree: bartizan_content::Scratch, path: Option<Vec<u8>>) {
        if source_bytes <= KEPT_SOURCE_BYTES_MAX {
            self.tree = tree;
            self.path = path.unwrap_or_else(|| std::mem::take(&mut self.path));
        }
    }
}

impl Default for Inputs {
    fn default() -> Self {
        Self {
            text: Text::default(),
            lists: Default::default(),
            scalars: [None; SCALARS],
            scalar_rows: [NO_ROW; SCALARS],
            scalar_removals: [0; SCALARS],
            part: Part::Query,
            arguments: 0,
            opened: Opened::default(),
            cuts: SmallVec::new(),
            buffers: Buffers::default(),
        }
    }
}

impl Inputs {
    /// The members of a collection.
    #[inline]
    pub(crate) fn list(&self, list: List) -> &[Item] {
        self.lists.get(list as usize).map(Vec::as_slice).unwrap_or_default()
    }

    /// Adds a member.
    pub(crate) fn add(&mut self, list: List, item: Item) {
        if let Some(items) = self.lists.get_mut(list as usize) {
            if items.len() < ITEMS_MAX {
                items.push(item);
            } else {
                self.cut(Left::Members);
            }
        }
    }

    /// Notes that something is left out; once for each thing and part.
    #[cold]
    pub(crate) fn cut(&mut self, what: Left) {
        let cut = Cut { part: self.part, what };
        if !self.cuts.contains(&cut) {
            self.cuts.push(cut);
        }
    }

    /// What was left out so far.
    pub(crate) fn cuts(&mut self) -> &[Cut] {
        if self.text.is_full {
            self.cut(Left::Text);
        }
        &self.cuts
    }

    /// The gate looks at everything anew.
    pub(crate) fn forget_rows(&mut self) {
        self.lists.iter_mut().flatten().for_each(|item| item.rows = (NO_ROW, NO_ROW));
        self.scalar_rows = [NO_ROW; SCALARS];
    }

    /// A list and the text that its spans are of.
    pub(crate) fn list_mut(&mut self, list: List) -> (&mut [Item], &Text) {
        (self.lists.get_mut(list as usize).map(Vec::as_mut_slice).unwrap_or_default(), &self.text)
    }

    /// What the gate found for a scalar variable.
    pub(crate) fn scalar_row(&self, variable: Variable) -> u32 {
        self.scalar_rows.get(variable as usize).copied().unwrap_or(NO_ROW)
    }

    /// Keeps what the gate found for a scalar variable.
    pub(crate) fn set_scalar_row(&mut self, variable: Variable, row: u32) {
        if let Some(slot) = self.scalar_rows.get_mut(variable as usize) {
            *slot = row;
        }
    }

    /// Marks a value with the number of a removal.
    pub(crate) fn mark(&mut self, origin: Origin, removal: u32) {
        let bit = 1u64.checked_shl(removal).unwrap_or(0);
        match origin {
            Origin::Member(list, at, is_name) => {
                let items = self.lists.get_mut(list as usize);
                let Some(item) = items.and_then(|items| items.get_mut(at as usize)) else { return };
                *if is_name { &mut item.removals.1 } else { &mut item.removals.0 } |= bit;
            }
            Origin::Scalar(variable) => {
                if let Some(marks) = self.scalar_removals.get_mut(variable as usize) {
                    *marks |= bit;
                }
            }
            Origin::Made => {}
        }
    }

    /// The removals that a scalar variable is marked with.
    pub(crate) fn scalar_removals(&self, variable: Variable) -> u64 {
        self.scalar_removals.get(variable as usize).copied().unwrap_or(0)
    }

    /// Copies a member in.
    pub(crate) fn push(&mut self, list: List, name: &[u8], value: &[u8]) {
        let item = Item::new(self.text.push(name), self.text.push(value));
        self.add(list, item);
    }

    /// The value of a scalar variable; `None` when it is not set.
    #[inline]
    pub(crate) fn scalar(&self, variable: Variable) -> Option<Span> {
        self.scalars.get(variable as usize).copied().flatten()
    }

    /// Sets a scalar variable.
    pub(crate) fn set(&mut self, variable: Variable, value: Span) {
        if let Some(scalar) = self.scalars.get_mut(variable as usize) {
            *scalar = Some(value);
        }
    }

    /// Copies a scalar variable's value in.
    pub(crate) fn set_text(&mut self, variable: Variable, value: &[u8]) {
        let span = self.text.push(value);
        self.set(variable, span);
    }

    /// Copies a number in.
    pub(crate) fn set_number(&mut self, variable: Variable, number: u64) {
        let span = self.text.push_decimal(number);
        self.set(variable, span);
    }

    /// As new, with the memory kept.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.lists.iter_mut().for_each(Vec::clear);
        self.scalars = [None; SCALARS];
        self.scalar_rows = [NO_ROW; SCALARS];
        self.scalar_removals = [0; SCALARS];
        self.part = Part::Query;
        self.arguments = 0;
        self.opened = Opened::default();
        self.cuts.clear();
    }
}
