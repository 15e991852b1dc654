//! NUL bytes: `removeNulls`, and `replaceNulls`, which puts blanks.

use super::space::push_kept;

pub(super) fn remove(input: &[u8], out: &mut Vec<u8>) {
    push_kept(input, out, |byte| byte != 0);
}

pub(super) fn replace(input: &[u8], out: &mut Vec<u8>) {
    out.extend(input.iter().map(|&byte| if byte == 0 { b' ' } else { byte }));
}
