//! The Common Log Format of NCSA httpd and its offspring, one parser for all of them:
//!
//! - common: `client ident user [time] "request" status bytes`
//! - combined: the same and `"referer" "user agent"`; nginx's shipped `main` adds `"x-forwarded-for"`
//! - vhost combined (Apache): `host:port` before it
//! - AWS API Gateway's CLF: no blank before the request, request ids behind the bytes
//!
//! What an operator has appended is passed over. Sources: Apache `mod_log_config`, nginx `ngx_http_log_module`.

use bartizan_model::Scheme;

use super::text::{Cursor, cut_short, unescape};
use super::{Record, is_absent, read_address, read_status};
use crate::tell::bad_line::{Fault, Reason};
use crate::tell::clock;

pub(super) fn read(line: &[u8], offset_minutes: i16) -> Result<Record<'_>, Fault> {
    // A user name may hold blanks and brackets, never a bare quote: the time is the last bracket before the request.
    let quote = memchr::memchr(b'"', line).ok_or_else(|| Fault::new(Reason::Syntax, "no quoted request"))?;
    let before = line.get(..quote).ok_or_else(cut_short)?;
    let bracket = memchr::memmem::rfind(before, b" [").ok_or_else(|| Fault::new(Reason::Syntax, "no `[time]`"))?;
    let (head, rest) = line.split_at_checked(bracket).ok_or_else(cut_short)?;

    let mut record = Record::default();
    read_head(head, &mut record);
    let mut cursor = Cursor::new(rest);
    let time = cursor.between(b'[', b']')?;
    record.time = Some(
        clock::time(time, offset_minutes)
            .ok_or_else(|| Fault::content("the time is not `10/Oct/2000:13:55:36 -0700`"))?,
    );
    let request = cursor.quoted()?;
    record.status = read_status(cursor.word())?;
    if record.status.is_none() && cursor.is_at_end() {
        return Err(cut_short());
    }
    record.response_bytes = clock::number(cursor.word());
    read_tail(cursor, &mut record)?;
    record.set_request_line(unescape(request))?;
    Ok(record)
}

/// `client ident user`, or `host:port client ident user`: only an address can stand second.
fn read_head<'a>(head: &'a [u8], record: &mut Record<'a>) {
    let mut cursor = Cursor::new(head);
    let (first, second) = (cursor.word(), cursor.word());
    if let Some(client) = read_address(second)
        && !cursor.is_at_end()
    {
        record.client = Some(client);
        record.server = Some(first.into());
        record.scheme = match first {
            host if host.ends_with(b":443") => Some(Scheme::Https),
            host if host.ends_with(b":80") => Some(Scheme::Http),
            _ => None,
        };
    } else {
        record.client = read_address(first);
    }
}

/// `"referer" "user agent" "x-forwarded-for"`, as many as there are.
fn read_tail<'a>(mut cursor: Cursor<'a>, record: &mut Record<'a>) -> Result<(), Fault> {
    if cursor.peek() != Some(b'"') {
        return Ok(());
    }
    record.push_header("referer", unescape(cursor.quoted()?));
    if cursor.peek() == Some(b'"') {
        record.push_header("user-agent", unescape(cursor.quoted()?));
    }
    if cursor.peek() == Some(b'"') {
        let forwarded = unescape(cursor.quoted()?);
        let is_list = forwarded.split(|&byte| byte == b',').all(|entry| read_address(entry.trim_ascii()).is_some());
        if is_list && !is_absent(&forwarded) {
            record.push_header("x-forwarded-for", forwarded);
        }
    }
    Ok(())
}
