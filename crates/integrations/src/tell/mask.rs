//! Takes secrets and personal data out of an exchange before it is written.
//!
//! What is masked: credential header fields (`Authorization` keeps its scheme, cookies their names), query parameters,
//! form fields and JSON members with telling names ([`names`]), and, wherever text stands, card numbers, e-mail
//! addresses and JSON Web Tokens ([`values`]). A mask has the shape of what it hides ([`shape`]): digits stay digits,
//! letters letters, so that types and templates can still be learned, and one secret has one mask throughout a
//! recording, so that sessions still hang together. A body that is neither JSON nor a form cannot be searched by name,
//! so it is left out and only its size is kept: unknown, never "clean". The client's address and `label` stay.
//!
//! Every part is linear in its input; nesting is held in a list, not on the stack.

mod form;
mod headers;
mod json;
mod names;
mod shape;
mod values;

use bartizan_model::{Exchange, Request, Response, ValueKind};

use shape::Shape;

/// Replaces secrets and personal data in exchanges by masks of the same shape.
#[derive(Clone)]
pub struct Masking {
    shape: Shape,
}

impl Masking {
    /// Masks under `key`: the same secret gives the same mask as long as the key is the same. Take a random key, and
    /// keep it no longer than the recording runs: who has it can try out short secrets.
    pub const fn new(key: [u8; 32]) -> Self {
        Self { shape: Shape::new(key) }
    }

    /// `exchange` with every secret masked.
    pub fn mask(&self, exchange: &Exchange) -> Exchange {
        Exchange {
            time: exchange.time,
            client: exchange.client,
            request: self.request(&exchange.request),
            response: exchange.response.as_ref().map(|response| self.response(response)),
            duration_us: exchange.duration_us,
            label: exchange.label.clone(),
        }
    }

    fn request(&self, request: &Request) -> Request {
        let (body, body_bytes) = self.body(&request.headers, request.body.as_deref(), request.body_bytes);
        Request {
            method: request.method.clone(),
            scheme: request.scheme,
            authority: self.authority(&request.authority),
            target: self.target(&request.target),
            version: request.version,
            headers: self.headers(&request.headers),
            body,
            body_bytes,
        }
    }

    fn response(&self, response: &Response) -> Response {
        let (body, body_bytes) = self.body(&response.headers, response.body.as_deref(), response.body_bytes);
        Response { status: response.status, headers: self.headers(&response.headers), body, body_bytes }
    }

    /// The body masked, or only its size where it is not of a form that can be searched.
    fn body(
        &self,
        headers: &[(Vec<u8>, Vec<u8>)],
        body: Option<&[u8]>,
        body_bytes: Option<u64>,
    ) -> (Option<Vec<u8>>, Option<u64>) {
        let Some(body) = body else { return (None, body_bytes) };
        let content_type = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(b"content-type"));
        let is_form = content_type.is_some_and(|(_, value)| {
            value.to_ascii_lowercase().trim_ascii_start().starts_with(b"application/x-www-form-urlencoded")
        });
        let masked = match body {
            [] => Some(Vec::new()),
            _ if is_form => Some(self.pairs(body)),
            _ => self.json(body, json::LEVELS_MAX),
        };
        let size = u64::try_from(body.len()).ok();
        let body_bytes = if masked.is_some() { body_bytes } else { body_bytes.or(size) };
        (masked, body_bytes)
    }

    /// A user name and password in an authority (`user:password@host`).
    fn authority(&self, authority: &[u8]) -> Vec<u8> {
        match memchr::memrchr(b'@', authority).and_then(|at| authority.split_at_checked(at)) {
            Some((user, host)) => [&self.shape.mask(user), host].concat(),
            None => authority.to_vec(),
        }
    }

    /// A path with its query and fragment.
    fn target(&self, target: &[u8]) -> Vec<u8> {
        let end = memchr::memchr2(b'?', b'#', target).unwrap_or(target.len());
        let (path, rest) = target.split_at_checked(end).unwrap_or((target, &[]));
        let mut masked = self.path(path);
        // A fragment carries parameters too (OAuth's implicit grant).
        for part in rest.split_inclusive(|byte| matches!(byte, b'?' | b'#')) {
            match part.split_last() {
                Some((mark @ (b'?' | b'#'), pairs)) => {
                    masked.extend_from_slice(&self.pairs(pairs));
                    masked.push(*mark);
                }
                Some(_) | None => masked.extend_from_slice(&self.pairs(part)),
            }
        }
        masked
    }

    fn path(&self, path: &[u8]) -> Vec<u8> {
        let mut masked = Vec::with_capacity(path.len());
        let mut is_behind_secret = false;
        for (at, segment) in path.split(|&byte| byte == b'/').enumerate() {
            if at > 0 {
                masked.push(b'/');
            }
            masked.extend_from_slice(&self.segment(segment, is_behind_secret));
            is_behind_secret = names::announces_secret(segment);
        }
        masked
    }

    /// One segment with its matrix parameters (`;jsessionid=…`).
    fn segment(&self, segment: &[u8], is_behind_secret: bool) -> Vec<u8> {
        let end = memchr::memchr(b';', segment).unwrap_or(segment.len());
        let (name, parameters) = segment.split_at_checked(end).unwrap_or((segment, &[]));
        let plain = form::decoded(name);
        let is_value = !matches!(ValueKind::of(&plain), ValueKind::Word | ValueKind::Empty);
        let mut masked = if is_behind_secret && is_value {
            form::encoded(&self.shape.mask(&plain))
        } else {
            self.text(&plain).map_or_else(|| name.to_vec(), |masked| form::encoded(&masked))
        };
        for parameter in parameters.split(|&byte| byte == b';').skip(1) {
            masked.push(b';');
            masked.extend_from_slice(&self.pairs(parameter));
        }
        masked
    }

    /// A URL reference in a header field or a value: `https://…?…`, `/…?…`.
    fn url(&self, url: &[u8]) -> Vec<u8> {
        let start = memchr::memmem::find(url, b"://").map_or(0, |at| at + 3);
        let (scheme, rest) = url.split_at_checked(start).unwrap_or((&[], url));
        let is_absolute = start > 0;
        let end =
            if is_absolute { rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len()) } else { 0 };
        let (authority, target) = rest.split_at_checked(end).unwrap_or((&[], rest));
        [scheme, &self.authority(authority), &self.target(target)].concat()
    }

    /// Text that is no secret as a whole: masks what is one within it; `None` when there is nothing.
    fn text(&self, text: &[u8]) -> Option<Vec<u8>> {
        let is_url = text.starts_with(b"http://") || text.starts_with(b"https://") || text.starts_with(b"/");
        if is_url && memchr::memchr3(b'?', b'#', b'@', text).is_some() && !text.contains(&b' ') {
            let masked = self.url(text);
            return (masked != text).then_some(masked);
        }
        self.values(text)
    }
}
