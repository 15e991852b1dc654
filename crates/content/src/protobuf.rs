//! Protobuf without a schema, and gRPC's length-prefixed messages.
//!
//! A message is a tree of field numbers. Whether a length-delimited field is a message, text or bytes its sender knows
//! and the wire does not say: it is read as a message and, if that fails anywhere, what was read is taken back. A
//! field that reads both ways is [`Kind::MessageOrText`]: a leaf with its text, and the fields in it. No guess can
//! thus hide a string. Each byte is read at most once for each level of depth. Groups are not read: they are bytes.
//! Source: protobuf.dev encoding; gRPC over HTTP/2, "Length-Prefixed-Message"; gRPC-Web.

use crate::builder::{Builder, Stop, saturated};
use crate::fault::FaultKind;
use crate::kind::Kind;
use crate::limits::Limit;
use crate::tree::{NameSpan, Span, append_decimal};

/// LIMIT: levels of depth whatever the policy says: each may cost one look at every byte.
const DEPTH_MAX: u32 = 64;

/// A message that is being read.
#[derive(Clone, Copy)]
struct Open {
    node: u32,
    start: usize,
    end: usize,
    /// Where the decoded bytes of its fields begin
    mark: usize,
    /// Whether it, or a message around it, is a leaf as well
    is_text: bool,
}

/// Decodes one message.
pub(crate) fn decode(out: &mut Builder<'_, '_>) -> Result<(), Stop> {
    let end = out.source.len();
    message(out, NameSpan::None, 0, end, &mut 0)
}

/// Decodes length-prefixed messages: a flag, four bytes of length, a message.
pub(crate) fn decode_grpc(out: &mut Builder<'_, '_>) -> Result<(), Stop> {
    let source = out.source;
    let (mut at, mut frames, mut fields) = (0, 0, 0);
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        frames += 1;
        out.within(Limit::GrpcFrameCount, frames, at)?;
        let Some(([flag, length @ ..], _)) = rest.split_first_chunk::<5>() else {
            return Err(out.stop(FaultKind::UnexpectedEnd, at));
        };
        let length = u32::from_be_bytes(*length);
        out.within(Limit::GrpcMessageLength, length, at)?;
        let start = at + 5;
        let end = start.saturating_add(length as usize);
        if end > source.len() || flag & 0x7e != 0 {
            return Err(out.stop(FaultKind::GrpcBadFrame, at));
        }
        let name = NameSpan::Index(frames - 1);
        out.open(Kind::Frame, name, Span::source(start, end), Span::source(at, end))?;
        // The top bit marks gRPC-Web's trailers, the lowest one compression.
        match flag {
            0 => message(out, NameSpan::None, start, end, &mut fields)?,
            0x80 => {}
            _ => out.fault(FaultKind::GrpcCompressed, at),
        }
        out.close(end);
        at = end;
    }
    Ok(())
}

/// Reads source bytes `start..end` as a message.
fn message(out: &mut Builder<'_, '_>, name: NameSpan, start: usize, end: usize, fields: &mut u32) -> Result<(), Stop> {
    let mark = out.mark();
    let span = Span::source(start, end);
    let node = out.open(Kind::Message, name, span, span)?;
    let mut stack = vec![Open { node, start, end, mark, is_text: false }];
    let mut at = start;
    while let Some(&open) = stack.last() {
        if at >= open.end {
            stack.pop();
            out.close_as_is();
            continue;
        }
        *fields += 1;
        out.within(Limit::ProtobufFieldCount, *fields, at)?;
        let Some((field, next)) = field(out.source.get(..open.end).unwrap_or_default(), at) else {
            stack.pop();
            if stack.is_empty() {
                return Err(out.stop(FaultKind::UnexpectedByte, at));
            }
            take_back(out, open);
            at = open.end;
            continue;
        };
        let name = NameSpan::Index(field.number);
        let raw = Span::source(at, next);
        at = next;
        match field.value {
            Value::Scalar(number) => {
                let mark = out.mark();
                append_decimal(number, out.decoded_buffer(20, at)?);
                let value = out.decoded_since(mark);
                out.leaf(Kind::Scalar, name, value, raw)?;
            }
            Value::Bytes(length) => {
                let start = next - length;
                let value = Span::source(start, next);
                let is_text = std::str::from_utf8(out.bytes(value)).is_ok();
                if length < 2 || saturated(stack.len()) >= out.limits.protobuf_depth.min(DEPTH_MAX) {
                    let kind = if is_text { Kind::String } else { Kind::Bytes };
                    out.leaf(kind, name, value, raw)?;
                    continue;
                }
                let kind = if is_text && !open.is_text { Kind::MessageOrText } else { Kind::Message };
                let mark = out.mark();
                let node = out.open(kind, name, value, raw)?;
                stack.push(Open { node, start, end: next, mark, is_text: is_text || open.is_text });
                at = start;
            }
        }
    }
    Ok(())
}

/// Makes a message that failed a field of text or bytes.
fn take_back(out: &mut Builder<'_, '_>, open: Open) {
    let value = Span::source(open.start, open.end);
    let is_text = std::str::from_utf8(out.bytes(value)).is_ok();
    out.roll_back(open.node + 1, open.mark);
    if let Some(node) = out.node_mut(open.node) {
        node.kind = if is_text { Kind::String } else { Kind::Bytes };
    }
    out.close_as_is();
}

struct Field {
    number: u32,
    value: Value,
}

enum Value {
    Scalar(u64),
    /// The last so many bytes of the field
    Bytes(usize),
}

/// The field at this place and where the next one begins.
fn field(source: &[u8], at: usize) -> Option<(Field, usize)> {
    let (tag, at) = varint(source, at)?;
    let number = u32::try_from(tag >> 3).ok().filter(|&number| number > 0 && number < 1 << 29)?;
    let rest = source.get(at..)?;
    let (value, next) = match tag & 7 {
        0 => {
            let (value, next) = varint(source, at)?;
            (Value::Scalar(value), next)
        }
        1 => (Value::Scalar(u64::from_le_bytes(*rest.first_chunk()?)), at + 8),
        2 => {
            let (length, start) = varint(source, at)?;
            let length = usize::try_from(length).ok()?;
            let next = start.checked_add(length).filter(|&next| next <= source.len())?;
            (Value::Bytes(length), next)
        }
        5 => (Value::Scalar(u32::from_le_bytes(*rest.first_chunk()?).into()), at + 4),
        _ => return None,
    };
    Some((Field { number, value }, next))
}

/// A varint of at most ten bytes.
fn varint(source: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut value = 0;
    for (&byte, shift) in source.get(at..)?.iter().zip((0..70).step_by(7)) {
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some((value, at + shift as usize / 7 + 1));
        }
    }
    None
}
