//! Digests: `sha1` and `md5`, as raw bytes; rules make them readable with `hexEncode`.
//!
//! Nothing here is a secret and no decision rests on their strength: rules compare values with lists of digests.

use ::md5::Md5;
use ::sha1::{Digest, Sha1};

pub(super) fn sha1(input: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(Sha1::digest(input).as_slice());
}

pub(super) fn md5(input: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(Md5::digest(input).as_slice());
}
