//! Nonces for DPoP proofs: made here, kept nowhere.
//!
//! A nonce is an HMAC over the turn of the clock in which it was given, under the installation's key. It is good for its
//! own turn and the next one, so that a client that was given one just before the end can still use it; whoever uses one of
//! the turn before is given the new one with the answer. Gateways that share an installation's key take each other's.
//! Sources: RFC 9449 §8 and §9.

use bartizan_model::{Secret, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use super::jose;

/// Length of a turn: a proof can have been made at most twice this time ago.
const TURN_SECS: i64 = 120;

/// How a nonce was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Of this turn
    Current,
    /// Of the turn before: good, and time for a new one
    Previous,
    /// Not ours, or too old
    Unknown,
}

/// The nonce to give at `now`.
pub(crate) fn current(key: &Secret<[u8; 32]>, now: Timestamp) -> String {
    let tag = hmac::sign(&hmac_key(key), &message(turn(now)));
    URL_SAFE_NO_PAD.encode(tag)
}

/// What `nonce` is worth at `now`.
pub(crate) fn standing(key: &Secret<[u8; 32]>, now: Timestamp, nonce: &str) -> Standing {
    let Some(tag) = jose::base64url(nonce.as_bytes()) else { return Standing::Unknown };
    let (key, turn) = (hmac_key(key), turn(now));
    let is_of = |turn: i64| hmac::verify(&key, &message(turn), &tag).is_ok();
    if is_of(turn) {
        Standing::Current
    } else if is_of(turn.saturating_sub(1)) {
        Standing::Previous
    } else {
        Standing::Unknown
    }
}

fn turn(now: Timestamp) -> i64 {
    now.as_secs().div_euclid(TURN_SECS)
}

fn hmac_key(key: &Secret<[u8; 32]>) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key.expose())
}

/// Says what is signed, so that no other use of the key can make a nonce.
fn message(turn: i64) -> Vec<u8> {
    [b"bartizan DPoP nonce\0".as_slice(), &turn.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    #[test]
    fn a_nonce_is_good_for_its_turn_and_the_next() {
        let (key, other) = (Secret::new([7; 32]), Secret::new([8; 32]));
        let given = current(&key, at(TURN_SECS * 100));
        for (secs, expected) in [
            (TURN_SECS * 100 - 1, Standing::Unknown),
            (TURN_SECS * 100, Standing::Current),
            (TURN_SECS * 101 - 1, Standing::Current),
            (TURN_SECS * 101, Standing::Previous),
            (TURN_SECS * 102 - 1, Standing::Previous),
            (TURN_SECS * 102, Standing::Unknown),
        ] {
            assert_eq!(standing(&key, at(secs), &given), expected, "{secs}");
        }
        assert_eq!(standing(&other, at(TURN_SECS * 100), &given), Standing::Unknown);
        for odd in ["", "nonsense", "=", &given[1..], &format!("{given}A")] {
            assert_eq!(standing(&key, at(TURN_SECS * 100), odd), Standing::Unknown, "{odd}");
        }
    }
}
