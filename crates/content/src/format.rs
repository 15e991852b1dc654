//! Which decoder reads which media type.

use crate::builder::Builder;
use crate::encoding::trimmed;
use crate::kind::Kind;
use crate::limits::Limits;
use crate::tree::{Content, NameSpan, Scratch, Span};
use crate::{cookies, form, graphql, json, multipart, protobuf, xml};

/// How bytes are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format<'t> {
    /// One node, nothing decoded
    Raw,
    /// `application/x-www-form-urlencoded`, and queries
    Form,
    /// A Cookie header field's value
    Cookies,
    /// JSON (RFC 8259)
    Json,
    /// XML 1.0
    Xml,
    /// A GraphQL document: `application/graphql`, or the `query` of a JSON request
    Graphql,
    /// One protobuf message
    Protobuf,
    /// gRPC's and gRPC-Web's length-prefixed messages
    Grpc,
    /// `multipart/form-data` (RFC 7578) with its content type, which holds the boundary
    Multipart(&'t [u8]),
}

impl<'t> Format<'t> {
    /// The format of a media type; without one the body's first byte tells JSON and XML from raw bytes.
    pub fn of(content_type: Option<&'t [u8]>, body: &[u8]) -> Self {
        let Some(content_type) = content_type else { return Self::of_body(body) };
        let essence = content_type.split(|byte| matches!(byte, b';' | b',')).next().unwrap_or_default();
        let mut lower = [0; ESSENCE_BYTES_MAX];
        let essence = trimmed(essence);
        let Some(lower) = lower.get_mut(..essence.len()) else { return Self::Raw };
        lower.copy_from_slice(essence);
        lower.make_ascii_lowercase();
        match &*lower {
            b"application/json" | b"text/json" | b"application/x-json" | b"text/x-json" => Self::Json,
            b"application/x-www-form-urlencoded" => Self::Form,
            b"application/xml" | b"text/xml" => Self::Xml,
            b"application/graphql" => Self::Graphql,
            b"application/x-protobuf" | b"application/protobuf" | b"application/vnd.google.protobuf" => Self::Protobuf,
            b"application/grpc" | b"application/grpc+proto" => Self::Grpc,
            b"application/grpc-web" | b"application/grpc-web+proto" => Self::Grpc,
            // Text and other codecs inside frames: base64, or JSON in frames, which nothing here reads.
            other if other.starts_with(b"application/grpc") => Self::Raw,
            other if other.starts_with(b"multipart/") => Self::Multipart(content_type),
            other if other.ends_with(b"+json") => Self::Json,
            other if other.ends_with(b"+xml") => Self::Xml,
            _ => Self::Raw,
        }
    }

    fn of_body(body: &[u8]) -> Self {
        match trimmed(body).first() {
            Some(b'{' | b'[') => Self::Json,
            Some(b'<') => Self::Xml,
            _ => Self::Raw,
        }
    }

    /// What paths begin with.
    pub(crate) const fn root(self) -> &'static [u8] {
        match self {
            Self::Json => b"json",
            Self::Xml => b"xml",
            Self::Graphql => b"graphql",
            Self::Protobuf => b"protobuf",
            Self::Grpc => b"grpc",
            Self::Raw | Self::Form | Self::Cookies | Self::Multipart(_) => b"",
        }
    }
}

/// LIMIT: bytes of a media type without parameters; no registered one is longer than 127 (RFC 6838 §4.2).
const ESSENCE_BYTES_MAX: usize = 256;

/// Decodes bytes into a tree.
pub fn decode<'a>(format: Format<'a>, source: &'a [u8], limits: &Limits) -> Content<'a> {
    decode_in(Scratch::default(), format, source, limits)
}

/// [`decode`] into buffers that were used before.
pub fn decode_in<'a>(scratch: Scratch, format: Format<'a>, source: &'a [u8], limits: &Limits) -> Content<'a> {
    let mut out = Builder::new(scratch, source, limits);
    // A stop has left its fault behind; there is nothing else to say about it.
    let _ = match format {
        Format::Raw => {
            let all = Span::source(0, out.source.len());
            out.leaf(Kind::Raw, NameSpan::None, all, all)
        }
        Format::Form => form::decode(&mut out),
        Format::Cookies => cookies::decode(&mut out),
        Format::Json => json::decode(&mut out),
        Format::Xml => xml::decode(&mut out),
        Format::Graphql => graphql::decode(&mut out),
        Format::Protobuf => protobuf::decode(&mut out),
        Format::Grpc => protobuf::decode_grpc(&mut out),
        Format::Multipart(content_type) => multipart::decode(content_type, &mut out),
    };
    out.finish(format)
}
