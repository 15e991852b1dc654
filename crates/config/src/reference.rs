//! The configuration reference as Markdown, generated from the JSON Schema.

/// Every key with type, default, bounds and example.
pub fn reference_markdown() -> String {
    String::new()
}
