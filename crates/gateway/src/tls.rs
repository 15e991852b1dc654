//! TLS of a listener: certificates read and checked before anything is bound, chosen by SNI, replaceable while running.
//!
//! What clients must show may differ by the name they ask for; each such demand is a rustls configuration of its own
//! ([`Terms`]), chosen by SNI like the certificate.
//!
//! The names a certificate serves come from its subject alternative names (RFC 6125); the first certificate serves
//! clients that name none, or one that no certificate has.

use std::collections::HashMap;
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use bartizan_config::{Certificate, ClientCertificates, Config, ListenerTls, TlsVersion};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use x509_parser::asn1_rs::{Enumerated, Sequence};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::Error;
use crate::client_trust::ClientTrust;

/// RFC 6960 §4.2.1: the response has a status of a certificate in it.
const OCSP_SUCCESSFUL: u32 = 0;

/// The certificates of one listener, by name.
#[derive(Debug)]
struct Certificates {
    by_name: HashMap<String, Served>,
    first: Option<Served>,
}

/// A certificate, and what is demanded of the clients that come for it.
#[derive(Clone, Debug)]
struct Served {
    key: Arc<CertifiedKey>,
    /// Index among the terms of the offer
    terms: usize,
}

/// What clients that come for some of the certificates must show.
#[derive(Debug)]
struct Terms {
    config: Arc<ServerConfig>,
    trust: Option<ClientTrust>,
}

/// All TLS of one listener at one time: read together, replaced together.
#[derive(Debug)]
pub(crate) struct Offer {
    settings: ListenerTls,
    certificates: Arc<Certificates>,
    terms: Box<[Terms]>,
    /// Of the files of clients' authorities and revocation lists, as they were when they were read
    stamps: Vec<Stamp>,
}

/// What a listener offers; it can be replaced while connections come in.
#[derive(Debug)]
pub(crate) struct CertificateStore {
    http2: bool,
    current: ArcSwap<Offer>,
}

/// Tells whether a file may have changed.
type Stamp = Option<(SystemTime, u64)>;

impl CertificateStore {
    /// Reads and checks every file of a listener.
    pub(crate) fn load(tls: &ListenerTls, http2: bool) -> Result<Self, Error> {
        Ok(Self { http2, current: ArcSwap::from_pointee(Offer::load(tls, http2)?) })
    }

    /// Takes over what `other` has read.
    pub(crate) fn replace_with(&self, other: &Self) {
        self.current.store(other.offer());
    }

    /// Reads everything again when a file of clients' authorities or revocation lists has changed since. Whether it has.
    /// Blocks.
    ///
    /// # Errors
    /// A file cannot be used; what was read before goes on.
    pub(crate) fn renew_trust(&self) -> Result<bool, Error> {
        let before = self.offer();
        if trust_stamps(&before.settings) == before.stamps {
            return Ok(false);
        }
        self.current.store(Arc::new(Offer::load(&before.settings, self.http2)?));
        Ok(true)
    }

    /// What new connections get.
    pub(crate) fn offer(&self) -> Arc<Offer> {
        self.current.load_full()
    }
}

/// Of each file that says which clients' certificates are accepted.
fn trust_stamps(tls: &ListenerTls) -> Vec<Stamp> {
    let stamp = |file: &PathBuf| fs::metadata(file).ok().and_then(|meta| Some((meta.modified().ok()?, meta.len())));
    trusts(tls)
        .into_iter()
        .flat_map(|trust| [&trust.authorities].into_iter().chain(&trust.revocation_lists))
        .map(stamp)
        .collect()
}

/// Each different demand of a listener.
fn trusts(tls: &ListenerTls) -> Vec<&ClientCertificates> {
    let mut trusts: Vec<_> = tls.certificates.iter().filter_map(|pair| tls.demanded_for(pair)).collect();
    trusts.dedup();
    trusts
}

impl Offer {
    /// Reads and checks everything.
    fn load(tls: &ListenerTls, http2: bool) -> Result<Self, Error> {
        let stamps = trust_stamps(tls); // before the files are read: a change meanwhile is seen later
        let mut demands: Vec<Option<&ClientCertificates>> = Vec::new();
        let mut certificates = Certificates { by_name: HashMap::new(), first: None };
        for pair in &tls.certificates {
            let (key, names) = load_pair(pair)?;
            let demand = tls.demanded_for(pair);
            let terms = demands.iter().position(|known| *known == demand).unwrap_or(demands.len());
            if terms == demands.len() {
                demands.push(demand);
            }
            let served = Served { key: Arc::new(key), terms };
            for name in names {
                certificates.by_name.entry(name).or_insert_with(|| served.clone()); // the first one named wins
            }
            certificates.first.get_or_insert(served);
        }
        let certificates = Arc::new(certificates);
        let terms = demands.into_iter().map(|demand| {
            let trust = demand.map(ClientTrust::load).transpose()?;
            let config = Arc::new(server_config(tls, http2, certificates.clone(), trust.as_ref())?);
            Ok(Terms { config, trust })
        });
        let terms = terms.collect::<Result<_, Error>>()?;
        Ok(Self { settings: tls.clone(), certificates, terms, stamps })
    }

    /// Which terms hold for clients that ask for `name`.
    pub(crate) fn terms_for(&self, name: Option<&str>) -> usize {
        self.certificates.served(name).map_or(0, |served| served.terms)
    }

    /// Whether clients get different terms for different names.
    pub(crate) fn has_choice(&self) -> bool {
        self.terms.len() > 1
    }

    /// How a handshake on these terms goes.
    pub(crate) fn config(&self, terms: usize) -> Option<&Arc<ServerConfig>> {
        self.terms.get(terms).map(|terms| &terms.config)
    }

    /// Whose certificates are accepted on these terms.
    pub(crate) fn trust(&self, terms: usize) -> Option<&ClientTrust> {
        self.terms.get(terms)?.trust.as_ref()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.served(client_hello.server_name()).map(|served| served.key.clone())
    }
}

impl Certificates {
    /// The certificate for clients that ask for `name`.
    fn served(&self, name: Option<&str>) -> Option<&Served> {
        name.and_then(|name| self.named(&name.to_ascii_lowercase())).or(self.first.as_ref())
    }

    fn named(&self, name: &str) -> Option<&Served> {
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
    let listeners: Vec<_> = config.listeners.iter().filter_map(|listener| listener.tls.as_ref()).collect();
    let pairs = listeners.iter().flat_map(|tls| &tls.certificates);
    let trusts = listeners.iter().flat_map(|tls| trusts(tls));
    let authorities = config.upstreams.iter().filter_map(|upstream| upstream.tls.as_ref()?.authorities.as_deref());
    let errors = pairs.filter_map(|pair| load_pair(pair).err());
    let errors = errors.chain(authorities.filter_map(|file| load_certificates(file).err()));
    let errors = errors.chain(trusts.filter_map(|trust| ClientTrust::load(trust).err()));
    errors
        .filter_map(|error| match error {
            Error::Certificate { file, fault } => Some(FileFault { file, fault }),
            Error::Bind { .. } | Error::HandOver { .. } | Error::Runtime(_) => None, // nothing of that is tried
        })
        .collect()
}

/// What rustls needs to serve clients on the same terms.
fn server_config(
    tls: &ListenerTls,
    http2: bool,
    certificates: Arc<Certificates>,
    trust: Option<&ClientTrust>,
) -> Result<ServerConfig, Error> {
    let versions: &[_] = match tls.version_min {
        TlsVersion::Tls12 => &[&TLS12, &TLS13],
        TlsVersion::Tls13 => &[&TLS13],
    };
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .map_err(|error| fault(&tls.certificates[0].certificate, format!("TLS cannot be set up: {error}")))?;
    let mut config = match trust {
        None => builder.with_no_client_auth(),
        Some(trust) => builder.with_client_cert_verifier(trust.verifier.clone()),
    }
    .with_cert_resolver(certificates);
    if trust.is_some() {
        // A resumed session would take over the certificate of the handshake before, unlooked at: expired, revoked or of
        // an authority that is trusted no more (RFC 8446 §4.6.1, §C.4). So every connection shows its certificate anew.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
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

pub(crate) fn fault(file: &Path, fault: impl Into<String>) -> Error {
    Error::Certificate { file: file.to_owned(), fault: fault.into() }
}
