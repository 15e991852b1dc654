//! Header fields: credentials by their field's name, URLs by their parts, the rest by what it looks like.

use super::{Masking, names};
use crate::tell::base64_text;

/// Schemes of `Authorization` (IANA's registry, and what is in use); a first word that is none of them may be the
/// credential itself.
const SCHEMES: &[&[u8]] = &[
    b"apikey",
    b"aws4-ecdsa-p256-sha256",
    b"aws4-hmac-sha256",
    b"basic",
    b"bearer",
    b"digest",
    b"dpop",
    b"gnap",
    b"hawk",
    b"hoba",
    b"hmac",
    b"jwt",
    b"key",
    b"mutual",
    b"negotiate",
    b"ntlm",
    b"oauth",
    b"privatetoken",
    b"scram-sha-1",
    b"scram-sha-256",
    b"signature",
    b"token",
    b"vapid",
];

/// Fields whose value is a URL.
const URLS: &[&[u8]] = &[
    b"content-location",
    b"destination",
    b"location",
    b"origin",
    b"referer",
    b"x-forwarded-uri",
    b"x-original-uri",
    b"x-original-url",
    b"x-rewrite-url",
];

impl Masking {
    /// Every field, masked where need be.
    pub(super) fn headers(&self, fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<(Vec<u8>, Vec<u8>)> {
        fields.iter().map(|(name, value)| (name.clone(), self.field(&name.to_ascii_lowercase(), value))).collect()
    }

    fn field(&self, name: &[u8], value: &[u8]) -> Vec<u8> {
        match name {
            b"authorization" | b"proxy-authorization" => self.authorization(value),
            b"cookie" | b"cookie2" => self.cookies(value),
            b"set-cookie" | b"set-cookie2" => self.set_cookie(value),
            b"x-forwarded-client-cert" => self.shape.mask(value),
            b"host" => self.authority(value),
            _ if URLS.contains(&name) => self.url(value),
            _ if names::is_secret_header(name) => self.shape.mask(value),
            _ => self.text(value).unwrap_or_else(|| value.to_vec()),
        }
    }

    /// Keeps the scheme. Basic stays decodable: a user name, a colon, a password.
    fn authorization(&self, value: &[u8]) -> Vec<u8> {
        let end = memchr::memchr(b' ', value).unwrap_or(value.len());
        let (scheme, rest) = value.split_at_checked(end).unwrap_or((value, &[]));
        if rest.is_empty() || !SCHEMES.contains(&scheme.to_ascii_lowercase().as_slice()) {
            return self.token(value);
        }
        let credential = rest.trim_ascii();
        let masked = match base64_text::decode(credential).filter(|_| scheme.eq_ignore_ascii_case(b"basic")) {
            Some(pair) => base64_text::encode(&self.shape.mask(&pair)).into_bytes(),
            None => self.token(credential),
        };
        [scheme, b" ", &masked].concat()
    }

    /// A bearer token; of a JWT the header stays, which says only how it was signed.
    fn token(&self, token: &[u8]) -> Vec<u8> {
        if token.starts_with(b"eyJ")
            && memchr::memchr_iter(b'.', token).count() == 2
            && let Some((header, rest)) = memchr::memchr(b'.', token).and_then(|at| token.split_at_checked(at + 1))
            && rest.len() > 1
        {
            return [header, &self.shape.mask(rest)].concat();
        }
        self.shape.mask(token)
    }

    /// `name=value; name=value`: keeps the names.
    fn cookies(&self, value: &[u8]) -> Vec<u8> {
        let pairs: Vec<Vec<u8>> = value.split(|&byte| byte == b';').map(|pair| self.cookie(pair)).collect();
        pairs.join(&b';')
    }

    /// `name=value; Path=/; …`: keeps the name and the attributes.
    fn set_cookie(&self, value: &[u8]) -> Vec<u8> {
        let end = memchr::memchr(b';', value).unwrap_or(value.len());
        let (pair, attributes) = value.split_at_checked(end).unwrap_or((value, &[]));
        [&self.cookie(pair), attributes].concat()
    }

    fn cookie(&self, pair: &[u8]) -> Vec<u8> {
        match memchr::memchr(b'=', pair).and_then(|at| pair.split_at_checked(at + 1)) {
            Some((name, value)) => [name, &self.token(value)].concat(),
            None => self.shape.mask(pair),
        }
    }
}
