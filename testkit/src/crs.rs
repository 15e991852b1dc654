//! Everything about CRS's regression tests that does not depend on who answers: reading them, building the requests as
//! go-ftw builds them, the backend behind the engine, and judging what was logged.
//!
//! Shared by the test in process and the comparison with libmodsecurity (`tests/crs` and `examples/differential` of
//! crate `waf`), and by the test through the running gateway (`tests/crs_http`): [`request::raw`] is what go-ftw sends.
//!
//! Sources: go-ftw (`ftwhttp`, `runner`, `test`), albedo, the README of CRS's `tests/regression`.

pub mod backend;
pub mod exceptions;
pub mod http;
pub mod judge;
pub mod request;
pub mod rules;
pub mod suite;
pub mod summary;

use std::path::{Path, PathBuf};

/// One request with the answer that the backend gives to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exchange {
    pub method: Vec<u8>,
    /// As sent
    pub target: Vec<u8>,
    /// `HTTP/1.1`, or whatever stood there
    pub protocol: Vec<u8>,
    pub headers: Vec<Field>,
    pub body: Vec<u8>,
    pub reply: Reply,
}

/// Name and value of a header field.
pub type Field = (Vec<u8>, Vec<u8>);

/// What the backend answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<Field>,
    pub body: Vec<u8>,
}

impl Default for Reply {
    fn default() -> Self {
        Self { status: 200, headers: Vec::new(), body: Vec::new() }
    }
}

/// A rule that matched and is logged.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    pub rule: u32,
    /// The line as an error log would have it
    pub line: String,
}

/// Where the Core Rule Set is: `BARTIZAN_CRS`, else beside the workspace in `shared/crs`. `None` when nothing is there.
pub fn rule_set_folder() -> Option<PathBuf> {
    let folder = match std::env::var_os("BARTIZAN_CRS") {
        Some(folder) => PathBuf::from(folder),
        None => workspace().join("../shared/crs"),
    };
    folder.join("rules").is_dir().then(|| folder.canonicalize().unwrap_or(folder))
}

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The value of the first field of this name, ASCII case ignored.
pub fn field<'a>(headers: &'a [Field], name: &str) -> Option<&'a [u8]> {
    let found = headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()));
    found.map(|(_, value)| value.as_slice())
}
