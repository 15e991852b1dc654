//! ACC-201 to ACC-221 and ACC-231 to ACC-233: why a caller is not known. ACC-301: the caller is known, and may not do this.
//!
//! Evidence comes from a closed set of words: it never holds a credential, a claim or anything else that was sent.

use bartizan_model::{CheckInfo, Severity};

const fn broken_authentication(
    id: &'static str,
    title: &'static str,
    severity: Severity,
    cwe: &'static [u32],
    why: &'static str,
    fix: &'static str,
) -> CheckInfo {
    CheckInfo { id, title, severity, owasp: "API2:2023", cwe, since: "0.1", why, fix }
}

/// No credential.
pub(crate) static MISSING: CheckInfo = broken_authentication(
    "ACC-201",
    "credentials missing",
    Severity::Medium,
    &[306],
    "somebody calls an endpoint that is for known callers without saying who it is",
    "when the endpoint is meant for everybody, narrow the policy's scope or write `anonymous: true`; otherwise nothing",
);

/// Not a token.
pub(crate) static MALFORMED: CheckInfo = broken_authentication(
    "ACC-202",
    "credential malformed",
    Severity::Medium,
    &[287, 1286],
    "text that only looks like a credential is a broken client, or a search for a reader that is less strict",
    "look at the evidence and at the client; a client that sends two credentials in one field must decide for one",
);

/// `none`, or an algorithm that is not pinned.
pub(crate) static ALGORITHM: CheckInfo = broken_authentication(
    "ACC-203",
    "token algorithm not accepted",
    Severity::High,
    &[327, 347],
    "a token that names its own algorithm (`none`, HS256 with a public key as the secret) tries to choose how it is checked",
    "when the issuer has changed its algorithm, add it to `algorithms`; otherwise look at who forges tokens",
);

/// Forged, or signed with another key.
pub(crate) static SIGNATURE: CheckInfo = broken_authentication(
    "ACC-204",
    "token signature invalid",
    Severity::High,
    &[347],
    "the token was changed, or was signed by somebody else",
    "look at who sends it; when it is every client, check that `jwks_file` or `jwks_url` belongs to this issuer",
);

/// Too late or too early.
pub(crate) static TIME: CheckInfo = broken_authentication(
    "ACC-205",
    "token outside of its time",
    Severity::Low,
    &[613],
    "an expired token is in use, or the clocks of issuer and gateway differ",
    "nothing when a client comes once and renews it; otherwise compare clocks, and mend the client",
);

/// From somebody else, or for somebody else.
pub(crate) static AUDIENCE: CheckInfo = broken_authentication(
    "ACC-206",
    "token of another issuer or for another audience",
    Severity::Medium,
    &[287, 346],
    "a token that was issued for one service is played to another",
    "when the token is meant for this API, add its issuer as a method or its audience to `audiences`",
);

/// `typ`, `crit`, claim rules.
pub(crate) static CLAIMS: CheckInfo = broken_authentication(
    "ACC-207",
    "token not of the kind or without the claims demanded",
    Severity::Medium,
    &[287],
    "a token of another kind (an identity token, a log-out token) or of another tenant is used as an access token",
    "when such tokens are meant, add the type to `types` or mend the rules in `claims`",
);

/// No key of this name.
pub(crate) static KEY: CheckInfo = broken_authentication(
    "ACC-208",
    "token signed with an unknown key",
    Severity::Medium,
    &[347],
    "the token names a key that the issuer does not publish: it is forged, or the issuer has dropped the key",
    "when it is every client, see whether the issuer's keys can be fetched (log and health), and whether it rotates properly",
);

/// Keys or an authority that cannot be asked.
pub(crate) static UNAVAILABLE: CheckInfo = broken_authentication(
    "ACC-209",
    "credential cannot be checked",
    Severity::High,
    &[636],
    "keys were never loaded or are too old, or the authorization server does not answer; access defaults to closed",
    "make the issuer's keys or the authorization server reachable from the gateway; the log says what failed",
);

/// A bound token without its proof.
pub(crate) static UNBOUND: CheckInfo = broken_authentication(
    "ACC-210",
    "token used without its proof of possession",
    Severity::High,
    &[294, 522],
    "a token that belongs to one key or certificate is used by somebody who does not show it: it may be stolen",
    "look at who sends it; a client must send a DPoP proof, or call with the certificate the token was issued for",
);

/// A DPoP proof that proves nothing.
pub(crate) static PROOF: CheckInfo = broken_authentication(
    "ACC-211",
    "DPoP proof invalid",
    Severity::High,
    &[345, 347],
    "the proof was made for another request, token, key or time, or was forged",
    "behind a proxy that changes scheme or host, name the public ones in `origins`; otherwise look at who sends it",
);

/// Seen before.
pub(crate) static REPLAY: CheckInfo = broken_authentication(
    "ACC-212",
    "proof or signature used again",
    Severity::High,
    &[294],
    "a request was recorded and sent again",
    "look at who sends it; a client that retries must make a new proof or signature for each try",
);

/// Not a key of ours.
pub(crate) static API_KEY: CheckInfo = broken_authentication(
    "ACC-213",
    "API key unknown",
    Severity::Medium,
    &[287, 307],
    "the key is mistyped, from another installation, or guessed",
    "look at who sends it; many of one client are a search",
);

/// No longer.
pub(crate) static API_KEY_LAPSED: CheckInfo = broken_authentication(
    "ACC-214",
    "API key expired or revoked",
    Severity::Medium,
    &[613],
    "a key that was taken back is still in use: by a client that nobody told, or by whom it was taken from",
    "tell the owner of the key; when the key was stolen, look at what else the client does",
);

/// Wrong user or password.
pub(crate) static PASSWORD: CheckInfo = broken_authentication(
    "ACC-215",
    "user name or password wrong",
    Severity::Medium,
    &[287, 307],
    "somebody mistypes a password, or guesses",
    "look at how often and from where it comes",
);

/// A certificate that will not do.
pub(crate) static CERTIFICATE: CheckInfo = broken_authentication(
    "ACC-216",
    "client certificate not acceptable",
    Severity::High,
    &[295, 297],
    "the certificate is genuine and belongs to somebody else, or is out of its time",
    "when this client is welcome, add its name to the method's lists; otherwise look at how it came here",
);

/// The authorization server says no.
pub(crate) static INACTIVE: CheckInfo = broken_authentication(
    "ACC-217",
    "token not active",
    Severity::Medium,
    &[613],
    "the authorization server does not vouch for the token: it was revoked, has expired or never existed",
    "nothing when a client comes once and renews it; otherwise look at who sends it",
);

/// A signed message that is not.
pub(crate) static MESSAGE: CheckInfo = broken_authentication(
    "ACC-218",
    "message signature invalid",
    Severity::High,
    &[345, 347],
    "the message was changed on its way, is too old, or was signed by somebody else or over too little",
    "look at the evidence; a client must sign every component that the method lists",
);

/// Two credentials where one is meant.
pub(crate) static AMBIGUOUS: CheckInfo = broken_authentication(
    "ACC-219",
    "credentials ambiguous",
    Severity::High,
    &[436],
    "two credentials of one kind: gateway and upstream may each believe another",
    "let the client send one; a client that does it on purpose is looking for a way around",
);

/// Says who it is in our words.
pub(crate) static FORGED_IDENTITY: CheckInfo = broken_authentication(
    "ACC-220",
    "identity header forged",
    Severity::High,
    &[290],
    "a client sends a field by which the gateway tells the upstream who calls; it is removed",
    "look at who sends it; an upstream that can be reached around the gateway would believe it",
);

/// What a key may use is not known.
pub(crate) static PLAN: CheckInfo = broken_authentication(
    "ACC-221",
    "API key of an unknown plan",
    Severity::High,
    &[636, 770],
    "the plan that the key was made with is not in the configuration: what it may use is not known; access defaults to closed",
    "add the plan to `plans`, or give the application a key of another plan (`bartizan key list` shows them)",
);

/// A DPoP proof without a nonce of ours, or with an old one.
pub(crate) static NONCE: CheckInfo = broken_authentication(
    "ACC-231",
    "DPoP nonce missing or old",
    Severity::Low,
    &[294],
    "the proof was not made just now for this gateway; every client's first one has no nonce, so that alone says nothing",
    "nothing when a client comes once and goes on with the nonce it is given; otherwise mend the client (RFC 9449 section 9)",
);

/// The external authorizer says no.
pub(crate) static EXTERNAL: CheckInfo = broken_authentication(
    "ACC-232",
    "refused by the external authorizer",
    Severity::Medium,
    &[285],
    "the service that this installation asks about its callers does not let this one do this",
    "look there for why; its answer is not kept here",
);

/// A connection that was opened on other terms.
pub(crate) static MISDIRECTED: CheckInfo = broken_authentication(
    "ACC-233",
    "request for another host than the connection is for",
    Severity::High,
    &[290, 346],
    "the connection was opened for a host that demands no certificate, or one of other authorities, and is used for one \
     that does: a browser that shares connections, or a way around the certificate",
    "nothing when the client opens a connection of its own after the answer (421); otherwise look at what else it tries",
);

/// Known, and not allowed.
pub(crate) static SCOPE: CheckInfo = CheckInfo {
    id: "ACC-301",
    title: "scope missing",
    severity: Severity::Medium,
    owasp: "API5:2023",
    cwe: &[285, 862],
    since: "0.1",
    why: "a known caller tries what it was not given the right to do",
    fix: "when the caller may do this, let the authorization server or the key give it the scope; otherwise look at what else \
          it tries",
};
