//! Fuzz entry points: each decodes its bytes under tight and under wide limits and asserts what must always hold.
//!
//! No panic; every span inside its buffer; parents before children, subtrees nested; no more nodes than allowed; the
//! same tree whenever decoded, also into used buffers; both ways to a path agree.

use crate::format::{Format, decode, decode_in};
use crate::limits::{Limit, Limits};
use crate::tree::{Content, NO_PARENT, Node, Scratch};
use crate::{compress, encoding};

/// JSON.
pub fn fuzz_json(data: &[u8]) {
    check(Format::Json, data);
}

/// Forms and queries.
pub fn fuzz_form(data: &[u8]) {
    check(Format::Form, data);
}

/// Cookie header fields.
pub fn fuzz_cookies(data: &[u8]) {
    check(Format::Cookies, data);
}

/// XML.
pub fn fuzz_xml(data: &[u8]) {
    check(Format::Xml, data);
}

/// GraphQL documents.
pub fn fuzz_graphql(data: &[u8]) {
    check(Format::Graphql, data);
}

/// Protobuf messages.
pub fn fuzz_protobuf(data: &[u8]) {
    check(Format::Protobuf, data);
}

/// gRPC bodies.
pub fn fuzz_grpc(data: &[u8]) {
    check(Format::Grpc, data);
}

/// Multipart bodies: the first line is the content type.
pub fn fuzz_multipart(data: &[u8]) {
    let end = memchr::memchr(b'\n', data).unwrap_or(0);
    let (content_type, body) = data.split_at_checked(end).unwrap_or_default();
    check(Format::Multipart(content_type), body.get(1..).unwrap_or_default());
    check(Format::Multipart(b"multipart/form-data; boundary=B"), data);
}

/// Content codings: the first byte chooses one.
pub fn fuzz_inflate(data: &[u8]) {
    const CODINGS: [&[u8]; 6] = [b"gzip", b"deflate", b"br", b"zstd", b"br, gzip", b"gzip, x"];
    let (&choice, body) = data.split_first().unwrap_or((&0, &[]));
    let encoding = CODINGS.get(usize::from(choice) % CODINGS.len()).copied().unwrap_or_default();
    let limits = Limits { inflated_bytes: 1 << 20, inflate_window_bytes: 1 << 20, ..Limits::default() };
    let inflated = compress::inflate(encoding, body, &limits);
    assert!(inflated.bytes.as_ref().is_none_or(|bytes| bytes.len() <= 1 << 20));
    assert_eq!(inflated, compress::inflate(encoding, body, &limits));
}

/// Percent decoding.
pub fn fuzz_percent(data: &[u8]) {
    let mut out = Vec::new();
    encoding::percent_decode_form(data, &mut out);
    encoding::percent_decode(data, &mut out);
    assert!(out.len() <= 2 * data.len());
}

/// A fuzz target: its name and its entry point.
pub type Target = (&'static str, fn(&[u8]));

/// Every entry point.
pub const TARGETS: &[Target] = &[
    ("json", fuzz_json),
    ("form", fuzz_form),
    ("cookies", fuzz_cookies),
    ("xml", fuzz_xml),
    ("graphql", fuzz_graphql),
    ("protobuf", fuzz_protobuf),
    ("grpc", fuzz_grpc),
    ("multipart", fuzz_multipart),
    ("inflate", fuzz_inflate),
    ("percent", fuzz_percent),
];

fn check(format: Format<'_>, data: &[u8]) {
    let mut tight = Limits::default();
    for &limit in Limit::ALL {
        *tight.of_mut(limit) = 8;
    }
    for limits in [tight, Limits::default(), Limits::unlimited()] {
        let content = decode(format, data, &limits);
        check_tree(&content, &limits);
        let used = decode(Format::Json, br#"{"\u0061":[1,{"a":1,"a":2}]"#, &limits).into_scratch();
        let again = decode_in(used, format, data, &limits);
        assert_eq!(format!("{:?}", summary(&content.scratch)), format!("{:?}", summary(&again.scratch)));
    }
}

fn summary(scratch: &Scratch) -> impl std::fmt::Debug {
    (&scratch.nodes, &scratch.decoded, &scratch.faults, scratch.fault_count)
}

fn check_tree(content: &Content<'_>, limits: &Limits) {
    let Scratch { nodes, decoded, open, .. } = &content.scratch;
    assert!(nodes.len() <= limits.nodes as usize, "too many nodes");
    assert!(decoded.len() <= limits.decoded_bytes as usize, "too many decoded bytes");
    assert!(open.is_empty(), "a node is open");
    let mut paths = content.walk();
    for (id, node) in nodes.iter().enumerate() {
        check_node(content, id, node);
    }
    let mut path_again = Vec::new();
    while let Some((path, leaf)) = paths.next() {
        path_again.clear();
        // PERF: a path costs its depth; deep leaves would make fuzzing quadratic.
        if leaf.depth() < 64 {
            leaf.append_path(&mut path_again);
            assert_eq!(path, path_again, "two ways to a path differ");
        }
    }
}

fn check_node(content: &Content<'_>, id: usize, node: &Node) {
    let nodes = &content.scratch.nodes;
    let lengths = [content.source.len(), content.scratch.decoded.len()];
    let name = match node.name {
        crate::tree::NameSpan::Bytes(span) => Some(span),
        crate::tree::NameSpan::None | crate::tree::NameSpan::Index(_) => None,
    };
    for span in [Some(node.value), Some(node.raw), name].into_iter().flatten() {
        let (is_decoded, start) = span.place();
        let [source, decoded] = lengths;
        let length = if is_decoded { decoded } else { source };
        assert!(start + span.len as usize <= length, "a span leaves its buffer");
    }
    let end = node.end as usize;
    assert!(id < end && end <= nodes.len(), "a subtree ends outside");
    match nodes.get(node.parent as usize) {
        Some(parent) => {
            assert!((node.parent as usize) < id && node.end <= parent.end, "a child is outside its parent");
            assert_eq!(node.depth, parent.depth + 1, "a depth is wrong");
        }
        None => assert!(node.parent == NO_PARENT && node.depth == 0, "a parent is missing"),
    }
}
