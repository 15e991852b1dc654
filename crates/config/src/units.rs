//! Durations (`500ms`, `30s`, `5m`, `2h`, `7d`) and sizes (`4096`, `64KiB`, `1MiB`, `10GiB`), read and written.

/// What a duration looks like, for the JSON Schema.
pub(crate) const DURATION_PATTERN: &str = "^[0-9]{1,12}(ms|s|m|h|d)$";
/// What a duration or a month looks like, for the JSON Schema.
pub(crate) const SPAN_PATTERN: &str = "^([0-9]{1,12}(ms|s|m|h|d)|month)$";
/// What a size looks like, for the JSON Schema; a bare number counts bytes.
pub(crate) const SIZE_PATTERN: &str = "^[0-9]{1,15}(B|KiB|MiB|GiB|TiB)?$";

/// Units of time, longest first, in milliseconds.
const DURATION_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
/// Units of size, largest first, in bytes (IEC 80000-13).
const SIZE_UNITS: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Milliseconds of a duration; `None` when it is not one or does not fit.
pub fn duration_ms(text: &str) -> Option<u64> {
    let (count, unit) = split(text)?;
    let (_, factor) = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?;
    count.checked_mul(*factor)
}

/// Bytes of a size; `None` when it is not one or does not fit.
pub(crate) fn size_bytes(text: &str) -> Option<u64> {
    let (count, unit) = split(text)?;
    let unit = if unit.is_empty() { "B" } else { unit };
    let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?;
    count.checked_mul(*factor)
}

/// A duration in the largest unit that keeps it whole.
pub fn duration_text(ms: u64) -> String {
    if ms == 0 { "0s".to_owned() } else { in_largest_unit(ms, &DURATION_UNITS) }
}

/// A size in the largest unit that keeps it whole.
pub(crate) fn size_text(bytes: u64) -> String {
    in_largest_unit(bytes, &SIZE_UNITS)
}

fn in_largest_unit(amount: u64, units: &[(&str, u64)]) -> String {
    units
        .iter()
        .find(|(_, factor)| amount >= *factor && amount.is_multiple_of(*factor))
        .map_or_else(|| amount.to_string(), |(name, factor)| format!("{}{name}", amount / factor))
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at_checked(end)?;
    Some((count.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_and_sizes_are_read_in_their_units() {
        assert_eq!(duration_ms("500ms"), Some(500));
        assert_eq!(duration_ms("7d"), Some(604_800_000));
        assert_eq!(size_bytes("4096"), Some(4096));
        assert_eq!(size_bytes("64KiB"), Some(65536));
        assert_eq!(size_bytes("10GiB"), Some(10 << 30));
    }

    #[test]
    fn a_unit_that_is_unknown_or_overflows_is_refused() {
        for text in ["", "30", "s", "1.5s", "-1s", "30 s", "30S", "999999999999999999d"] {
            assert_eq!(duration_ms(text), None, "{text}");
        }
        for text in ["", "1MB", "1 MiB", "1kib", "99999999999TiB"] {
            assert_eq!(size_bytes(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn written_amounts_are_read_back(amount in 1u64..1 << 50) {
            prop_assert_eq!(duration_ms(&duration_text(amount)), Some(amount));
            prop_assert_eq!(size_bytes(&size_text(amount)), Some(amount));
        }
    }
}
