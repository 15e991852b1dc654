//! The console as a browser and a script see it: a real server on a loopback port over a real store and catalog.
//!
//! Every answer of the API that a test reads is also checked against the OpenAPI document (`client.rs`).

mod client;
mod contract;
mod endpoints;
mod events;
mod keys;
mod live;
mod running;
mod sessions;
mod strangers;
mod traffic;
mod world;
