//! Names that announce a secret: of parameters, fields, members, header fields and path segments.
//!
//! A name is compared by its ASCII letters and digits in lower case: `X-Api-Key`, `api_key` and `user[apiKey]` all hold
//! `apikey`. Being wrong on the cautious side costs little, because a mask keeps the value's shape.

/// Secret wherever they stand in a name.
const CONTAINED: &[&str] = &[
    "accesskey",
    "accesstoken",
    "accountnumber",
    "apikey",
    "assertion",
    "authkey",
    "authtoken",
    "bearer",
    "cardnumber",
    "clientcert",
    "creditcard",
    "credential",
    "csrf",
    "cvc",
    "cvv",
    "idtoken",
    "jwt",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "refreshtoken",
    "routingnumber",
    "samlresponse",
    "secret",
    "securitycode",
    "sessionid",
    "sessiontoken",
    "signature",
    "signingkey",
    "socialsecurity",
    "subscriptionkey",
    "xsrf",
];

/// Secret as the end of a name.
const ENDINGS: &[&str] = &["token", "pwd", "pin", "otp", "ssn", "iban"];

/// Secret as the whole name.
const WHOLE: &[&str] =
    &["auth", "authorization", "card", "cardno", "jsessionid", "pan", "pass", "phpsessid", "pw", "sid", "sig", "xauth"];

/// Ending in one of [`ENDINGS`] without being a secret.
const INNOCENT: &[&str] = &["mapping", "shipping", "shopping", "spin"];

/// Path segments that a secret follows: `/reset/{token}`.
const ANNOUNCING: &[&str] = &[
    "activate",
    "activation",
    "confirm",
    "confirmation",
    "invitation",
    "invite",
    "magic",
    "magiclink",
    "otp",
    "reset",
    "resetpassword",
    "passwordreset",
    "session",
    "sessions",
    "token",
    "tokens",
    "unsubscribe",
    "verify",
];

/// Whether the value of a parameter, field or member of this name is a secret.
pub(super) fn is_secret(name: &[u8]) -> bool {
    let plain = plain(name);
    // `user[password]`, `card.pin`: the last part by itself
    let last = name.split(|byte| b"[].".contains(byte)).rfind(|part| !part.is_empty()).unwrap_or_default();
    CONTAINED.iter().any(|word| plain.contains(word))
        || is_whole_or_ending(&plain)
        || (last.len() < name.len() && is_whole_or_ending(&self::plain(last)))
}

fn is_whole_or_ending(plain: &str) -> bool {
    WHOLE.contains(&plain) || (ENDINGS.iter().any(|word| plain.ends_with(word)) && !INNOCENT.contains(&plain))
}

/// The same for a query parameter, where two short names are credentials more often than not: Google's `key`, and
/// OAuth's `code` when it is long.
pub(super) fn is_secret_parameter(name: &[u8], value: &[u8]) -> bool {
    is_secret(name) || name == b"key" || (name == b"code" && value.len() >= 10)
}

/// The same for a header field: any `…-Key` but the two that are none.
pub(super) fn is_secret_header(name: &[u8]) -> bool {
    let plain = plain(name);
    is_secret(name) || (plain.ends_with("key") && plain != "secwebsocketkey" && plain != "idempotencykey")
}

/// Whether a path segment announces that the next one is a secret.
pub(super) fn announces_secret(segment: &[u8]) -> bool {
    // LIMIT: the longest word has 13 letters
    segment.len() <= 24 && (ANNOUNCING.contains(&&*plain(segment)))
}

fn plain(name: &[u8]) -> String {
    name.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(|byte| char::from(byte.to_ascii_lowercase())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telling_names_are_recognized_in_any_spelling() {
        for name in [
            "password",
            "userPassword",
            "user[password]",
            "X-Api-Key",
            "api_key",
            "access-token",
            "pageToken",
            "PIN",
            "pw",
            "pwd",
            "passwd",
            "otp",
            "cvv",
            "card",
            "payment[card]",
            "card.pin",
            "SSN",
            "client_secret",
        ] {
            assert!(is_secret(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn innocent_names_are_left_alone() {
        for name in [
            "id",
            "name",
            "max_tokens",
            "token_type",
            "shipping",
            "author",
            "authority",
            "company",
            "passenger",
            "keyword",
            "",
        ] {
            assert!(!is_secret(name.as_bytes()), "{name}");
        }
        assert!(is_secret_header(b"X-Functions-Key") && !is_secret_header(b"Sec-WebSocket-Key"));
        assert!(is_secret_parameter(b"key", b"1") && !is_secret_parameter(b"code", b"DE"));
    }
}
