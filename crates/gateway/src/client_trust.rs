//! Whose certificates are accepted from clients (mutual TLS): authorities and revocation lists, read and checked before
//! anything is bound, and why a certificate was refused.
//!
//! The judgment is `WebPkiClientVerifier`'s: a path to one of the authorities of at most six certificates between, dates,
//! key usage, revocation of every certificate of the path. Revocation fails closed: with lists configured, a certificate
//! whose issuer has none, or one that is beyond its next update, is refused.
//!
//! Handshakes that ask for a certificate are never resumed (see `tls.rs`), so what is read here holds for every
//! connection that is opened afterwards.
//!
//! Sources: RFC 5280 §5 and §6, RFC 8446 §4.4.2, §4.6.1 and §C.4, rustls 0.23 `webpki/client_verifier.rs`.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bartizan_config::{ClientCertificates, ClientDemand};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{CertificateError, RootCertStore};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

use crate::Error;
use crate::tls::{fault, load_certificates};

/// LIMIT: bytes of a file with revocation lists: those of the largest public authorities have some 10 MiB.
const REVOCATION_LIST_BYTES_MAX: u64 = 64 << 20;

/// What a DER SEQUENCE begins with; PEM begins with text.
const DER_SEQUENCE: u8 = 0x30;

/// The authorities of clients, and what asks them.
#[derive(Debug)]
pub(crate) struct ClientTrust {
    pub(crate) verifier: Arc<dyn ClientCertVerifier>,
    authorities: Vec<Authority>,
}

/// One that vouches for clients.
#[derive(Debug)]
struct Authority {
    /// Its name, as the certificates it signs have it
    subject: Box<[u8]>,
    der: Arc<[u8]>,
}

/// Why a client's certificate was refused in the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CertificateFault {
    /// One is required
    Missing,
    /// It, or one of its chain, is no certificate
    Unreadable,
    /// It is past its last day
    Expired,
    /// Its first day is still to come
    NotYetValid,
    /// No authority of the listener has signed it
    UnknownIssuer,
    /// Its issuer has taken it back
    Revoked,
    /// There is no revocation list of its issuer
    RevocationUnknown,
    /// The revocation list of its issuer is past its next update
    RevocationListStale,
    /// The revocation list of its issuer is not the issuer's own, or cannot be used
    RevocationListBad,
    /// A signature in its chain, or the client's own, does not fit
    BadSignature,
    /// It is not for clients
    Purpose,
    /// Anything else: a chain that is too long, names that its authority may not give, a weak signature algorithm
    Other,
}

impl CertificateFault {
    /// The fault that made a handshake fail, if it was the client's certificate.
    pub(crate) fn of(error: &rustls::Error) -> Option<Self> {
        match error {
            rustls::Error::NoCertificatesPresented => Some(Self::Missing),
            rustls::Error::InvalidCertRevocationList(_) => Some(Self::RevocationListBad),
            rustls::Error::InvalidCertificate(error) => Some(Self::of_certificate(error)),
            _ => None, // not about a certificate
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::BadEncoding => Self::Unreadable,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::Revoked => Self::Revoked,
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::UnknownRevocationStatus => Self::RevocationUnknown,
            CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. } => {
                Self::RevocationListStale
            }
            CertificateError::BadSignature => Self::BadSignature,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => Self::Purpose,
            _ => Self::Other, // the enum is not exhaustive
        }
    }

    /// The word in the event.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Missing => "no_client_certificate",
            Self::Unreadable => "client_certificate_unreadable",
            Self::Expired => "client_certificate_expired",
            Self::NotYetValid => "client_certificate_not_yet_valid",
            Self::UnknownIssuer => "client_certificate_of_unknown_issuer",
            Self::Revoked => "client_certificate_revoked",
            Self::RevocationUnknown => "client_certificate_without_revocation_list",
            Self::RevocationListStale => "client_certificate_with_stale_revocation_list",
            Self::RevocationListBad => "client_certificate_with_bad_revocation_list",
            Self::BadSignature => "client_certificate_signature_bad",
            Self::Purpose => "client_certificate_not_for_clients",
            Self::Other => "client_certificate_not_acceptable",
        }
    }
}

impl ClientTrust {
    /// Reads and checks authorities and revocation lists.
    pub(crate) fn load(settings: &ClientCertificates) -> Result<Self, Error> {
        let file = &settings.authorities;
        let mut authorities = Vec::new();
        let mut roots = RootCertStore::empty();
        for der in load_certificates(file)? {
            authorities.push(authority(file, &der)?);
            roots.add(der).map_err(|error| fault(file, format!("cannot be an authority: {error}")))?;
        }
        let roots = Arc::new(roots);
        let mut lists = Vec::new();
        for file in &settings.revocation_lists {
            let read = load_revocation_lists(file)?;
            build(&roots, read.clone(), settings.demand).map_err(|error| bad_list(file, &error))?;
            lists.extend(read);
        }
        let verifier = build(&roots, lists, settings.demand).map_err(|error| fault(file, format!("{error}")))?;
        Ok(Self { verifier, authorities })
    }

    /// The chain of a client, as far as the authority that vouches for it, which clients leave out: DER, leaf first.
    pub(crate) fn whole_chain(&self, shown: &[CertificateDer<'_>]) -> Vec<Arc<[u8]>> {
        let mut chain: Vec<Arc<[u8]>> = shown.iter().map(|der| Arc::from(der.as_ref())).collect();
        let last = shown.last().and_then(|der| X509Certificate::from_der(der).ok());
        let issuer = last.as_ref().map(|(_, certificate)| certificate.issuer().as_raw());
        let authority = self.authorities.iter().find(|authority| issuer == Some(&*authority.subject));
        let left_out = authority.map(|authority| &authority.der).filter(|der| !chain.contains(der));
        chain.extend(left_out.cloned());
        chain
    }
}

fn build(
    roots: &Arc<RootCertStore>,
    lists: Vec<CertificateRevocationListDer<'static>>,
    demand: ClientDemand,
) -> Result<Arc<dyn ClientCertVerifier>, VerifierBuilderError> {
    let builder = WebPkiClientVerifier::builder_with_provider(roots.clone(), Arc::new(ring::default_provider()));
    let builder = builder.with_crls(lists).enforce_revocation_expiration();
    match demand {
        ClientDemand::Required => builder,
        ClientDemand::Optional => builder.allow_unauthenticated(),
    }
    .build()
}

/// Of an authority's certificate (RFC 5280 §4.2.1.9): whoever is listed here vouches for others.
fn authority(file: &Path, der: &CertificateDer<'_>) -> Result<Authority, Error> {
    let (_, certificate) = X509Certificate::from_der(der)
        .map_err(|error| fault(file, format!("holds a certificate that cannot be read: {error}")))?;
    let constraints = certificate.basic_constraints().ok().flatten();
    if !constraints.is_some_and(|constraints| constraints.value.ca) {
        let subject = certificate.subject();
        return Err(fault(
            file,
            format!("`{subject}` is no authority's certificate (`CA:TRUE`); list those that sign"),
        ));
    }
    if !certificate.validity().is_valid() {
        tracing::warn!(
            file = %file.display(), subject = %certificate.subject(), not_after = %certificate.validity().not_after,
            "the authority is out of its time; it still vouches for clients: take it out of the file"
        );
    }
    Ok(Authority { subject: certificate.subject().as_raw().into(), der: Arc::from(der.as_ref()) })
}

/// All revocation lists of a file, at least one.
fn load_revocation_lists(file: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, Error> {
    let unreadable = |error| fault(file, format!("cannot be read: {error}"));
    if fs::metadata(file).map_err(unreadable)?.len() > REVOCATION_LIST_BYTES_MAX {
        return Err(fault(file, "is larger than 64 MiB; split the authority's certificates among several lists"));
    }
    let bytes = fs::read(file).map_err(unreadable)?;
    let lists = if bytes.first() == Some(&DER_SEQUENCE) {
        vec![CertificateRevocationListDer::from(bytes)]
    } else {
        let lists = rustls_pemfile::crls(&mut bytes.as_slice()).collect::<Result<Vec<_>, _>>();
        lists.map_err(|error| fault(file, format!("not a PEM file: {error}")))?
    };
    if lists.is_empty() {
        return Err(fault(file, "holds no revocation list; expected PEM with `BEGIN X509 CRL`, or DER"));
    }
    for list in &lists {
        let (_, list) = CertificateRevocationList::from_der(list)
            .map_err(|error| fault(file, format!("holds a revocation list that cannot be read: {error}")))?;
        let next_update = list.next_update().map(|next| next.timestamp());
        let now = crate::ids::now().as_secs();
        if next_update.is_some_and(|next| next < now) {
            tracing::warn!(
                file = %file.display(), issuer = %list.issuer(),
                "the revocation list is past its next update; clients of this issuer are refused until it is renewed"
            );
        }
    }
    Ok(lists)
}

fn bad_list(file: &Path, error: &VerifierBuilderError) -> Error {
    fault(file, format!("holds a revocation list that cannot be used: {error}"))
}
