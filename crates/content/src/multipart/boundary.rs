//! The boundary parameter of a multipart content type, and what is odd about it.
//!
//! Other parameters may come before it. The first boundary wins; a second one is a fault. Source: RFC 2046 §5.1.1.

use memchr::memmem;

use crate::builder::Builder;
use crate::encoding::trimmed;
use crate::fault::FaultKind;

/// The boundary of a content type, with what is odd about it noted.
pub(super) fn boundary(content_type: &[u8], out: &mut Builder<'_, '_>) -> Option<Vec<u8>> {
    let lower = content_type.to_ascii_lowercase();
    let at = memmem::find(&lower, b"boundary")?;
    let (before, parameter) = content_type.split_at_checked(at)?;
    if !before.contains(&b';') {
        out.fault(FaultKind::MultipartMissingSemicolon, 0);
    }
    let after_name = parameter.get(8..)?;
    let equals = after_name.iter().position(|&byte| byte == b'=')?;
    let (padding, value) = after_name.split_at_checked(equals)?;
    let value = value.get(1..)?;
    if !trimmed(padding).is_empty() {
        return None;
    }
    let rest = lower.get(at + 8..)?;
    let last_equals = memchr::memrchr(b'=', rest).unwrap_or(0);
    if memmem::find(rest.get(..last_equals)?, b"boundary").is_some() {
        out.fault(FaultKind::MultipartBadBoundary, 0);
    }
    if !padding.is_empty() || trimmed(value).len() != value.len() {
        out.fault(FaultKind::MultipartBoundaryWhitespace, 0);
    }
    let bare = trimmed(value);
    let boundary = match bare {
        [b'"', quoted @ ..] => {
            out.fault(FaultKind::MultipartBoundaryQuoted, 0);
            let end = quoted.iter().position(|&byte| byte == b'"');
            if end.is_none() {
                out.fault(FaultKind::MultipartBadBoundary, 0);
            }
            quoted.get(..end.unwrap_or(quoted.len()))?
        }
        _ => trimmed(bare.split(|&byte| byte == b';').next()?),
    };
    if !boundary.iter().all(|&byte| is_boundary_byte(byte)) || boundary.ends_with(b" ") {
        out.fault(FaultKind::MultipartBadBoundary, 0);
    }
    (!boundary.is_empty() && !boundary.contains(&b'\n')).then(|| boundary.to_vec())
}

/// RFC 2046 §5.1.1 `bchars`.
const fn is_boundary_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b' ' | b'\'' | b'(' | b')' | b'+' | b'_' | b',' | b'-' | b'.' | b'/' | b':' | b'=' | b'?')
}
