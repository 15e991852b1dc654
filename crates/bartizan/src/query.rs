//! `bartizan query`: SQL over the events, also while a gateway writes them.

use anyhow::Result;
use bartizan_store::{Quarantined, SqlLimits, Store};
use serde_json::{Value, json};

use crate::arguments::Query;
use crate::table::{self, Table};
use crate::{SKIPPED, output};

/// Runs one statement and prints its rows.
pub(crate) fn run(options: &Query) -> Result<u8> {
    let store = Store::open_read_only(&options.data.data_dir)?;
    let limits = SqlLimits { rows_max: options.limit, ..SqlLimits::default() };
    let found = store.block_on(store.sql(&options.sql, limits))?;
    if options.json {
        for row in &found.rows {
            let names = found.columns.iter().map(|column| column.name.clone());
            let object: serde_json::Map<String, Value> = names.zip(row.iter().cloned()).collect();
            output::print(&format!("{}\n", Value::Object(object)));
        }
    } else {
        let headings: Vec<&str> = found.columns.iter().map(|column| column.name.as_str()).collect();
        let mut rows = Table::new(&headings);
        found.rows.iter().for_each(|row| rows.push(row.iter().map(cell)));
        rows.print();
    }
    if found.truncated {
        let rows = table::count(found.rows.len(), "row", "rows");
        output::note(&format!("only the first {rows}; --limit shows more"));
    }
    let left_out = store.left_out();
    left_out.iter().for_each(|segment| output::note(&warning(segment, options.json)));
    Ok(if left_out.is_empty() { 0 } else { SKIPPED })
}

/// Says that the rows lack a segment's events: on standard error, where it does not mix with rows.
fn warning(segment: &Quarantined, json: bool) -> String {
    let Quarantined { name, reason } = segment;
    if json {
        return json!({"warning": "segment left out", "segment": name, "reason": reason}).to_string();
    }
    format!("warning: segment `{name}` cannot be read and was left out: {reason}")
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
