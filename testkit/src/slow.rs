//! A client that takes its time on HTTP/2: the counterparts of what slowhttptest does on HTTP/1.
//!
//! Frames are written by hand, since no library would send half of one (RFC 9113 §4.1, §6; RFC 7541 §6.2.2).

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use anyhow::Result;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// Type, length and identifier of a frame.
const FRAME_HEADER_BYTES: usize = 9;

/// What is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slow {
    /// A header block that never ends
    Head,
    /// A body that comes byte by byte
    Body,
    /// A response that is not read: the window stays closed
    Read,
}

/// A connection with one request that never comes to its end.
pub struct SlowHttp2 {
    stream: TcpStream,
    slow: Slow,
    unread: Vec<u8>,
    is_over: bool,
}

impl SlowHttp2 {
    /// Connects to `port` of the loopback address and begins a request for `path`.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn begin(port: u16, slow: Slow, path: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        // SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113 §6.5.2): nothing of a body may be sent.
        let settings: &[u8] = if slow == Slow::Read { &[0, 4, 0, 0, 0, 0] } else { &[] };
        let mut bytes = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, settings)].concat();
        let method = if slow == Slow::Body { "POST" } else { "GET" };
        let fields = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "slow.example")];
        let block = block(&fields);
        bytes.extend(match slow {
            Slow::Head => frame(HEADERS, END_STREAM, 1, &block),
            Slow::Body => frame(HEADERS, END_HEADERS, 1, &block),
            Slow::Read => frame(HEADERS, END_HEADERS | END_STREAM, 1, &block),
        });
        stream.write_all(&bytes)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, slow, unread: Vec::new(), is_over: false })
    }

    /// Sends the next little piece. Returns whether the other side still waits for more.
    pub fn go_on(&mut self) -> bool {
        self.look();
        if self.is_over {
            return false;
        }
        let piece = match self.slow {
            Slow::Head => frame(CONTINUATION, 0, 1, b"\0\x01a\x01b"),
            Slow::Body => frame(DATA, 0, 1, b"x"),
            Slow::Read => return true,
        };
        if let Err(error) = self.stream.write_all(&piece) {
            self.is_over = error.kind() != ErrorKind::WouldBlock;
        }
        !self.is_over
    }

    /// Reads what has come, and whether it ends the request.
    fn look(&mut self) {
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => self.is_over = true,
                Ok(read) => {
                    self.unread.extend_from_slice(chunk.get(..read).unwrap_or_default());
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.is_over = true,
            }
            break;
        }
        while let Some([l0, l1, l2, kind, ..]) = self.unread.get(..FRAME_HEADER_BYTES) {
            let bytes = FRAME_HEADER_BYTES + u32::from_be_bytes([0, *l0, *l1, *l2]) as usize;
            let kind = *kind;
            if self.unread.len() < bytes {
                return;
            }
            // The response to a body that is not complete is a refusal; that to a GET is what is not read.
            let is_end = matches!(kind, RST_STREAM | GOAWAY) || (kind == HEADERS && self.slow == Slow::Body);
            self.is_over |= is_end;
            self.unread.drain(..bytes);
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    [length.get(1..).unwrap_or_default(), &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Literal fields; names and values are shorter than 127 bytes.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            bytes.push(u8::try_from(text.len()).unwrap_or(126));
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}
