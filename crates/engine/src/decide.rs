//! Findings and policies in, one decision out. The only place that builds a `Decision`.
