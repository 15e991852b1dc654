//! Content codings: what comes out, and what bombs cost.

use std::io::Write;

use bartizan_content::{Inflated, Limits, inflate};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

const HELLO: &[u8] = b"hello hello hello hello";
/// `HELLO` by Node's brotliCompressSync with windows of 22 and 24 bits.
const BROTLI_HELLO: &[u8] = b"\x1b\x16\x00\xf8\x8d\x94\x6e\xde\x44\x55\x86\x96\x6c\x20\x6f\x21\x4f\x1c\xe0\x38";
const BROTLI_HELLO_24: &[u8] = b"\x1f\x16\x00\xf8\x8d\x94\x6e\xde\x44\x55\x86\x96\x6c\x20\x6f\x21\x4f\x1c\xe0\x38";
/// 32 MiB of zeros, likewise.
const BROTLI_BOMB: &[u8] = b"\xcb\xff\xff\x3f\xf8\x27\x00\xe2\xb1\x40\x20\xf7\xfe\x8f\xff\xff\x7f\xf0\x4f\x00\xc4\x61\x11\x80\xee\xfd\x1f\xff\xff\xff\xe0\x9f\x00\x88\xc3\x02\x00\xdd\xfb\xbf\xfc\xff\xff\xc3\x3f\x01\x10\x87\x05\x00\xba\xf7\x7f";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

fn outcome(inflated: &Inflated) -> (Option<&[u8]>, Option<&'static str>) {
    (inflated.bytes.as_deref(), inflated.fault.as_ref().map(|fault| fault.name()))
}

#[track_caller]
fn check(encoding: &str, body: &[u8], bytes: Option<&[u8]>, fault: Option<&str>) {
    let inflated = inflate(encoding.as_bytes(), body, &Limits::default());
    assert_eq!(outcome(&inflated), (bytes, fault), "{encoding}");
}

#[test]
fn every_coding_gives_back_what_went_in() {
    check("gzip", &gzip(HELLO), Some(HELLO), None);
    check("X-GZIP", &gzip(HELLO), Some(HELLO), None);
    check("deflate", &zlib(HELLO), Some(HELLO), None);
    check("deflate", &raw_deflate(HELLO), Some(HELLO), None);
    check("br", BROTLI_HELLO, Some(HELLO), None);
    check("br", BROTLI_HELLO_24, Some(HELLO), None);
    check("zstd", &zstd(HELLO), Some(HELLO), None);
    check("identity", HELLO, None, None);
    check("", HELLO, None, None);
    check("gzip", &[gzip(b"a"), gzip(b"b")].concat(), Some(b"ab"), None);
    check("zstd", &[zstd(b"a"), b"\x50\x2a\x4d\x18\x02\0\0\0xx".to_vec(), zstd(b"b")].concat(), Some(b"ab"), None);
}

#[test]
fn layers_are_undone_from_the_last_to_the_first() {
    check("gzip, br", BROTLI_HELLO, Some(b""), Some("corrupt_coding"));
    check("deflate , gzip", &gzip(&zlib(HELLO)), Some(HELLO), None);
    check("identity,gzip", &gzip(HELLO), Some(HELLO), None);
    check("gzip,gzip,gzip", &gzip(&gzip(&gzip(HELLO))), Some(&gzip(HELLO)), Some("inflate_layers"));
    check("compress, gzip", &gzip(HELLO), Some(HELLO), Some("unknown_coding"));
    check("rot13", HELLO, None, Some("unknown_coding"));
}

#[test]
fn bodies_that_break_off_are_faulty() {
    for (encoding, body) in [
        ("gzip", gzip(HELLO)),
        ("deflate", zlib(HELLO)),
        ("deflate", raw_deflate(HELLO)),
        ("br", BROTLI_HELLO.to_vec()),
        ("zstd", zstd(HELLO)),
    ] {
        for length in 0..body.len() {
            let inflated = inflate(encoding.as_bytes(), &body[..length], &Limits::default());
            assert_eq!(outcome(&inflated).1, Some("corrupt_coding"), "{encoding} {length} of {}", body.len());
        }
        let mut garbled = body.clone();
        garbled[0] ^= 0x55;
        assert!(
            inflate(encoding.as_bytes(), &garbled, &Limits::default()).bytes.as_deref() != Some(HELLO),
            "{encoding}"
        );
    }
    check("gzip", &[gzip(HELLO), b"garbage".to_vec()].concat(), Some(HELLO), Some("corrupt_coding"));
}

#[test]
fn bombs_stop_at_the_caps() {
    let zeros = vec![0; 32 << 20];
    for (encoding, body) in
        [("gzip", gzip(&zeros)), ("deflate", zlib(&zeros)), ("br", BROTLI_BOMB.to_vec()), ("zstd", zstd(&zeros))]
    {
        let limits = Limits::default();
        let inflated = inflate(encoding.as_bytes(), &body, &limits);
        assert_eq!(outcome(&inflated).1, Some("inflate_ratio"), "{encoding}");
        let bytes = inflated.bytes.unwrap().len();
        assert!(bytes <= (64 << 10).max(body.len() * limits.inflate_ratio as usize), "{encoding} {bytes}");

        let limits = Limits { inflate_ratio: u32::MAX, inflated_bytes: 1 << 20, ..limits };
        let inflated = inflate(encoding.as_bytes(), &body, &limits);
        assert_eq!(outcome(&inflated).1, Some("inflated_bytes"), "{encoding}");
        assert!(inflated.bytes.unwrap().len() <= 1 << 20);
    }
}

#[test]
fn windows_that_are_too_large_are_refused() {
    let limits = Limits { inflate_window_bytes: 1 << 23, ..Limits::default() };
    assert_eq!(outcome(&inflate(b"br", BROTLI_HELLO_24, &limits)).1, Some("inflate_window_bytes"));
    assert_eq!(outcome(&inflate(b"br", BROTLI_HELLO, &limits)).1, None);
    // A frame header that asks for a window of 2 GiB.
    let frame = b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00";
    assert_eq!(outcome(&inflate(b"zstd", frame, &limits)).1, Some("inflate_window_bytes"));
}
