//! A quota by the calendar: so many in each hour, day, month. Exact for each window; around a boundary, twice as many may
//! come in a short time, which is what a calendar quota means. All in UTC.
//!
//! Words: where the window begins and ends, in microseconds, and how much of it is used.

use bartizan_model::Timestamp;

use super::CLOCK_STEP_US;

/// How windows follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Period {
    /// Windows of one length; one of them begins at `start_us`
    Every { length_us: u64, start_us: i64 },
    /// Calendar months
    Month,
}

/// A limit and a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Calendar {
    limit: u64,
    period: Period,
}

impl Calendar {
    pub(crate) const fn new(limit: u64, period: Period) -> Self {
        Self { limit, period }
    }

    pub(crate) fn settle(&self, state: &mut [u64], now: u64) {
        let [start, end, used] = state else { return };
        if (*start..*end).contains(&now) {
            return;
        }
        let (begins, ends) = self.bounds(now);
        if begins > *start {
            (*start, *end, *used) = (begins, ends, 0);
        } else if *start > now.saturating_add(CLOCK_STEP_US) {
            (*start, *end) = (begins, ends); // the clock stepped back: what is used stays so
        }
    }

    pub(crate) fn remaining(&self, state: &[u64]) -> u64 {
        self.limit.saturating_sub(state.get(2).copied().unwrap_or_default())
    }

    pub(crate) fn add(&self, state: &mut [u64], amount: u64) {
        if let [_, _, used] = state {
            *used = used.saturating_add(amount);
        }
    }

    pub(crate) fn give_back(&self, state: &mut [u64], at: u64, amount: u64) {
        if let [start, _, used] = state
            && at >= *start
        {
            *used = used.saturating_sub(amount);
        }
    }

    pub(crate) fn wait(&self, state: &[u64], now: u64, amount: u64) -> u64 {
        match state {
            _ if amount > self.limit => u64::MAX,
            [_, end, used] if used.saturating_add(amount) > self.limit => end.saturating_sub(now),
            _ => 0,
        }
    }

    pub(crate) fn expires(&self, state: &[u64]) -> u64 {
        state.get(1).copied().unwrap_or_default()
    }

    /// The window that holds `now`.
    fn bounds(&self, now: u64) -> (u64, u64) {
        let signed = i64::try_from(now).unwrap_or(i64::MAX);
        match self.period {
            Period::Every { length_us, start_us } => {
                let length = i64::try_from(length_us.max(1)).unwrap_or(i64::MAX);
                let begins = now.saturating_sub(signed.saturating_sub(start_us).rem_euclid(length).unsigned_abs());
                (begins, begins.saturating_add(length_us))
            }
            Period::Month => {
                let (begins, ends) = Timestamp::from_micros(signed).month();
                (super::micros(begins), super::micros(ends))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> u64 {
        super::super::micros(text.parse().unwrap())
    }

    fn window(period: Period, now: &str) -> (String, String) {
        let (begins, ends) = Calendar::new(1, period).bounds(at(now));
        let text = |micros: u64| Timestamp::from_micros(micros as i64).to_string().replace(".000000Z", "Z");
        (text(begins), text(ends))
    }

    #[test]
    fn windows_follow_each_other_from_their_start() {
        let week = 7 * 86_400_000_000;
        let monday = Period::Every { length_us: week, start_us: at("2026-01-05T00:00:00Z") as i64 };
        let wanted = ("2026-01-05T00:00:00Z".to_owned(), "2026-01-12T00:00:00Z".to_owned());
        assert_eq!(window(monday, "2026-01-05T00:00:00Z"), wanted);
        assert_eq!(window(monday, "2026-01-11T23:59:59.999999Z"), wanted);
        assert_eq!(window(monday, "2025-12-30T00:00:00Z").1, "2026-01-05T00:00:00Z", "before the start too");
    }

    #[test]
    fn a_month_is_as_long_as_it_is() {
        for (now, begins, ends) in [
            ("2026-02-28T23:59:59Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
            ("2024-02-29T12:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
            ("2026-12-31T00:00:00Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ] {
            assert_eq!(window(Period::Month, now), (begins.to_owned(), ends.to_owned()));
        }
    }
}
