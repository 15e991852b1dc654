//! The hours in which a policy applies.

use bartizan_model::Timestamp;
use jiff::tz::TimeZone;

/// When a policy is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    /// Where the clock hangs
    pub zone: TimeZone,
    /// At least one
    pub windows: Vec<HoursWindow>,
    /// Outside of the windows instead
    pub outside: bool,
}

/// A window on some days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoursWindow {
    /// Whether it begins on Monday, Tuesday, … Sunday
    pub days: [bool; 7],
    /// First minute of the day, below 1440
    pub from_minute: u16,
    /// First minute after it, at most 1440; less than `from_minute` is on the next day
    pub to_minute: u16,
}

impl Hours {
    /// Whether the policy is asked at this time. Outside the years -9999 to 9999 it always is.
    pub fn holds(&self, now: Timestamp) -> bool {
        let Ok(time) = jiff::Timestamp::from_microsecond(now.as_micros()) else { return true };
        let local = self.zone.to_datetime(time);
        let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap_or_default();
        let today = usize::try_from(local.weekday().to_monday_zero_offset()).unwrap_or_default();
        let is_within = self.windows.iter().any(|window| window.holds(today, minute));
        is_within != self.outside
    }
}

impl HoursWindow {
    fn holds(&self, today: usize, minute: u16) -> bool {
        let begins = |day: usize| self.days.get(day).copied().unwrap_or_default();
        if self.from_minute < self.to_minute {
            return begins(today) && (self.from_minute..self.to_minute).contains(&minute);
        }
        let yesterday = if today == 0 { 6 } else { today - 1 };
        (begins(today) && minute >= self.from_minute) || (begins(yesterday) && minute < self.to_minute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(zone: &str, days: [bool; 7], from: u16, to: u16) -> Hours {
        let zone = jiff::tz::TimeZoneDatabase::bundled().get(zone).unwrap();
        Hours { zone, windows: vec![HoursWindow { days, from_minute: from, to_minute: to }], outside: false }
    }

    fn holds(hours: &Hours, time: &str) -> bool {
        hours.holds(time.parse().unwrap())
    }

    const WEEKDAYS: [bool; 7] = [true, true, true, true, true, false, false];

    #[test]
    fn a_window_follows_the_clock_of_its_zone_also_in_summer() {
        let office = hours("Europe/Berlin", WEEKDAYS, 8 * 60, 18 * 60);
        for (time, is_within) in [
            ("2026-01-05T07:00:00Z", true), // Monday, 08:00 in winter
            ("2026-01-05T06:59:59Z", false),
            ("2026-01-05T16:59:59Z", true),
            ("2026-01-05T17:00:00Z", false),
            ("2026-07-06T06:00:00Z", true), // Monday, 08:00 in summer
            ("2026-07-06T05:59:59Z", false),
            ("2026-07-06T16:00:00Z", false),
            ("2026-01-04T23:30:00Z", false), // Monday already, at night
            ("2026-01-10T10:00:00Z", false), // Saturday
        ] {
            assert_eq!(holds(&office, time), is_within, "{time}");
        }
        let closed = Hours { outside: true, ..office };
        assert!(holds(&closed, "2026-01-10T10:00:00Z") && !holds(&closed, "2026-01-05T10:00:00Z"));
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_it_begins_on() {
        let night = hours("UTC", WEEKDAYS, 22 * 60, 6 * 60);
        for (time, is_within) in [
            ("2026-01-05T22:00:00Z", true),
            ("2026-01-06T05:59:00Z", true),
            ("2026-01-06T06:00:00Z", false),
            ("2026-01-10T05:00:00Z", true), // Saturday, since Friday
            ("2026-01-10T22:00:00Z", false),
            ("2026-01-05T05:00:00Z", false), // Monday, since Sunday
        ] {
            assert_eq!(holds(&night, time), is_within, "{time}");
        }
        let whole = hours("UTC", WEEKDAYS, 0, 1440);
        assert!(holds(&whole, "2026-01-05T23:59:59Z") && !holds(&whole, "2026-01-11T23:59:59Z"));
    }
}
