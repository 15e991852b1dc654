//! Recorded traffic: one streaming [`Reader`] over every format, and the [`Writer`] of our own.
//!
//! `Reader` yields one [`Item`] for each line (in a HAR file: each entry), in order, holding one in memory at a time.
//! An item that cannot be used carries a [`BadLine`] with the reason; reading goes on behind it. What a format does not
//! carry stays `None`, so that the engine can flag it as missing; nothing is invented. docs/formats.md describes each
//! format with examples.

mod access_log;
mod bad_line;
mod base64_text;
mod clock;
mod exchanges;
mod format;
#[doc(hidden)]
pub mod fuzz;
mod har;
mod lines;
mod mask;
mod reader;
mod url;
mod writer;

pub use access_log::{FieldMap, FieldMapError};
pub use bad_line::{BadLine, Reason};
pub use format::{AccessLog, Format, FormatError, detect};
pub use mask::Masking;
pub use reader::{Item, ReadOptions, Reader};
pub use writer::Writer;
