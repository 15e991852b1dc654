//! The gateway with nothing behind it: what it costs a request apart from storing, cataloging and showing.
//!
//! `lone_gateway CONFIG`: serves as the configuration says and drops every event; stops on SIGTERM or SIGINT. For
//! profiles (`valgrind --tool=callgrind`, `perf`): it is built in minutes, the whole program in tens of them.

use std::path::Path;
use std::sync::Arc;

use bartizan_engine::{Counters, Inputs, Plans, Snapshot};
use bartizan_gateway::{Gateway, GatewayOptions, Sinks};

/// As in the program: allocation is a good part of what a request costs.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: lone_gateway CONFIG")?;
    let parsed = bartizan_config::parse(&std::fs::read_to_string(&path)?, &path, Path::new(""));
    let config = parsed.config.ok_or_else(|| format!("{:?}", parsed.diagnostics))?;
    let inputs =
        Inputs { generation: 1, endpoints: &[], plans: &Plans::new(), counters: &Counters::default(), key: [7; 32] };
    let snapshot = Arc::new(Snapshot::compile(&config, inputs));
    let sinks = Sinks { events: Arc::new(drop), exchanges: None };
    Gateway::new(&config, snapshot, sinks, GatewayOptions::default())?.run()?;
    Ok(())
}
