//! `bartizan catalog`: every endpoint with what is known; and the way between the catalog and its rows in the store.

use anyhow::{Context, Result};
use bartizan_catalog::{Catalog, CatalogLimits, CatalogRow};
use bartizan_model::AuthKind;
use bartizan_store::{CatalogEntry, Store};

use crate::arguments;
use crate::output;
use crate::table::{self, Table};

/// Prints the catalog.
pub(crate) fn run(options: &arguments::Catalog) -> Result<u8> {
    let store = Store::open_read_only(&options.data.data_dir)?;
    let endpoints = load(&store)?.endpoints();
    if options.json {
        output::print(&format!("{}\n", serde_json::to_string_pretty(&endpoints)?));
        return Ok(0);
    }
    let mut rows = Table::new(&["method", "host", "path", "requests", "statuses", "auth", "callers", "last seen"]);
    for endpoint in &endpoints {
        let statuses = endpoint.statuses.iter().map(|found| found.status.to_string()).collect::<Vec<_>>();
        let auth = endpoint.auth.iter().map(|found| found.kind.map_or("none", AuthKind::as_str)).collect::<Vec<_>>();
        rows.push([
            endpoint.method.to_string(),
            endpoint.host.to_string(),
            endpoint.template.to_string(),
            endpoint.requests.to_string(),
            statuses.join(" "),
            auth.join(" "),
            endpoint.callers_distinct.to_string(),
            endpoint.last_seen.to_string(),
        ]);
    }
    rows.print();
    output::note(&table::count(endpoints.len(), "endpoint", "endpoints"));
    Ok(0)
}

/// The catalog that a store holds.
pub(crate) fn load(store: &Store) -> Result<Catalog> {
    let entries = store.block_on(store.load_catalog()).context("reading the catalog")?;
    let rows = entries.into_iter().map(|entry| CatalogRow { key: entry.key, json: entry.json });
    let catalog = Catalog::load(limits(store.installation_key().expose()), rows);
    let bad_rows = catalog.stats().bad_rows;
    if bad_rows > 0 {
        tracing::warn!(bad_rows, "some rows of the catalog could not be read; their endpoints are learned anew");
    }
    Ok(catalog)
}

/// The catalog's limits, with its sketches keyed for this installation so that nobody can aim at them.
pub(crate) fn limits(key: &[u8; 32]) -> CatalogLimits {
    let [low, high] = [0, 8].map(|at| u64::from_le_bytes(std::array::from_fn(|byte| key[at + byte])));
    CatalogLimits { hash_key: [low, high], ..CatalogLimits::default() }
}

/// Saves a catalog's rows in a store.
pub(crate) fn save(store: &Store, rows: Vec<CatalogRow>) -> Result<()> {
    let entries: Vec<CatalogEntry> =
        rows.into_iter().map(|row| CatalogEntry { key: row.key, json: row.json }).collect();
    store.block_on(store.save_catalog(&entries)).context("saving the catalog")
}
