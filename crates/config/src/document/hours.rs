//! What people write about the hours in which a policy applies.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::defaults;

/// When a policy is asked: in these windows, or outside of them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// Where the clock hangs: a zone of the IANA time zone database, `UTC`, or a fixed offset such as `+02:00`.
    #[serde(default = "utc")]
    #[schemars(length(min = 1, max = defaults::NAME_CHARS_MAX), example = &"Europe/Berlin")]
    pub zone: String,
    /// Windows; at least one.
    #[schemars(length(min = 1))]
    pub windows: Vec<HoursWindow>,
    /// Ask the policy outside of the windows instead.
    #[serde(default)]
    pub outside: bool,
}

/// A window on some days of the week. One that ends before it begins goes on into the next day.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoursWindow {
    /// Days on which it begins. Without any, every day.
    #[serde(default)]
    pub days: Vec<Day>,
    /// First minute.
    #[schemars(extend("title" = "time of day"), example = &"08:00")]
    pub from: String,
    /// First minute after it; `24:00` is the end of the day.
    #[schemars(extend("title" = "time of day"), example = &"18:00")]
    pub to: String,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Day {
    /// Monday
    Mon,
    /// Tuesday
    Tue,
    /// Wednesday
    Wed,
    /// Thursday
    Thu,
    /// Friday
    Fri,
    /// Saturday
    Sat,
    /// Sunday
    Sun,
}

fn utc() -> String {
    "UTC".to_owned()
}
