//! Protobuf and gRPC: field-number trees without a schema.

use bartizan_content::{Format, Kind, Limits, decode};

use crate::{faults, leaves, outline};

fn check(message: &[u8], tree: &str) {
    let limits = Limits::default();
    let content = decode(Format::Protobuf, message, &limits);
    assert!(content.faults().is_empty(), "{:?}", content.faults());
    assert_eq!(
        outline(&content),
        format!("Message = {}\n{tree}", message.escape_ascii()).replace("Message = \n", "Message\n")
    );
}

#[test]
fn fields_of_every_wire_type_are_read() {
    check(b"", "");
    check(b"\x08\x96\x01", "  Scalar 1 = 150\n");
    check(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "  Scalar 1 = 18446744073709551615\n");
    check(b"\x11\x01\0\0\0\0\0\0\0", "  Scalar 2 = 1\n");
    check(b"\x1d\x02\0\0\0", "  Scalar 3 = 2\n");
    check(b"\x12\x07testing", "  String 2 = testing\n");
    check(b"\x12\x02\xff\xfe", "  Bytes 2 = \\xff\\xfe\n");
    check(b"\x12\x00", "  String 2\n");
    check(b"\x0a\x03\x08\x96\x01", "  Message 1 = \\x08\\x96\\x01\n    Scalar 1 = 150\n");
}

#[test]
fn a_text_that_reads_as_a_message_is_both() {
    let limits = Limits::default();
    let inner = b"\x0a\x08' OR 1=1";
    let message = [&b"\x0a\x0a"[..], inner].concat();
    let content = decode(Format::Protobuf, &message, &limits);
    assert_eq!(leaves(&content), "protobuf.1 = \\n\\x08\\' OR 1=1\nprotobuf.1.1 = \\' OR 1=1\n");
    assert_eq!(content.of_kind(Kind::MessageOrText).count(), 1);
}

#[test]
fn failed_guesses_leave_no_trace() {
    // A field 1 that begins as a message with one good field and breaks off.
    check(b"\x0a\x04\x08\x01\x10\xff\x08\x02", "  Bytes 1 = \\x08\\x01\\x10\\xff\n  Scalar 1 = 2\n");
}

#[test]
fn messages_that_break_off_are_faulty() {
    let limits = Limits::default();
    for message in [
        &b"\x08"[..],
        b"\x00\x01",
        b"\x12\x05abc",
        b"\x0f",
        b"\x1d\0",
        b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    ] {
        assert_eq!(
            faults(&decode(Format::Protobuf, message, &limits)),
            ["unexpected_byte"],
            "{}",
            message.escape_ascii()
        );
    }
}

#[test]
fn frames_hold_messages() {
    let limits = Limits::default();
    let body = b"\0\0\0\0\x03\x08\x96\x01\x01\0\0\0\x01x\x80\0\0\0\x0fgrpc-status: 0\r";
    let content = decode(Format::Grpc, body, &limits);
    assert_eq!(faults(&content), ["grpc_compressed"]);
    assert_eq!(leaves(&content), "grpc.0.1 = 150\n");
    assert_eq!(content.of_kind(Kind::Frame).count(), 3);
    assert_eq!(faults(&decode(Format::Grpc, b"\0\0\0\0", &limits)), ["unexpected_end"]);
    assert_eq!(faults(&decode(Format::Grpc, b"\0\0\0\0\x02x", &limits)), ["grpc_bad_frame"]);
    assert_eq!(faults(&decode(Format::Grpc, b"\x02\0\0\0\0", &limits)), ["grpc_bad_frame"]);
    assert_eq!(faults(&decode(Format::Grpc, b"", &limits)), [""; 0]);
}

#[test]
fn limits_stop_decoding() {
    let frames = b"\0\0\0\0\x02\x08\x01\0\0\0\0\x02\x08\x01";
    let stopped = |limits: &Limits| decode(Format::Grpc, frames, limits).stopped().map(|fault| fault.name());
    assert_eq!(stopped(&Limits { grpc_frame_count: 1, ..Limits::default() }), Some("grpc_frame_count"));
    assert_eq!(stopped(&Limits { grpc_message_length: 1, ..Limits::default() }), Some("grpc_message_length"));
    assert_eq!(stopped(&Limits { protobuf_field_count: 1, ..Limits::default() }), Some("protobuf_field_count"));
    // Below the depth limit a message stays bytes.
    let limits = Limits { protobuf_depth: 1, ..Limits::default() };
    let content = decode(Format::Protobuf, b"\x0a\x03\x08\x96\x01", &limits);
    assert_eq!(content.of_kind(Kind::Bytes).count(), 1);
}
