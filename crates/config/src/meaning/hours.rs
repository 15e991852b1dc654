//! The hours of a scope: zones that exist, times of day that are ones.

use bartizan_model::excerpt;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

use super::Checker;
use crate::config::{Hours, HoursWindow};
use crate::document::{self, Day};
use crate::path::SettingPath;
use crate::report;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// The meaning of `hours`.
pub(super) fn hours(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Hours) -> Option<Hours> {
    let zone = zone(&written.zone);
    if zone.is_none() {
        let message = format!("`{}` is not a time zone", excerpt(&written.zone));
        let help = "write a name of the IANA database such as `Europe/Berlin`, `UTC`, or an offset such as `+02:00`";
        checker.error(&at.key("zone"), report::MALFORMED_TIME, message, help);
    }
    let windows_at = at.key("windows");
    let windows: Vec<HoursWindow> = written
        .windows
        .iter()
        .enumerate()
        .filter_map(|(index, written)| window(checker, &windows_at.index(index), written))
        .collect();
    Some(Hours { zone: zone?, windows, outside: written.outside })
}

fn window(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::HoursWindow) -> Option<HoursWindow> {
    let from_minute = minute(checker, &at.key("from"), &written.from);
    let to_minute = minute(checker, &at.key("to"), &written.to);
    let (from_minute, to_minute) = (from_minute?, to_minute?);
    if from_minute == to_minute || from_minute == DAY {
        let message = "the window ends when it begins".to_owned();
        checker.error(at, report::CONTRADICTION, message, "for the whole day write `from: 00:00` and `to: 24:00`");
        return None;
    }
    let mut days = [written.days.is_empty(); 7];
    for day in &written.days {
        let index = match day {
            Day::Mon => 0,
            Day::Tue => 1,
            Day::Wed => 2,
            Day::Thu => 3,
            Day::Fri => 4,
            Day::Sat => 5,
            Day::Sun => 6,
        };
        if let Some(day) = days.get_mut(index) {
            *day = true;
        }
    }
    Some(HoursWindow { days, from_minute, to_minute })
}

/// `08:30`, or `24:00`.
fn minute(checker: &mut Checker<'_, '_>, at: &SettingPath, text: &str) -> Option<u16> {
    let minute = clock(text).filter(|minute| *minute <= DAY);
    if minute.is_none() {
        let message = format!("`{}` is not a time of day", excerpt(text));
        checker.error(at, report::MALFORMED_TIME, message, "write hours and minutes, such as `08:30`");
    }
    minute
}

/// Minutes of `HH:MM`.
fn clock(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| {
        let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| is_number)
    };
    let (hours, minutes) = (number(hours)?, number(minutes).filter(|minutes| *minutes < 60)?);
    Some(hours * 60 + minutes)
}

/// A name of the bundled database, or an offset.
fn zone(text: &str) -> Option<TimeZone> {
    if let Some((sign, rest)) =
        text.strip_prefix('+').map(|rest| (1, rest)).or(text.strip_prefix('-').map(|rest| (-1, rest)))
    {
        let seconds = i32::from(clock(rest)?) * 60 * sign;
        return Offset::from_seconds(seconds).ok().map(TimeZone::fixed);
    }
    TimeZoneDatabase::bundled().get(text).ok()
}
