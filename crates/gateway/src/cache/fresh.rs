//! Whether an answer may be kept, and for how long (RFC 9111 §3, §4.2): pingora-cache reads `Cache-Control` and `Expires`.
//!
//! Three things are stricter than there. What must not be kept is looked for in the raw text too, since that reader skips
//! what it cannot read. `private` and `no-cache` with field names are not cut out of an answer; it is not kept at all. And
//! `Age` and `Date` count: an answer that has been kept elsewhere is not young.

use std::time::{Duration, SystemTime};

use bartizan_config::Cache;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use pingora::cache::cache_control::{CacheControl, InterpretCacheControl};
use pingora::cache::filters::calculate_expires_header_time;
use pingora::http::ResponseHeader;
use pingora::protocols::http::conditional_filter::resp_header_as_http_date;

/// LIMIT: fields that one answer may vary by; real ones vary by three.
const VARY_NAMES_MAX: usize = 16;

/// Words in `Cache-Control` that keep an answer from being kept, wherever and however they stand there.
const FORBIDDING: [&[u8]; 3] = [b"no-store", b"private", b"no-cache"];

/// How long an answer may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    /// How old it was when it was kept
    pub(super) age: Duration,
    /// From then on it is fresh for so long
    pub(super) fresh: Duration,
    /// And for so long after it while another request renews it
    pub(super) stale_while_revalidate: Duration,
    /// And for so long after it when the upstream fails
    pub(super) stale_if_error: Duration,
}

impl Lifetime {
    /// Of an answer that may be given once, and not be kept.
    pub(super) fn of_once(response: &ResponseHeader, now: SystemTime) -> Self {
        let none = Duration::ZERO;
        Self { age: age(response, now), fresh: none, stale_while_revalidate: none, stale_if_error: none }
    }
}

/// What is known of the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) rules: &'a Cache,
    /// It carried a credential
    pub(super) has_credential: bool,
}

/// How long an answer with this head may be given; `None` when it may not be kept.
pub(super) fn lifetime(asked: Asked<'_>, response: &ResponseHeader, now: SystemTime) -> Option<Lifetime> {
    let (rules, headers) = (asked.rules, &response.headers);
    let status = response.status.as_u16();
    let is_for_one = headers.contains_key(header::SET_COOKIE)
        || headers.contains_key("set-cookie2")
        || headers.contains_key(header::WWW_AUTHENTICATE)
        || headers.contains_key("authentication-info");
    let is_partial = status == 206 || headers.contains_key(header::CONTENT_RANGE);
    if !rules.statuses.contains(&status) || is_for_one || is_partial || is_forbidden(headers) {
        return None;
    }
    let control = CacheControl::from_resp_headers(response);
    let control = control.as_ref();
    // RFC 9111 §3.5. Where the policy's own times hold, its key says whose the answer is.
    let is_permitted = control.is_some_and(InterpretCacheControl::allow_caching_authorized_req);
    if asked.has_credential && rules.respect_cache_control && !is_permitted {
        return None;
    }
    let age = age(response, now);
    let ttl = Duration::from_millis(rules.ttl_ms);
    let lifetime = match rules.respect_cache_control {
        true => stated(control, response, now)?.unwrap_or(ttl),
        false => ttl,
    };
    let is_missing = matches!(response.status, StatusCode::NOT_FOUND | StatusCode::GONE);
    let max = if is_missing { rules.ttl_missing_ms.min(rules.ttl_max_ms) } else { rules.ttl_max_ms };
    let fresh = lifetime.saturating_sub(age).min(Duration::from_millis(max));
    if fresh.is_zero() {
        return None;
    }
    let window = |policy_ms: u64, stated: Option<Duration>| {
        let policy = Duration::from_millis(policy_ms);
        stated.map_or(policy, |stated| stated.min(policy))
    };
    let while_revalidating = control.and_then(InterpretCacheControl::serve_stale_while_revalidate_duration);
    let if_error = control.and_then(InterpretCacheControl::serve_stale_if_error_duration);
    Some(Lifetime {
        age,
        fresh,
        stale_while_revalidate: window(rules.stale_while_revalidate_ms, while_revalidating),
        stale_if_error: window(rules.stale_if_error_ms, if_error),
    })
}

/// Whether the answer says that it may not be kept, in whatever way.
fn is_forbidden(headers: &HeaderMap) -> bool {
    let has = |value: &HeaderValue| {
        let value = value.as_bytes().to_ascii_lowercase();
        FORBIDDING.iter().any(|word| memchr::memmem::find(&value, word).is_some())
    };
    let mut controls = headers.get_all(header::CACHE_CONTROL).iter();
    // RFC 9111 §5.4 gives `Pragma` no meaning in answers; servers that send it mean it all the same.
    let mut pragmas = headers.get_all(header::PRAGMA).iter();
    controls.any(has) || (!headers.contains_key(header::CACHE_CONTROL) && pragmas.any(has))
}

/// The lifetime that an answer states: `None` when what it states cannot be read, and `Some(None)` when it states none.
fn stated(control: Option<&CacheControl>, response: &ResponseHeader, now: SystemTime) -> Option<Option<Duration>> {
    if let Some(control) = control {
        let is_stated = control.has_key("max-age") || control.has_key("s-maxage");
        match control.fresh_duration() {
            Some(lifetime) => return Some(Some(lifetime)),
            None if is_stated => return None, // RFC 9111 §4.2.1: taken for stale
            None => {}
        }
    }
    if response.headers.get_all(header::EXPIRES).iter().nth(1).is_some() {
        return None;
    }
    let expires = calculate_expires_header_time(response);
    // RFC 9111 §4.2.1 counts from `Date`; what is between is in the age.
    let made = date(response).unwrap_or(now);
    Some(expires.map(|expires| expires.duration_since(made).unwrap_or_default()))
}

/// How old the answer is already (RFC 9111 §4.2.3).
fn age(response: &ResponseHeader, now: SystemTime) -> Duration {
    let stated = response.headers.get(header::AGE).and_then(|age| age.to_str().ok()?.trim().parse().ok());
    let apparent = date(response).and_then(|made| now.duration_since(made).ok()).unwrap_or_default();
    Duration::from_secs(stated.unwrap_or(0)).max(apparent)
}

fn date(response: &ResponseHeader) -> Option<SystemTime> {
    resp_header_as_http_date(response, header::DATE).ok().flatten().map(SystemTime::from)
}

/// The fields that an answer varies by; `None` when it varies by more than a request's fields, or by too many.
pub(super) fn vary(response: &ResponseHeader) -> Option<Vec<HeaderName>> {
    let mut names = Vec::new();
    let lists = response.headers.get_all(header::VARY).iter();
    for name in lists.flat_map(|list| list.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii) {
        if name.is_empty() {
            continue;
        }
        let name = HeaderName::from_bytes(name).ok().filter(|name| name.as_str() != "*")?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    (names.len() <= VARY_NAMES_MAX).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_config::CacheKey;

    fn rules() -> Cache {
        Cache {
            key: vec![CacheKey::Anonymous],
            shared: false,
            ttl_ms: 5_000,
            ttl_max_ms: 3_600_000,
            ttl_missing_ms: 2_000,
            respect_cache_control: true,
            statuses: vec![200, 404],
            body_bytes_max: 1,
            bytes_max: 1,
            stale_while_revalidate_ms: 60_000,
            stale_if_error_ms: 60_000,
            wait_ms: 0,
        }
    }

    /// 1994-11-06 08:49:37 GMT, RFC 9110's example.
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    fn response(status: u16, fields: &[(&'static str, &str)]) -> ResponseHeader {
        let mut response = ResponseHeader::build(status, None).unwrap();
        for (name, value) in fields {
            response.append_header(*name, *value).unwrap();
        }
        response
    }

    /// Seconds for which an answer is fresh; 0 when it is not kept.
    fn fresh(rules: &Cache, has_credential: bool, status: u16, fields: &[(&'static str, &str)]) -> u64 {
        let asked = Asked { rules, has_credential };
        lifetime(asked, &response(status, fields), now()).map_or(0, |lifetime| lifetime.fresh.as_secs())
    }

    const CONTROL: &str = "cache-control";

    #[test]
    fn an_answer_lives_as_long_as_it_says() {
        for (fields, expected) in [
            (&[][..], 5),
            (&[(CONTROL, "max-age=60")], 60),
            (&[(CONTROL, "max-age=60, s-maxage=30")], 30),
            (&[(CONTROL, "max-age=60"), ("age", "20")], 40),
            (&[(CONTROL, "max-age=60"), ("age", "60")], 0),
            (&[(CONTROL, "max-age=60"), ("date", "Sun, 06 Nov 1994 08:49:17 GMT")], 40),
            (&[(CONTROL, "max-age=0")], 0),
            (&[(CONTROL, "max-age=x")], 0),
            (&[(CONTROL, "max-age=86400")], 3600),
            (&[("expires", "Sun, 06 Nov 1994 08:50:37 GMT")], 60),
            (&[("expires", "0")], 0),
            (&[("expires", "Sun, 06 Nov 1994 08:50:37 GMT"), ("expires", "Sun, 06 Nov 1994 09:50:37 GMT")], 0),
            (&[(CONTROL, "public")], 5),
            (&[(CONTROL, "max-age=1, max-age=2, private")], 0),
        ] {
            assert_eq!(fresh(&rules(), false, 200, fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn an_answer_that_may_not_be_kept_is_not_kept_whatever_the_policy_says() {
        let lax = Cache { respect_cache_control: false, ..rules() };
        for fields in [
            &[(CONTROL, "no-store")][..],
            &[(CONTROL, "No-Store, max-age=60")],
            &[(CONTROL, "max-age=60"), (CONTROL, "private")],
            &[(CONTROL, "private=\"x-a\", max-age=60")],
            &[(CONTROL, "no-cache=\"x-a\", max-age=60")],
            &[(CONTROL, "no-cache")],
            &[(CONTROL, "max-age=60 no-store")],
            &[("pragma", "no-cache")],
            &[(CONTROL, "max-age=60"), ("set-cookie", "a=b")],
            &[(CONTROL, "max-age=60"), ("content-range", "bytes 0-1/2")],
            &[(CONTROL, "max-age=60"), ("www-authenticate", "Basic")],
        ] {
            assert_eq!(fresh(&rules(), false, 200, fields), 0, "{fields:?}");
            assert_eq!(fresh(&lax, false, 200, fields), 0, "{fields:?}");
        }
        for status in [206, 302, 304, 401, 500] {
            assert_eq!(fresh(&rules(), false, status, &[(CONTROL, "max-age=60")]), 0, "{status}");
        }
    }

    #[test]
    fn an_answer_to_a_request_with_a_credential_is_kept_only_where_it_says_so() {
        for (control, expected) in
            [("max-age=60", 0), ("public, max-age=60", 60), ("s-maxage=60", 60), ("must-revalidate, max-age=60", 60)]
        {
            assert_eq!(fresh(&rules(), true, 200, &[(CONTROL, control)]), expected, "{control}");
        }
        let own = Cache { respect_cache_control: false, ..rules() };
        assert_eq!(fresh(&own, true, 200, &[(CONTROL, "max-age=60")]), 5, "the policy's own time");
    }

    #[test]
    fn what_is_missing_is_kept_for_a_time_of_its_own() {
        assert_eq!(fresh(&rules(), false, 404, &[(CONTROL, "max-age=60")]), 2);
        assert_eq!(fresh(&Cache { ttl_missing_ms: 0, ..rules() }, false, 404, &[(CONTROL, "max-age=60")]), 0);
    }

    #[test]
    fn old_answers_are_given_no_longer_than_policy_and_answer_allow() {
        for (control, expected) in [
            ("max-age=1", [60, 60]),
            ("max-age=1, stale-while-revalidate=5, stale-if-error=6", [5, 6]),
            ("max-age=1, stale-while-revalidate=500", [60, 60]),
            ("max-age=1, must-revalidate", [0, 0]),
            ("s-maxage=1", [0, 0]),
        ] {
            let rules = rules();
            let asked = Asked { rules: &rules, has_credential: false };
            let kept = lifetime(asked, &response(200, &[(CONTROL, control)]), now()).unwrap();
            let windows = [kept.stale_while_revalidate, kept.stale_if_error].map(|window| window.as_secs());
            assert_eq!(windows, expected, "{control}");
        }
    }

    #[test]
    fn an_answer_that_varies_by_more_than_fields_is_not_kept() {
        let names = |fields: &[(&'static str, &str)]| vary(&response(200, fields)).map(|names| names.len());
        assert_eq!(names(&[]), Some(0));
        assert_eq!(names(&[("vary", "Accept, x-a,"), ("vary", "X-A")]), Some(2));
        for list in ["*", "accept, *", "x y"] {
            assert_eq!(names(&[("vary", list)]), None, "{list}");
        }
        let many: Vec<String> = (0..=VARY_NAMES_MAX).map(|number| format!("x-{number}")).collect();
        assert_eq!(names(&[("vary", &many.join(","))]), None);
    }
}
