//! The real binary with real software around it: each test starts programs, talks to them, and ends them.

mod access;
mod admin;
mod api_keys;
mod audit_log;
mod authorization;
mod bad_input;
mod browsers;
mod caching;
mod callers;
mod command_line;
mod crash;
mod explain;
mod hours;
mod imports;
mod metrics;
mod oidc;
mod reach;
mod real_software;
mod reload;
mod settings;
mod shared_limits;
mod slow_clients;
mod smuggling;
mod stories;
mod threats;
mod tls_profile;
mod web_pages;

use std::path::{Path, PathBuf};

/// A client to which refusals are answers, not failures.
fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

/// A file of `tests/real/`.
fn script(name: &str) -> PathBuf {
    // Asked at run time: checkouts that share a target directory may share this program.
    let tests = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&tests).join("real").join(name)
}

/// The folder with the npm packages of `tests/real/npm`: `cargo xtask check --only system` installs them.
fn npm_packages() -> PathBuf {
    let usual = bartizan_testkit::python().ancestors().nth(3).map(|cache| cache.join("npm"));
    let folder = std::env::var_os("BARTIZAN_NPM").map_or(usual.unwrap_or_default(), PathBuf::from);
    assert!(folder.exists(), "{} is missing: run `cargo xtask check --only system` once", folder.display());
    folder
}
