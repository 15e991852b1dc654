//! Content codings (RFC 9110 §8.4.1): the only user of decompressors.
//!
//! Output is taken in small pieces and checked after each against two caps: bytes, and how many times larger than its
//! input it may be. A bomb therefore costs at most what the caps allow, however much it promises. Windows larger than
//! allowed are refused from the header, before a decoder takes memory for them.

use std::io::Read;

use crate::encoding::trimmed;
use crate::fault::{Fault, FaultKind};
use crate::limits::{Limit, Limits};

/// LIMIT: output that may come of any input before the ratio counts; small bodies compress well by nature.
const RATIO_FREE_BYTES: usize = 64 << 10;

/// LIMIT: output bytes between two checks of the caps.
const PIECE_BYTES: usize = 16 << 10;

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952
    Gzip,
    /// RFC 1950; RFC 1951 without its header is read too, as some clients send it
    Deflate,
    /// RFC 7932
    Brotli,
    /// RFC 8878
    Zstd,
}

impl Coding {
    /// The coding of a token of Content-Encoding; `identity` and the empty token are none.
    fn of(token: &[u8]) -> Option<Option<Self>> {
        let is = |name: &[u8]| token.eq_ignore_ascii_case(name);
        match token {
            _ if is(b"gzip") || is(b"x-gzip") => Some(Some(Self::Gzip)),
            _ if is(b"deflate") => Some(Some(Self::Deflate)),
            _ if is(b"br") => Some(Some(Self::Brotli)),
            _ if is(b"zstd") => Some(Some(Self::Zstd)),
            _ if is(b"identity") || token.is_empty() => Some(None),
            _ => None,
        }
    }
}

/// A body after decompression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inflated {
    /// What came out, up to the fault; `None` if no coding was applied, so that the body is as it was
    pub bytes: Option<Vec<u8>>,
    /// Why decompression stopped early, if it did
    pub fault: Option<Fault>,
}

/// Undoes the codings of a Content-Encoding field, last one first.
///
/// An unknown coding is a fault, with what the codings after it gave.
pub fn inflate(content_encoding: &[u8], body: &[u8], limits: &Limits) -> Inflated {
    let mut inflated = Inflated { bytes: None, fault: None };
    let mut layers = 0;
    for token in content_encoding.split(|&byte| byte == b',').rev().map(trimmed) {
        let coding = match Coding::of(token) {
            Some(Some(coding)) => coding,
            Some(None) => continue,
            None => {
                inflated.fault = Some(fault(FaultKind::UnknownCoding, None, 0));
                break;
            }
        };
        layers += 1;
        if layers > limits.inflate_layers {
            inflated.fault = Some(fault(FaultKind::LimitReached, Some(Limit::InflateLayers), 0));
            break;
        }
        let input = inflated.bytes.as_deref().unwrap_or(body);
        let (bytes, fault) = inflate_layer(coding, input, limits);
        inflated = Inflated { bytes: Some(bytes), fault };
        if inflated.fault.is_some() {
            break;
        }
    }
    inflated
}

fn fault(kind: FaultKind, limit: Option<Limit>, offset: usize) -> Fault {
    Fault { kind, limit, offset: u32::try_from(offset).unwrap_or(u32::MAX), node: None, has_stopped: true }
}

fn inflate_layer(coding: Coding, input: &[u8], limits: &Limits) -> (Vec<u8>, Option<Fault>) {
    let mut out = Vec::new();
    let caps = Caps { input: input.len(), limits };
    let outcome = match coding {
        Coding::Gzip => caps.drain(&mut flate2::bufread::MultiGzDecoder::new(input), &mut out),
        Coding::Deflate => deflate(input, &caps, &mut out),
        Coding::Brotli => brotli(input, &caps, &mut out),
        Coding::Zstd => zstd(input, &caps, &mut out),
    };
    let fault = outcome.err().map(|(kind, limit)| fault(kind, limit, out.len()));
    (out, fault)
}

type Refusal = (FaultKind, Option<Limit>);
const CORRUPT: Refusal = (FaultKind::CorruptCoding, None);

struct Caps<'l> {
    input: usize,
    limits: &'l Limits,
}

impl Caps<'_> {
    /// Reads everything, a piece at a time.
    fn drain(&self, decoder: &mut dyn Read, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let mut piece = [0; PIECE_BYTES];
        loop {
            let length = match decoder.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(CORRUPT),
            };
            self.append(piece.get(..length).unwrap_or_default(), out)?;
        }
    }

    /// Appends a piece, or refuses it.
    fn append(&self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        let total = out.len().saturating_add(piece.len());
        if total > self.limits.inflated_bytes as usize {
            return Err((FaultKind::LimitReached, Some(Limit::InflatedBytes)));
        }
        let ratio = self.limits.inflate_ratio as usize;
        if total > RATIO_FREE_BYTES.max(self.input.saturating_mul(ratio)) {
            return Err((FaultKind::LimitReached, Some(Limit::InflateRatio)));
        }
        out.extend_from_slice(piece);
        Ok(())
    }
}

/// With the header of RFC 1950 or without; flate2's readers take a stream that breaks off for one that ends.
fn deflate(input: &[u8], caps: &Caps<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    use flate2::{Decompress, FlushDecompress, Status};
    let mut decoder = Decompress::new(has_zlib_header(input));
    let mut piece = [0; PIECE_BYTES];
    loop {
        let (taken, given) = (decoder.total_in(), decoder.total_out());
        let rest = usize::try_from(taken).ok().and_then(|taken| input.get(taken..)).unwrap_or_default();
        let status = decoder.decompress(rest, &mut piece, FlushDecompress::None).map_err(|_| CORRUPT)?;
        let length = usize::try_from(decoder.total_out() - given).unwrap_or_default();
        caps.append(piece.get(..length).unwrap_or_default(), out)?;
        match status {
            Status::StreamEnd => return Ok(()),
            Status::Ok | Status::BufError if length == 0 && decoder.total_in() == taken => return Err(CORRUPT),
            Status::Ok | Status::BufError => {}
        }
    }
}

/// RFC 1950 §2.2: method 8 and a header divisible by 31.
fn has_zlib_header(input: &[u8]) -> bool {
    matches!(input, [first, second, ..]
        if first & 15 == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31))
}

fn brotli(input: &[u8], caps: &Caps<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let window_bits = brotli_window_bits(*input.first().ok_or(CORRUPT)?).ok_or(CORRUPT)?;
    if 1 << window_bits > caps.limits.inflate_window_bytes {
        return Err((FaultKind::LimitReached, Some(Limit::InflateWindowBytes)));
    }
    let mut decoder = brotli_decompressor::Decompressor::new(input, PIECE_BYTES);
    caps.drain(&mut decoder, out)?;
    Ok(())
}

/// RFC 7932 §9.1: the window's size from the first bits; `None` for the one pattern that is invalid.
fn brotli_window_bits(first: u8) -> Option<u32> {
    match (first & 1, first >> 1 & 7, first >> 4 & 7) {
        (0, _, _) => Some(16),
        (_, 0, 0) => Some(17),
        (_, 0, 1) => None,
        (_, 0, high) => Some(8 + u32::from(high)),
        (_, low, _) => Some(17 + u32::from(low)),
    }
}

/// Frames one after another; skippable ones are skipped (RFC 8878 §3.1).
fn zstd(input: &[u8], caps: &Caps<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    use ruzstd::decoding::{FrameDecoder, StreamingDecoder, errors};
    let mut rest = input;
    if rest.is_empty() {
        return Err(CORRUPT);
    }
    while !rest.is_empty() {
        if let Some(([0x50..=0x5f, 0x2a, 0x4d, 0x18, length @ ..], after)) = rest.split_first_chunk::<8>() {
            rest = after.get(u32::from_le_bytes(*length) as usize..).ok_or(CORRUPT)?;
            continue;
        }
        let window = u64::from(caps.limits.inflate_window_bytes);
        let mut decoder = match StreamingDecoder::<_, FrameDecoder>::new_with_max_window_size(&mut rest, window) {
            Ok(decoder) => decoder,
            Err(errors::FrameDecoderError::WindowSizeTooBig { .. }) => {
                return Err((FaultKind::LimitReached, Some(Limit::InflateWindowBytes)));
            }
            Err(_) => return Err(CORRUPT),
        };
        caps.drain(&mut decoder, out)?;
    }
    Ok(())
}
