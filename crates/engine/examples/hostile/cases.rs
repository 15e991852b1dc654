//! Hostile requests: bombs, bytes that are no text, and very many or very long parts.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const XML: &str = "application/xml";
const MIB: usize = 1 << 20;
/// 32 MiB of zeros by Node's brotliCompressSync.
const BROTLI_BOMB: &[u8] = b"\xcb\xff\xff\x3f\xf8\x27\x00\xe2\xb1\x40\x20\xf7\xfe\x8f\xff\xff\x7f\xf0\x4f\x00\xc4\x61\x11\x80\xee\xfd\x1f\xff\xff\xff\xe0\x9f\x00\x88\xc3\x02\x00\xdd\xfb\xbf\xfc\xff\xff\xc3\x3f\x01\x10\x87\x05\x00\xba\xf7\x7f";

/// One request.
pub struct Case {
    pub name: String,
    pub method: &'static str,
    pub target: Vec<u8>,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Case {
    /// Bytes of target, fields and body.
    pub fn bytes(&self) -> usize {
        let fields: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        self.target.len() + fields + self.body.len()
    }

    fn with(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

fn get(name: &str, target: impl Into<Vec<u8>>) -> Case {
    let case =
        Case { name: name.to_owned(), method: "GET", target: target.into(), headers: Vec::new(), body: Vec::new() };
    case.with("host", "api.example.com").with("user-agent", "okhttp/4.12.0").with("accept", JSON)
}

fn post(name: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Case {
    let body = body.into();
    let length = body.len().to_string();
    let case = get(name, "/v1/orders").with("content-type", content_type).with("content-length", length);
    Case { method: "POST", body, ..case }
}

fn packed(name: &str, coding: &str, body: Vec<u8>) -> Case {
    post(name, JSON, body).with("content-encoding", coding)
}

/// One JSON text of so many bytes.
pub fn one_value(bytes: usize) -> Case {
    let words = "please leave it at the door and ring twice, thank you; ";
    let text: String = words.chars().cycle().take(bytes).collect();
    post("JSON, one value of 1 MiB", JSON, format!("{{\"note\":\"{text}\"}}"))
}

/// All of them.
pub fn all() -> Vec<Case> {
    [json(), xml(), codings(), multipart(), graphql(), bytes(), many()].into_iter().flatten().collect()
}

fn nested(open: &str, close: &str, times: usize) -> String {
    format!("{}1{}", open.repeat(times), close.repeat(times))
}

fn joined(count: usize, separator: &str, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(separator)
}

fn json() -> Vec<Case> {
    let members = joined(60_000, ",", |at| format!("\"k{at}\":{at}"));
    let twins = joined(100_000, ",", |at| format!("\"a\":{at}"));
    vec![
        post("JSON, 100,000 arrays deep", JSON, nested("[", "]", 100_000)),
        post("JSON, 100,000 objects deep", JSON, nested("{\"a\":", "}", 100_000)),
        post("JSON, 100,000 arrays that never end", JSON, "[".repeat(100_000)),
        post("JSON, an array of 500,000", JSON, format!("[{}]", joined(500_000, ",", |_| "0".into()))),
        post("JSON, an object of 60,000 members", JSON, format!("{{{members}}}")),
        post("JSON, one name 100,000 times", JSON, format!("{{{twins}}}")),
        post("JSON, a number of 1 MiB", JSON, "9".repeat(MIB)),
    ]
}

fn xml() -> Vec<Case> {
    let mut laughs = String::from("<!DOCTYPE a [<!ENTITY l0 \"lol\">");
    for level in 1..10 {
        let _ = write!(laughs, "<!ENTITY l{level} \"{}\">", format!("&l{};", level - 1).repeat(10));
    }
    laughs.push_str("]><a>&l9;</a>");
    let long = format!("<!DOCTYPE a [<!ENTITY b \"{}\">]><a>{}</a>", "b".repeat(MIB / 2), "&b;".repeat(100_000));
    let attributes = joined(60_000, " ", |at| format!("a{at}=\"{at}\""));
    vec![
        post("XML, a billion laughs", XML, laughs),
        post("XML, one long entity 100,000 times", XML, long),
        post("XML, an external entity", XML, "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>"),
        post("XML, 100,000 elements deep", XML, nested("<a>", "</a>", 100_000)),
        post("XML, 200,000 elements wide", XML, format!("<a>{}</a>", "<b/>".repeat(200_000))),
        post("XML, 60,000 attributes", XML, format!("<a {attributes}/>")),
        post("XML, a comment of 1 MiB", XML, format!("<a><!--{}--></a>", "x".repeat(MIB))),
    ]
}

/// These bytes, so many times.
fn gzip(bytes: &[u8], times: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let written = (0..times).try_for_each(|_| encoder.write_all(bytes));
    written.and_then(|()| encoder.finish()).unwrap_or_default()
}

/// Blocks of one repeated byte, 128 KiB each (RFC 8878 §3.1.1.2).
fn zstd_bomb(mib: usize) -> Vec<u8> {
    const BLOCK: usize = 128 << 10;
    let mut frame = b"\x28\xb5\x2f\xfd\x00\x38".to_vec(); // no content size, a window of 128 KiB
    let blocks = mib * MIB / BLOCK;
    for at in 1..=blocks {
        let header = (BLOCK << 3) | (1 << 1) | usize::from(at == blocks);
        frame.extend(header.to_le_bytes().into_iter().take(3));
        frame.push(b' ');
    }
    frame
}

/// An archive with one file of so many MiB of zeros: the file's header and its data (APPNOTE.TXT §4.3.7).
fn zip_bomb(mib: usize) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; MIB];
    let written = (0..mib).try_for_each(|_| encoder.write_all(&zeros));
    let packed = written.and_then(|()| encoder.finish()).unwrap_or_default();
    let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
    let head = b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0".as_slice();
    [head, &size(packed.len()), &size(mib * MIB), b"\x05\0\0\0zeros", &packed].concat()
}

fn codings() -> Vec<Case> {
    let item = |at: usize| format!("{{\"id\":{at},\"name\":\"item {at}\"}}");
    let honest = format!("[{}]", joined(400_000, ",", item));
    let inner = gzip(&vec![b' '; MIB], 256);
    vec![
        packed("gzip, 256 MiB of blanks", "gzip", inner.clone()),
        packed("gzip in gzip, 256 MiB of blanks", "gzip, gzip", gzip(&inner, 1)),
        packed("brotli, 32 MiB of zeros", "br", BROTLI_BOMB.to_vec()),
        packed("zstd, 1 GiB of blanks", "zstd", zstd_bomb(1024)),
        packed("gzip, 15 MiB of honest JSON", "gzip", gzip(honest.as_bytes(), 1)),
    ]
}

fn multipart() -> Vec<Case> {
    const TYPE: &str = "multipart/form-data; boundary=B";
    let part = |fields: &str, body: &str| format!("--B\r\n{fields}\r\n\r\n{body}\r\n");
    let named = |at: usize| part(&format!("Content-Disposition: form-data; name=\"p{at}\""), "v");
    let archive = "Content-Disposition: form-data; name=\"f\"; filename=\"a.zip\"\r\nContent-Type: application/zip";
    let fields = joined(20_000, "\r\n", |at| format!("X-{at}: v"));
    let file =
        |fields: &str, body: &[u8]| [b"--B\r\n", fields.as_bytes(), b"\r\n\r\n", body, b"\r\n--B--\r\n"].concat();
    vec![
        post("multipart, 10,000 parts", TYPE, format!("{}--B--\r\n", joined(10_000, "", named))),
        post("multipart, 200,000 boundaries", TYPE, "--B\r\n".repeat(200_000)),
        post("multipart, a part with 20,000 fields", TYPE, part(&fields, "v") + "--B--\r\n"),
        post("multipart, a zip bomb of 256 MiB as a file", TYPE, file(archive, &zip_bomb(256))),
        post("multipart, a file of 1 MiB", TYPE, file(archive, &vec![b'x'; MIB])),
        post("multipart, no boundary ever", TYPE, "\r\n--A".repeat(250_000)),
    ]
}

fn graphql() -> Vec<Case> {
    const TYPE: &str = "application/graphql";
    let aliases = joined(50_000, " ", |at| format!("a{at}:user(id:{at}){{name}}"));
    let mut spreads = String::from("{...F0}");
    for at in 0..60 {
        let next = if at == 59 { "id".to_owned() } else { format!("...F{0} b{{...F{0}}}", at + 1) };
        let _ = write!(spreads, " fragment F{at} on T{{{next}}}");
    }
    let deep = format!("{}id{}", "{a".repeat(100_000), "}".repeat(100_000));
    let in_json = format!("{{\"query\":\"{}\"}}", "{a".repeat(50_000));
    vec![
        post("GraphQL, 100,000 selections deep", TYPE, deep),
        post("GraphQL in JSON, 50,000 selections deep", JSON, in_json),
        post("GraphQL, 50,000 aliases", TYPE, format!("{{{aliases}}}")),
        post("GraphQL, fragments that double 60 times", TYPE, spreads),
        post("GraphQL, 100,000 directives", TYPE, format!("{{a{}}}", " @b".repeat(100_000))),
        post("GraphQL, 100,000 lists deep", TYPE, format!("{{a(b:{}", "[".repeat(100_000))),
    ]
}

fn bytes() -> Vec<Case> {
    let overlong = b"\xc0\xae\xc0\xae\xc0\xaf".repeat(20_000);
    vec![
        post("JSON, 100,000 lone surrogates", JSON, format!("{{\"a\":\"{}\"}}", "\\ud800".repeat(100_000))),
        post("JSON, 100,000 NULs", JSON, format!("{{\"a\":\"{}\"}}", "\\u0000".repeat(100_000))),
        post("JSON, overlong UTF-8", JSON, [b"{\"a\":\"".as_slice(), &overlong, b"\"}"].concat()),
        post("form, 100,000 NULs", FORM, "a=".to_owned() + &"%00".repeat(100_000)),
        post("form, overlong UTF-8, encoded", FORM, "a=".to_owned() + &"%c0%ae%c0%af".repeat(20_000)),
        get("path, overlong UTF-8 and dots, 8 KiB", format!("/{}", "%c0%ae%2e/".repeat(800))),
        get("query, percent signs encoded 1,300 times", format!("/?a=%{}41", "25".repeat(1_300))),
        post("form, `%` 500,000 times", FORM, "%".repeat(500_000)),
    ]
}

fn many() -> Vec<Case> {
    let pairs = |count: usize| joined(count, "&", |at| format!("p{at}=v{at}"));
    let mut fields = get("20 header values of 8 KiB", "/");
    for at in 0..20 {
        fields = fields.with(&format!("x-field-{at}"), "select * from ' or 1=1 -- ".repeat(315));
    }
    let cookies = joined(2_000, "; ", |at| format!("c{at}=v{at}"));
    let quotes = "' or ".repeat(MIB / 5);
    vec![
        get("query, 10,000 parameters", format!("/?{}", pairs(10_000))),
        post("form, 10,000 parameters", FORM, pairs(10_000)),
        post("form, one name 100,000 times", FORM, joined(100_000, "&", |_| "a=b".into())),
        fields,
        get("2,000 cookies", "/").with("cookie", cookies),
        one_value(MIB),
        post("JSON, 1 MiB of quotes and words of SQL", JSON, format!("{{\"a\":\"{quotes}\"}}")),
        post("JSON, 1 MiB of letters", JSON, format!("{{\"a\":\"{}\"}}", "a".repeat(MIB))),
        post("JSON, 1 MiB of `<`", JSON, format!("{{\"a\":\"{}\"}}", "<".repeat(MIB))),
        post("JSON, 1 MiB of base64", JSON, format!("{{\"a\":\"{}\"}}", "QUFB".repeat(MIB / 4))),
        post("JSON, 1 MiB of slashes and dots", JSON, format!("{{\"a\":\"{}\"}}", "../".repeat(MIB / 3))),
        post("form, one value of 1 MiB", FORM, "a=".to_owned() + &"word+".repeat(MIB / 5)),
        post("protobuf, 100,000 messages deep", "application/x-protobuf", b"\x0a\x7f".repeat(100_000)),
        post("plain text, 1 MiB", "text/plain", "word ".repeat(MIB / 5)),
    ]
}
