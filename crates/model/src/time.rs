//! A point in time: microseconds since the Unix epoch, UTC.
//!
//! Time is always an argument in the pure crates; the rim reads the clock. Text form: RFC 3339.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds since 1970-01-01T00:00:00Z; may be negative for recorded traffic with absurd clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text is not an RFC 3339 time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time; write it as RFC 3339 has it, for example `2026-01-31T12:00:00Z`")]
pub struct TimestampError(String);

impl Timestamp {
    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From milliseconds since the epoch, saturating.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This time moved by `micros`, saturating at the ends of the range.
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// The calendar month in UTC that this time is in: its first instant, and that of the next month. Outside the years
    /// -9999 to 9999 an empty span.
    pub fn month(self) -> (Self, Self) {
        let utc = jiff::tz::TimeZone::UTC;
        let begins = jiff::Timestamp::from_microsecond(self.0)
            .map(|time| time.to_zoned(utc.clone()).date().first_of_month())
            .and_then(|begins| Ok((begins, begins.checked_add(jiff::Span::new().months(1))?)));
        let at =
            |date: jiff::civil::Date| date.to_zoned(utc.clone()).map(|date| Self(date.timestamp().as_microsecond()));
        let span = begins.and_then(|(begins, ends)| Ok((at(begins)?, at(ends)?)));
        span.unwrap_or((self, self))
    }

    /// Microseconds from `earlier` to `self`; 0 when the clock went backwards.
    pub const fn micros_since(self, earlier: Self) -> u64 {
        let delta = self.0.saturating_sub(earlier.0);
        if delta > 0 { delta.unsigned_abs() } else { 0 }
    }

    /// Whole days from `earlier` to `self`; 0 when the clock went backwards.
    pub const fn days_since(self, earlier: Self) -> u64 {
        self.micros_since(earlier) / (86_400 * 1_000_000)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => write!(f, "{time:.6}"),
            Err(_) => write!(f, "{}us", self.0), // outside the years -9999..9999
        }
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shown: String = text.chars().take(64).collect();
        text.parse::<jiff::Timestamp>().map(|time| Self(time.as_microsecond())).map_err(|_| TimestampError(shown))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_survives_its_text_form() {
        let time = Timestamp::from_micros(1_767_225_600_123_456);
        assert_eq!(time.to_string(), "2026-01-01T00:00:00.123456Z");
        assert_eq!(time.to_string().parse(), Ok(time));
    }

    #[test]
    fn a_clock_that_steps_back_measures_zero() {
        assert_eq!(Timestamp::from_micros(5).micros_since(Timestamp::from_micros(9)), 0);
        assert_eq!(Timestamp::from_micros(i64::MAX).micros_since(Timestamp::from_micros(i64::MIN)), i64::MAX as u64);
    }

    #[test]
    fn a_word_is_not_a_time() {
        assert!("yesterday".parse::<Timestamp>().is_err());
    }
}
