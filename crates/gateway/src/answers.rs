//! Sends answers of our own: the engine's problem details, through Pingora or as raw HTTP/1 bytes.

use std::io::Write;

use bartizan_engine::{Answer, ResponseEdits};
use bartizan_model::RequestId;
use bytes::Bytes;
use http::{HeaderName, Method, header};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;

use crate::refusal::Refusal;
use crate::response_edits;

/// A status whose answers have no body, and no length of one (RFC 9110 §8.6).
const NO_CONTENT: u16 = 204;

/// Sends `answer` in the upstream's place, with what policies change in it. Returns whether it went out.
pub(crate) async fn send(session: &mut Session, answer: Answer, edits: &ResponseEdits) -> bool {
    let has_no_body = session.req_header().method == Method::HEAD || answer.status == NO_CONTENT;
    if !session.is_body_done() {
        session.set_keepalive(None); // what the client still sends is not read as a request
    }
    let Ok(mut header) = response(&answer) else { return false };
    if response_edits::apply(&mut header, edits).is_err()
        || session.write_response_header(Box::new(header), has_no_body).await.is_err()
    {
        return false;
    }
    has_no_body || session.write_response_body(Some(Bytes::from(answer.body)), true).await.is_ok()
}

fn response(answer: &Answer) -> pingora::Result<ResponseHeader> {
    let mut header = ResponseHeader::build_no_case(answer.status, Some(answer.headers.len() + 3))?;
    for (name, value) in &answer.headers {
        header.insert_header(HeaderName::from_static(name), value.as_str())?;
    }
    if answer.status != NO_CONTENT {
        header.insert_header(header::CONTENT_LENGTH, answer.body.len())?;
    }
    Ok(header)
}

/// The answer to a refused HTTP/1 head as bytes, and the size of its body. The connection is closed after it.
pub(crate) fn raw(refusal: &Refusal, id: RequestId) -> (Vec<u8>, u64) {
    let answer = refusal.answer(id);
    let mut bytes = Vec::with_capacity(answer.body.len() + 300);
    let reason = http::StatusCode::from_u16(answer.status).ok().and_then(|status| status.canonical_reason());
    let _ = write!(bytes, "HTTP/1.1 {} {}\r\n", answer.status, reason.unwrap_or("Error")); // a Vec takes everything
    for (name, value) in &answer.headers {
        let _ = write!(bytes, "{name}: {value}\r\n");
    }
    let _ = write!(bytes, "content-length: {}\r\nconnection: close\r\n\r\n", answer.body.len());
    bytes.extend_from_slice(&answer.body);
    (bytes, answer.body.len() as u64)
}
