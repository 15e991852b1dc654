//! `bartizan check`: everything that is wrong with a configuration file.

use anyhow::Result;

use crate::arguments::Check;
use crate::rules::RuleSets;
use crate::{REFUSED, document, table};

/// Prints diagnostics, or what a valid document sets up.
pub(crate) fn run(options: &Check) -> Result<u8> {
    let document = document::load(&options.file, &RuleSets::default())?;
    let is_valid = document.parsed.config.is_some();
    if options.json {
        table::print(&format!("{}\n", serde_json::to_string_pretty(&document.parsed.diagnostics)?));
    } else {
        document::explain(&document.parsed.diagnostics);
    }
    if let Some(config) = document.parsed.config.filter(|_| !options.json) {
        table::print(&format!(
            "{}: valid; {} listening, {}, {}, {}\n",
            options.file.display(),
            table::count(config.listeners.len(), "address", "addresses"),
            table::count(config.upstreams.len(), "upstream", "upstreams"),
            table::count(config.apis.len(), "API", "APIs"),
            table::count(config.policies.len(), "policy", "policies"),
        ));
    }
    Ok(if is_valid { 0 } else { REFUSED })
}
