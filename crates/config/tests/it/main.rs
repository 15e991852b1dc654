//! What the crate promises, from outside: faulty files and their diagnostics, the examples, the generated documents.

mod browsers;
mod continuity;
mod corpus;
mod documents;
mod examples;
mod faulty_files;
mod properties;
