//! Queries and `application/x-www-form-urlencoded` bodies: `a=1&b=2`, as lenient as servers are.
//!
//! Pairs are split at `&`, names from values at the first `=`, then both are percent-decoded and `+` is a space. A bad
//! `%zz` stays as it is, with a fault. Empty segments (`&&`) are no pairs. Raw is the pair as sent.
//! Source: URL Standard §5.1; ModSecurity's reading of `%` is the same.

use memchr::{memchr, memchr_iter};

use crate::builder::{Builder, Stop};
use crate::kind::Kind;
use crate::limits::Limit;
use crate::tree::{NameSpan, Span};

pub(crate) fn decode(out: &mut Builder<'_, '_>) -> Result<(), Stop> {
    let source = out.source;
    let mut count = 0;
    let mut start = 0;
    for end in memchr_iter(b'&', source).chain([source.len()]) {
        if start < end {
            count += 1;
            out.within(Limit::FormFieldCount, count, start)?;
            pair(out, start, end)?;
        }
        start = end.saturating_add(1);
    }
    Ok(())
}

fn pair(out: &mut Builder<'_, '_>, start: usize, end: usize) -> Result<(), Stop> {
    let bytes = out.source.get(start..end).unwrap_or_default();
    let equals = memchr(b'=', bytes).map_or(end, |at| start.saturating_add(at));
    let name = out.percent_decoded(start, equals)?;
    out.within(Limit::FormNameLength, name.len, start)?;
    let value = out.percent_decoded(equals.saturating_add(1).min(end), end)?;
    out.within(Limit::FormValueLength, value.len, start)?;
    out.leaf(Kind::Pair, NameSpan::Bytes(name), value, Span::source(start, end))
}

#[cfg(test)]
mod tests {
    use crate::{FaultKind, Format, Limits, Name, decode};

    fn check(form: &str, pairs: &[(&str, &str)]) {
        let limits = Limits::default();
        let content = decode(Format::Form, form.as_bytes(), &limits);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let found: Vec<_> = content.leaves().map(|leaf| (text(leaf.key()), text(leaf.value()))).collect();
        let found: Vec<_> = found.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        assert_eq!(found, pairs, "{form}");
    }

    #[test]
    fn pairs_are_split_then_decoded() {
        check("", &[]);
        check("a=1&b=2", &[("a", "1"), ("b", "2")]);
        check("a", &[("a", "")]);
        check("=", &[("", "")]);
        check("a=b=c", &[("a", "b=c")]);
        check("&&a=1&&", &[("a", "1")]);
        check("a%3Db=c%26d+e", &[("a=b", "c&d e")]);
        check("a=%zz%4&b=%", &[("a", "%zz%4"), ("b", "%")]);
        check("a=1&a=2", &[("a", "1"), ("a", "2")]);
        check("a[0]=1&a[b][]=2", &[("a[0]", "1"), ("a[b][]", "2")]);
        check("%00=%00", &[("\0", "\0")]);
    }

    #[test]
    fn raw_and_decoded_are_both_kept() {
        let limits = Limits::default();
        let content = decode(Format::Form, b"x=1&q=%41", &limits);
        let pair = content.leaves().last().unwrap();
        assert_eq!((pair.name(), pair.value(), pair.raw()), (Name::Bytes(b"q"), &b"A"[..], &b"q=%41"[..]));
        assert!(pair.is_decoded());
        assert_eq!(pair.raw_range(), Some(4..9));
    }

    #[test]
    fn bad_percent_signs_are_faults() {
        let limits = Limits::default();
        assert!(decode(Format::Form, b"a=%", &limits).has(FaultKind::BadPercent));
        assert!(!decode(Format::Form, b"a=%25", &limits).has(FaultKind::BadPercent));
    }

    #[test]
    fn the_field_count_limit_keeps_what_came_before() {
        let limits = Limits { form_field_count: 2, ..Limits::default() };
        let content = decode(Format::Form, b"a=1&b=2&c=3", &limits);
        assert_eq!(content.len(), 2);
        assert_eq!(content.stopped().map(|fault| fault.name()), Some("form_field_count"));
    }
}
