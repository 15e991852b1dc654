//! What stands before every handler: headers on every answer, `Host`, origin and CSRF checks, who is calling.
//!
//! Order, outermost first: [`harden`] (security headers, panics and time-outs to problems), [`refuse_strangers`]
//! (`Host` against DNS rebinding; `Sec-Fetch-Site` and `Origin` on everything that changes something), then per group of
//! routes [`authenticate`] (with the CSRF token) and [`require_admin`]. A route is open only if `api.rs` says so.
//!
//! The CSRF token is derived from the session token, so it needs no state and dies with the session. Scripts that
//! send `Authorization: Bearer` need none: a foreign page cannot set that header.
//! Sources: OWASP Cross-Site Request Forgery Prevention, Session Management; Fetch Metadata.

use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bartizan_store::Role;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::FutureExt as _;
use subtle::ConstantTimeEq;

use crate::api::Console;
use crate::problem::Problem;
use crate::session;

/// Name of the session cookie.
pub(crate) const COOKIE: &str = "bartizan_session";
/// Header that carries the CSRF token.
pub(crate) const CSRF_HEADER: &str = "x-bartizan-csrf";
/// LIMIT: longest wait for an answer's head; a query over months of events fits well within.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// Scripts and styles only from ourselves; style attributes because ECharts' tooltips have them.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr \
     'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; object-src \
     'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The two ends of the connection a request came on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) remote: SocketAddr,
    pub(crate) local: SocketAddr,
}

/// Who is calling, as [`authenticate`] found out.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) via: Via,
}

/// How a caller proved who it is.
#[derive(Clone, Debug)]
pub(crate) enum Via {
    /// The session cookie; the token is kept for its CSRF token
    Session(String),
    /// The admin token of `<data>/admin-token`
    AdminToken,
}

/// Security headers on every answer; panics and stalls become problems.
pub(crate) async fn harden(State(console): State<Arc<Console>>, request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let answer = AssertUnwindSafe(tokio::time::timeout(ANSWER_TIME_MAX, next.run(request))).catch_unwind().await;
    let mut response = match answer {
        Ok(Ok(response)) => response,
        Ok(Err(_elapsed)) => Problem::Slow.into_response(),
        Err(_panic) => {
            let faults = console.faults.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::error!(faults, "a console handler panicked");
            Problem::Fault.into_response()
        }
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in [
        ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if is_api {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// Refuses requests that another site made a browser send.
pub(crate) async fn refuse_strangers(
    State(console): State<Arc<Console>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let host = host_of(request.headers(), request.uri()).ok_or(Problem::Misdirected)?;
    let local = request.extensions().get::<Ends>().map(|ends| ends.local.ip());
    if !is_ours(&host, &console, local) {
        return Err(Problem::Misdirected);
    }
    if !is_safe(request.method()) {
        refuse_cross_site(request.headers(), &host)?;
    }
    Ok(next.run(request).await)
}

/// Finds out who is calling; nobody is refused.
pub(crate) async fn authenticate(
    State(console): State<Arc<Console>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let caller = caller(&console, request.headers()).await?;
    if let Via::Session(token) = &caller.via
        && !is_safe(request.method())
    {
        refuse_without_csrf(request.headers(), token)?;
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// Lets only administrators through; stands behind [`authenticate`].
pub(crate) async fn require_admin(request: Request, next: Next) -> Result<Response, Problem> {
    match request.extensions().get::<Caller>().map(|caller| caller.role) {
        Some(Role::Admin) => Ok(next.run(request).await),
        Some(Role::Viewer) => Err(Problem::Forbidden("this needs the role `admin`; you are signed in as a `viewer`")),
        None => Err(Problem::Fault),
    }
}

/// The CSRF token of a session.
pub(crate) fn csrf_of(session_token: &str) -> String {
    URL_SAFE_NO_PAD.encode(blake3::derive_key("bartizan console csrf token v1", session_token.as_bytes()))
}

/// The session token in the cookies, if there is one.
pub(crate) fn session_token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, token)| token)
}

/// Who sent these headers.
pub(crate) async fn caller(console: &Console, headers: &HeaderMap) -> Result<Caller, Problem> {
    if let Some(token) = bearer(headers) {
        return match console.parts.options.admin_token {
            Some(hash) if hash.is_of(token) => {
                Ok(Caller { name: "admin-token".to_owned(), role: Role::Admin, via: Via::AdminToken })
            }
            Some(_) | None => Err(Problem::SignedOut {
                detail: "the admin token is not the one in `admin-token`",
                setup_needed: false,
            }),
        };
    }
    let found = match session_token(headers) {
        Some(token) => session::resume(console, token).await?,
        None => None,
    };
    match found {
        Some(caller) => Ok(caller),
        None => Err(Problem::SignedOut { detail: "sign in first", setup_needed: console.is_setup_needed() }),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The host asked for, in lower case: from an absolute target, else the one `Host` field there must be.
fn host_of(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    if let Some(authority) = uri.authority() {
        return Some(authority.as_str().to_ascii_lowercase());
    }
    let mut hosts = headers.get_all(header::HOST).into_iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(host.to_str().ok()?.to_ascii_lowercase()),
        (_, _) => None,
    }
}

/// Whether `host` (with or without port) is a name of this console. Ports are not compared: they may be mapped, and
/// rebinding is about names. An address is ours when the connection came to it.
fn is_ours(host: &str, console: &Console, local: Option<IpAddr>) -> bool {
    let name = without_port(host);
    if name == "localhost" || console.parts.options.names.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return true;
    }
    let literal = name.trim_start_matches('[').trim_end_matches(']');
    let Ok(address) = literal.parse::<IpAddr>() else { return false };
    let address = address.to_canonical();
    address.is_loopback()
        || address == console.parts.options.address.ip()
        || local.is_some_and(|local| local.to_canonical() == address)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        Some(_) | None => host,
    }
}

/// A browser says where a request comes from; what comes from elsewhere is refused, and what does not say is no browser.
fn refuse_cross_site(headers: &HeaderMap, host: &str) -> Result<(), Problem> {
    const REFUSED: Problem = Problem::Forbidden("this request comes from another site");
    if let Some(site) = headers.get("sec-fetch-site")
        && !matches!(site.as_bytes(), b"same-origin" | b"none")
    {
        return Err(REFUSED);
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin_host = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    match origin_host {
        Some(origin_host) if origin_host.eq_ignore_ascii_case(host) => Ok(()),
        Some(_) | None => Err(REFUSED),
    }
}

/// A page that uses a session must prove that it could read the session's CSRF token.
fn refuse_without_csrf(headers: &HeaderMap, session_token: &str) -> Result<(), Problem> {
    let sent = headers.get(CSRF_HEADER).map(HeaderValue::as_bytes).unwrap_or_default();
    if bool::from(sent.ct_eq(csrf_of(session_token).as_bytes())) {
        return Ok(());
    }
    Err(Problem::Forbidden("send the header `x-bartizan-csrf` with the token from GET /api/v1/session"))
}

/// Whether a method only looks (RFC 9110 §9.2.1).
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_port_is_not_part_of_the_name() {
        for (host, name) in
            [("a.example:8600", "a.example"), ("[::1]:8600", "[::1]"), ("[::1]", "[::1]"), ("localhost", "localhost")]
        {
            assert_eq!(without_port(host), name);
        }
    }

    #[test]
    fn two_hosts_are_no_host() {
        let uri = Uri::from_static("/");
        assert_eq!(host_of(&headers(&[("host", "A:1")]), &uri).as_deref(), Some("a:1"));
        assert_eq!(host_of(&headers(&[("host", "a"), ("host", "b")]), &uri), None);
        assert_eq!(host_of(&headers(&[]), &uri), None);
    }

    #[test]
    fn another_site_is_refused_and_a_script_is_not() {
        let host = "127.0.0.1:8600";
        for good in [
            headers(&[]),
            headers(&[("origin", "http://127.0.0.1:8600")]),
            headers(&[("sec-fetch-site", "same-origin"), ("origin", "http://127.0.0.1:8600")]),
        ] {
            assert!(refuse_cross_site(&good, host).is_ok(), "{good:?}");
        }
        for bad in [
            headers(&[("sec-fetch-site", "cross-site")]),
            headers(&[("sec-fetch-site", "same-site")]),
            headers(&[("origin", "null")]),
            headers(&[("origin", "http://127.0.0.1:8601")]),
        ] {
            assert!(refuse_cross_site(&bad, host).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_csrf_token_belongs_to_one_session() {
        let mut sent = HeaderMap::new();
        assert!(refuse_without_csrf(&sent, "tok").is_err());
        sent.insert(CSRF_HEADER, csrf_of("tok").parse().unwrap());
        assert!(refuse_without_csrf(&sent, "tok").is_ok());
        assert!(refuse_without_csrf(&sent, "other").is_err());
    }

    #[test]
    fn the_session_cookie_is_found_among_others() {
        let headers = headers(&[("cookie", "a=b; bartizan_session=tok; c=d")]);
        assert_eq!(session_token(&headers), Some("tok"));
    }
}
