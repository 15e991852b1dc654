//! Limits on header fields: they arrive parsed, so there is nothing to decode, only to measure.

use crate::builder::saturated;
use crate::fault::{Fault, FaultKind};
use crate::limits::{Limit, Limits};

/// The first limit that these header fields, as names and values, exceed; the fault's offset is the field's number.
pub fn check_headers<'h>(fields: impl IntoIterator<Item = (&'h [u8], &'h [u8])>, limits: &Limits) -> Option<Fault> {
    fields.into_iter().zip(0..).find_map(|((name, value), number)| {
        let measures = [
            (Limit::HeaderCount, number + 1),
            (Limit::HeaderNameLength, saturated(name.len())),
            (Limit::HeaderValueLength, saturated(value.len())),
        ];
        let (limit, _) = measures.into_iter().find(|&(limit, measure)| measure > limits.of(limit))?;
        let kind = FaultKind::LimitReached;
        Some(Fault { kind, limit: Some(limit), offset: number, node: None, has_stopped: true })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_fields_are_measured_one_by_one() {
        let check = |limits: &Limits| {
            let fields = [(&b"host"[..], &b"a"[..]), (b"accept", b"*/*")];
            check_headers(fields, limits).map(|fault| (fault.name(), fault.offset))
        };
        assert_eq!(check(&Limits::default()), None);
        assert_eq!(check(&Limits { header_count: 1, ..Limits::default() }), Some(("header_count", 1)));
        assert_eq!(check(&Limits { header_name_length: 4, ..Limits::default() }), Some(("header_name_length", 1)));
        assert_eq!(check(&Limits { header_value_length: 0, ..Limits::default() }), Some(("header_value_length", 0)));
    }
}
