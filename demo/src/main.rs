//! `bartizan-demo api` runs the sample bank and shop; `bartizan-demo play` sends traffic to it.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use bartizan_demo::{api, player};
use clap::{Parser, Subcommand};

/// The sample bank and shop, and a player of traffic
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the sample API until it is stopped
    Api {
        /// Address and port to listen on
        #[arg(long, default_value = "127.0.0.1:9100")]
        address: SocketAddr,
    },
    /// Play honest traffic with a few attacks
    Play {
        /// Where to send it: the gateway, or the API itself
        #[arg(long, default_value = "http://127.0.0.1:8080")]
        target: String,
        /// Requests a second, on average
        #[arg(long, default_value_t = 40.0)]
        rate: f64,
        /// How long to play; without it, until stopped
        #[arg(long)]
        seconds: Option<u64>,
        /// Chooses who does what and when
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// File to write what was played to, as JSON
        #[arg(long)]
        ledger: Option<PathBuf>,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Api { address } => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind(address).await.with_context(|| format!("`{address}`"))?;
                println!("the sample bank and shop answer on http://{}", listener.local_addr()?);
                api::serve(listener).await
            })
        }
        Command::Play { target, rate, seconds, seed, ledger } => {
            let played = player::play(&player::Options { target, rate, seconds, seed })?;
            println!("{}", played.summary());
            if let Some(file) = ledger {
                let text = serde_json::to_string_pretty(&played)?;
                std::fs::write(&file, text).with_context(|| format!("cannot write `{}`", file.display()))?;
            }
            Ok(())
        }
    }
}
