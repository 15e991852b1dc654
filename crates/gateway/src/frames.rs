//! Counts the streams that an HTTP/2 client opens, from its frames alone.
//!
//! Only frame headers are read (RFC 9113 §4.1): nine bytes, then a payload that is skipped. A stream is opened by the
//! first HEADERS frame with a higher odd identifier (§5.1.1).

/// RFC 9113 §3.4: what precedes the first frame.
const PREFACE_BYTES: usize = 24;
const FRAME_HEADER_BYTES: usize = 9;
const HEADERS: u8 = 0x1;

/// Follows the client's half of an HTTP/2 connection.
#[derive(Debug)]
pub(crate) struct StreamCounter {
    skip: usize,
    header: [u8; FRAME_HEADER_BYTES],
    header_bytes: usize,
    last_stream: u32,
    opened: u64,
}

impl StreamCounter {
    /// Before the first byte, which is the preface's.
    pub(crate) const fn new() -> Self {
        Self { skip: PREFACE_BYTES, header: [0; FRAME_HEADER_BYTES], header_bytes: 0, last_stream: 0, opened: 0 }
    }

    /// Streams opened so far.
    pub(crate) const fn opened(&self) -> u64 {
        self.opened
    }

    /// The client's next bytes, cut anywhere.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let wanted = (FRAME_HEADER_BYTES - self.header_bytes).min(bytes.len());
            self.header[self.header_bytes..self.header_bytes + wanted].copy_from_slice(&bytes[..wanted]);
            self.header_bytes += wanted;
            bytes = &bytes[wanted..];
            if self.header_bytes == FRAME_HEADER_BYTES {
                self.frame();
            }
        }
    }

    fn frame(&mut self) {
        let [l0, l1, l2, kind, _flags, s0, s1, s2, s3] = self.header;
        self.header_bytes = 0;
        self.skip = u32::from_be_bytes([0, l0, l1, l2]) as usize;
        let stream = u32::from_be_bytes([s0, s1, s2, s3]) & 0x7fff_ffff;
        if kind == HEADERS && stream % 2 == 1 && stream > self.last_stream {
            self.last_stream = stream;
            self.opened += 1;
        }
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
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(0x4, 0, &[]));
        bytes.extend(frame(HEADERS, 1, b"abc"));
        bytes.extend(frame(0x0, 1, &[0x1; 40]));
        bytes.extend(frame(HEADERS, 1, b"trailers"));
        bytes.extend(frame(HEADERS, 3, b""));
        bytes.extend(frame(HEADERS, 7, b"x"));
        for cut in 0..bytes.len() {
            let mut counter = StreamCounter::new();
            counter.read(&bytes[..cut]);
            counter.read(&bytes[cut..]);
            assert_eq!(counter.opened(), 3, "cut at {cut}");
        }
        let mut counter = StreamCounter::new();
        bytes.iter().for_each(|byte| counter.read(std::slice::from_ref(byte)));
        assert_eq!(counter.opened(), 3);
    }
}
