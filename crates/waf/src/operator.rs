//! Operators: a compiled test of one value.
//!
//! [`compile`] takes an operator as written and gives a [`Matcher`], or a [`Fault`] that the loader reports with the rule's place.
//! Negation is the caller's: a matcher says whether the operator holds, not whether the rule matches.
//!
//! Sources: ModSecurity Reference Manual (v3.x), "Operators"; libmodsecurity 3.0.9, observed.

mod address;
mod capture;
mod checksum;
mod encoding;
mod injection;
mod number;
mod pattern;
mod phrase;
#[cfg(test)]
mod tests;
mod text;

use crate::ast::{self, OperatorKind};
use crate::transform::ByteSet;

pub(crate) use capture::{CAPTURES_MAX, Captures};
pub(crate) use injection::may_be_sqli;
pub(crate) use number::integer;
pub(crate) use pattern::{Pattern, hir};
pub(crate) use phrase::Phrases;

use address::Networks;
use checksum::Checked;
use number::Comparison;
use pattern::Expanded;
pub(crate) use text::Relation;

/// What is wrong with an operator, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// What is wrong
    pub message: String,
    /// What to do
    pub help: String,
}

/// A compiled operator.
#[derive(Debug)]
pub(crate) enum Matcher {
    /// `rx`
    Pattern(Box<Pattern>),
    /// `rx` with macros: compiled when they are expanded
    ExpandedPattern(Box<Expanded>),
    /// `pm`, `pmFromFile`
    Phrases(Box<Phrases>),
    /// `beginsWith`, `contains`, `containsWord`, `endsWith`, `streq`, `strmatch`, `within`; the text is empty when it holds macros
    Text(Relation, Box<[u8]>),
    /// `eq`, `ge`, `gt`, `le`, `lt`; the number is zero when it comes from macros
    Number(Comparison, i64),
    /// `ipMatch`, `ipMatchFromFile`
    Networks(Box<Networks>),
    /// `validateByteRange`: the bytes that are allowed
    ByteRange(ByteSet),
    /// `validateUrlEncoding`
    UrlEncoding,
    /// `validateUtf8Encoding`
    Utf8Encoding,
    /// `verifyCC`, `verifyCPF`, `verifySSN`
    Checked(Box<Checked>),
    /// `detectSQLi`
    Sqli,
    /// `detectXSS`
    Xss,
    /// `unconditionalMatch`
    Always,
    /// `noMatch`
    Never,
}

/// Compiles an operator.
///
/// # Errors
///
/// A [`Fault`] when its argument cannot be understood, or holds macros where they cannot be expanded.
pub(crate) fn compile(operator: &ast::Operator) -> Result<Matcher, Fault> {
    let literal = operator.argument.literal();
    let text = |relation| Ok(Matcher::Text(relation, literal.unwrap_or_default().into()));
    let number = |comparison| Ok(Matcher::Number(comparison, literal.map_or(0, integer)));
    match operator.kind {
        OperatorKind::Rx => match literal {
            Some(pattern) => Ok(Matcher::Pattern(Box::new(Pattern::new(pattern)?))),
            None => Ok(Matcher::ExpandedPattern(Box::default())),
        },
        OperatorKind::Pm => Ok(Matcher::Phrases(Box::new(Phrases::of_list(fixed(operator)?)?))),
        OperatorKind::PmFromFile => Ok(Matcher::Phrases(Box::new(Phrases::of_files(&operator.data)?))),
        OperatorKind::BeginsWith => text(Relation::BeginsWith),
        OperatorKind::Contains | OperatorKind::StrMatch => text(Relation::Contains),
        OperatorKind::ContainsWord => text(Relation::ContainsWord),
        OperatorKind::EndsWith => text(Relation::EndsWith),
        OperatorKind::Streq => text(Relation::Equals),
        OperatorKind::Within => text(Relation::Within),
        OperatorKind::Eq => number(Comparison::Equal),
        OperatorKind::Ge => number(Comparison::GreaterOrEqual),
        OperatorKind::Gt => number(Comparison::Greater),
        OperatorKind::Le => number(Comparison::LessOrEqual),
        OperatorKind::Lt => number(Comparison::Less),
        OperatorKind::IpMatch => Ok(Matcher::Networks(Box::new(Networks::of_list(fixed(operator)?)?))),
        OperatorKind::IpMatchFromFile => Ok(Matcher::Networks(Box::new(Networks::of_files(&operator.data)?))),
        OperatorKind::ValidateByteRange => Ok(Matcher::ByteRange(encoding::byte_range(fixed(operator)?)?)),
        OperatorKind::ValidateUrlEncoding => Ok(Matcher::UrlEncoding),
        OperatorKind::ValidateUtf8Encoding => Ok(Matcher::Utf8Encoding),
        OperatorKind::VerifyCc => Ok(Matcher::Checked(Box::new(Checked::new(checksum::Kind::Card, fixed(operator)?)?))),
        OperatorKind::VerifyCpf => Ok(Matcher::Checked(Box::new(Checked::new(checksum::Kind::Cpf, fixed(operator)?)?))),
        OperatorKind::VerifySsn => Ok(Matcher::Checked(Box::new(Checked::new(checksum::Kind::Ssn, fixed(operator)?)?))),
        OperatorKind::DetectSqli => Ok(Matcher::Sqli),
        OperatorKind::DetectXss => Ok(Matcher::Xss),
        OperatorKind::UnconditionalMatch => Ok(Matcher::Always),
        OperatorKind::NoMatch => Ok(Matcher::Never),
    }
}

/// The argument of an operator that is compiled once and for all.
fn fixed(operator: &ast::Operator) -> Result<&[u8], Fault> {
    operator.argument.literal().ok_or_else(|| Fault {
        message: format!("a macro in the argument of `{:?}` is not expanded", operator.kind),
        help: "write the argument out".to_owned(),
    })
}

impl Matcher {
    /// Whether the operator holds for `input`.
    ///
    /// `argument` is the operator's argument with its macros expanded, `None` when it has none.
    pub(crate) fn is_match(&self, input: &[u8], argument: Option<&[u8]>) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.is_match(input),
            Self::ExpandedPattern(expanded) => {
                expanded.of(argument.unwrap_or_default()).is_some_and(|pattern| pattern.is_match(input))
            }
            Self::Phrases(phrases) => phrases.is_match(input),
            Self::Text(relation, text) => relation.holds(input, argument.unwrap_or(text)),
            Self::Number(comparison, number) => comparison.holds(integer(input), argument.map_or(*number, integer)),
            Self::Networks(networks) => networks.contains(input),
            Self::ByteRange(allowed) => encoding::has_byte_outside(input, allowed),
            Self::UrlEncoding => encoding::has_bad_percent(input),
            Self::Utf8Encoding => encoding::has_bad_utf8(input),
            Self::Checked(checked) => checked.find(input).is_some(),
            Self::Sqli => injection::sqli(input).is_some(),
            Self::Xss => injection::is_xss(input),
            Self::Always => true,
            Self::Never => false,
        }
    }

    /// Whether a comparison of numbers holds for this one; `argument` as for [`Matcher::is_match`]. `None` for other operators.
    pub(crate) fn compares(&self, value: i64, argument: Option<i64>) -> Option<bool> {
        let Self::Number(comparison, number) = self else { return None };
        Some(comparison.holds(value, argument.unwrap_or(*number)))
    }

    /// Whether [`Matcher::find`] captures a part of the value: not so `detectSQLi`, which gives a fingerprint.
    pub(crate) const fn tells_part(&self) -> bool {
        matches!(self, Self::Pattern(_) | Self::Phrases(_) | Self::Checked(_))
    }

    /// Whether every value matches, as a whole.
    pub(crate) const fn takes_all(&self) -> bool {
        matches!(self, Self::Pattern(pattern) if pattern.takes_all())
    }

    /// Takes an argument whose macros always give the same; `false` for operators that cannot.
    pub(crate) fn write_out(&mut self, argument: &[u8]) -> bool {
        match self {
            Self::Text(_, text) => *text = argument.into(),
            Self::Number(_, number) => *number = integer(argument),
            Self::Pattern(_)
            | Self::ExpandedPattern(_)
            | Self::Phrases(_)
            | Self::Networks(_)
            | Self::ByteRange(_)
            | Self::UrlEncoding
            | Self::Utf8Encoding
            | Self::Checked(_)
            | Self::Sqli
            | Self::Xss
            | Self::Always
            | Self::Never => return false,
        }
        true
    }

    /// As [`Matcher::is_match`], and tells in `captures` what matched, when it holds; they are left alone when it does not.
    ///
    /// `rx` gives its groups, `verify…` the number, `detectSQLi` the fingerprint, `detectXSS` the whole value, `pm` the phrase as
    /// it is written in the rule. Other operators capture nothing.
    pub(crate) fn find(&self, input: &[u8], argument: Option<&[u8]>, captures: &mut Captures) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.find(input, captures),
            Self::ExpandedPattern(expanded) => {
                expanded.of(argument.unwrap_or_default()).is_some_and(|pattern| pattern.find(input, captures))
            }
            Self::Phrases(phrases) => phrases.find(input).map(|phrase| captures.set_text(phrase)).is_some(),
            Self::Checked(checked) => checked.find(input).map(|span| captures.set_span(span)).is_some(),
            Self::Sqli => injection::sqli(input).map(|fingerprint| captures.set_text(&fingerprint)).is_some(),
            Self::Xss => {
                let is_match = injection::is_xss(input);
                if is_match {
                    captures.set_span(0..input.len());
                }
                is_match
            }
            Self::Text(..)
            | Self::Number(..)
            | Self::Networks(_)
            | Self::ByteRange(_)
            | Self::UrlEncoding
            | Self::Utf8Encoding
            | Self::Always
            | Self::Never => {
                let is_match = self.is_match(input, argument);
                if is_match {
                    captures.clear();
                }
                is_match
            }
        }
    }
}
