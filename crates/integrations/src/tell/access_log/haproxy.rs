//! HAProxy's `option httplog` and `option httpslog`, bare or behind a syslog prefix:
//!
//! `… client:port [time] frontend backend/server TR/Tw/Tc/Tr/Ta status bytes cc cs state conns queues {…} "request"`
//!
//! The time has no offset. Captured header fields (`{…}`) have no names, so they are passed over; the JSON log-format
//! of docs/formats.md names them. HAProxy writes bytes that could break the line as `#HH`. Source: HAProxy's
//! configuration manual, 8.2.3 and 8.2.5.

use bartizan_model::Scheme;

use super::text::{Cursor, cut_short, unescape_hash};
use super::{Record, read_address, read_status};
use crate::tell::bad_line::{Fault, Reason};
use crate::tell::clock;

pub(super) fn read(line: &[u8], offset_minutes: i16) -> Result<Record<'_>, Fault> {
    let Some((head, rest)) = memchr::memmem::find(line, b" [").and_then(|at| line.split_at_checked(at)) else {
        return Err(not_a_request(line));
    };
    let mut record = Record::default();
    let client = head.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    record.client = read_address(client);
    let mut cursor = Cursor::new(rest);
    let time = cursor.between(b'[', b']')?;
    record.time = Some(
        clock::time(time, offset_minutes)
            .ok_or_else(|| Fault::content("the time is not `06/Feb/2009:12:14:14.655`"))?,
    );
    let frontend = cursor.word();
    record.scheme = Some(if frontend.ends_with(b"~") { Scheme::Https } else { Scheme::Http });
    cursor.word(); // backend/server
    let timers = cursor.word();
    if timers.iter().filter(|&&byte| byte == b'/').count() != 4 {
        return Err(not_a_request(line));
    }
    let total = timers.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    record.duration_us = clock::duration(total.strip_prefix(b"+").unwrap_or(total), 1000);
    record.status = read_status(cursor.word())?;
    let bytes = cursor.word();
    record.response_bytes = clock::number(bytes.strip_prefix(b"+").unwrap_or(bytes));
    for _ in ["cc", "cs", "state", "conns", "queues"] {
        cursor.word();
    }
    // `{`, `}` and `"` inside captures are escaped, so each brace is HAProxy's own.
    while cursor.peek() == Some(b'{') {
        cursor.between(b'{', b'}')?;
    }
    let request = cursor.between(b'"', b'"')?;
    if request == b"<BADREQ>" {
        return Err(Fault::new(Reason::NotTraffic, "a connection that sent no readable request"));
    }
    record.set_request_line(unescape_hash(request))?;
    Ok(record)
}

/// HAProxy logs notices and TCP connections to the same place: sound lines, but no requests.
fn not_a_request(line: &[u8]) -> Fault {
    if memchr::memmem::find(line, b"haproxy[").is_some() {
        Fault::new(Reason::NotTraffic, "a notice or a TCP connection, not a request")
    } else if line.len() < 40 {
        cut_short()
    } else {
        Fault::new(Reason::Syntax, "not HAProxy's HTTP log format")
    }
}
