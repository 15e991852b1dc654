//! Odd framing of HTTP/1 bodies: codings, lengths, chunks, trailers (RFC 9112 §6, §7).

use super::http1::{ODD, chunked, post};
use super::mutation::{Mutation, SMUGGLED};

/// Everything.
pub(super) fn all() -> Vec<Mutation> {
    [coding_bytes, coding_values, length_values, length_bytes, chunk_sizes, chunk_data, trailers]
        .into_iter()
        .flat_map(|class| class())
        .collect()
}

/// Fields that frame the body in other ways beside a coding, each with the body on which they disagree: the whole as
/// length (the coding ends first), a short length (the coding goes on), no length.
fn framings() -> [(String, String); 3] {
    let ends_first = format!("0\r\n\r\n{SMUGGLED}");
    let goes_on = chunked(SMUGGLED);
    [
        (format!("Content-Length: {}\r\n", ends_first.len()), ends_first.clone()),
        ("Content-Length: 4\r\n".to_owned(), goes_on),
        (String::new(), ends_first),
    ]
}

/// A byte that does not belong there in or around `Transfer-Encoding: chunked`.
fn coding_bytes() -> Vec<Mutation> {
    let mut all = Vec::new();
    for (lengths, body) in framings() {
        for odd in ODD.iter().map(std::slice::from_ref) {
            for (before, after) in [
                ("", "Transfer-Encoding: chunked"),
                ("Transfer", "-Encoding: chunked"),
                ("Transfer-Encoding", ": chunked"),
                ("Transfer-Encoding:", "chunked"),
                ("Transfer-Encoding: ", "chunked"),
                ("Transfer-Encoding: chu", "nked"),
                ("Transfer-Encoding: chunked", ""),
                ("X: y", "Transfer-Encoding: chunked"),
            ] {
                let fields = [lengths.as_bytes(), before.as_bytes(), odd, after.as_bytes(), b"\r\n"].concat();
                all.push(Mutation::http1("transfer-encoding: odd bytes", post(&fields, body.as_bytes())));
            }
        }
    }
    all
}

/// Codings.
const CODINGS: &[&str] = &[
    "chunked",
    "Chunked",
    "CHUNKED",
    "cHuNkEd",
    "identity",
    "xchunked",
    "chunkedx",
    "chunk",
    "chunked, identity",
    "identity, chunked",
    "chunked,identity",
    "gzip, chunked",
    "chunked, gzip",
    "chunked, chunked",
    "chunked,",
    ",chunked",
    ", chunked",
    "chunked;q=1",
    "chunked; foo=bar",
    "\"chunked\"",
    "'chunked'",
    "chunked\r\n identity",
    "\r\n chunked",
    "chunked\r\n\t, x",
    "x\r\nTransfer-Encoding: chunked",
    "chunked\r\nTransfer-Encoding: x",
    "chunked\r\nTransfer-Encoding: chunked",
    "identity\r\nTransfer-Encoding: chunked",
    "chunked\r\nTransfer-Encoding: identity",
    "chunked\r\ntransfer-encoding: chunked",
    "\r\nTransfer-Encoding: chunked",
    "chunked\r\nTransfer_Encoding: chunked",
    "chunked\r\nContent-Encoding: chunked",
    "chunked, cow",
    "cow, chunked",
    "chunked chunked",
    "chunked\u{a0}",
    "\u{ff43}hunked",
    "deflate",
    "compress",
    "",
];

/// Codings that one side may take for `chunked` and the other may not.
fn coding_values() -> Vec<Mutation> {
    let mut all = Vec::new();
    for (lengths, body) in framings() {
        for value in CODINGS {
            let fields = format!("Transfer-Encoding: {value}\r\n");
            for fields in [format!("{lengths}{fields}"), format!("{fields}{lengths}")] {
                all.push(Mutation::http1("transfer-encoding: values", post(fields.as_bytes(), body.as_bytes())));
            }
        }
    }
    all
}

/// Lengths.
const LENGTHS: &[&str] = &[
    "5",
    "05",
    "005",
    "+5",
    "-5",
    "-0",
    "+0",
    "5.0",
    "5e0",
    "0x5",
    "0X5",
    "5h",
    "5 ",
    " 5",
    "5\t",
    "5,5",
    "5, 5",
    "5, 6",
    "5,",
    ",5",
    "5;5",
    "5 5",
    "\"5\"",
    "'5'",
    "5\r\n 6",
    "\r\n 5",
    "5\r\n ",
    "1_0",
    "5_0",
    "٥",
    "５",
    "",
    " ",
    "a",
    "0",
    "00",
    "18446744073709551615",
    "18446744073709551616",
    "18446744073709551621",
    "9223372036854775808",
    "4294967301",
    "99999999999999999999999999",
    "5\u{0}",
    "5\u{b}",
    "5\u{85}",
    "0o5",
    "0b101",
    "5%00",
    "%35",
    "5a",
    "5,",
    "infinity",
    "NaN",
    "null",
    "5\r\nContent-Length: 5",
    "5\r\nContent-Length: 6",
    "5\r\ncontent-length: 5",
    "0\r\nContent_Length: 5",
    "0\r\nContent-Length : 5",
];

/// Lengths that can be read in several ways, alone and beside another one.
fn length_values() -> Vec<Mutation> {
    let body = format!("hello{SMUGGLED}");
    let mut all = Vec::new();
    for value in LENGTHS {
        for fields in [
            format!("Content-Length: {value}\r\n"),
            format!("Content-Length:{value}\r\n"),
            format!("Content-Length: 5\r\nContent-Length: {value}\r\n"),
            format!("Content-Length: {value}\r\nContent-Length: 0\r\n"),
        ] {
            all.push(Mutation::http1("content-length: values", post(fields.as_bytes(), body.as_bytes())));
        }
    }
    all
}

/// A byte that does not belong there in or around `Content-Length: N`, which covers a second request.
fn length_bytes() -> Vec<Mutation> {
    let length = SMUGGLED.len().to_string();
    let mut all = Vec::new();
    for odd in ODD.iter().map(std::slice::from_ref) {
        for (before, after) in [
            ("", "Content-Length: "),
            ("Content", "-Length: "),
            ("Content-Length", ": "),
            ("Content-Length:", ""),
            ("X: y", "Content-Length: "),
        ] {
            let fields = [before.as_bytes(), odd, after.as_bytes(), length.as_bytes(), b"\r\n"].concat();
            all.push(Mutation::http1("content-length: odd bytes", post(&fields, SMUGGLED.as_bytes())));
        }
        for (before, after) in length.split_at_checked(1).into_iter().chain([(length.as_str(), "")]) {
            let fields = [b"Content-Length: ", before.as_bytes(), odd, after.as_bytes(), b"\r\n"].concat();
            all.push(Mutation::http1("content-length: odd bytes", post(&fields, SMUGGLED.as_bytes())));
        }
    }
    all
}

/// Sizes of chunks.
const SIZES: &[&str] = &[
    "5",
    "05",
    "0000000000000005",
    "00000000000000005",
    "000000000000000000000000005",
    "0x5",
    "0X5",
    "x5",
    "+5",
    "-5",
    "5h",
    "5 ",
    " 5",
    "5\t",
    "\t5",
    "5\u{b}",
    "5\0",
    "5,",
    "5_0",
    "5.",
    "5\r",
    "5\n",
    "\n5",
    "5;",
    "5;a",
    "5;a=b",
    "5;a=\"b\"",
    "5;a=\"b",
    "5; a = b ",
    "5 ;a",
    "5\t;a",
    "5;;",
    "5;=",
    "5;\u{0}",
    "5;\u{1}",
    "5;a\rb",
    "5;a\nb",
    "5;\n",
    "5;a=\"\r\n\"",
    "5;\u{85}",
    "5 5",
    "5;a b",
    "5\"",
    "g",
    "",
    ";",
    ";a",
    "10000000000000005",
    "100000000000000005",
    "ffffffffffffffff",
    "7fffffffffffffff",
    "8000000000000000",
    "fffffffffffffffb",
    "FFFFFFFFFFFFFFFFF5",
    "100000005",
    "80000005",
    "５",
    "%35",
    "5\u{a0}",
    "5;\u{ff}=x",
];

/// Sizes of chunks that can be read in several ways (RFC 9112 §7.1, §7.1.1).
fn chunk_sizes() -> Vec<Mutation> {
    let mut all = Vec::new();
    for size in SIZES {
        for body in [
            format!("{size}\r\nhello\r\n0\r\n\r\n{SMUGGLED}"),
            format!("5\r\nhello\r\n{size}\r\nhello\r\n0\r\n\r\n{SMUGGLED}"),
            format!("5\r\nhello\r\n0{size}\r\n\r\n{SMUGGLED}"),
        ] {
            all.push(Mutation::http1("chunk sizes", post(b"Transfer-Encoding: chunked\r\n", body.as_bytes())));
        }
    }
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n{SMUGGLED}", "a".repeat(20_000));
    all.push(Mutation::http1("chunk sizes", post(b"Transfer-Encoding: chunked\r\n", long.as_bytes())));
    all
}

/// Chunked bodies.
const BODIES: &[&str] = &[
    "5\r\nhello0\r\n\r\n",
    "5\r\nhello\n0\r\n\r\n",
    "5\r\nhello\r0\r\n\r\n",
    "5\r\nhello\r\r\n0\r\n\r\n",
    "5\r\nhelloXX0\r\n\r\n",
    "5\r\nhello \r\n0\r\n\r\n",
    "5\nhello\n0\n\n",
    "5\r\nhello\r\n0\n\r\n",
    "5\r\nhello\r\n0\r\n\n",
    "5\r\nhello\r\n0\r\n\r",
    "5\r\nhello\r\n0\r\n",
    "5\r\nhello\r\n0\r\nX",
    "5\r\nhello\r\n0\r\n \r\n",
    "5\r\nhello\r\n00\r\n\r\n",
    "5\r\nhello\r\n0000000000\r\n\r\n",
    "5\r\nhello\r\n0;x\r\n\r\n",
    "5\r\nhello\r\n-0\r\n\r\n",
    "5\r\nhello\r\n+0\r\n\r\n",
    "5\r\nhello\r\n\r\n0\r\n\r\n",
    "\r\n5\r\nhello\r\n0\r\n\r\n",
    "6\r\nhello\r\n0\r\n\r\n",
    "4\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n",
    "5\r\nhel",
    "5\r",
    "5",
    "",
    "0\r\n\r\n0\r\n\r\n",
    "5\r\n\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n5\r\nhello\r\n0\r\n\r\n",
];

/// What stands behind the data of a chunk, and behind the last chunk.
fn chunk_data() -> Vec<Mutation> {
    let mut all = Vec::new();
    for body in BODIES {
        for fields in ["Transfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nConnection: close\r\n"] {
            let whole = format!("{body}{SMUGGLED}");
            all.push(Mutation::http1("chunk data", post(fields.as_bytes(), whole.as_bytes())));
            all.push(Mutation::http1("chunk data", post(fields.as_bytes(), body.as_bytes())));
        }
    }
    all
}

/// Lines behind the last chunk.
const TRAILERS: &[&str] = &[
    "X-T: 1",
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: identity",
    "Host: other.example",
    "Authorization: Basic dTpw",
    "Cookie: a=b",
    "X-Request-Id: 00000000000000000000000000000000",
    "X-Forwarded-For: 192.0.2.1",
    "X-Marker: forged",
    "Connection: close",
    "Connection: X-Marker",
    "Upgrade: h2c",
    "Expect: 100-continue",
    ":path: /smuggled",
    "GET /smuggled/NNNN HTTP/1.1",
    "GET /smuggled/NNNN HTTP/1.1\r\nHost: origin.example",
    "nonsense",
    " folded",
    "X: a\r\n b",
    "X : y",
    "X\0: y",
    "X: \0",
    "X: a\rb",
    "X: a\nY: b",
    "0\r\n\r\n",
    ": x",
];

/// Fields behind a chunked body that would change what stood before it (RFC 9110 §6.5.1).
fn trailers() -> Vec<Mutation> {
    let mut all = Vec::new();
    for line in TRAILERS {
        for fields in ["", "TE: trailers\r\nTrailer: X-T\r\n"] {
            let fields = format!("Transfer-Encoding: chunked\r\n{fields}");
            for end in ["\r\n\r\n", "\n\n"] {
                let body = format!("5\r\nhello\r\n0\r\n{line}{end}{SMUGGLED}");
                all.push(Mutation::http1("trailers", post(fields.as_bytes(), body.as_bytes())));
            }
        }
    }
    all
}
