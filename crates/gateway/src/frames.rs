//! Both halves of an HTTP/2 connection from their frames' headers alone: the streams that the client opens, the fault
//! for which the connection is given up, whether the client floods it, and what it leaves unfinished.
//!
//! Only frame headers are read (RFC 9113 §4.1): nine bytes, then a payload that is skipped, but for the error codes of
//! GOAWAY and RST_STREAM (§6.8, §6.4). A stream is opened by the first HEADERS frame with a higher odd identifier
//! (§5.1.1).

use std::time::Instant;

use crate::flood::{Flood, Toll};
use crate::refusal::Refusal;

/// RFC 9113 §3.4: what precedes the client's first frame.
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEADER_BYTES: usize = 9;
/// A frame header with what GOAWAY begins with: last stream and error code.
const GOAWAY_BYTES: usize = FRAME_HEADER_BYTES + 8;
/// A frame header with the error code of RST_STREAM.
const RESET_BYTES: usize = FRAME_HEADER_BYTES + 4;
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const GOAWAY: u8 = 0x7;
const CONTINUATION: u8 = 0x9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
/// RFC 9113 §7: the peer makes too much work.
const ENHANCE_YOUR_CALM: u32 = 0xb;
/// RFC 9113 §7: what a reset says that is no fault of the client: no error, refused stream, cancel.
const BLAMELESS: [u32; 3] = [0x0, 0x7, 0x8];

/// Follows both halves of a connection.
#[derive(Debug)]
pub(crate) struct Frames {
    client: Half,
    server: Half,
    preface_bytes: usize,
    last_stream: u32,
    opened: u64,
    fault: Option<Refusal>,
    toll: Toll,
    flood: Option<Flood>,
    /// A header block has begun and not ended (RFC 9113 §4.3)
    is_in_block: bool,
    /// What is skipped of the client's half belongs to a header block
    is_head: bool,
}

/// What the client has begun and not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    /// Nothing, or something that other clocks watch: a body
    Nothing,
    /// It has not said a word
    Silence,
    /// The preface, a frame's header, or a header block
    Head,
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
    pub(crate) fn new() -> Self {
        Self {
            client: Half::new(),
            server: Half::new(),
            preface_bytes: 0,
            last_stream: 0,
            opened: 0,
            fault: None,
            toll: Toll::new(Instant::now()),
            flood: None,
            is_in_block: false,
            is_head: false,
        }
    }

    /// Streams that the client opened so far.
    pub(crate) const fn opened(&self) -> u64 {
        self.opened
    }

    /// Why the connection as a whole was given up by the library: no preface, or a GOAWAY of ours that names an error.
    pub(crate) const fn fault(&self) -> Option<Refusal> {
        self.fault
    }

    /// Whether the client floods the connection; then it stays so.
    pub(crate) fn flood(&mut self, now: Instant) -> Option<Flood> {
        self.flood = self.flood.or_else(|| self.toll.judge(now));
        self.flood
    }

    /// What is to come from the client.
    pub(crate) fn unfinished(&self) -> Unfinished {
        if self.preface_bytes == 0 {
            Unfinished::Silence
        } else if self.preface_bytes < PREFACE.len()
            || self.client.head_bytes > 0
            || self.is_in_block
            || (self.is_head && self.client.skip > 0)
        {
            Unfinished::Head
        } else {
            Unfinished::Nothing
        }
    }

    /// The frame with which the connection is given up for its floods, if it may be sent here: between two frames.
    pub(crate) fn goaway(&self) -> Vec<u8> {
        if !self.server.is_between_frames() {
            return Vec::new();
        }
        let head = [0, 0, 8, GOAWAY, 0, 0, 0, 0, 0];
        [&head[..], &self.last_stream.to_be_bytes(), &ENHANCE_YOUR_CALM.to_be_bytes()].concat()
    }

    /// The client's next bytes, cut anywhere.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) {
        while let (Some(wanted), Some((byte, rest))) = (PREFACE.get(self.preface_bytes), bytes.split_first()) {
            if byte != wanted {
                self.fault.get_or_insert(Refusal::Http2Connection);
            }
            self.preface_bytes += 1;
            bytes = rest;
        }
        while let Some(head) = self.client.next(&mut bytes) {
            let [.., s0, s1, s2, s3] = *head.first_chunk::<FRAME_HEADER_BYTES>().unwrap_or(&[0; FRAME_HEADER_BYTES]);
            let stream = u32::from_be_bytes([s0, s1, s2, s3]) & 0x7fff_ffff;
            let (kind, flags, is_empty) = (head[3], head[4], head[..3] == [0; 3]);
            match kind {
                HEADERS if stream % 2 == 1 && stream > self.last_stream => {
                    self.last_stream = stream;
                    self.opened += 1;
                    self.toll.opened();
                }
                RST_STREAM => self.toll.reset(),
                DATA if !is_empty || flags & END_STREAM != 0 => self.toll.used(),
                _ => self.toll.idle(),
            }
            self.is_head = matches!(kind, HEADERS | CONTINUATION);
            if self.is_head {
                self.is_in_block = flags & END_HEADERS == 0;
            }
        }
    }

    /// Our side's next bytes, cut anywhere.
    pub(crate) fn written(&mut self, mut bytes: &[u8]) {
        while let Some(head) = self.server.next(&mut bytes) {
            let code = |at: usize| head[at..].first_chunk().map_or(0, |code| u32::from_be_bytes(*code));
            match head[3] {
                GOAWAY if code(13) == ENHANCE_YOUR_CALM => self.fault = self.fault.or(Some(Refusal::Http2Calm)),
                GOAWAY if code(13) != 0 => self.fault = self.fault.or(Some(Refusal::Http2Connection)),
                RST_STREAM if !BLAMELESS.contains(&code(9)) => self.toll.reset(),
                DATA | HEADERS => self.toll.used(),
                _ => {}
            }
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
        let wanted = match self.head[3] {
            GOAWAY if payload >= GOAWAY_BYTES - FRAME_HEADER_BYTES => GOAWAY_BYTES,
            RST_STREAM if payload >= RESET_BYTES - FRAME_HEADER_BYTES => RESET_BYTES,
            _ => FRAME_HEADER_BYTES,
        };
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

    const fn is_between_frames(&self) -> bool {
        self.skip == 0 && self.head_bytes == 0
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
            assert_eq!((frames.opened(), frames.fault()), (3, None), "cut at {cut}");
        }
        let mut frames = Frames::new();
        bytes.iter().for_each(|byte| frames.read(std::slice::from_ref(byte)));
        assert_eq!(frames.opened(), 3);
    }

    #[test]
    fn what_the_client_leaves_unfinished_is_known_at_each_byte() {
        let end_headers = |mut frame: Vec<u8>| {
            frame[4] = END_HEADERS;
            frame
        };
        let block = [frame(HEADERS, 1, b"abc"), end_headers(frame(CONTINUATION, 1, b"de"))].concat();
        let settings = frame(0x4, 0, &[0; 6]);
        let bytes = [&PREFACE[..], &settings, &block, &frame(DATA, 1, b"body")].concat();
        let head = PREFACE.len() + settings.len();
        for cut in 0..=bytes.len() {
            let mut frames = Frames::new();
            frames.read(&bytes[..cut]);
            let is_head = match cut {
                0 => false,
                cut if cut < PREFACE.len() => true,
                cut if cut <= PREFACE.len() + FRAME_HEADER_BYTES => {
                    cut % (PREFACE.len() + FRAME_HEADER_BYTES) > PREFACE.len()
                }
                cut if cut <= head => false,
                cut if cut < head + block.len() => true,
                cut => (1..FRAME_HEADER_BYTES).contains(&(cut - head - block.len())),
            };
            let is_silent = frames.unfinished() == Unfinished::Silence;
            assert_eq!((frames.unfinished() == Unfinished::Head, is_silent), (is_head, cut == 0), "{cut}");
        }
    }

    #[test]
    fn resets_of_either_side_are_held_against_the_client_when_it_is_to_blame() {
        let flood = |code: u32, is_ours: bool| {
            let mut frames = Frames::new();
            frames.read(PREFACE);
            for number in 0..300 {
                frames.read(&frame(HEADERS, 1 + 2 * number, b""));
                let reset = frame(RST_STREAM, 1 + 2 * number, &code.to_be_bytes());
                if is_ours { frames.written(&reset) } else { frames.read(&reset) }
            }
            frames.flood(Instant::now())
        };
        assert_eq!(flood(8, false), Some(Flood::Resets));
        assert_eq!(flood(1, true), Some(Flood::Resets));
        assert_eq!(flood(0, true), None, "answered before the body was read");
    }

    #[test]
    fn a_connection_is_faulty_once_we_say_so_with_an_error() {
        for (code, fault) in [
            (0, None),
            (1, Some(Refusal::Http2Connection)),
            (0xb, Some(Refusal::Http2Calm)),
            (0xb00, Some(Refusal::Http2Connection)),
        ] {
            let goaway = [[0, 0, 0, 9], u32::to_be_bytes(code)].concat();
            let bytes = [frame(0x4, 0, &[0; 6]), frame(0x0, 1, &[7; 30]), frame(GOAWAY, 0, &goaway)].concat();
            for cut in 0..bytes.len() {
                let mut frames = Frames::new();
                frames.written(&bytes[..cut]);
                frames.written(&bytes[cut..]);
                assert_eq!(frames.fault(), fault, "{code} cut at {cut}");
            }
        }
        let mut frames = Frames::new();
        frames.read(b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!(frames.fault(), Some(Refusal::Http2Connection));
    }
}
