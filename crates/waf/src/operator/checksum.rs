//! Numbers with a check: `verifyCC` (payment cards, Luhn), `verifyCPF` (Brazil's CPF), `verifySSN` (US social security numbers).
//!
//! The operator's pattern finds candidates, overlapping ones, too; the first that passes the check wins.
//!
//! Sources: ISO/IEC 7812-1 annex B (Luhn); ModSecurity Reference Manual.

use std::ops::Range;

use smallvec::SmallVec;

use super::Fault;
use super::pattern::Pattern;

/// LIMIT: candidates in one value that are looked at again from their second byte on; from then on, from their end. Each look may cost
/// the length of the value, so their number keeps the whole linear.
const OVERLAPPING_CANDIDATES_MAX: usize = 256;

/// LIMIT: candidates in one value. 4,096 numbers that fail their check are noise, not data.
const CANDIDATES_MAX: usize = 4_096;

/// Which check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `verifyCC`
    Card,
    /// `verifyCPF`
    Cpf,
    /// `verifySSN`
    Ssn,
}

/// A pattern and a check.
#[derive(Debug)]
pub(crate) struct Checked {
    kind: Kind,
    pattern: Pattern,
}

impl Checked {
    pub(super) fn new(kind: Kind, pattern: &[u8]) -> Result<Self, Fault> {
        if pattern.is_empty() {
            return Err(Fault {
                message: "no pattern to find numbers with".to_owned(),
                help: "write one, such as `\\d{13,16}`".to_owned(),
            });
        }
        Ok(Self { kind, pattern: Pattern::new(pattern)? })
    }

    /// Where the first number is that passes.
    pub(super) fn find(&self, input: &[u8]) -> Option<Range<usize>> {
        let mut start = 0;
        for count in 0..CANDIDATES_MAX {
            let found = self.pattern.find_from(input, start)?;
            if self.kind.accepts(input.get(found.clone())?) {
                return Some(found);
            }
            let next = found.start.saturating_add(1);
            start = if count < OVERLAPPING_CANDIDATES_MAX { next } else { next.max(found.end) };
        }
        None
    }
}

impl Kind {
    fn accepts(self, candidate: &[u8]) -> bool {
        let digits = candidate.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0');
        match self {
            Self::Card => is_card(&digits.collect::<SmallVec<[u8; 32]>>()),
            Self::Cpf => digits.take(11).collect::<SmallVec<[u8; 11]>>().as_array().is_some_and(is_cpf),
            Self::Ssn => digits.take(10).collect::<SmallVec<[u8; 10]>>().as_array().is_some_and(is_ssn),
        }
    }
}

/// Luhn's check.
fn is_card(digits: &[u8]) -> bool {
    let sum = digits.iter().rev().enumerate().fold(0_u64, |sum, (index, &digit)| {
        let doubled = u64::from(digit) * 2;
        sum + if index % 2 == 0 { u64::from(digit) } else { doubled / 10 + doubled % 10 }
    });
    !digits.is_empty() && sum.is_multiple_of(10)
}

/// The two check digits at the end; the same digit eleven times, and the digits in order, are no CPF.
fn is_cpf(digits: &[u8; 11]) -> bool {
    let [all @ .., first_check, second_check] = digits;
    let is_repeated = digits.windows(2).all(|pair| matches!(pair, [a, b] if a == b));
    let is_sequence = *digits == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0];
    let check = |digits: &mut dyn Iterator<Item = u8>, weight_max: u32| {
        let sum: u32 = digits.zip(0..).map(|(digit, index)| u32::from(digit) * (weight_max - index)).sum();
        match sum % 11 {
            0 | 1 => 0,
            rest => 11 - rest,
        }
    };
    let first = check(&mut all.iter().copied(), 10);
    let second = check(&mut all.iter().chain([first_check]).copied(), 11);
    !is_repeated && !is_sequence && first == u32::from(*first_check) && second == u32::from(*second_check)
}

/// Area, group and serial in the ranges that were given out before 2011; one digit repeated, and digits in order, are none.
fn is_ssn(digits: &[u8; 9]) -> bool {
    let steps =
        |step: i8| digits.windows(2).all(|pair| matches!(pair, [a, b] if b.wrapping_sub(*a).cast_signed() == step));
    let number = |digits: &[u8]| digits.iter().fold(0_u32, |number, &digit| number * 10 + u32::from(digit));
    let [a, b, c, d, e, serial @ ..] = digits;
    let area = number(&[*a, *b, *c]);
    !steps(0) && !steps(1) && !matches!(area, 0 | 666 | 740..) && number(&[*d, *e]) != 0 && number(serial) != 0
}
