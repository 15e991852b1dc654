//! What kind of body upstreams take a body for: its media type is a claim, and many parse JSON whatever it says.
//!
//! So a body that begins like JSON or XML is that too, beside what it is called. Sources: CWE-436; RFC 9110 §8.3 on
//! recipients that look at the content; body parsers that take every media type (Express `type: "*/*"`, Go `json.Decoder`).

use bartizan_content::Format;
use bartizan_model::HeaderField;

/// A byte order mark in UTF-8, which some parsers skip.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The other reading of a body that is read as `declared`, if it begins like one.
pub(crate) fn second_reading(declared: Format<'_>, bytes: &[u8]) -> Option<Format<'static>> {
    let format = Format::of(None, bytes.strip_prefix(MARK).unwrap_or(bytes));
    (format != Format::Raw && format != declared).then_some(format)
}

/// Whether two fields say what kind of body it is, so that each recipient may believe another.
pub(crate) fn is_ambiguous(headers: &[HeaderField<'_>]) -> bool {
    ["content-type", "content-encoding"]
        .into_iter()
        .any(|name| headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name.as_bytes())).nth(1).is_some())
}
