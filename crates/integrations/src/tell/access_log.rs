//! Access logs.

use bartizan_model::Exchange;

use super::bad_line::{Fault, Reason};
use super::format::AccessLog;
use super::reader::ReadOptions;

/// Which member of a JSON log line holds what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldMap {}

/// A pair that does not belong in a [`FieldMap`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldMapError {
    /// Not `name=path`
    #[error("`{0}` is not a pair; write `name=path`, for example `status=response.code`")]
    NotAPair(String),
    /// The name is none we know
    #[error("no field is called `{0}`; use one of {list}", list = FieldMap::NAMES.join(", "))]
    UnknownName(String),
    /// Nothing says which request it was
    #[error("the field map says nowhere which {0} it was; add `{0}=…`")]
    Incomplete(&'static str),
}

impl FieldMap {
    /// Names.
    pub const NAMES: &[&str] = &[];

    /// From `name=path` pairs.
    ///
    /// # Errors
    /// At the first pair that is not one.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = &'a str>) -> Result<Self, FieldMapError> {
        let _ = pairs;
        Ok(Self {})
    }
}

pub(crate) struct Parser {}

impl Parser {
    pub(crate) fn new(_log: AccessLog, _options: ReadOptions) -> Self {
        Self {}
    }

    pub(crate) fn parse(&self, _line: &[u8]) -> Result<Exchange, Fault> {
        Err(Fault::new(Reason::Syntax, "access logs are not read yet"))
    }
}
