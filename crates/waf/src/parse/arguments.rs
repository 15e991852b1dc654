//! A line → the directive's name and its arguments.
//!
//! Blanks part arguments. One in `"` or `'` may hold blanks; in it, a backslash before that quote makes the quote a part
//! of the text. Every other backslash stays, since most belong to patterns.

use super::lines::Line;
use super::report::{Fault, TEXT_AFTER_QUOTE, TOO_LARGE, UNCLOSED_QUOTE, excerpt};

/// LIMIT: arguments of one directive; lists of rule ids are the longest.
const ARGUMENTS_MAX: usize = 10_000;

/// The words of a line.
pub(super) struct Words {
    /// Name of the directive as written
    pub(super) name: Vec<u8>,
    /// Where the name begins in the line
    pub(super) at: usize,
    /// Its arguments
    pub(super) arguments: Vec<Argument>,
}

/// One argument.
pub(super) struct Argument {
    /// Without its quotes
    pub(super) text: Vec<u8>,
    /// Where the text begins in the line
    at: usize,
    /// Offsets in `text` of the quotes before which a backslash was dropped, ascending
    dropped: Vec<usize>,
}

impl Argument {
    /// Offset in the line of an offset of the text.
    pub(super) fn offset_in_line(&self, offset: usize) -> usize {
        self.at + offset + self.dropped.partition_point(|dropped| *dropped <= offset)
    }

    /// Its text, when it is UTF-8.
    pub(super) fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.text).ok()
    }

    /// Reads the text with `read`; the faults that it finds get their offsets in the line.
    pub(super) fn read<T>(&self, faults: &mut Vec<Fault>, read: impl FnOnce(&[u8], &mut Vec<Fault>) -> T) -> T {
        let mut own = Vec::new();
        let value = read(&self.text, &mut own);
        faults.extend(own.into_iter().map(|fault| Fault { at: self.offset_in_line(fault.at), ..fault }));
        value
    }
}

/// Takes a line apart.
pub(super) fn words(line: &Line) -> Result<Words, Fault> {
    let text = &line.text;
    let at = blanks(text, 0);
    let end = word_end(text, at);
    let name = text.get(at..end).unwrap_or_default().to_vec();
    let mut arguments = Vec::new();
    let mut offset = blanks(text, end);
    while let Some(first) = text.get(offset) {
        if arguments.len() >= ARGUMENTS_MAX {
            let message = format!("more than {ARGUMENTS_MAX} arguments in one directive");
            return Err(Fault::new(TOO_LARGE, offset, message, "write several directives"));
        }
        if matches!(first, b'"' | b'\'') {
            let (argument, end) = quoted(text, offset, *first)?;
            arguments.push(argument);
            offset = end;
        } else {
            let end = word_end(text, offset);
            let word = text.get(offset..end).unwrap_or_default().to_vec();
            arguments.push(Argument { text: word, at: offset, dropped: Vec::new() });
            offset = end;
        }
        offset = blanks(text, offset);
    }
    Ok(Words { name, at, arguments })
}

/// The argument whose opening quote is at `start`, and the offset after its closing quote.
fn quoted(line: &[u8], start: usize, quote: u8) -> Result<(Argument, usize), Fault> {
    let mut text = Vec::new();
    let mut dropped = Vec::new();
    let mut bytes = line.iter().enumerate().skip(start + 1);
    while let Some((offset, &byte)) = bytes.next() {
        if byte == quote {
            let end = offset + 1;
            if line.get(end).is_some_and(|next| !next.is_ascii_whitespace()) {
                let rest = excerpt(line.get(end..).unwrap_or_default());
                let message = format!("text follows the closing quote: `{rest}`");
                let help = "write a backslash before a quote that belongs to the text, or a blank between arguments";
                return Err(Fault::new(TEXT_AFTER_QUOTE, end, message, help));
            }
            return Ok((Argument { text, at: start + 1, dropped }, end));
        }
        if byte != b'\\' {
            text.push(byte);
            continue;
        }
        match bytes.next() {
            Some((_, &next)) if next == quote => {
                dropped.push(text.len());
                text.push(quote);
            }
            Some((_, &next)) => text.extend([byte, next]),
            None => text.push(byte),
        }
    }
    let message = format!("the quote of `{}` is not closed", excerpt(line.get(start..).unwrap_or_default()));
    let help = "close it on this line, or end the line with a backslash to go on in the next";
    Err(Fault::new(UNCLOSED_QUOTE, start, message, help))
}

fn blanks(text: &[u8], start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

fn word_end(text: &[u8], start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().take_while(|byte| !byte.is_ascii_whitespace()).count()
}
