//! What the decoders make of documents, by their public interface.

mod compress;
mod corpus;
mod graphql;
mod json;
mod multipart;
mod properties;
mod protobuf;
mod xml;

use bartizan_content::{Content, Format, Limits, NodeRef, decode};

/// The tree, one line a node: indentation, kind, name and value.
fn outline(content: &Content<'_>) -> String {
    let line = |node: NodeRef<'_>| format!("{}{node:?}", "  ".repeat(node.depth().into()));
    content.nodes().map(|node| format!("{}\n", line(node).trim_end_matches([' ', '=']))).collect()
}

/// The names of the faults in the order of their discovery.
fn faults(content: &Content<'_>) -> Vec<&'static str> {
    content.faults().iter().map(|fault| fault.name()).collect()
}

/// The leaves with their paths, one line each.
fn leaves(content: &Content<'_>) -> String {
    let mut lines = String::new();
    let mut walk = content.walk();
    while let Some((path, leaf)) = walk.next() {
        let mut again = Vec::new();
        leaf.append_path(&mut again);
        assert_eq!(path, again, "both ways to a path agree");
        lines += &format!("{} = {}\n", path.escape_ascii(), leaf.value().escape_ascii());
    }
    lines
}

#[test]
fn formats_are_found_by_media_type() {
    fn check(content_type: &str, format: Format<'_>) {
        assert_eq!(Format::of(Some(content_type.as_bytes()), b""), format, "{content_type}");
    }
    check("application/json", Format::Json);
    check("Application/JSON; charset=utf-8", Format::Json);
    check("application/vnd.api+json", Format::Json);
    check("application/problem+json;x", Format::Json);
    check("text/xml", Format::Xml);
    check("application/soap+xml; action=\"x\"", Format::Xml);
    check("application/x-www-form-urlencoded", Format::Form);
    check("multipart/form-data; boundary=x", Format::Multipart(b"multipart/form-data; boundary=x"));
    check("application/graphql", Format::Graphql);
    check("application/graphql-response+json", Format::Json);
    check("application/x-protobuf", Format::Protobuf);
    check("application/grpc", Format::Grpc);
    check("application/grpc-web+proto", Format::Grpc);
    check("application/grpc+json", Format::Raw);
    check("text/plain", Format::Raw);
    check("", Format::Raw);
    assert_eq!(Format::of(None, b" {}"), Format::Json);
    assert_eq!(Format::of(None, b"<a/>"), Format::Xml);
    assert_eq!(Format::of(None, b"a=1"), Format::Raw);
}

#[test]
fn buffers_are_used_again_without_traces() {
    let limits = Limits::default();
    let first = decode(Format::Json, br#"{"a":"\u0041","a":1"#, &limits);
    let again = bartizan_content::decode_in(first.into_scratch(), Format::Json, b"[true]", &limits);
    assert_eq!(outline(&again), outline(&decode(Format::Json, b"[true]", &limits)));
    assert!(again.faults().is_empty());
}
