//! Cookie header fields: `a=1; b=2`, one field value at a time.
//!
//! Names and values are kept as sent, as ModSecurity and most frameworks' raw access do: cookies have no escape of
//! their own, rules decode where they want to. White space around a pair and before its `=` is no part of it. Quotes stay.
//! Source: RFC 6265 §5.4 and §4.2.

use memchr::{memchr, memchr_iter};

use crate::builder::{Builder, Stop};
use crate::encoding::{offset_in, trimmed};
use crate::kind::Kind;
use crate::limits::Limit;
use crate::tree::{NameSpan, Span};

pub(crate) fn decode(out: &mut Builder<'_, '_>) -> Result<(), Stop> {
    let source = out.source;
    let mut count = 0;
    let mut start = 0;
    for end in memchr_iter(b';', source).chain([source.len()]) {
        let pair = trimmed(source.get(start..end).unwrap_or_default());
        if !pair.is_empty() {
            count += 1;
            out.within(Limit::CookieCount, count, start)?;
            cookie(out, pair)?;
        }
        start = end.saturating_add(1);
    }
    Ok(())
}

fn cookie(out: &mut Builder<'_, '_>, pair: &[u8]) -> Result<(), Stop> {
    let span = |bytes: &[u8]| {
        let start = offset_in(out.source, bytes).unwrap_or_default();
        Span::source(start, start.saturating_add(bytes.len()))
    };
    let (name, value) = match memchr(b'=', pair).and_then(|at| pair.split_at_checked(at)) {
        Some((name, value)) => (trimmed(name), value.get(1..).unwrap_or_default()),
        None => (pair, pair.get(pair.len()..).unwrap_or_default()),
    };
    let (name, value, raw) = (span(name), span(value), span(pair));
    let at = raw.place().1;
    out.within(Limit::CookieNameLength, name.len, at)?;
    out.within(Limit::CookieValueLength, value.len, at)?;
    out.leaf(Kind::Cookie, NameSpan::Bytes(name), value, raw)
}

#[cfg(test)]
mod tests {
    use crate::{Format, Limits, decode};

    fn check(field: &[u8], cookies: &[(&str, &str)]) {
        let limits = Limits::default();
        let content = decode(Format::Cookies, field, &limits);
        let found: Vec<_> = content.leaves().map(|leaf| (leaf.key(), leaf.value())).collect();
        let cookies: Vec<_> = cookies.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        assert_eq!(found, cookies);
    }

    #[test]
    fn cookies_are_split_at_semicolons_and_kept_as_sent() {
        check(b"", &[]);
        check(b"a=1; b=2", &[("a", "1"), ("b", "2")]);
        check(b"a=1;b=2;", &[("a", "1"), ("b", "2")]);
        check(b" a = 1 ;; b", &[("a", " 1"), ("b", "")]);
        check(b"a=%41+b=\"c d\"", &[("a", "%41+b=\"c d\"")]);
        check(b"=x; a==", &[("", "x"), ("a", "=")]);
    }

    #[test]
    fn the_cookie_count_is_bounded() {
        let limits = Limits { cookie_count: 1, ..Limits::default() };
        let content = decode(Format::Cookies, b"a=1; b=2", &limits);
        assert_eq!((content.len(), content.stopped().map(|fault| fault.name())), (1, Some("cookie_count")));
    }
}
