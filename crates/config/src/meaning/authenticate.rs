//! Policies that say who may call: which methods, which keys, and what must not be written.

use std::net::IpAddr;

use bartizan_model::excerpt;

use super::Checker;
use crate::authentication::{
    ApiKeyMethod, Authenticate, AuthenticationMethod, BasicMethod, ClaimRule, ExternalMethod, IdentityHeader,
    IdentityValue, IntrospectionMethod, JwtAlgorithm, JwtMethod, KeySource, MtlsMethod, SignatureMethod, User,
};
use crate::defaults;
use crate::document;
use crate::path::SettingPath;
use crate::report;

/// What a method can be, for messages.
const METHODS: &str = "`jwt`, `api_key`, `basic`, `mtls`, `introspection`, `signature` and `external`";
/// Components that the engine can compute (RFC 9421 §2).
const DERIVED_COMPONENTS: [&str; 7] =
    ["@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query"];
/// LIMIT: memory and passes of an argon2 hash; a document must not make one check take the machine.
const ARGON2_MEMORY_KIB_MAX: u32 = 262_144;
const ARGON2_PASSES_MAX: u32 = 16;

/// The meaning of `authenticate`.
pub(super) fn authenticate(
    checker: &mut Checker<'_, '_>,
    at: &SettingPath,
    written: &document::Authenticate,
) -> Authenticate {
    if written.anonymous && !written.required_scopes.is_empty() {
        let message = "a caller without a credential has no scopes, so `anonymous` lets nobody through".to_owned();
        let help = "leave out `anonymous: true`, or demand scopes in a policy of their own";
        checker.error(&at.key("required_scopes"), report::CONTRADICTION, message, help);
    }
    let is_open =
        written.methods.iter().any(|method| method.external.as_ref().is_some_and(|external| external.fail_open));
    if is_open && !written.required_scopes.is_empty() {
        let message =
            "a caller that the authorizer could not be asked about has no scopes, so `fail_open` lets nobody through";
        let help = "leave out `fail_open: true`, or demand scopes in a policy of their own";
        checker.error(&at.key("required_scopes"), report::CONTRADICTION, message.to_owned(), help);
    }
    let methods_at = at.key("methods");
    if written.methods.len() > defaults::AUTHENTICATION_METHODS_MAX {
        let message = format!("{} methods are more than a request can wait for", written.methods.len());
        let help =
            format!("write at most {}, and another policy for another scope", defaults::AUTHENTICATION_METHODS_MAX);
        checker.error(&methods_at, report::OUT_OF_RANGE, message, help);
    }
    let methods = written.methods.iter().enumerate();
    let methods =
        methods.filter_map(|(index, method)| self::method(checker, &methods_at.index(index), method)).collect();
    let headers_at = at.key("identity_headers");
    let headers = written.identity_headers.iter().enumerate();
    Authenticate {
        methods,
        anonymous: written.anonymous,
        required_scopes: scopes(checker, &at.key("required_scopes"), &written.required_scopes),
        strip: written.strip,
        identity_headers: headers
            .filter_map(|(index, header)| identity_header(checker, &headers_at.index(index), header))
            .collect(),
        is_subject_plain: matches!(written.subject, document::SubjectForm::Plain),
        realm: realm(checker, &at.key("realm"), &written.realm),
    }
}

fn method(
    checker: &mut Checker<'_, '_>,
    at: &SettingPath,
    written: &document::AuthenticationMethod,
) -> Option<AuthenticationMethod> {
    let mut found = Vec::new();
    if let Some(jwt) = &written.jwt {
        found.extend(self::jwt(checker, &at.key("jwt"), jwt).map(|jwt| AuthenticationMethod::Jwt(Box::new(jwt))));
    }
    if let Some(key) = &written.api_key {
        let header = checker.header_name(&at.key("api_key").key("header"), &key.header);
        if key.query.is_some() {
            let message = "keys in URLs end in logs, histories and referrers".to_owned();
            checker.warning(&at.key("api_key").key("query"), report::WEAK, message, "let clients send the header");
        }
        found.push(AuthenticationMethod::ApiKey(ApiKeyMethod { header, query: key.query.clone() }));
    }
    if let Some(basic) = &written.basic {
        found.push(AuthenticationMethod::Basic(self::basic(checker, &at.key("basic"), basic)));
    }
    if let Some(mtls) = &written.mtls {
        found.push(AuthenticationMethod::Mtls(Box::new(self::mtls(checker, &at.key("mtls"), mtls))));
    }
    if let Some(asked) = &written.introspection {
        let asked = introspection(checker, &at.key("introspection"), asked);
        found.push(AuthenticationMethod::Introspection(Box::new(asked)));
    }
    if let Some(signature) = &written.signature {
        let signature = self::signature(checker, &at.key("signature"), signature);
        found.push(AuthenticationMethod::Signature(signature));
    }
    if let Some(external) = &written.external {
        found.push(AuthenticationMethod::External(self::external(checker, &at.key("external"), external)));
    }
    let written = [
        written.jwt.is_some(),
        written.api_key.is_some(),
        written.basic.is_some(),
        written.mtls.is_some(),
        written.introspection.is_some(),
        written.signature.is_some(),
        written.external.is_some(),
    ];
    match written.into_iter().filter(|is_written| *is_written).count() {
        1 => found.pop(),
        0 => {
            let message = "an authentication method names nothing".to_owned();
            checker.error(at, report::NOT_ONE_RULE, message, format!("add one of {METHODS}"));
            None
        }
        _ => {
            let message = "an authentication method is more than one".to_owned();
            checker.error(
                at,
                report::NOT_ONE_RULE,
                message,
                format!("write an item of the list for each of {METHODS}"),
            );
            None
        }
    }
}

fn jwt(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Jwt) -> Option<JwtMethod> {
    let keys = key_source(checker, at, written)?;
    let algorithms: Vec<JwtAlgorithm> = written.algorithms.iter().copied().map(algorithm).collect();
    let symmetric = algorithms.iter().filter(|algorithm| algorithm.is_symmetric()).count();
    let algorithms_at = at.key("algorithms");
    if symmetric > 0 && symmetric < algorithms.len() {
        let message = "`algorithms` mixes secrets with public keys, so that one may pass for the other".to_owned();
        let help = "write a `jwt` method for each kind";
        checker.error(&algorithms_at, report::CONTRADICTION, message, help);
    } else if symmetric > 0 && !matches!(keys, KeySource::File(_)) {
        let message = "a secret that is published is none".to_owned();
        checker.error(&algorithms_at, report::CONTRADICTION, message, "keep the secret in a `jwks_file`");
    } else if symmetric > 0 {
        let message = "who can check tokens with a shared secret can also forge them".to_owned();
        let help = "let the issuer sign with ES256 or EdDSA";
        checker.warning(&algorithms_at, report::WEAK, message, help);
    }
    let origins_at = at.key("origins");
    let origins = written.origins.iter().enumerate();
    let seconds = |ms: u64| u32::try_from(ms / 1000).unwrap_or(u32::MAX);
    Some(JwtMethod {
        issuer: written.issuer.clone(),
        audiences: written.audiences.clone(),
        keys,
        algorithms,
        types: written.types.iter().map(|name| media_type(name)).collect(),
        leeway_secs: seconds(checker.duration(&at.key("leeway"), &written.leeway, defaults::LEEWAY)),
        keys_age_max_secs: seconds(checker.duration(
            &at.key("keys_age_max"),
            &written.keys_age_max,
            defaults::KEYS_AGE,
        )),
        claims: written.claims.iter().map(claim_rule).collect(),
        subject_claim: written.subject_claim.clone(),
        application_claim: written.application_claim.clone(),
        scopes_claim: written.scopes_claim.clone(),
        roles_claim: written.roles_claim.clone(),
        sender_constrained: written.sender_constrained,
        origins: origins
            .filter_map(|(index, origin)| self::origin(checker, &origins_at.index(index), origin))
            .collect(),
        proof_age_max_secs: seconds(checker.duration(
            &at.key("proof_age_max"),
            &written.proof_age_max,
            defaults::PROOF_AGE,
        )),
        proof_nonce: written.proof_nonce,
    })
}

/// The one place that a method's keys come from.
fn key_source(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Jwt) -> Option<KeySource> {
    match (&written.jwks_file, &written.jwks_url, written.discovery) {
        (Some(file), None, false) => Some(KeySource::File(checker.file(&at.key("jwks_file"), file))),
        (None, Some(url), false) => {
            url_to_ask(checker, &at.key("jwks_url"), url);
            Some(KeySource::Url(url.clone()))
        }
        (None, None, true) => {
            url_to_ask(checker, &at.key("issuer"), &written.issuer);
            Some(KeySource::Discovery(written.issuer.clone()))
        }
        (None, None, false) => {
            let message = "nothing says where the issuer's keys are".to_owned();
            checker.error(at, report::MISSING_KEY, message, "add `jwks_file`, `jwks_url` or `discovery: true`");
            None
        }
        _ => {
            let message = "the issuer's keys are in more than one place".to_owned();
            let help = "keep one of `jwks_file`, `jwks_url` and `discovery: true`";
            checker.error(at, report::CONTRADICTION, message, help);
            None
        }
    }
}

/// A URL that the gateway asks: TLS, or loopback.
fn url_to_ask(checker: &mut Checker<'_, '_>, at: &SettingPath, url: &str) {
    let fault = match url.split_once("://") {
        Some(("https", rest)) if !rest.is_empty() && !rest.starts_with('/') => None,
        Some(("http", rest)) if is_loopback(rest) => None,
        Some(("http", _)) => Some("write `https://`: who can change the answer can name the keys"),
        _ => Some("write a URL such as `https://login.example/keys`"),
    };
    let has_odd_bytes = url.bytes().any(|byte| byte <= b' ' || byte >= 0x7f || byte == b'#');
    let has_credentials = url.split_once("://").is_some_and(|(_, rest)| authority(rest).contains('@'));
    if let Some(help) = fault.or_else(|| {
        (has_odd_bytes || has_credentials).then_some("leave out spaces, `#` and `user@`, and letters beyond ASCII")
    }) {
        checker.error(at, report::MALFORMED_URL, format!("`{}` is not a URL to ask", excerpt(url)), help);
    }
}

fn authority(rest: &str) -> &str {
    rest.split(['/', '?']).next().unwrap_or_default()
}

fn is_loopback(rest: &str) -> bool {
    let authority = authority(rest);
    let host = match authority.strip_prefix('[') {
        Some(literal) => literal.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn origin(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &str) -> Option<String> {
    let origin = written.strip_suffix('/').unwrap_or(written).to_ascii_lowercase();
    let is_origin = origin.split_once("://").is_some_and(|(scheme, rest)| {
        matches!(scheme, "https" | "http")
            && !rest.is_empty()
            && !rest.contains(['/', '?', '#', '@'])
            && rest.bytes().all(|byte| byte.is_ascii_graphic())
    });
    if !is_origin {
        let message = format!("`{}` is not an origin", excerpt(written));
        checker.error(at, report::MALFORMED_URL, message, "write scheme and host alone: `https://api.example`");
    }
    is_origin.then_some(origin)
}

fn basic(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Basic) -> BasicMethod {
    let users_at = at.key("users");
    let mut users: Vec<User> = Vec::with_capacity(written.users.len());
    for (index, user) in written.users.iter().enumerate() {
        let at = users_at.index(index);
        if user.name.contains(':') || user.name.chars().any(char::is_control) {
            let message = format!("`{}` cannot be a user name", excerpt(&user.name));
            let help = "leave out `:` and control characters (RFC 7617 §2)";
            checker.error(&at.key("name"), report::MALFORMED_NAME, message, help);
        } else if users.iter().any(|other| other.name == user.name) {
            let message = format!("two users have the name `{}`", excerpt(&user.name));
            checker.error(&at.key("name"), report::NOT_UNIQUE, message, "rename one");
        }
        if let Some(help) = password_hash_fault(&user.password_hash) {
            // The value is not shown: it may be a password that somebody wrote here by mistake.
            let message = "`password_hash` is not an argon2id hash".to_owned();
            checker.error(&at.key("password_hash"), report::MALFORMED_SECRET, message, help);
        }
        users.push(User {
            name: user.name.clone(),
            password_hash: user.password_hash.clone(),
            scopes: scopes(checker, &at.key("scopes"), &user.scopes),
            roles: user.roles.clone(),
        });
    }
    BasicMethod { users }
}

/// Why `text` is not a PHC string of argon2id that may be checked, or nothing.
fn password_hash_fault(text: &str) -> Option<&'static str> {
    const FORM: &str = "write a PHC string, `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`; never the password itself";
    let mut parts = text.split('$');
    let (Some(""), Some("argon2id"), Some("v=19"), Some(parameters), Some(salt), Some(hash), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Some(FORM);
    };
    let is_base64 = |text: &str, min: usize| {
        text.len() >= min && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
    };
    if !is_base64(salt, 11) || !is_base64(hash, 22) {
        return Some(FORM);
    }
    let mut cost = [None; 3];
    for (parameter, (name, cost)) in parameters.split(',').zip(["m=", "t=", "p="].into_iter().zip(&mut cost)) {
        *cost = parameter.strip_prefix(name).and_then(|number| number.parse::<u32>().ok());
    }
    let [Some(memory), Some(passes), Some(lanes)] = cost else { return Some(FORM) };
    if parameters.split(',').count() != cost.len() || lanes == 0 || lanes > 16 {
        Some(FORM)
    } else if memory < 7168 || passes == 0 {
        Some("hash it again with at least `m=19456,t=2,p=1`: this one is guessed too fast")
    } else if memory > ARGON2_MEMORY_KIB_MAX || passes > ARGON2_PASSES_MAX {
        Some("hash it again with at most `m=262144,t=16`: one check of this takes too long")
    } else {
        None
    }
}

fn mtls(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Mtls) -> MtlsMethod {
    let spiffe_at = at.key("spiffe_ids");
    for (index, id) in written.spiffe_ids.iter().enumerate() {
        let rest = id.strip_prefix("spiffe://").unwrap_or_default();
        let domain = authority(rest);
        let is_domain = !domain.is_empty()
            && domain
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_'));
        if !is_domain {
            let message = format!("`{}` is not a SPIFFE id", excerpt(id));
            let help = "write a trust domain in lower case and a path: `spiffe://example.org/ns/*/sa/orders`";
            checker.error(&spiffe_at.index(index), report::MALFORMED_URL, message, help);
        }
    }
    let issuers_at = at.key("issuers");
    let issuers = written.issuers.iter().enumerate().filter_map(|(index, text)| {
        let fingerprint = fingerprint(text);
        if fingerprint.is_none() {
            let message = format!("`{}` is not a fingerprint", excerpt(text));
            let help = "write the SHA-256 of the certificate in DER: 64 hexadecimal digits, `:` between them or not";
            checker.error(&issuers_at.index(index), report::MALFORMED_SECRET, message, help);
        }
        fingerprint
    });
    let issuers = issuers.collect();
    MtlsMethod {
        subjects: written.subjects.clone(),
        dns_names: written.dns_names.iter().map(|name| name.to_ascii_lowercase()).collect(),
        uris: written.uris.clone(),
        emails: written.emails.clone(),
        spiffe_ids: written.spiffe_ids.clone(),
        issuers,
        scopes: scopes(checker, &at.key("scopes"), &written.scopes),
    }
}

fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|letter| *letter != ':')
        .map(|letter| letter.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> =
        digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    (digits.len() == 64).then(|| bytes.try_into().ok()).flatten()
}

fn introspection(
    checker: &mut Checker<'_, '_>,
    at: &SettingPath,
    written: &document::Introspection,
) -> IntrospectionMethod {
    url_to_ask(checker, &at.key("url"), &written.url);
    let age_max = checker.duration(&at.key("age_max"), &written.age_max, defaults::INTROSPECTION_AGE);
    IntrospectionMethod {
        url: written.url.clone(),
        client_id: written.client_id.clone(),
        client_secret_file: checker.file(&at.key("client_secret_file"), &written.client_secret_file),
        audiences: written.audiences.clone(),
        age_max_secs: u32::try_from(age_max / 1000).unwrap_or(u32::MAX),
        sender_constrained: written.sender_constrained,
        proof_nonce: written.proof_nonce,
    }
}

fn external(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::External) -> ExternalMethod {
    url_to_ask(checker, &at.key("url"), &written.url);
    let headers_at = at.key("headers");
    let headers = written.headers.iter().enumerate();
    let age_max = checker.duration(&at.key("age_max"), &written.age_max, defaults::EXTERNAL_AGE);
    if written.fail_open {
        let message = "requests pass unasked while the authorizer is away".to_owned();
        let help = "leave `fail_open` out where it decides what somebody may do";
        checker.warning(&at.key("fail_open"), report::WEAK, message, help);
    }
    ExternalMethod {
        url: written.url.clone(),
        headers: headers.map(|(index, name)| checker.header_name(&headers_at.index(index), name)).collect(),
        timeout_ms: checker.duration(&at.key("timeout"), &written.timeout, defaults::EXTERNAL_TIMEOUT),
        fail_open: written.fail_open,
        age_max_secs: u32::try_from(age_max / 1000).unwrap_or(u32::MAX),
    }
}

fn signature(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Signature) -> SignatureMethod {
    let components_at = at.key("components");
    let components = written.components.iter().enumerate().map(|(index, component)| {
        let at = components_at.index(index);
        if !component.starts_with('@') {
            return checker.header_name(&at, component);
        }
        if !DERIVED_COMPONENTS.contains(&component.as_str()) {
            let message = format!("`{}` is not a component of a request", excerpt(component));
            let help = bartizan_model::did_you_mean(component, DERIVED_COMPONENTS)
                .unwrap_or_else(|| format!("write a field name, or one of {}", DERIVED_COMPONENTS.join(", ")));
            checker.error(&at, report::UNKNOWN_WORD, message, help);
        }
        component.clone()
    });
    let components = components.collect();
    let age_max = checker.duration(&at.key("age_max"), &written.age_max, defaults::SIGNATURE_AGE);
    SignatureMethod {
        keys: KeySource::File(checker.file(&at.key("jwks_file"), &written.jwks_file)),
        components,
        age_max_secs: u32::try_from(age_max / 1000).unwrap_or(u32::MAX),
        scopes: scopes(checker, &at.key("scopes"), &written.scopes),
    }
}

fn identity_header(
    checker: &mut Checker<'_, '_>,
    at: &SettingPath,
    written: &document::IdentityHeader,
) -> Option<IdentityHeader> {
    let name = checker.header_name(&at.key("name"), &written.name);
    let value = match (written.value, &written.claim) {
        (Some(value), None) => match value {
            document::IdentityValue::Subject => IdentityValue::Subject,
            document::IdentityValue::Issuer => IdentityValue::Issuer,
            document::IdentityValue::Application => IdentityValue::Application,
            document::IdentityValue::Scopes => IdentityValue::Scopes,
            document::IdentityValue::Roles => IdentityValue::Roles,
        },
        (None, Some(claim)) => IdentityValue::Claim(claim.clone()),
        (None, None) | (Some(_), Some(_)) => {
            let message = format!("the identity header `{}` holds nothing, or two things", excerpt(&written.name));
            checker.error(at, report::CONTRADICTION, message, "write exactly one of `value` and `claim`");
            return None;
        }
    };
    Some(IdentityHeader { name, value })
}

/// A claim and what it may be.
pub(super) fn claim_rule(written: &document::ClaimRule) -> ClaimRule {
    ClaimRule { name: written.name.clone(), values: written.values.clone() }
}

/// Scopes: visible ASCII without `"` and `\` (RFC 6749 §3.3).
pub(super) fn scopes(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &[String]) -> Vec<String> {
    for (index, scope) in written.iter().enumerate() {
        if scope.is_empty() || !scope.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')) {
            let message = format!("`{}` is not a scope", excerpt(scope));
            let help = "write one scope an item: visible ASCII without spaces, `\"` and `\\`";
            checker.error(&at.index(index), report::MALFORMED_TOKEN, message, help);
        }
    }
    written.to_vec()
}

fn realm(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &str) -> String {
    if !written.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
        let message = format!("`{}` is not a realm", excerpt(written));
        checker.error(at, report::MALFORMED_NAME, message, "use printable ASCII without `\"` and `\\`");
    }
    written.to_owned()
}

/// A type as it is compared: lower case, without `application/` (RFC 7515 §4.1.9).
fn media_type(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    lower.strip_prefix("application/").map(str::to_owned).unwrap_or(lower)
}

const fn algorithm(written: document::JwtAlgorithm) -> JwtAlgorithm {
    match written {
        document::JwtAlgorithm::Rs256 => JwtAlgorithm::Rs256,
        document::JwtAlgorithm::Rs384 => JwtAlgorithm::Rs384,
        document::JwtAlgorithm::Rs512 => JwtAlgorithm::Rs512,
        document::JwtAlgorithm::Ps256 => JwtAlgorithm::Ps256,
        document::JwtAlgorithm::Ps384 => JwtAlgorithm::Ps384,
        document::JwtAlgorithm::Ps512 => JwtAlgorithm::Ps512,
        document::JwtAlgorithm::Es256 => JwtAlgorithm::Es256,
        document::JwtAlgorithm::Es384 => JwtAlgorithm::Es384,
        document::JwtAlgorithm::EdDsa => JwtAlgorithm::EdDsa,
        document::JwtAlgorithm::Hs256 => JwtAlgorithm::Hs256,
        document::JwtAlgorithm::Hs384 => JwtAlgorithm::Hs384,
        document::JwtAlgorithm::Hs512 => JwtAlgorithm::Hs512,
    }
}
