//! The client's certificate as a credential: TLS has proved that the client holds it and that an authority of the
//! listener vouches for it; here its names are judged.
//!
//! Names come from the certificate's alternative names and, whole, from its subject; a common name is never taken for a
//! DNS name (RFC 9525 §2). A chain is what the client sent, so an issuer counts only when its key signed the leaf.
//! Sources: RFC 5280, RFC 9525, SPIFFE X509-SVID §2, RFC 8705.

use std::sync::Arc;

use bartizan_config::MtlsMethod;
use bartizan_model::{ClaimValue, Confirmation, CredentialKind, Principal, Strength};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::X509Name;

use super::authenticate::Verdict;
use super::checks;
use super::claims::is_name;
use super::verified::{Fault, Privacy, Verified, Who};
use crate::bounded::Digest;
use crate::stage::HeadContext;
use crate::state::sha256;

/// LIMIT: certificates of a chain that are looked at.
const CHAIN_MAX: usize = 8;
/// LIMIT: bytes of a certificate.
const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;
/// LIMIT: alternative names that are looked at; a certificate with more is refused.
const NAMES_MAX: usize = 64;
/// LIMIT: names of one kind that a principal keeps.
const LISTED_NAMES_MAX: usize = 16;
/// Who vouches for a certificate's subject, as far as we know: an authority of the listener.
const AUTHORITY: &str = "certificate";

/// The rules of one method.
#[derive(Debug)]
pub(crate) struct MtlsRules {
    id: Digest,
    method: MtlsMethod,
}

/// What a leaf says of its holder.
#[derive(Debug, Default)]
struct Names {
    subject: String,
    dns: Vec<String>,
    uris: Vec<String>,
    emails: Vec<String>,
}

const fn fault(words: &'static str) -> Fault {
    Fault::new(&checks::CERTIFICATE, words)
}

impl MtlsRules {
    pub(crate) fn new(method: &MtlsMethod, is_subject_plain: bool) -> Self {
        let id = sha256(&[b"mtls", &[u8::from(is_subject_plain)], format!("{method:?}").as_bytes()]);
        Self { id, method: method.clone() }
    }

    pub(crate) fn verdict(&self, ctx: &HeadContext<'_>, privacy: Privacy<'_>) -> Verdict {
        let Some(leaf) = ctx.client_chain.first() else { return Verdict::Absent };
        let chain = ctx.client_chain.get(..CHAIN_MAX.min(ctx.client_chain.len())).unwrap_or_default();
        let parts: Vec<&[u8]> = std::iter::once(self.id.as_slice()).chain(chain.iter().map(|der| &**der)).collect();
        let name = sha256(&parts);
        let now = ctx.now.as_secs();
        if let Some(known) = ctx.snapshot.access().verified.find(&name).filter(|known| known.holds(now, None)) {
            return Verdict::Known(known);
        }
        match self.verify(leaf, chain, now, privacy) {
            Ok(verified) => {
                let verified = Arc::new(verified);
                ctx.snapshot.access().verified.insert(name, Arc::clone(&verified));
                Verdict::Known(verified)
            }
            Err(fault) => Verdict::Refused(fault),
        }
    }

    fn verify(&self, leaf: &[u8], chain: &[Arc<[u8]>], now: i64, privacy: Privacy<'_>) -> Result<Verified, Fault> {
        let certificate = parse(leaf).ok_or(fault("it is not a certificate"))?;
        let validity = certificate.validity();
        let (from_secs, last) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        if !(from_secs..=last).contains(&now) {
            return Err(fault("it is out of its time"));
        }
        check_purpose(&certificate)?;
        let names = Names::of(&certificate)?;
        self.check_names(&names)?;
        if !self.method.issuers.is_empty() && !self.is_issued(&certificate, chain) {
            return Err(fault("none of the issuers that are demanded has signed it"));
        }
        let subject = names.best().filter(|name| is_name(name)).ok_or(fault("it names nobody"))?;
        let thumbprint = digest::digest(&digest::SHA256, leaf).as_ref().try_into().unwrap_or_default();
        let principal = Principal {
            scopes: self.method.scopes.iter().map(|scope| scope.as_str().into()).collect(),
            confirmation: Some(Confirmation::CertificateThumbprint(thumbprint)),
            claims: names.claims(&certificate, &thumbprint),
            ..Principal::new(AUTHORITY, subject, CredentialKind::Certificate, Strength::ProofOfPossession)
        };
        let until_secs = last.saturating_add(1);
        Ok(Verified { who: Ok(Who::new(principal, privacy)), from_secs, until_secs, keys: None })
    }

    /// Each list that is written must be met by one name.
    fn check_names(&self, names: &Names) -> Result<(), Fault> {
        let method = &self.method;
        let any = |wanted: &[String], found: &[String], fits: fn(&str, &str) -> bool| {
            wanted.is_empty() || wanted.iter().any(|wanted| found.iter().any(|found| fits(wanted, found)))
        };
        let is = |wanted: &str, found: &str| wanted == found;
        if !any(&method.subjects, std::slice::from_ref(&names.subject), is) {
            return Err(fault("its subject is not among those demanded"));
        }
        if !any(&method.dns_names, &names.dns, is_host_match) {
            return Err(fault("it has none of the DNS names demanded"));
        }
        if !any(&method.uris, &names.uris, is) {
            return Err(fault("it has none of the URIs demanded"));
        }
        if !any(&method.emails, &names.emails, is_email_match) {
            return Err(fault("it has none of the e-mail addresses demanded"));
        }
        if !method.spiffe_ids.is_empty() && names.uris.len() != 1 {
            return Err(fault("a SPIFFE certificate has exactly one URI"));
        }
        if !any(&method.spiffe_ids, &names.uris, is_spiffe_match) {
            return Err(fault("its SPIFFE id is not among those demanded"));
        }
        Ok(())
    }

    /// Whether a certificate with one of the fingerprints has signed this one.
    fn is_issued(&self, certificate: &X509Certificate<'_>, chain: &[Arc<[u8]>]) -> bool {
        let issuers = chain.iter().skip(1).filter(|der| {
            let fingerprint = digest::digest(&digest::SHA256, der);
            self.method.issuers.iter().any(|wanted| wanted == fingerprint.as_ref())
        });
        issuers.filter_map(|der| parse(der)).any(|issuer| {
            issuer.subject() == certificate.issuer() && certificate.verify_signature(Some(issuer.public_key())).is_ok()
        })
    }
}

/// A certificate and nothing after it.
fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    let der = der.get(..).filter(|der| der.len() <= CERTIFICATE_BYTES_MAX)?;
    X509Certificate::from_der(der).ok().filter(|(rest, _)| rest.is_empty()).map(|(_, certificate)| certificate)
}

/// A certificate for clients: no authority, and for nothing else where it says for what (RFC 5280 §4.2.1.12).
fn check_purpose(certificate: &X509Certificate<'_>) -> Result<(), Fault> {
    const ODD: Fault = fault("it has an extension twice, or one that cannot be read");
    if certificate.basic_constraints().map_err(|_| ODD)?.is_some_and(|constraints| constraints.value.ca) {
        return Err(fault("it is an authority's own"));
    }
    match certificate.extended_key_usage().map_err(|_| ODD)? {
        Some(usage) if !usage.value.client_auth && !usage.value.any => Err(fault("it is not for clients")),
        Some(_) | None => Ok(()),
    }
}

impl Names {
    fn of(certificate: &X509Certificate<'_>) -> Result<Self, Fault> {
        const ODD: Fault = fault("its names cannot be read");
        let mut names = Self { subject: subject(certificate.subject()).ok_or(ODD)?, ..Self::default() };
        let Some(found) = certificate.subject_alternative_name().map_err(|_| ODD)? else { return Ok(names) };
        if found.value.general_names.len() > NAMES_MAX {
            return Err(fault("it has more than 64 names"));
        }
        for name in &found.value.general_names {
            match name {
                GeneralName::DNSName(name) => names.dns.push(plain(name).ok_or(ODD)?.to_ascii_lowercase()),
                GeneralName::URI(name) => names.uris.push(plain(name).ok_or(ODD)?),
                GeneralName::RFC822Name(name) => names.emails.push(plain(name).ok_or(ODD)?),
                GeneralName::Invalid(..) => return Err(ODD),
                _ => {} // kinds that no rule is about
            }
        }
        Ok(names)
    }

    /// What the certificate says, for identity headers and policies: the RFC's words where there is one.
    fn claims(&self, certificate: &X509Certificate<'_>, thumbprint: &[u8; 32]) -> Vec<(Box<str>, ClaimValue)> {
        let text = |name: &str, value: String| (Box::from(name), ClaimValue::Text(value.into()));
        let list = |name: &str, values: &[String]| {
            let values = values.iter().take(LISTED_NAMES_MAX).map(|value| value.as_str().into()).collect();
            (Box::from(name), ClaimValue::List(values))
        };
        let serial = certificate.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect();
        let mut claims = vec![
            text("x5t#S256", URL_SAFE_NO_PAD.encode(thumbprint)), // RFC 8705 §3.1
            text("serial", serial),
            text("subject_dn", self.subject.clone()),
            (Box::from("not_after"), ClaimValue::Number(certificate.validity().not_after.timestamp())),
            list("dns_names", &self.dns),
            list("uris", &self.uris),
            list("emails", &self.emails),
        ];
        if let [only] = self.uris.as_slice()
            && only.starts_with("spiffe://")
        {
            claims.push(text("spiffe_id", only.clone()));
        }
        claims
    }

    /// The name that says most.
    fn best(&self) -> Option<&str> {
        let subject = Some(&self.subject).filter(|subject| !subject.is_empty());
        self.uris.first().or(self.dns.first()).or(self.emails.first()).or(subject).map(String::as_str)
    }
}

/// A subject as text: `O=Example, CN=orders`, in the order of the certificate. What parts it is escaped within values
/// (RFC 4514 §2.4), so that no value can pretend to be two.
fn subject(name: &X509Name<'_>) -> Option<String> {
    let mut text = String::new();
    for relative in name.iter() {
        for (at, attribute) in relative.iter().enumerate() {
            if !text.is_empty() {
                text.push_str(if at == 0 { ", " } else { " + " });
            }
            let kind = attribute.attr_type();
            match oid2abbrev(kind, oid_registry()) {
                Ok(short) => text.push_str(short),
                Err(_) => text.push_str(&kind.to_id_string()),
            }
            text.push('=');
            for letter in attribute.as_str().ok()?.chars() {
                if matches!(letter, ',' | '+' | '=' | '\\' | '"' | '<' | '>' | ';') {
                    text.push('\\');
                }
                text.push(letter);
            }
        }
    }
    Some(text)
}

/// Visible ASCII: a NUL or a space inside a name is somebody's attempt (CVE-2009-2408).
fn plain(name: &str) -> Option<String> {
    (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())).then(|| name.to_owned())
}

/// A name, or `*` for one label below (RFC 9525 §6.3). A wildcard within the certificate stands for nothing here.
fn is_host_match(wanted: &str, found: &str) -> bool {
    match wanted.strip_prefix("*.") {
        Some(domain) => {
            found.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && label != "*" && rest == domain)
        }
        None => wanted == found,
    }
}

/// The domain in any case, what is before it exactly (RFC 5280 §7.5).
fn is_email_match(wanted: &str, found: &str) -> bool {
    match (wanted.rsplit_once('@'), found.rsplit_once('@')) {
        (Some((wanted, domain)), Some((found, other))) => wanted == found && domain.eq_ignore_ascii_case(other),
        _ => false,
    }
}

/// Segments; `*` stands for one, a final `**` for any rest but none.
fn is_spiffe_match(wanted: &str, found: &str) -> bool {
    let (Some(wanted), Some(found)) = (wanted.strip_prefix("spiffe://"), found.strip_prefix("spiffe://")) else {
        return false;
    };
    if found.contains(['%', '?', '#', '@', ':']) || found.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return false; // SPIFFE ID §2: none of these is in one
    }
    let mut found = found.split('/');
    for (at, segment) in wanted.split('/').enumerate() {
        match (segment, found.next()) {
            ("**", Some(_)) => return true,
            ("*", Some(_)) if at > 0 => {}
            (segment, Some(found)) if segment == found => {}
            _ => return false,
        }
    }
    found.next().is_none()
}
