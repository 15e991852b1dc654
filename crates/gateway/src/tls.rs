//! TLS of a listener: certificates read and checked before anything is bound, chosen by SNI, replaceable while running.
//!
//! The names a certificate serves come from its subject alternative names (RFC 6125); the first certificate serves
//! clients that name none, or one that no certificate has.

use std::collections::HashMap;
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use bartizan_config::{Certificate, Config, ListenerTls, TlsVersion};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use x509_parser::asn1_rs::{Enumerated, Sequence};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::Error;

/// RFC 6960 §4.2.1: the response has a status of a certificate in it.
const OCSP_SUCCESSFUL: u32 = 0;

/// The certificates of one listener, by name.
#[derive(Debug)]
struct Certificates {
    by_name: HashMap<String, Arc<CertifiedKey>>,
    first: Option<Arc<CertifiedKey>>,
}

/// Chooses the certificate for a client; the certificates can be replaced while connections come in.
#[derive(Debug)]
pub(crate) struct CertificateStore {
    current: ArcSwap<Certificates>,
}

impl CertificateStore {
    /// Reads and checks every certificate of a listener.
    pub(crate) fn load(tls: &ListenerTls) -> Result<Self, Error> {
        Ok(Self { current: ArcSwap::from_pointee(Certificates::load(tls)?) })
    }

    /// Takes over what `other` has read.
    pub(crate) fn replace_with(&self, other: &Self) {
        self.current.store(other.current.load_full());
    }
}

impl ResolvesServerCert for CertificateStore {
    fn resolve(&self, client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let certificates = self.current.load();
        let named = client_hello.server_name().and_then(|name| certificates.named(&name.to_ascii_lowercase()));
        named.or(certificates.first.as_ref()).cloned()
    }
}

impl Certificates {
    fn load(tls: &ListenerTls) -> Result<Self, Error> {
        let mut certificates = Self { by_name: HashMap::new(), first: None };
        for certificate in &tls.certificates {
            let (key, names) = load_pair(certificate)?;
            let key = Arc::new(key);
            for name in names {
                certificates.by_name.entry(name).or_insert_with(|| key.clone()); // the first one named wins
            }
            certificates.first.get_or_insert(key);
        }
        Ok(certificates)
    }

    fn named(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        self.by_name.get(name).or_else(|| {
            let (_, parent) = name.split_once('.')?;
            self.by_name.get(&format!("*.{parent}")) // RFC 6125 §6.4.3: one whole leftmost label
        })
    }
}

/// A file that a configuration names and that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFault {
    /// The file
    pub file: PathBuf,
    /// What is wrong with it, and what to do
    pub fault: String,
}

/// Reads every certificate, key and authority file of `config` and says which cannot be used: what a start, or a
/// reload, would fail for. Blocks.
pub fn unusable_files(config: &Config) -> Vec<FileFault> {
    let pairs = config.listeners.iter().filter_map(|listener| listener.tls.as_ref()).flat_map(|tls| &tls.certificates);
    let authorities = config.upstreams.iter().filter_map(|upstream| upstream.tls.as_ref()?.authorities.as_deref());
    let errors = pairs.filter_map(|pair| load_pair(pair).err());
    let errors = errors.chain(authorities.filter_map(|file| load_certificates(file).err()));
    errors
        .filter_map(|error| match error {
            Error::Certificate { file, fault } => Some(FileFault { file, fault }),
            Error::Bind { .. } | Error::HandOver { .. } | Error::Runtime(_) => None, // nothing of that is tried
        })
        .collect()
}

/// What rustls needs to serve a listener.
pub(crate) fn server_config(
    tls: &ListenerTls,
    http2: bool,
    store: Arc<CertificateStore>,
) -> Result<ServerConfig, Error> {
    let versions: &[_] = match tls.version_min {
        TlsVersion::Tls12 => &[&TLS12, &TLS13],
        TlsVersion::Tls13 => &[&TLS13],
    };
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .map_err(|error| fault(&tls.certificates[0].certificate, format!("TLS cannot be set up: {error}")))?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(store);
    config.alpn_protocols = match http2 {
        true => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        false => vec![b"http/1.1".to_vec()],
    };
    Ok(config)
}

/// Reads a chain and its key, checks that they fit, and tells the names it serves.
fn load_pair(pair: &Certificate) -> Result<(CertifiedKey, Vec<String>), Error> {
    let chain = load_certificates(&pair.certificate)?;
    let key = rustls_pemfile::private_key(&mut open(&pair.key)?)
        .map_err(|error| fault(&pair.key, format!("not a PEM file: {error}")))?
        .ok_or_else(|| fault(&pair.key, "holds no private key; expected PEM with `BEGIN PRIVATE KEY`"))?;
    let names = names(&pair.certificate, &chain[0])?;
    let certified = CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => fault(
            &pair.key,
            format!(
                "is not the key of the certificate in `{}`; give the pair that belongs together",
                pair.certificate.display()
            ),
        ),
        other => fault(&pair.key, format!("cannot be used: {other}")),
    })?;
    let ocsp = pair.ocsp_response.as_deref().map(load_ocsp_response).transpose()?;
    Ok((CertifiedKey { ocsp, ..certified }, names))
}

/// An OCSP response in DER that says something about a certificate (RFC 6960 §4.2.1); clients judge what.
fn load_ocsp_response(file: &Path) -> Result<Vec<u8>, Error> {
    let response = fs::read(file).map_err(|error| fault(file, format!("cannot be read: {error}")))?;
    let status = Sequence::from_der(&response).ok().filter(|(rest, _)| rest.is_empty());
    let status =
        status.and_then(|(_, sequence)| Enumerated::from_der(&sequence.content).ok().map(|(_, status)| status.0));
    match status {
        Some(OCSP_SUCCESSFUL) => Ok(response),
        Some(other) => Err(fault(
            file,
            format!("holds an OCSP response that says `{other}` and no status; ask the authority again"),
        )),
        None => Err(fault(file, "holds no OCSP response; expected DER, as `openssl ocsp -respout` writes it")),
    }
}

/// All certificates of a PEM file, at least one, each readable.
pub(crate) fn load_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let chain = rustls_pemfile::certs(&mut open(file)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| fault(file, format!("not a PEM file: {error}")))?;
    if chain.is_empty() {
        return Err(fault(file, "holds no certificate; expected PEM with `BEGIN CERTIFICATE`"));
    }
    for certificate in &chain {
        X509Certificate::from_der(certificate)
            .map_err(|error| fault(file, format!("holds a certificate that cannot be read: {error}")))?;
    }
    Ok(chain)
}

/// The DNS names of a certificate, in lower case.
fn names(file: &Path, certificate: &CertificateDer<'_>) -> Result<Vec<String>, Error> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|error| fault(file, format!("holds a certificate that cannot be read: {error}")))?;
    if !parsed.validity().is_valid() {
        let validity = parsed.validity();
        tracing::warn!(
            file = %file.display(), not_before = %validity.not_before, not_after = %validity.not_after,
            "the certificate is not valid now; clients will refuse it"
        );
    }
    let alternative = parsed.subject_alternative_name().ok().flatten();
    let names = alternative.iter().flat_map(|extension| &extension.value.general_names);
    Ok(names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None, // addresses are never sent as SNI
        })
        .collect())
}

fn open(file: &Path) -> Result<BufReader<fs::File>, Error> {
    fs::File::open(file).map(BufReader::new).map_err(|error| fault(file, format!("cannot be read: {error}")))
}

fn fault(file: &Path, fault: impl Into<String>) -> Error {
    Error::Certificate { file: file.to_owned(), fault: fault.into() }
}
