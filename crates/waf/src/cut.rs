//! What of an exchange rules could not look at, though it was there.
//!
//! It is apart from `REQBODY_ERROR`: that says that a body breaks its format, this that we stopped. The host tells it.

use std::fmt;

use bartizan_content::Limit;
use bartizan_model::Part;

use crate::inputs::{ITEMS_MAX, TEXT_BYTES_MAX};
use crate::request::PATHS_BYTES_MAX;

/// Something that was left out, and of which part of the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Where it was
    pub part: Part,
    /// What was left out
    pub what: Left,
}

/// What was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Members of a collection beyond the first 100,000
    Members,
    /// Values beyond the first 256 MiB of text
    Text,
    /// The beginnings of paths, when all paths of a document together are longer than 16 MiB
    Paths,
    /// What follows the place where a decoder reached a limit
    Decoder(Limit),
    /// Arguments beyond `SecArgumentsLimit`
    Arguments(usize),
    /// Matched values that the next link of a chain does not get
    Matched,
    /// Members of `TX` beyond those that rules may make of what was sent
    Variables,
    /// Values inside of values (Base64, JSON, tokens) that were not opened any more
    Inner,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            Left::Members => write!(f, "more than {ITEMS_MAX} members of one collection; rules saw the first"),
            Left::Text => write!(f, "more than {} MiB of text; rules saw the first", TEXT_BYTES_MAX >> 20),
            Left::Paths => {
                write!(f, "paths of more than {} MiB together; of the rest, rules saw the ends", PATHS_BYTES_MAX >> 20)
            }
            Left::Decoder(limit) => write!(f, "decoding stopped at `{}`; rules saw what came before", limit.name()),
            Left::Arguments(max) => {
                write!(f, "more arguments than `SecArgumentsLimit {max}` allows; rules saw the first")
            }
            Left::Matched => write!(f, "more matches of one rule than are kept; its chain saw the first"),
            Left::Variables => write!(f, "more members of `TX` made from names than are kept; rules saw the first"),
            Left::Inner => write!(f, "more values inside of values than are opened; rules saw the first"),
        }
    }
}
