//! Time as the console's clients write it: RFC 3339, a window `from`–`to`; checked at the rim.

use bartizan_model::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::problem::Problem;

/// The window when none is asked for: the last hour.
const WINDOW_US: i64 = 3600 * 1_000_000;
/// LIMIT: longest window, in microseconds: ten years, so that arithmetic on it cannot overflow.
const WINDOW_US_MAX: u64 = 3653 * 86_400 * 1_000_000;
/// A point in time, in RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Time(pub(crate) Timestamp);

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("RFC 3339, UTC"))
            .examples(["2026-01-31T12:00:00.000000Z"])
            .into()
    }
}

impl ToSchema for Time {}

/// The window of time that is asked about.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WindowParams {
    /// Start, inclusive; an hour before `to` when left out
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Time>,
    /// End, exclusive; now when left out
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Time>,
}

/// A window that is right: `from` before `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

impl WindowParams {
    /// The window that is meant, at the time `now`.
    pub(crate) fn at(self, now: Timestamp) -> Result<Window, Problem> {
        let to = self.to.map_or(now, |time| time.0);
        let from = self.from.map_or_else(|| to.plus_micros(-WINDOW_US), |time| time.0);
        if from >= to {
            return Err(Problem::Bad("`from` must be before `to`".to_owned()));
        }
        if to.micros_since(from) > WINDOW_US_MAX {
            return Err(Problem::Bad("the window from `from` to `to` must be at most ten years".to_owned()));
        }
        Ok(Window { from, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_ends_before_it_begins_is_refused() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let params = WindowParams { from: Some(Time(now)), to: Some(Time(now)) };
        assert!(params.at(now).is_err());
        let params = WindowParams { from: Some(Time(Timestamp::from_micros(i64::MIN))), to: None };
        assert!(params.at(now).is_err());
        assert_eq!(WindowParams::default().at(now).unwrap().to, now);
    }
}
