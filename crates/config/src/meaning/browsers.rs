//! Policies about web pages: origins as browsers write them, and what must not stand together.

use bartizan_model::excerpt;

use super::Checker;
use super::values::is_scheme;
use crate::config::{
    AnswersSet, Cors, Csrf, CsrfToken, HeaderNames, OriginPattern, PolicyRule, ResponseHeaders, SetHeader,
};
use crate::defaults;
use crate::document::{self, ExistingHeader, ReferrerPolicy};
use crate::path::SettingPath;
use crate::report;

/// Fields that say how a message is framed, or that something else of the gateway sets.
const RESERVED: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "set-cookie",
    "trailer",
    "transfer-encoding",
    "x-request-id",
];

/// The rules about web pages that a policy has.
pub(super) fn rules(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Policy) -> Vec<PolicyRule> {
    let mut rules = Vec::new();
    if let Some(written) = &written.cors {
        rules.push(PolicyRule::Cors(Box::new(cors(checker, &at.key("cors"), written))));
    }
    if let Some(written) = &written.csrf {
        rules.push(PolicyRule::Csrf(Box::new(csrf(checker, &at.key("csrf"), written))));
    }
    if let Some(written) = &written.response_headers {
        let headers = response_headers(checker, &at.key("response_headers"), written);
        rules.push(PolicyRule::ResponseHeaders(Box::new(headers)));
    }
    let methods = &written.scope.methods;
    if written.cors.is_some() && !methods.is_empty() && !methods.iter().any(|method| method == "OPTIONS") {
        let message = "this scope leaves out preflights, which are `OPTIONS`".to_owned();
        checker.warning(
            &at.key("scope").key("methods"),
            report::NO_EFFECT,
            message,
            "add `OPTIONS`, or remove `methods`",
        );
    }
    rules
}

fn cors(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Cors) -> Cors {
    let origins_at = at.key("origins");
    let any_origin = written.origins.iter().any(|origin| origin == "*");
    if any_origin && written.origins.len() > 1 {
        let message = "`*` is every origin; the others add nothing".to_owned();
        checker.error(&origins_at, report::CONTRADICTION, message, "write `*` alone, or leave it out");
    }
    let listed = written.origins.iter().enumerate().filter(|(_, origin)| *origin != "*");
    let origins = listed.filter_map(|(index, text)| origin(checker, &origins_at.index(index), text)).collect();
    let cors = Cors {
        any_origin,
        origins,
        opaque_origin: written.opaque_origin,
        methods: checker.methods(&at.key("methods"), &written.methods),
        headers: header_names(checker, &at.key("headers"), &written.headers),
        exposed_headers: header_names(checker, &at.key("exposed_headers"), &written.exposed_headers),
        credentials: written.credentials,
        max_age_secs: checker.duration(&at.key("max_age"), &written.max_age, defaults::PREFLIGHT_AGE) / 1000,
        private_network: written.private_network,
    };
    credentials(checker, at, written, &cors);
    cors
}

/// What cookies must not come along with.
fn credentials(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Cors, cors: &Cors) {
    if !cors.credentials {
        return;
    }
    let any = [
        ("origins", cors.any_origin),
        ("headers", cors.headers == HeaderNames::Any),
        ("exposed_headers", cors.exposed_headers == HeaderNames::Any),
    ];
    for (name, _) in any.into_iter().filter(|(_, is_any)| *is_any) {
        let message = format!("`{name}` is `*`, which does not go with `credentials`");
        let help = "list them: with cookies, `*` would let every page act for the user (Fetch standard)";
        checker.error(&at.key(name), report::CONTRADICTION, message, help);
    }
    if cors.opaque_origin {
        let message = "`opaque_origin` with `credentials` lets any page act for the user".to_owned();
        let help = "remove one of them: any page can open a frame whose origin is `null`";
        checker.error(&at.key("opaque_origin"), report::CONTRADICTION, message, help);
    }
    for (index, text) in written.origins.iter().enumerate() {
        let is_here = |name: &str| ["localhost", "127.0.0.1", "[::1]"].iter().any(|here| name.starts_with(here));
        if text.strip_prefix("http://").is_some_and(|name| !is_here(name)) {
            let message = format!("`{}` is in clear text: who is on the way can be this page", excerpt(text));
            checker.warning(&at.key("origins").index(index), report::WEAK, message, "write `https://`");
        }
    }
}

fn csrf(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Csrf) -> Csrf {
    let origins_at = at.key("origins");
    let safe_methods = checker.methods(&at.key("safe_methods"), &written.safe_methods);
    for (index, method) in safe_methods.iter().enumerate() {
        if matches!(method.as_str(), "POST" | "PUT" | "PATCH" | "DELETE") {
            let message = format!("`{method}` is not safe (RFC 9110 §9.2.1): it is there to change something");
            let help = "remove it, or narrow the policy's scope";
            checker.warning(&at.key("safe_methods").index(index), report::WEAK, message, help);
        }
    }
    Csrf {
        origins: written
            .origins
            .iter()
            .enumerate()
            .filter_map(|(index, text)| origin(checker, &origins_at.index(index), text))
            .collect(),
        same_site: written.same_site,
        safe_methods,
        allow_unknown: written.allow_unknown,
        token: written.token.as_ref().map(|token| CsrfToken {
            cookie: cookie_name(checker, &at.key("token").key("cookie"), &token.cookie),
            header: checker.header_name(&at.key("token").key("header"), &token.header),
        }),
    }
}

fn cookie_name(checker: &mut Checker<'_, '_>, at: &SettingPath, text: &str) -> String {
    if text.bytes().any(|byte| !byte.is_ascii_graphic() || b"=;,\"".contains(&byte)) {
        let message = format!("`{}` is not a cookie's name", excerpt(text));
        checker.error(at, report::MALFORMED_TOKEN, message, "write a name such as `__Host-csrf`");
    }
    text.to_owned()
}

fn header_names(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &[String]) -> HeaderNames {
    if written.iter().any(|name| name == "*") {
        if written.iter().any(|name| name != "*" && !name.eq_ignore_ascii_case("authorization")) {
            let message = "`*` is every field; the others add nothing".to_owned();
            checker.error(at, report::CONTRADICTION, message, "write `*` alone, or leave it out");
        }
        return HeaderNames::Any;
    }
    let names = written.iter().enumerate();
    HeaderNames::Listed(names.map(|(index, name)| checker.header_name(&at.index(index), name)).collect())
}

/// An origin, or every name below one.
fn origin(checker: &mut Checker<'_, '_>, at: &SettingPath, text: &str) -> Option<OriginPattern> {
    let lower = text.to_ascii_lowercase();
    let fault = match parts(&lower) {
        Ok((scheme, host, port)) => {
            let default = matches!((scheme, port), ("http", Some(80)) | ("https", Some(443)));
            let port = port.filter(|_| !default).map(|port| format!(":{port}")).unwrap_or_default();
            let Some(suffix) = host.strip_prefix('*') else {
                return Some(OriginPattern::Exact(format!("{scheme}://{host}{port}")));
            };
            if suffix.matches('.').count() == 1 {
                let message = format!("`{}` stands for every name below `{}`", excerpt(text), excerpt(suffix));
                let help = "name a domain of your own, such as `https://*.shop.example`";
                checker.warning(at, report::WEAK, message, help);
            }
            return Some(OriginPattern::Below { scheme: format!("{scheme}://"), suffix: format!("{suffix}{port}") });
        }
        Err(help) => help,
    };
    checker.error(at, report::MALFORMED_URL, format!("`{}` is not an origin", excerpt(text)), fault);
    None
}

/// Scheme, host and port of an origin, or what to do about it.
fn parts(text: &str) -> Result<(&str, &str, Option<u16>), &'static str> {
    const EXAMPLE: &str = "write scheme and host: `https://www.shop.example` or `https://*.shop.example`";
    if text == "null" {
        return Err("write `opaque_origin: true`; anybody can make such a page");
    }
    let (scheme, rest) = text.split_once("://").ok_or(EXAMPLE)?;
    if rest.contains(['/', '?', '#', '@']) {
        return Err("write scheme, host and port alone, without a path and without `/` at the end");
    }
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !rest.ends_with(']') => (host, Some(port.parse().map_err(|_| "mend the port")?)),
        _ => (rest, None),
    };
    let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let name = host.strip_prefix("*.").unwrap_or(host);
    let is_name = !name.is_empty()
        && name.split('.').all(|label| {
            !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        });
    let is_host = is_name || literal.is_some_and(|literal| literal.parse::<std::net::Ipv6Addr>().is_ok());
    if !host.is_ascii() {
        return Err("write names beyond ASCII as browsers send them: `xn--…`");
    }
    if is_scheme(scheme) && is_host { Ok((scheme, host, port)) } else { Err(EXAMPLE) }
}

fn response_headers(
    checker: &mut Checker<'_, '_>,
    at: &SettingPath,
    written: &document::ResponseHeaders,
) -> ResponseHeaders {
    let replaces = matches!(written.existing, ExistingHeader::Replace);
    let mut set = named_fields(checker, at, written, replaces);
    for (index, written) in written.set.iter().enumerate() {
        let at = at.key("set").index(index);
        let replaces = written.existing.map_or(replaces, |existing| matches!(existing, ExistingHeader::Replace));
        let name = response_field(checker, &at.key("name"), &written.name);
        let value = field_value(checker, &at.key("value"), &written.value);
        if set.iter().any(|other| other.name == name) {
            let message = format!("`{}` is set twice", excerpt(&name));
            let help = "remove it here, or empty the policy's own setting";
            checker.error(&at.key("name"), report::NOT_UNIQUE, message, help);
        }
        set.push(SetHeader { name, value, replaces, on: AnswersSet::All });
    }
    let remove_at = at.key("remove");
    let remove = written.remove.iter().enumerate();
    let remove: Vec<String> =
        remove.map(|(index, name)| response_field(checker, &remove_at.index(index), name)).collect();
    for (index, name) in remove.iter().enumerate() {
        if set.iter().any(|other| other.name == *name) {
            let message = format!("`{}` is both set and removed", excerpt(name));
            let help = "to set it whatever the upstream says, write `existing: replace` alone";
            checker.error(&remove_at.index(index), report::CONTRADICTION, message, help);
        }
    }
    if set.is_empty() && remove.is_empty() {
        let message = "`response_headers` changes nothing".to_owned();
        checker.error(at, report::EMPTY, message, "set or remove a field, or remove the policy");
    }
    ResponseHeaders { set, remove }
}

/// The fields that have settings of their own.
fn named_fields(
    checker: &mut Checker<'_, '_>,
    at: &SettingPath,
    written: &document::ResponseHeaders,
    replaces: bool,
) -> Vec<SetHeader> {
    let mut set = Vec::new();
    let mut add = |name: &str, value: String, on: AnswersSet| {
        if !value.is_empty() {
            set.push(SetHeader { name: name.to_owned(), value, replaces, on });
        }
    };
    if let Some(value) = strict_transport_security(checker, &at.key("strict_transport_security"), written) {
        add("strict-transport-security", value, AnswersSet::Tls);
    }
    if written.content_type_options {
        add("x-content-type-options", "nosniff".to_owned(), AnswersSet::All);
    }
    let referrer = match written.referrer_policy {
        ReferrerPolicy::NoReferrer => "no-referrer",
        ReferrerPolicy::SameOrigin => "same-origin",
        ReferrerPolicy::StrictOrigin => "strict-origin",
        ReferrerPolicy::StrictOriginWhenCrossOrigin => "strict-origin-when-cross-origin",
        ReferrerPolicy::Unset => "",
    };
    add("referrer-policy", referrer.to_owned(), AnswersSet::All);
    let texts = [
        ("content_security_policy", "content-security-policy", &written.content_security_policy, AnswersSet::All),
        ("permissions_policy", "permissions-policy", &written.permissions_policy, AnswersSet::All),
        ("cache_control", "cache-control", &written.cache_control, AnswersSet::Credentials),
    ];
    for (key, name, value, on) in texts {
        add(name, field_value(checker, &at.key(key), value), on);
    }
    set
}

fn strict_transport_security(
    checker: &mut Checker<'_, '_>,
    at: &SettingPath,
    written: &document::ResponseHeaders,
) -> Option<String> {
    /// What browsers want before they ship with a host (hstspreload.org).
    const PRELOAD_SECS_MIN: u64 = 365 * 86_400;
    let hsts = &written.strict_transport_security;
    let age_secs = checker.duration(&at.key("max_age"), &hsts.max_age, defaults::HSTS_AGE) / 1000;
    if hsts.preload && !(hsts.include_subdomains && age_secs >= PRELOAD_SECS_MIN) {
        let message = "`preload` is not taken without `include_subdomains` and a year of `max_age`".to_owned();
        checker.error(&at.key("preload"), report::CONTRADICTION, message, "add both, or remove `preload`");
    }
    let below = if hsts.include_subdomains { "; includeSubDomains" } else { "" };
    let preload = if hsts.preload { "; preload" } else { "" };
    hsts.enabled.then(|| format!("max-age={age_secs}{below}{preload}"))
}

fn field_value(checker: &mut Checker<'_, '_>, at: &SettingPath, text: &str) -> String {
    if text.bytes().any(|byte| !matches!(byte, b' '..=b'~')) || text.trim() != text {
        let message = format!("`{}` is not a field's value", excerpt(text));
        let help = "write visible ASCII on one line, without space at its ends";
        checker.error(at, report::MALFORMED_TOKEN, message, help);
    }
    text.to_owned()
}

fn response_field(checker: &mut Checker<'_, '_>, at: &SettingPath, text: &str) -> String {
    let name = checker.header_name(at, text);
    if RESERVED.contains(&name.as_str()) || name.starts_with("access-control-") {
        let help = match name.starts_with("access-control-") {
            true => "write a policy of the kind `cors`",
            false => "leave it out: it says how an answer is framed, or is the gateway's own",
        };
        checker.error(at, report::CONTRADICTION, format!("`{}` is not a policy's to change", excerpt(&name)), help);
    }
    name
}
