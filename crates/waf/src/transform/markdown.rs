//! `withoutMarkdownCode`, which is ours: code that a text shows is not code that somebody sends.
//!
//! People who write about programs put them between backticks. In a value that is such a text, two words at least outside
//! of all code, each span and each fenced block becomes a blank; any other value stays as it is. A span is opened by a run
//! of backticks behind a blank or a bracket and closed by the next run of the same length, before a blank or punctuation;
//! shorter ones than a fence end on their line. A span that is a mere name stays: SQL writes its columns so.
//!
//! Source: CommonMark 0.31, §4.5 and §6.1. A writer who wants an attack to be overlooked can write such a text; so can one
//! who begins it with four words, which the rules for code overlook as well (docs/threats.md).

/// Words outside of code from which on a value is a text.
const WORDS_MIN: usize = 2;

/// A run of backticks from this length on opens a block, which may have more than one line.
const FENCE: usize = 3;

/// LIMIT: the longest run of backticks that opens anything. What no run closes is remembered by length, so that no byte is
/// searched more often than there are lengths.
const RUN_MAX: usize = 8;

pub(super) fn without_code(input: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let mut unclosed = [false; RUN_MAX + 1];
    let mut rest = input;
    let mut before = None;
    while let Some(at) = memchr::memchr(b'`', rest) {
        let (text, ticks) = rest.split_at(at);
        out.extend_from_slice(text);
        before = text.last().copied().or(before);
        let (run, behind) = ticks.split_at(run_length(ticks));
        let code = if opens(before) { code_length(behind, run.len(), &mut unclosed) } else { None };
        match code.and_then(|length| behind.split_at_checked(length)) {
            Some((code, closing)) if !is_name(code) => {
                out.push(b' ');
                rest = closing.get(run.len()..).unwrap_or_default();
            }
            _ => {
                out.extend_from_slice(run);
                rest = behind;
            }
        }
        before = Some(b'`');
    }
    out.extend_from_slice(rest);
    if !has_words(out.get(start..).unwrap_or_default()) {
        out.truncate(start);
        out.extend_from_slice(input);
    }
}

fn run_length(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| **byte == b'`').count()
}

/// Whether code may begin behind this byte.
fn opens(before: Option<u8>) -> bool {
    before.is_none_or(|byte| byte.is_ascii_whitespace() || matches!(byte, b'(' | b'[' | b'*' | b'_' | b'>' | b'|'))
}

/// Whether code may end before this byte.
fn closes(after: Option<&u8>) -> bool {
    after.is_none_or(|byte| {
        byte.is_ascii_whitespace()
            || matches!(byte, b'.' | b',' | b';' | b':' | b'?' | b'!' | b')' | b']' | b'*' | b'_' | b'|')
    })
}

/// The bytes up to the run of this length that closes what another has opened.
fn code_length(behind: &[u8], run: usize, unclosed: &mut [bool; RUN_MAX + 1]) -> Option<usize> {
    let is_unclosed = unclosed.get_mut(run).filter(|is_unclosed| !**is_unclosed)?;
    let mut at = 0;
    while let Some(rest) = behind.get(at..) {
        let Some(next) = memchr::memchr2(b'`', b'\n', rest) else { break };
        let (_, found) = rest.split_at(next);
        match run_length(found) {
            0 if run < FENCE => return None,
            0 => at += next + 1,
            length if length == run => return closes(found.get(run)).then_some(at + next),
            length => at += next + length,
        }
    }
    *is_unclosed = true;
    None
}

/// Whether it is nothing but a name: of a column, a type, a file.
fn is_name(code: &[u8]) -> bool {
    code.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'-' | b'.'))
}

/// Whether there are enough words in it: two letters or more.
fn has_words(text: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || !byte.is_ascii();
    text.split(|byte| !is_letter(byte)).filter(|word| word.len() > 1).take(WORDS_MIN).count() == WORDS_MIN
}
