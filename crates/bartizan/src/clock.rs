//! The clock and the ids of exchanges that were not numbered by the gateway: the rim's business.

use std::time::{SystemTime, UNIX_EPOCH};

use bartizan_model::{RequestId, Timestamp};

/// Now, as the system says.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Ids for a recording: the exchange's own time and its line, so that the same recording gives the same ids.
pub(crate) fn recorded_id(time: Timestamp, line: u64) -> RequestId {
    let millis = u128::from(time.as_micros().unsigned_abs() / 1000) & 0xffff_ffff_ffff;
    RequestId::from_bits(millis << 80 | u128::from(line))
}
