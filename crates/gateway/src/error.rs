//! What can go wrong outside a request: listeners, certificates, the hand-over socket.

use std::net::SocketAddr;
use std::path::PathBuf;

/// The gateway could not be started or reloaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A listener cannot be opened
    #[error("cannot listen on `{address}`: {source}{}", bind_help(source))]
    Bind {
        /// Address that was asked for
        address: SocketAddr,
        /// What the system said
        source: std::io::Error,
    },
    /// A certificate, key or authority file is unusable
    #[error("`{}`: {fault}", file.display())]
    Certificate {
        /// The file
        file: PathBuf,
        /// What is wrong with it, and what to do
        fault: String,
    },
    /// The listening sockets could not be taken over from, or handed to, another process
    #[error("hand-over through `{}`: {fault}", socket.display())]
    HandOver {
        /// The socket's path
        socket: PathBuf,
        /// What went wrong
        fault: String,
    },
    /// The worker threads could not be started
    #[error("cannot start the worker threads: {0}")]
    Runtime(std::io::Error),
}

fn bind_help(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::AddrInUse => "; another program listens there: stop it or choose another port",
        std::io::ErrorKind::PermissionDenied => "; ports below 1024 need CAP_NET_BIND_SERVICE: choose a higher port",
        std::io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
        _ => "",
    }
}
