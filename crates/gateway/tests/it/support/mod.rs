//! A gateway in this process, an origin that sees raw bytes, clients that send them.

mod client;
mod gate;
mod origin;

pub(crate) use client::{Client, Response, get, header, request};
pub(crate) use gate::{Gate, config, policy, quick_config, snapshot};
pub(crate) use origin::{Origin, answer};
