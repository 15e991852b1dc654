//! The columns of table `events`: names, types, and how each is laid out in a segment.
//!
//! Flat, with the names that the console and analysts use. Sets are comma-separated text (`auth`, `checks`,
//! `missing`): `WHERE auth = ''` and `LIKE` stay pleasant, and `string_to_array` gives a list to whoever wants one.
//! `parameters`, `findings` and `principal` are JSON text, so that the whole event can be read back.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text
    Text,
    /// Microseconds since the epoch, UTC
    Time,
    /// 32-bit integer
    Small,
    /// 64-bit integer
    Integer,
    /// True or false
    Boolean,
}

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ColumnSpec {
    /// Name in SQL
    pub(crate) name: &'static str,
    /// What it holds
    pub(crate) kind: Kind,
    /// Whether it can be absent
    pub(crate) nullable: bool,
    /// Whether values repeat, so that a dictionary pays
    pub(crate) repeats: bool,
}

const fn column(name: &'static str, kind: Kind, nullable: bool, repeats: bool) -> ColumnSpec {
    ColumnSpec { name, kind, nullable, repeats }
}

/// Every column, in order. New ones go to the end: older segments lack them and read as NULL.
pub(crate) const COLUMNS: &[ColumnSpec] = &[
    column("id", Kind::Text, false, false),
    column("time", Kind::Time, false, false),
    column("source", Kind::Text, false, true),
    column("client_ip", Kind::Text, true, true),
    column("client_via", Kind::Text, true, true),
    column("tls_version", Kind::Text, true, true),
    column("actor_kind", Kind::Text, false, true),
    column("actor", Kind::Text, false, true),
    column("scheme", Kind::Text, false, true),
    column("version", Kind::Text, false, true),
    column("host", Kind::Text, false, true),
    column("method", Kind::Text, false, true),
    column("path", Kind::Text, false, false),
    column("api", Kind::Text, true, true),
    column("endpoint_id", Kind::Text, true, true),
    column("template", Kind::Text, true, true),
    column("parameters", Kind::Text, true, true),
    column("auth", Kind::Text, false, true),
    column("user_agent", Kind::Text, true, true),
    column("request_type", Kind::Text, true, true),
    column("response_type", Kind::Text, true, true),
    column("ending", Kind::Text, false, true),
    column("status", Kind::Small, false, true),
    column("request_bytes", Kind::Integer, false, true),
    column("response_bytes", Kind::Integer, false, false),
    column("duration_us", Kind::Integer, false, false),
    column("upstream_us", Kind::Integer, true, false),
    column("upstream", Kind::Text, true, true),
    column("decision", Kind::Text, false, true),
    column("applied", Kind::Boolean, false, false),
    column("decision_status", Kind::Small, false, true),
    column("check", Kind::Text, true, true),
    column("policy", Kind::Text, true, true),
    column("checks", Kind::Text, false, true),
    column("findings_count", Kind::Small, false, true),
    column("findings", Kind::Text, true, true),
    column("missing", Kind::Text, false, true),
    column("application", Kind::Text, true, true),
    column("credential_id", Kind::Text, true, true),
    column("principal", Kind::Text, true, true),
    column("cache_status", Kind::Text, true, true),
];

/// The schema in which events are written.
pub(crate) static WRITTEN: LazyLock<SchemaRef> = LazyLock::new(|| schema(&DataType::Utf8));

/// The schema in which events are read: text as views, which DataFusion filters and groups fastest.
pub(crate) static READ: LazyLock<SchemaRef> = LazyLock::new(|| schema(&DataType::Utf8View));

fn schema(text: &DataType) -> SchemaRef {
    let fields = COLUMNS.iter().map(|column| {
        let data_type = match column.kind {
            Kind::Text => text.clone(),
            Kind::Time => time_type(),
            Kind::Small => DataType::Int32,
            Kind::Integer => DataType::Int64,
            Kind::Boolean => DataType::Boolean,
        };
        Field::new(column.name, data_type, column.nullable)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The type of column `time`.
pub(crate) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
}

/// The column of this name.
pub(crate) fn column_named(name: &str) -> Option<&'static ColumnSpec> {
    COLUMNS.iter().find(|column| column.name == name)
}
