//! Bytes into one bounded tree: the only place that decodes what a message carries.
//!
//! [`decode`] reads a body of a known [`Format`] into a [`Content`]: a flat arena of nodes in document order whose
//! names and values are spans of the source bytes (zero copy) or, where something had to be decoded, of one buffer.
//! Everything is bytes; nothing recurses; the cost is linear in the input. [`Limits`] bounds every dimension an
//! attacker may choose: where one is reached decoding stops, what was decoded before stays readable and a [`Fault`]
//! says which limit, where. Syntax errors and oddities (a duplicate key, a lone surrogate, a bad `%zz`) are faults too:
//! noticed, never acted on.
//!
//! Bodies are given whole: the gateway holds a body until it is decided, so there is no incremental form, and cutting
//! a body into other chunks cannot change what is decoded. Compressed bodies pass through [`inflate`] first.
//!
//! ```
//! use bartizan_content::{Format, Limits, decode};
//! let limits = Limits::default();
//! let content = decode(Format::Json, br#"{"items":[{"sku":"a\u0062c"}]}"#, &limits);
//! let mut walk = content.walk();
//! let (path, leaf) = walk.next().unwrap();
//! assert_eq!((path, leaf.value()), (&b"json.items.0.sku"[..], &b"abc"[..]));
//! ```

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice))]

mod builder;
mod compress;
mod cookies;
pub mod encoding;
mod fault;
mod form;
mod format;
#[doc(hidden)]
pub mod fuzz;
mod graphql;
mod headers;
mod json;
mod kind;
mod limits;
mod multipart;
mod node;
mod protobuf;
mod tree;
mod xml;

pub use compress::{Coding, Inflated, inflate};
pub use fault::{Fault, FaultClass, FaultKind};
pub use format::{Format, decode, decode_in};
pub use graphql::block_string_length;
pub use headers::check_headers;
pub use kind::Kind;
pub use limits::{Limit, Limits};
pub use node::{NodeRef, Siblings, Walk};
pub use tree::{Content, Name, NodeId, Scratch};
