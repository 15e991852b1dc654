//! The catalog from outside: events in, endpoints out.

mod build;
mod flooding;
mod merging;
mod records;
mod saving;
mod templates;
