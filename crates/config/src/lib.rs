//! Documents people write, validated into a [`Config`], with every fault reported at its place.

mod config;

pub use config::*;
