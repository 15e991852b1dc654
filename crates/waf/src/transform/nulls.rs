//! NUL bytes: `removeNulls`, and `replaceNulls`, which puts blanks.

pub(super) fn remove(input: &[u8], out: &mut Vec<u8>) {
    out.extend(input.iter().filter(|&&byte| byte != 0));
}

pub(super) fn replace(input: &[u8], out: &mut Vec<u8>) {
    out.extend(input.iter().map(|&byte| if byte == 0 { b' ' } else { byte }));
}
