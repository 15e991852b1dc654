//! The demo: a sample API (a retail bank with a shop, deliberately weak where the stories of API attacks need it) and
//! a player of traffic against it, honest and otherwise.
//!
//! Nothing here is part of the product. The table of operations in `operations` is the truth that both halves share,
//! so that what the player says it played can be compared with what Bartizan saw.

pub mod api;
pub mod ledger;
pub mod operations;
pub mod player;
mod world;
