//! Both halves of an HTTP/2 connection from their frames' headers alone: the streams that the client opens, and the
//! fault for which the connection is given up.
//!
//! Only frame headers are read (RFC 9113 §4.1): nine bytes, then a payload that is skipped, but for the error code of
//! GOAWAY (§6.8). A stream is opened by the first HEADERS frame with a higher odd identifier (§5.1.1).

/// RFC 9113 §3.4: what precedes the client's first frame.
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEADER_BYTES: usize = 9;
/// A frame header with what GOAWAY begins with: last stream and error code.
const GOAWAY_BYTES: usize = FRAME_HEADER_BYTES + 8;
const HEADERS: u8 = 0x1;
const GOAWAY: u8 = 0x7;

/// Follows both halves of a connection.
#[derive(Debug)]
pub(crate) struct Frames {
    client: Half,
    server: Half,
    preface_bytes: usize,
    last_stream: u32,
    opened: u64,
    is_faulty: bool,
}

/// Where one half stands.
#[derive(Debug)]
struct Half {
    skip: usize,
    head: [u8; GOAWAY_BYTES],
    head_bytes: usize,
}

impl Frames {
    /// Before the first byte.
    pub(crate) const fn new() -> Self {
        let (client, server) = (Half::new(), Half::new());
        Self { client, server, preface_bytes: 0, last_stream: 0, opened: 0, is_faulty: false }
    }

    /// Streams that the client opened so far.
    pub(crate) const fn opened(&self) -> u64 {
        self.opened
    }

    /// Whether the connection as a whole broke the protocol: no preface, or a GOAWAY of ours that names an error.
    pub(crate) const fn is_faulty(&self) -> bool {
        self.is_faulty
    }

    /// The client's next bytes, cut anywhere.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) {
        while let (Some(wanted), Some((byte, rest))) = (PREFACE.get(self.preface_bytes), bytes.split_first()) {
            self.is_faulty |= byte != wanted;
            self.preface_bytes += 1;
            bytes = rest;
        }
        while let Some(head) = self.client.next(&mut bytes) {
            let [.., s0, s1, s2, s3] = *head.first_chunk::<FRAME_HEADER_BYTES>().unwrap_or(&[0; FRAME_HEADER_BYTES]);
            let stream = u32::from_be_bytes([s0, s1, s2, s3]) & 0x7fff_ffff;
            if head[3] == HEADERS && stream % 2 == 1 && stream > self.last_stream {
                self.last_stream = stream;
                self.opened += 1;
            }
        }
    }

    /// Our side's next bytes, cut anywhere.
    pub(crate) fn written(&mut self, mut bytes: &[u8]) {
        while let Some(head) = self.server.next(&mut bytes) {
            self.is_faulty |= head[3] == GOAWAY && head[13..] != [0; 4];
        }
    }
}

impl Half {
    const fn new() -> Self {
        Self { skip: 0, head: [0; GOAWAY_BYTES], head_bytes: 0 }
    }

    /// The next frame's beginning, once it is complete.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<[u8; GOAWAY_BYTES]> {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        *bytes = &bytes[skipped..];
        self.fill(bytes, FRAME_HEADER_BYTES);
        let payload = u32::from_be_bytes([0, self.head[0], self.head[1], self.head[2]]) as usize;
        let is_goaway = self.head[3] == GOAWAY && payload >= GOAWAY_BYTES - FRAME_HEADER_BYTES;
        let wanted = if is_goaway { GOAWAY_BYTES } else { FRAME_HEADER_BYTES };
        if self.head_bytes >= FRAME_HEADER_BYTES {
            self.fill(bytes, wanted);
        }
        if self.head_bytes < wanted {
            return None;
        }
        self.skip = payload - (wanted - FRAME_HEADER_BYTES);
        self.head_bytes = 0;
        Some(std::mem::replace(&mut self.head, [0; GOAWAY_BYTES]))
    }

    fn fill(&mut self, bytes: &mut &[u8], wanted: usize) {
        let missing = wanted.saturating_sub(self.head_bytes).min(bytes.len());
        let (taken, rest) = bytes.split_at(missing);
        self.head[self.head_bytes..self.head_bytes + missing].copy_from_slice(taken);
        self.head_bytes += missing;
        *bytes = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = (u32::try_from(payload.len()).unwrap() << 8 | u32::from(kind)).to_be_bytes().to_vec();
        bytes.push(0);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn streams_are_counted_wherever_the_bytes_are_cut() {
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame(0x4, 0, &[]));
        bytes.extend(frame(HEADERS, 1, b"abc"));
        bytes.extend(frame(0x0, 1, &[0x1; 40]));
        bytes.extend(frame(HEADERS, 1, b"trailers"));
        bytes.extend(frame(HEADERS, 3, b""));
        bytes.extend(frame(GOAWAY, 0, &[1; 12]));
        bytes.extend(frame(HEADERS, 7, b"x"));
        for cut in 0..bytes.len() {
            let mut frames = Frames::new();
            frames.read(&bytes[..cut]);
            frames.read(&bytes[cut..]);
            assert_eq!((frames.opened(), frames.is_faulty()), (3, false), "cut at {cut}");
        }
        let mut frames = Frames::new();
        bytes.iter().for_each(|byte| frames.read(std::slice::from_ref(byte)));
        assert_eq!(frames.opened(), 3);
    }

    #[test]
    fn a_connection_is_faulty_once_we_say_so_with_an_error() {
        for (code, is_faulty) in [(0, false), (1, true), (0xb00, true)] {
            let goaway = [[0, 0, 0, 9], u32::to_be_bytes(code)].concat();
            let bytes = [frame(0x4, 0, &[0; 6]), frame(0x0, 1, &[7; 30]), frame(GOAWAY, 0, &goaway)].concat();
            for cut in 0..bytes.len() {
                let mut frames = Frames::new();
                frames.written(&bytes[..cut]);
                frames.written(&bytes[cut..]);
                assert_eq!(frames.is_faulty(), is_faulty, "{code} cut at {cut}");
            }
        }
        let mut frames = Frames::new();
        frames.read(b"GET / HTTP/1.1\r\n\r\n");
        assert!(frames.is_faulty());
    }
}
