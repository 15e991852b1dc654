//! Sends mutations, each over a connection of its own from an address of its own: that is how an event, which has no
//! marker of a request that could not be read, is known to be a mutation's.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use socket2::{Domain, Socket, Type};

use super::mutation::{Mutation, Protocol};

/// Connections at a time.
const CLIENTS: usize = 48;

/// Pause between two pieces: long enough to be read apart, most of the time.
const PAUSE: Duration = Duration::from_millis(20);

/// The gateway closes every connection by itself long before.
const PATIENCE: Duration = Duration::from_secs(20);

/// The address that mutation `number` comes from; all of 127.0.0.0/8 is this machine.
pub(super) fn address_of(number: usize) -> Ipv4Addr {
    let [.., high, low] = u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
    Ipv4Addr::new(127, 1, high, low)
}

/// The mutation that an address belongs to.
pub(super) fn number_of(address: &str) -> Option<usize> {
    let address: Ipv4Addr = address.parse().ok()?;
    match address.octets() {
        [127, 1, high, low] => Some(usize::from(high) << 8 | usize::from(low)),
        _ => None,
    }
}

/// Sends every mutation to `port`; returns what came back, in the same order.
pub(super) fn send_all(mutations: &[Mutation], port: u16) -> Result<Vec<Vec<u8>>> {
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(vec![Vec::new(); mutations.len()]);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let Some(mutation) = mutations.get(number) else { return Ok(()) };
                        let answer = send(mutation, number, port)?;
                        answers.lock().unwrap_or_else(PoisonError::into_inner)[number] = answer;
                    }
                })
            })
            .collect();
        clients.into_iter().try_for_each(|client| client.join().expect("a client that does not panic"))
    })?;
    Ok(answers.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Sends one mutation and reads until the gateway closes the connection.
fn send(mutation: &Mutation, number: usize, port: u16) -> Result<Vec<u8>> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((address_of(number), 0)).into())?;
    socket.connect(&SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).into())?;
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut stream: std::net::TcpStream = socket.into();
    for (index, piece) in mutation.pieces.iter().enumerate() {
        if index > 0 {
            std::thread::sleep(PAUSE);
        }
        if stream.write_all(piece).is_err() {
            break; // refused in the middle: what was said about it is still to be read
        }
    }
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(answer),
            Ok(read) => answer.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(answer),
            Err(error) => anyhow::bail!("mutation {number} is not closed by the gateway: {error}"),
        }
    }
}

/// The request ids of all HTTP/1 responses among these bytes.
pub(super) fn ids_in(answer: &[u8], protocol: Protocol) -> Vec<String> {
    const FIELD: &[u8] = b"x-request-id: ";
    if protocol == Protocol::Http2 {
        return Vec::new(); // compressed
    }
    let lower = answer.to_ascii_lowercase();
    let starts = lower.windows(FIELD.len()).enumerate().filter(|(_, window)| *window == FIELD);
    starts
        .filter_map(|(at, _)| lower.get(at + FIELD.len()..at + FIELD.len() + 32))
        .map(|id| String::from_utf8_lossy(id).into_owned())
        .collect()
}
