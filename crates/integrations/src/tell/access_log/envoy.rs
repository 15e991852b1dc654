//! Envoy's default text format, and Istio's, which has more columns in the middle:
//!
//! `[time] "request" status flags … received sent duration upstream "xff" "user agent" "request id" "authority" "upstream"`
//!
//! Envoy escapes nothing, so a client can put `" "` into its user agent and shift what follows; JSON logs do not have
//! that weakness. Source: Envoy's manual, "Access logging", "Default format string".

use std::borrow::Cow;

use super::text::Cursor;
use super::{Record, is_absent, read_address, read_status};
use crate::tell::bad_line::{Fault, Reason};
use crate::tell::clock;

/// LIMIT: columns looked at behind the status; Istio's format has 19.
const COLUMNS_MAX: usize = 32;

pub(super) fn read(line: &[u8], offset_minutes: i16) -> Result<Record<'_>, Fault> {
    let start = memchr::memchr(b'[', line).ok_or_else(|| Fault::new(Reason::Syntax, "no `[time]`"))?;
    let mut cursor = Cursor::new(line.get(start..).unwrap_or_default());
    let mut record = Record::default();
    let time = cursor.between(b'[', b']')?;
    record.time = Some(clock::time(time, offset_minutes).ok_or_else(|| Fault::content("the time is not RFC 3339"))?);
    let request = cursor.quoted_raw()?;
    record.status = read_status(cursor.word())?;
    read_columns(cursor, &mut record)?;
    record.set_request_line(Cow::Borrowed(request))?;
    Ok(record)
}

/// Finds the four numbers (received, sent, duration, upstream time) that stand before a quoted column, and reads on.
fn read_columns<'a>(mut cursor: Cursor<'a>, record: &mut Record<'a>) -> Result<(), Fault> {
    let mut window: [&[u8]; 4] = [b""; 4];
    for _ in 0..COLUMNS_MAX {
        if cursor.is_at_end() {
            return Err(super::text::cut_short());
        }
        if cursor.peek() != Some(b'"') {
            window.rotate_left(1);
            window[3] = cursor.word();
            continue;
        }
        let [received, sent, duration, _] = window;
        if let (Some(received), Some(sent)) = (clock::number(received), clock::number(sent)) {
            record.request_bytes = Some(received);
            record.response_bytes = Some(sent);
            record.duration_us = clock::duration(duration, 1000);
            return read_quoted(cursor, record);
        }
        cursor.quoted_raw()?; // Istio: why the upstream's transport failed
    }
    Err(Fault::new(Reason::Syntax, "not Envoy's default format"))
}

/// `"xff" "user agent" "request id" "authority"`; the upstream's address and the rest are passed over.
fn read_quoted<'a>(mut cursor: Cursor<'a>, record: &mut Record<'a>) -> Result<(), Fault> {
    let forwarded = cursor.quoted_raw()?;
    // Envoy appends its peer, the client as it sees it, to the list that the client sent.
    let nearest = forwarded.rsplit(|&byte| byte == b',').next().unwrap_or_default();
    record.client = read_address(nearest.trim_ascii());
    record.push_header("x-forwarded-for", forwarded.into());
    record.push_header("user-agent", cursor.quoted_raw()?.into());
    record.push_header("x-request-id", cursor.quoted_raw()?.into());
    let authority = cursor.quoted_raw()?;
    record.host = (!is_absent(authority)).then_some(authority.into());
    Ok(())
}
