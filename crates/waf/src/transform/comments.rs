//! Comments of C, SQL and HTML: `replaceComments`, `removeComments`, `removeCommentsChar`.
//!
//! `replaceComments` puts one blank for each `/* */`, closed or not. `removeComments` takes out `/* */` and `<!-- -->`, either
//! closing either, and everything from `--` or `#` on; the byte behind a comment is kept without being looked at, and an open
//! comment leaves a blank. `removeCommentsChar` takes out the marks alone. All as libmodsecurity does, but that `removeComments`
//! adds no NUL when a comment is the last thing in the value.

pub(super) fn replace(mut input: &[u8], out: &mut Vec<u8>) {
    while let Some((&byte, rest)) = input.split_first() {
        input = match (byte, rest) {
            (b'/', [b'*', comment @ ..]) => {
                out.push(b' ');
                memchr::memmem::find(comment, b"*/").and_then(|end| comment.get(end + 2..)).unwrap_or_default()
            }
            _ => {
                out.push(byte);
                rest
            }
        };
    }
}

pub(super) fn remove(mut input: &[u8], out: &mut Vec<u8>) {
    while let Some((&byte, rest)) = input.split_first() {
        input = match (byte, rest) {
            (b'/', [b'*', comment @ ..]) | (b'<', [b'!', b'-', b'-', comment @ ..]) => match after_comment(comment) {
                None => {
                    out.push(b' ');
                    return;
                }
                Some([behind, after @ ..]) => {
                    out.push(*behind);
                    after
                }
                Some([]) => return,
            },
            (b'-', [b'-', ..]) | (b'#', _) => return,
            _ => {
                out.push(byte);
                rest
            }
        };
    }
}

/// What follows the first `*/` or `-->`.
fn after_comment(mut comment: &[u8]) -> Option<&[u8]> {
    loop {
        comment = match comment {
            [] => return None,
            [b'*', b'/', after @ ..] | [b'-', b'-', b'>', after @ ..] => return Some(after),
            [_, rest @ ..] => rest,
        };
    }
}

pub(super) fn remove_marks(mut input: &[u8], out: &mut Vec<u8>) {
    loop {
        input = match input {
            [] => return,
            [b'<', b'!', b'-', b'-', after @ ..]
            | [b'-', b'-', b'>', after @ ..]
            | [b'/', b'*', after @ ..]
            | [b'*', b'/', after @ ..]
            | [b'-', b'-', after @ ..]
            | [b'#', after @ ..] => after,
            [byte, rest @ ..] => {
                out.push(*byte);
                rest
            }
        };
    }
}
