//! The ways that logs write a time and a duration.
//!
//! RFC 3339 with any offset (HAR, Envoy), the Common Log Format's `10/Oct/2000:13:55:36 -0700` (nginx, Apache, AWS),
//! HAProxy's `06/Feb/2009:12:14:14.655` without an offset, and seconds, milli-, micro- or nanoseconds since 1970, told
//! apart by their size.

use bartizan_model::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// LIMIT: bytes of a text that may be a time.
const TIME_BYTES_MAX: usize = 64;

/// Any of the forms, where a time without an offset is `offset_minutes` ahead of UTC.
pub(crate) fn time(text: &[u8], offset_minutes: i16) -> Option<Timestamp> {
    let text = text.trim_ascii();
    if text.len() > TIME_BYTES_MAX {
        return None;
    }
    match text {
        [_, _, b'/', ..] => common_log(text, offset_minutes),
        [_, _, _, _, b'-', ..] => rfc3339(text, offset_minutes),
        _ => epoch(text),
    }
}

/// `10/Oct/2000:13:55:36`, perhaps with `.655`, perhaps with ` -0700`.
fn common_log(text: &[u8], offset_minutes: i16) -> Option<Timestamp> {
    let (head, rest) = text.split_at_checked(20)?;
    let &[d1, d2, b'/', m1, m2, m3, b'/', y1, y2, y3, y4, b':', h1, h2, b':', i1, i2, b':', s1, s2] = head else {
        return None;
    };
    let (micros, rest) = match rest.strip_prefix(b".") {
        Some(rest) => fraction_micros(rest)?,
        None => (0, rest),
    };
    let offset = match rest.trim_ascii_start() {
        [] => i32::from(offset_minutes) * 60,
        offset => offset_seconds(offset)?,
    };
    let date = DateTime::new(
        i16::from(two(y1, y2)?) * 100 + i16::from(two(y3, y4)?),
        month([m1, m2, m3])?,
        two(d1, d2)?,
        two(h1, h2)?,
        two(i1, i2)?,
        two(s1, s2)?.min(59), // a leap second counts as the one before
        i32::try_from(micros).ok()? * 1000,
    );
    let time = Offset::from_seconds(offset).ok()?.to_timestamp(date.ok()?).ok()?;
    Some(Timestamp::from_micros(time.as_microsecond()))
}

fn month(name: [u8; 3]) -> Option<i8> {
    Some(match &name {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    })
}

/// Two digits.
fn two(tens: u8, ones: u8) -> Option<i8> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| (byte - b'0').cast_signed());
    Some(digit(tens)? * 10 + digit(ones)?)
}

/// `-0700` or `+05:30`, in seconds.
fn offset_seconds(text: &[u8]) -> Option<i32> {
    let (sign, h1, h2, m1, m2) = match *text {
        [sign, h1, h2, m1, m2] | [sign, h1, h2, b':', m1, m2] => (sign, h1, h2, m1, m2),
        [b'Z'] => return Some(0),
        _ => return None,
    };
    let seconds = i32::from(two(h1, h2)?) * 3600 + i32::from(two(m1, m2)?) * 60;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

/// RFC 3339 with an offset, or without one (some HAR exporters).
fn rfc3339(text: &[u8], offset_minutes: i16) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(Timestamp::from_micros(time.as_microsecond()));
    }
    let date: DateTime = text.parse().ok()?;
    let time = Offset::from_seconds(i32::from(offset_minutes) * 60).ok()?.to_timestamp(date).ok()?;
    Some(Timestamp::from_micros(time.as_microsecond()))
}

/// Seconds since 1970 with a fraction, or a finer unit, told by the number's size (seconds up to the year 5138).
fn epoch(text: &[u8]) -> Option<Timestamp> {
    let (whole, micros) = decimal(text)?;
    Some(Timestamp::from_micros(match whole {
        0..100_000_000_000 => (whole * 1_000_000 + micros).cast_signed(),
        100_000_000_000..100_000_000_000_000 => (whole * 1000 + micros / 1000).cast_signed(),
        100_000_000_000_000..100_000_000_000_000_000 => whole.cast_signed(),
        _ => (whole / 1000).cast_signed(),
    }))
}

/// The same for a number that JSON gave as floating point.
pub(crate) fn epoch_float(seconds: f64) -> Option<Timestamp> {
    // 17 significant digits are enough for microseconds until the year 2255.
    epoch(format!("{seconds:.6}").as_bytes())
}

/// A duration in a unit of `unit_us` microseconds, with a fraction: `0.005` seconds.
pub(crate) fn duration(text: &[u8], unit_us: u64) -> Option<u64> {
    let (whole, micros) = decimal(text.trim_ascii())?;
    whole.checked_mul(unit_us)?.checked_add(micros.checked_mul(unit_us)? / 1_000_000)
}

/// `12.345` as 12 and 345,000 millionths.
fn decimal(text: &[u8]) -> Option<(u64, u64)> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    let whole = number(digits)?;
    match rest {
        [] => Some((whole, 0)),
        [b'.', rest @ ..] => match fraction_micros(rest)? {
            (micros, []) => Some((whole, micros)),
            _ => None,
        },
        _ => None,
    }
}

/// The digits of a fraction as millionths, and what follows them.
fn fraction_micros(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    let micros = (0..6).fold(0, |sum, at| sum * 10 + u64::from(digits.get(at).map_or(0, |digit| digit - b'0')));
    (!digits.is_empty()).then_some((micros, rest))
}

/// Decimal digits only.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, offset_minutes: i16, expected: &str) {
        let time = time(text.as_bytes(), offset_minutes).map(|time| time.to_string());
        assert_eq!(time.as_deref(), Some(expected), "{text}");
    }

    #[test]
    fn every_way_of_writing_a_time_is_read() {
        check("10/Oct/2000:13:55:36 -0700", 0, "2000-10-10T20:55:36.000000Z");
        check("10/Oct/2000:13:55:36.123456 +0530", 0, "2000-10-10T08:25:36.123456Z");
        check("06/Feb/2009:12:14:14.655", 0, "2009-02-06T12:14:14.655000Z");
        check("06/Feb/2009:12:14:14.655", 60, "2009-02-06T11:14:14.655000Z");
        check("31/Dec/2016:23:59:60 +0000", 0, "2016-12-31T23:59:59.000000Z");
        check("2026-01-01T00:00:00.5Z", 0, "2026-01-01T00:00:00.500000Z");
        check("2026-01-01T01:00:00.123+01:00", 0, "2026-01-01T00:00:00.123000Z");
        check("2026-01-01T01:00:00+0100", 0, "2026-01-01T00:00:00.000000Z");
        check("2026-01-01T01:00:00", 60, "2026-01-01T00:00:00.000000Z");
        check("1767225600", 0, "2026-01-01T00:00:00.000000Z");
        check("1767225600.123", 0, "2026-01-01T00:00:00.123000Z");
        check("1767225600123", 0, "2026-01-01T00:00:00.123000Z");
        check("1767225600123456", 0, "2026-01-01T00:00:00.123456Z");
        check("1767225600123456789", 0, "2026-01-01T00:00:00.123456Z");
        assert_eq!(epoch_float(1_767_225_600.5), time(b"1767225600.5", 0));
    }

    #[test]
    fn nonsense_is_no_time() {
        for text in [
            "",
            "-",
            "31/Feb/2000:00:00:00 +0000",
            "10/Okt/2000:13:55:36",
            "1.2.3",
            "yesterday",
            "2026-13-01T00:00:00Z",
        ] {
            assert_eq!(time(text.as_bytes(), 0), None, "{text}");
        }
        assert_eq!(epoch_float(f64::NAN), None);
        assert_eq!(epoch_float(-1.0), None);
        assert_eq!(epoch_float(f64::MAX), None);
    }

    #[test]
    fn durations_keep_their_fraction() {
        assert_eq!(duration(b"0.005", 1_000_000), Some(5000));
        assert_eq!(duration(b"12", 1000), Some(12_000));
        assert_eq!(duration(b"1.5", 1000), Some(1500));
        assert_eq!(duration(b"-1", 1000), None);
        assert_eq!(duration(b"9999999999999999999", 1_000_000), None);
    }
}
