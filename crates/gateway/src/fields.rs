//! Header fields as the engine takes them: borrowed, in order, without an allocation for ordinary requests.

use bartizan_model::HeaderField;
use http::HeaderMap;
use smallvec::SmallVec;

/// Fields of one head; up to 32 need no allocation.
pub(crate) type HeaderFields<'a> = SmallVec<[HeaderField<'a>; 32]>;

/// The fields of a header map. Names are in lower case; fields of one name stand together.
pub(crate) fn fields(headers: &HeaderMap) -> HeaderFields<'_> {
    let mut fields = HeaderFields::new(); // PERF: made where the caller wants it; `collect` would copy its 1 KiB
    fields.extend(
        headers.iter().map(|(name, value)| HeaderField { name: name.as_str().as_bytes(), value: value.as_bytes() }),
    );
    fields
}
