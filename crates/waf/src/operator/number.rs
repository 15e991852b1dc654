//! Comparison of numbers: `eq`, `ge`, `gt`, `le`, `lt`.

/// How two numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// `eq`
    Equal,
    /// `ge`
    GreaterOrEqual,
    /// `gt`
    Greater,
    /// `le`
    LessOrEqual,
    /// `lt`
    Less,
}

impl Comparison {
    pub(super) const fn holds(self, left: i64, right: i64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::GreaterOrEqual => left >= right,
            Self::Greater => left > right,
            Self::LessOrEqual => left <= right,
            Self::Less => left < right,
        }
    }
}

/// The number at the front of `text`, as C's `atoll` reads it: white space, a sign, digits; zero without a digit.
///
/// A number beyond 64 bits is the largest or smallest there is.
pub(crate) fn integer(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        _ => (false, text),
    };
    digits.iter().take_while(|byte| byte.is_ascii_digit()).fold(0_i64, |value, byte| {
        let digit = i64::from(byte - b'0');
        let shifted = value.saturating_mul(10);
        if is_negative { shifted.saturating_sub(digit) } else { shifted.saturating_add(digit) }
    })
}
