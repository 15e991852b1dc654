//! The engine as a host sees it: cases written as a specification, properties, and the fuzz corpus replayed.

mod access;
mod caching;
mod cases;
mod corpus;
mod document;
mod host;
mod mmdb;
mod properties;
mod rates;
mod rules;
