//! What attack rules keep between exchanges (`initcol`, `setvar:ip.failed=+1`): counters, bounded.
//!
//! They belong to the engine and not to a Snapshot: one that follows another takes them over, so that a reload forgives
//! nobody. A Snapshot that follows none, as in `bartizan replay` and `bartizan explain`, begins with nothing, and time
//! is that of the exchanges.

use std::sync::Arc;

use bartizan_waf::{CollectionLimits, Collections};

/// What the key of their hashes is derived for (BLAKE3's context string: unique to this use).
const KEY_CONTEXT: &str = "bartizan 2026-11 collections of attack rules";

/// None yet. `key`: that of the installation.
pub(crate) fn new(key: &[u8; 32]) -> Arc<Collections> {
    let derived = blake3::derive_key(KEY_CONTEXT, key);
    let mut short = [0; 16];
    short.iter_mut().zip(derived).for_each(|(byte, derived)| *byte = derived);
    Arc::new(Collections::new(short, CollectionLimits::default()))
}
