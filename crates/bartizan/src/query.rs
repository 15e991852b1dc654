//! `bartizan query`: SQL over the events, also while a gateway writes them.

use anyhow::Result;
use bartizan_store::{SqlLimits, Store};
use serde_json::Value;

use crate::arguments::Query;
use crate::table::{self, Table};

/// Runs one statement and prints its rows.
pub(crate) fn run(options: &Query) -> Result<u8> {
    let store = Store::open_read_only(&options.data.data_dir)?;
    let limits = SqlLimits { rows_max: options.limit, ..SqlLimits::default() };
    let found = store.block_on(store.sql(&options.sql, limits))?;
    if options.json {
        for row in &found.rows {
            let names = found.columns.iter().map(|column| column.name.clone());
            let object: serde_json::Map<String, Value> = names.zip(row.iter().cloned()).collect();
            table::print(&format!("{}\n", Value::Object(object)));
        }
    } else {
        let headings: Vec<&str> = found.columns.iter().map(|column| column.name.as_str()).collect();
        let mut rows = Table::new(&headings);
        found.rows.iter().for_each(|row| rows.push(row.iter().map(cell)));
        rows.print();
    }
    if found.truncated {
        eprintln!("only the first {} rows; --limit shows more", found.rows.len());
    }
    Ok(0)
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
