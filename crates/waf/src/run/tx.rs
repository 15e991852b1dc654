//! The `TX` collection: members that rules name are numbered, others are kept by name.

use indexmap::IndexMap;

use crate::inputs::{DECIMAL_BYTES_MAX, Span, Text};
use crate::plan::{Names, Slot};

/// LIMIT: members whose names rules make from what a client sent (`TX.paramcounter_%{MATCHED_VAR_NAME}`); more are
/// not kept.
const MADE_MAX: usize = 4096;

/// A value in `TX`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TxValue {
    /// Not there
    #[default]
    Unset,
    /// A number, the usual case
    Number(i64),
    /// Anything else
    Text(Span),
}

/// The collection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tx {
    slots: Vec<TxValue>,
    /// By name in lower case, in the order in which they were made: what a rule reports must not hang on chance
    made: IndexMap<Box<[u8]>, TxValue>,
}

impl Tx {
    /// As it is when a transaction begins.
    pub(crate) fn reset(&mut self, initial: &[TxValue]) {
        self.slots.clear();
        self.slots.extend_from_slice(initial);
        self.made.clear();
    }

    /// A numbered member.
    #[inline]
    pub(crate) fn slot(&self, slot: Slot) -> TxValue {
        self.slots.get(slot.0 as usize).copied().unwrap_or_default()
    }

    /// Sets a numbered member.
    pub(crate) fn set_slot(&mut self, slot: Slot, value: TxValue) {
        if let Some(old) = self.slots.get_mut(slot.0 as usize) {
            *old = value;
        }
    }

    /// The member of this name, which is in lower case.
    pub(crate) fn named(&self, names: &Names, lower: &[u8]) -> TxValue {
        match names.find(lower) {
            Some(slot) => self.slot(slot),
            None => self.made.get(lower).copied().unwrap_or_default(),
        }
    }

    /// Sets the member of this name, which is in lower case; `false` when no more of them are kept.
    pub(crate) fn set_named(&mut self, names: &Names, lower: &[u8], value: TxValue) -> bool {
        if let Some(slot) = names.find(lower) {
            self.set_slot(slot, value);
        } else if let Some(old) = self.made.get_mut(lower) {
            *old = value;
        } else if self.made.len() < MADE_MAX {
            self.made.insert(lower.into(), value);
        } else {
            return false;
        }
        true
    }

    /// The members whose names rules have made, in the order in which they were made.
    pub(crate) fn made(&self) -> impl Iterator<Item = (&[u8], TxValue)> {
        self.made.iter().map(|(name, value)| (&**name, *value))
    }
}

impl TxValue {
    /// As a number: what the text begins with, else 0.
    pub(crate) fn number(self, text: &Text) -> i64 {
        match self {
            Self::Unset => 0,
            Self::Number(number) => number,
            Self::Text(span) => leading_number(text.at(span)),
        }
    }

    /// As text in the buffer; `None` when it is not set.
    pub(crate) fn span(self, text: &mut Text) -> Option<Span> {
        match self {
            Self::Unset => None,
            Self::Number(number) => Some(push_number(text, number)),
            Self::Text(span) => Some(span),
        }
    }
}

/// Writes a number.
pub(crate) fn push_number(text: &mut Text, number: i64) -> Span {
    match u64::try_from(number) {
        Ok(number) => text.push_decimal(number),
        Err(_) => text.push_display(&number, DECIMAL_BYTES_MAX),
    }
}

/// The number that `text` is, written as a number is written: nothing is lost when it is kept as one.
pub(crate) fn plain_number(text: &[u8]) -> Option<i64> {
    let number: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == text).then_some(number)
}

/// The number that `text` begins with, as C's `atoi` reads it; 0 when it begins with none.
pub(crate) fn leading_number(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (is_negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let mut number = 0i64;
    for digit in digits.iter().take_while(|byte| byte.is_ascii_digit()) {
        number = number.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
    }
    if is_negative { -number } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_in_the_order_in_which_they_were_made() {
        let mut tx = Tx::default();
        let names: Vec<String> = (0..20).rev().map(|number| format!("found_{number}")).collect();
        for name in names.iter().chain(&names[5..7]) {
            assert!(tx.set_named(&Names::default(), name.as_bytes(), TxValue::Number(1)));
        }
        let made: Vec<&[u8]> = tx.made().map(|(name, _)| name).collect();
        assert_eq!(made, names.iter().map(String::as_bytes).collect::<Vec<_>>());
    }
}
