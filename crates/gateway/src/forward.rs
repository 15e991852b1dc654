//! What changes in a request head on its way to the upstream: host, forwarding fields, request id. Nothing else.
//!
//! `X-Forwarded-For`, `-Proto`, `-Host` (de facto) and `Forwarded` (RFC 7239): values that came from a trusted proxy
//! are kept and added to, all others are dropped and written anew, so that the upstream can believe them. From a peer
//! that is not trusted no field of that family passes, whichever the upstream reads: see [`is_forwarding`].

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use bartizan_config::HostHeader;
use bartizan_engine::{Edits, is_forwarding};
use bartizan_model::Scheme;
use http::{HeaderName, HeaderValue, Version, header};
use pingora::Result;
use pingora::http::RequestHeader;

use crate::link::Link;

// PERF: Pingora keeps the case of every name beside the name; text that is static it need not copy for that.
pub(crate) const X_REQUEST_ID: &str = "x-request-id";
const X_FORWARDED_FOR: &str = "x-forwarded-for";
const X_FORWARDED_PROTO: &str = "x-forwarded-proto";
const X_FORWARDED_HOST: &str = "x-forwarded-host";
const FORWARDED: &str = "forwarded";

/// What the rewriting needs to know.
pub(crate) struct Forwarding<'a> {
    /// The client's connection
    pub(crate) link: &'a Link,
    /// Whether the peer's own forwarding fields are believed
    pub(crate) peer_is_trusted: bool,
    /// Host as the client sent it
    pub(crate) authority: &'a HeaderValue,
    /// What becomes of the host
    pub(crate) host_header: &'a HostHeader,
    /// The request's id
    pub(crate) request_id: &'a HeaderValue,
}

/// LIMIT: fields that [`apply`] may add.
const ADDED_MAX: usize = 5;

/// Heads of at most so many fields are made anew with room for [`ADDED_MAX`] more.
// PERF: Pingora makes its two maps just large enough for what came. Small ones would grow three times each while fields
// are added, which takes longer than all the rest of this module; larger ones grow once, which takes as long as a new
// head would.
const FEW_FIELDS: usize = 2;

/// Gives a head of few fields room for more.
pub(crate) fn make_room(request: &mut RequestHeader) -> Result<()> {
    if request.headers.len() > FEW_FIELDS || !request.has_case() || request.version == Version::HTTP_2 {
        return Ok(());
    }
    let in_uri = request.uri.path_and_query().map(|target| target.as_str().as_bytes());
    if in_uri != Some(request.raw_path()) || !request.extensions.is_empty() {
        return Ok(()); // the new head would not be the same
    }
    let mut roomy = RequestHeader::build(request.method.clone(), b"/", Some(FEW_FIELDS + ADDED_MAX))?;
    roomy.set_uri(request.uri.clone());
    roomy.set_version(request.version);
    for (name, value) in request.case_header_iter() {
        roomy.append_header(name.clone(), value.clone())?;
    }
    *request = roomy;
    Ok(())
}

/// Takes credentials out and puts the caller's identity in, as policies want it.
pub(crate) fn edit(request: &mut RequestHeader, edits: &Edits) -> Result<()> {
    if edits.is_empty() {
        return Ok(());
    }
    if let Some(target) = edits.target(request.raw_path()) {
        request.set_raw_path(&target)?;
    }
    let is_removed = |name: &&HeaderName| edits.removes(name.as_str().as_bytes());
    let names: Vec<HeaderName> = request.headers.keys().filter(is_removed).cloned().collect();
    for name in names {
        request.remove_header(&name);
    }
    edits.added().try_for_each(|(name, value)| request.append_header(name.to_owned(), value).map(drop))
}

/// Rewrites `request`.
pub(crate) fn apply(request: &mut RequestHeader, forwarding: &Forwarding<'_>) -> Result<()> {
    let scheme = forwarding.link.connection.scheme();
    if !forwarding.peer_is_trusted {
        let names: Vec<HeaderName> =
            request.headers.keys().filter(|name| is_forwarding(name.as_str().as_bytes())).cloned().collect();
        for name in names {
            request.remove_header(&name);
        }
    }
    request.insert_header(X_REQUEST_ID, forwarding.request_id.clone())?;
    forwarded_for(request, forwarding)?;
    let proto = HeaderValue::from_static(scheme.as_str());
    keep_or_insert(request, X_FORWARDED_PROTO, proto, forwarding.peer_is_trusted)?;
    if !forwarding.authority.is_empty() {
        keep_or_insert(request, X_FORWARDED_HOST, forwarding.authority.clone(), forwarding.peer_is_trusted)?;
    } else if !forwarding.peer_is_trusted {
        request.remove_header(X_FORWARDED_HOST);
    }
    forwarded(request, forwarding, scheme)?;
    if let HostHeader::Replace(host) = forwarding.host_header {
        request.insert_header(header::HOST, host.as_str())?;
    }
    Ok(())
}

/// Whether the gateway alone says what stands in this field.
pub(crate) fn is_ours(name: &HeaderName) -> bool {
    name.as_str() == X_REQUEST_ID || is_forwarding(name.as_str().as_bytes())
}

fn keep_or_insert(request: &mut RequestHeader, name: &'static str, value: HeaderValue, keep: bool) -> Result<()> {
    if keep && request.headers.contains_key(name) {
        return Ok(());
    }
    request.insert_header(name, value)
}

fn forwarded_for(request: &mut RequestHeader, forwarding: &Forwarding<'_>) -> Result<()> {
    let Some(peer) = &forwarding.link.peer_value else {
        request.remove_header(X_FORWARDED_FOR);
        return Ok(());
    };
    let value = match forwarding.peer_is_trusted {
        true => appended(request, X_FORWARDED_FOR, peer.as_bytes()),
        false => None,
    };
    request.insert_header(X_FORWARDED_FOR, value.unwrap_or_else(|| peer.clone()))
}

/// All values of a field joined, with `last` at their end; `None` when there were none.
fn appended(request: &RequestHeader, name: &str, last: &[u8]) -> Option<HeaderValue> {
    let mut values = request.headers.get_all(name).iter();
    let mut joined = values.next()?.as_bytes().to_vec();
    for value in values.map(HeaderValue::as_bytes).chain([last]) {
        joined.extend_from_slice(b", ");
        joined.extend_from_slice(value);
    }
    HeaderValue::from_maybe_shared(bytes::Bytes::from(joined)).ok()
}

/// RFC 7239 §4: one element per hop.
fn forwarded(request: &mut RequestHeader, forwarding: &Forwarding<'_>, scheme: Scheme) -> Result<()> {
    let element = forwarding.link.forwarded(forwarding.authority, || forwarded_element(forwarding, scheme));
    let value = match forwarding.peer_is_trusted {
        true => appended(request, FORWARDED, element.as_bytes()),
        false => None,
    };
    request.insert_header(FORWARDED, value.unwrap_or(element))
}

fn forwarded_element(forwarding: &Forwarding<'_>, scheme: Scheme) -> HeaderValue {
    let mut element = String::with_capacity(96);
    match forwarding.link.connection.peer.map(|peer: SocketAddr| peer.ip().to_canonical()) {
        Some(IpAddr::V4(ip)) => _ = write!(element, "for={ip}"),
        Some(IpAddr::V6(ip)) => _ = write!(element, "for=\"[{ip}]\""),
        None => element.push_str("for=unknown"),
    }
    if let Ok(host) = forwarding.authority.to_str()
        && !host.is_empty()
        && !host.contains(['"', '\\'])
    {
        _ = write!(element, ";host=\"{host}\"");
    }
    _ = write!(element, ";proto={}", scheme.as_str());
    // An address, and a host that is a field value: always a field value.
    HeaderValue::try_from(element).unwrap_or_else(|_| HeaderValue::from_static("for=unknown"))
}

/// HTTP/2 may split `Cookie` for compression; towards HTTP/1 it must be one field again (RFC 9113 §8.2.3).
pub(crate) fn join_cookies(request: &mut RequestHeader) -> Result<()> {
    if request.headers.get_all(header::COOKIE).iter().nth(1).is_none() {
        return Ok(());
    }
    let crumbs: Vec<_> = request.headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    let joined = crumbs.join(&b"; "[..]);
    request.insert_header(header::COOKIE, joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(request: &RequestHeader) -> (Vec<u8>, Vec<u8>, Version, Vec<u8>) {
        let mut wire = Vec::new();
        request.header_to_h1_wire(&mut wire);
        (request.method.as_str().into(), request.raw_path().to_vec(), request.version, wire)
    }

    /// Whatever the head is, it is the same afterwards; `is_roomy` when it was made anew.
    fn check(target: &[u8], fields: &[(&str, &str)], version: Version, is_roomy: bool) {
        let mut request = RequestHeader::build("PATCH", target, Some(fields.len())).unwrap();
        request.set_version(version);
        for (name, value) in fields {
            request.append_header((*name).to_owned(), *value).unwrap();
        }
        let before = written(&request);
        make_room(&mut request).unwrap();
        assert_eq!(written(&request), before);
        assert_eq!(request.headers.capacity() >= fields.len() + ADDED_MAX, is_roomy, "{}", target.escape_ascii());
    }

    #[test]
    fn a_head_that_gets_room_stays_the_same() {
        check(b"/a?b=%2F", &[("hOsT", "a.example"), ("X-a", "1")], Version::HTTP_11, true);
        check(b"/", &[("x-A", "1"), ("X-a", "2")], Version::HTTP_10, true);
        check(b"/", &[], Version::HTTP_11, true);
    }

    #[test]
    fn heads_that_would_change_or_have_many_fields_are_left_alone() {
        check(b"/a\xff", &[("Host", "a")], Version::HTTP_11, false);
        check(b"http://a/b", &[("Host", "a")], Version::HTTP_11, false);
        check(b"/", &[("Host", "a")], Version::HTTP_2, false);
        check(b"/", &[("Host", "a"), ("B", "1"), ("C", "1"), ("D", "1")], Version::HTTP_11, false);
    }
}
