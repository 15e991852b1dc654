//! The PROXY protocol (HAProxy, versions 1 and 2): who the client is, said by the load balancer in front of us.
//!
//! The header comes before everything else, TLS included. It is read only on listeners that expect one; what it says
//! is believed only when the peer is a trusted proxy.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use ppp::{HeaderResult, PartialResult, v1, v2};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// LIMIT: bytes of a header with all its TLVs; HAProxy and AWS stay below 600.
const HEADER_BYTES_MAX: usize = 4096;

/// LIMIT: bytes of a version 1 header (the specification's number).
const V1_BYTES_MAX: usize = 107;

/// What a PROXY header says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ProxyHeader {
    /// Client and the address it connected to; `None` for health checks (`LOCAL`, `UNKNOWN`)
    pub(crate) addresses: Option<(SocketAddr, SocketAddr)>,
    /// What came after it
    pub(crate) rest: Bytes,
}

/// Reads the header from the beginning of a connection; `None` when there is none that can be read.
pub(crate) async fn read(tcp: &mut TcpStream) -> Option<ProxyHeader> {
    let mut seen = BytesMut::with_capacity(512);
    loop {
        if tcp.read_buf(&mut seen).await.ok()? == 0 {
            return None;
        }
        if is_unfinished_line(&seen) {
            continue;
        }
        let header = HeaderResult::parse(&seen);
        if header.is_complete() {
            let (length, addresses) = match header {
                HeaderResult::V1(header) => of_v1(&header.ok()?),
                HeaderResult::V2(header) => of_v2(&header.ok()?),
            };
            let rest = seen.split_off(length.min(seen.len())).freeze();
            return Some(ProxyHeader { addresses, rest });
        }
        if seen.len() >= HEADER_BYTES_MAX {
            return None;
        }
    }
}

/// A version 1 header whose line has not ended: the parser would take a cut address for a wrong one.
fn is_unfinished_line(seen: &[u8]) -> bool {
    let is_v1 = seen.starts_with(b"PROXY") || b"PROXY".starts_with(seen);
    is_v1 && seen.len() < V1_BYTES_MAX && !seen.windows(2).any(|pair| pair == b"\r\n")
}

fn of_v1(header: &v1::Header<'_>) -> (usize, Option<(SocketAddr, SocketAddr)>) {
    let addresses = match header.addresses {
        v1::Addresses::Tcp4(ip) => {
            Some(((ip.source_address, ip.source_port).into(), (ip.destination_address, ip.destination_port).into()))
        }
        v1::Addresses::Tcp6(ip) => {
            Some(((ip.source_address, ip.source_port).into(), (ip.destination_address, ip.destination_port).into()))
        }
        v1::Addresses::Unknown => None,
    };
    (header.header.len(), addresses)
}

fn of_v2(header: &v2::Header<'_>) -> (usize, Option<(SocketAddr, SocketAddr)>) {
    let addresses = match (header.command, header.addresses) {
        (v2::Command::Local, _) => None,
        (v2::Command::Proxy, v2::Addresses::IPv4(ip)) => {
            Some(((ip.source_address, ip.source_port).into(), (ip.destination_address, ip.destination_port).into()))
        }
        (v2::Command::Proxy, v2::Addresses::IPv6(ip)) => {
            Some(((ip.source_address, ip.source_port).into(), (ip.destination_address, ip.destination_port).into()))
        }
        (v2::Command::Proxy, v2::Addresses::Unspecified | v2::Addresses::Unix(_)) => None,
    };
    (header.len(), addresses)
}
