//! Keeps a whole exchange for `bartizan record`: heads and bodies as they passed.

use std::net::IpAddr;

use bartizan_model::{Exchange, HttpVersion, Request, RequestHead, Response, ResponseHead, Scheme, Timestamp};

use crate::exchange::Totals;

/// LIMIT: bytes of a body that are kept; of a larger one only the size is.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// A body while it passes.
#[derive(Default)]
struct Body {
    bytes: Vec<u8>,
    is_cut: bool,
}

/// An exchange while it passes.
#[derive(Default)]
pub(crate) struct Record {
    request: Option<Request>,
    request_body: Body,
    response: Option<Response>,
    response_body: Body,
}

impl Record {
    /// The request's head.
    pub(crate) fn request_head(&mut self, head: &RequestHead<'_>) {
        self.request = Some(Request {
            method: head.method.to_vec(),
            scheme: head.scheme,
            authority: head.authority.to_vec(),
            target: head.target.to_vec(),
            version: head.version,
            headers: head.headers.iter().map(|field| (field.name.to_vec(), field.value.to_vec())).collect(),
            body: None,
            body_bytes: None,
        });
    }

    /// A piece of the request's body.
    pub(crate) fn request_body(&mut self, chunk: &[u8]) {
        self.request_body.push(chunk);
    }

    /// The response's head.
    pub(crate) fn response_head(&mut self, head: &ResponseHead<'_>) {
        self.response = Some(Response {
            status: head.status,
            headers: head.headers.iter().map(|field| (field.name.to_vec(), field.value.to_vec())).collect(),
            body: None,
            body_bytes: None,
        });
    }

    /// A piece of the response's body.
    pub(crate) fn response_body(&mut self, chunk: &[u8]) {
        self.response_body.push(chunk);
    }

    /// The whole, at the end.
    pub(crate) fn into_exchange(self, time: Timestamp, client: Option<IpAddr>, totals: Totals, us: u64) -> Exchange {
        let mut request = self.request.unwrap_or_else(nothing);
        request.body_bytes = Some(totals.request_bytes);
        request.body = self.request_body.whole(totals.request_bytes);
        let answered_by_us = || Response { status: totals.status, headers: Vec::new(), body: None, body_bytes: None };
        let mut response = self.response.or_else(|| (totals.status != 0).then(answered_by_us));
        if let Some(response) = &mut response {
            response.body_bytes = Some(totals.response_bytes);
            response.body = self.response_body.whole(totals.response_bytes);
        }
        Exchange { time: Some(time), client, request, response, duration_us: Some(us), label: None }
    }
}

impl Body {
    fn push(&mut self, chunk: &[u8]) {
        if self.is_cut || self.bytes.len() + chunk.len() > BODY_BYTES_MAX {
            self.is_cut = true;
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(chunk);
        }
    }

    /// The body, unless a part of it was not kept.
    fn whole(self, bytes: u64) -> Option<Vec<u8>> {
        (!self.is_cut && self.bytes.len() as u64 == bytes).then_some(self.bytes)
    }
}

fn nothing() -> Request {
    Request {
        method: Vec::new(),
        scheme: Scheme::Http,
        authority: Vec::new(),
        target: Vec::new(),
        version: HttpVersion::Http11,
        headers: Vec::new(),
        body: None,
        body_bytes: None,
    }
}
