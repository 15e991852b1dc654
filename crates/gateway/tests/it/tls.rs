//! TLS towards clients and upstreams.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bartizan_config::{Certificate, Config, ListenerTls, TlsVersion, UpstreamTls};
use bartizan_gateway::{Gateway, GatewayOptions, Sinks};
use bartizan_model::Ending;
use http::Request;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::http2::Http2;
use crate::support::{Client, Gate, Origin, answer, config, get, request, snapshot};

/// A certificate authority with its files in a folder of its own.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, dir }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Writes a certificate for these names.
    fn issue(&self, names: &[&str]) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let stem = names[0].replace('*', "star");
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        let path = |suffix: &str| self.dir.path().join(format!("{stem}.{suffix}"));
        std::fs::write(path("pem"), certificate.pem()).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        Certificate { certificate: path("pem"), key: path("key"), ocsp_response: None, client_certificates: None }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        roots
    }

    async fn connect(
        &self,
        address: SocketAddr,
        name: &str,
        alpn: &[&str],
        versions: &[&'static SupportedProtocolVersion],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let mut config = builder.with_root_certificates(self.roots()).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let tcp = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await
    }
}

const ALL: &[&SupportedProtocolVersion] = &[&version::TLS12, &version::TLS13];

fn listening(origin_port: u16, certificates: Vec<Certificate>) -> Config {
    let mut config = config(&[origin_port]);
    config.listeners[0].tls =
        Some(ListenerTls { certificates, version_min: TlsVersion::Tls12, client_certificates: None });
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_is_chosen_by_name() {
    let authority = Authority::new();
    let origin = Origin::echo().await;
    let certificates = vec![authority.issue(&["a.example"]), authority.issue(&["*.b.example", "b.example"])];
    let mut gate = Gate::start(&listening(origin.port, certificates));
    for name in ["a.example", "b.example", "x.b.example"] {
        let tls = authority.connect(gate.address, name, &[], ALL).await.unwrap();
        let mut client = Client::over(tls);
        client.send(get("/")).await;
        assert_eq!(client.response().await.status, 200, "{name}");
        let event = gate.event().await;
        assert_eq!(event.client.tls_version.as_deref(), Some("TLSv1.3"));
        assert_eq!(event.scheme, bartizan_model::Scheme::Https);
        assert_eq!(origin.last().header("x-forwarded-proto"), Some("https"));
    }
    for name in ["c.example", "x.y.b.example"] {
        let refused = authority.connect(gate.address, name, &[], ALL).await.unwrap_err();
        assert!(refused.to_string().contains("not valid for name"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_is_chosen_by_alpn_and_http1_stays() {
    let authority = Authority::new();
    let origin = Origin::saying("hello").await;
    let gate = Gate::start(&listening(origin.port, vec![authority.issue(&["a.example"])]));
    let tls = authority.connect(gate.address, "a.example", &["h2", "http/1.1"], ALL).await.unwrap();
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut http2 = Http2::over(tls).await;
    let get_request = Request::get("https://a.example/").body(()).unwrap();
    assert_eq!(http2.exchange(get_request, Vec::new()).await.1, b"hello");
    let tls = authority.connect(gate.address, "a.example", &["http/1.1"], ALL).await.unwrap();
    let mut client = Client::over(tls);
    client.send(get("/")).await;
    assert_eq!(client.response().await.text(), "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_below_the_minimum_are_refused() {
    let authority = Authority::new();
    let origin = Origin::echo().await;
    let mut config = listening(origin.port, vec![authority.issue(&["a.example"])]);
    let gate = Gate::start(&config);
    assert!(authority.connect(gate.address, "a.example", &[], &[&version::TLS12]).await.is_ok());
    config.listeners[0].tls.as_mut().unwrap().version_min = TlsVersion::Tls13;
    let gate = Gate::start(&config);
    assert!(authority.connect(gate.address, "a.example", &[], &[&version::TLS12]).await.is_err());
    assert!(authority.connect(gate.address, "a.example", &[], &[&version::TLS13]).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn http_on_a_tls_port_is_counted_and_tls_on_a_clear_port_is_an_event() {
    let authority = Authority::new();
    let origin = Origin::echo().await;
    let gate = Gate::start(&listening(origin.port, vec![authority.issue(&["a.example"])]));
    let mut client = Client::connect(gate.address).await;
    client.send(get("/")).await;
    assert!(client.try_response().await.is_none());
    let stats = gate.stats_once(|stats| stats.handshake_failures_total > 0).await;
    assert_eq!((stats.handshake_failures_total, stats.exchanges_total), (1, 0));
    let mut gate = Gate::start(&config(&[origin.port]));
    assert!(authority.connect(gate.address, "a.example", &[], ALL).await.is_err());
    assert_eq!(&*gate.event().await.findings[0].evidence, "tls_on_clear_port");
    // Line feeds stand in a handshake by chance.
    let mut client = Client::connect(gate.address).await;
    client.send(b"\x16\x03\x01\x00\x05\n\n\n\n\n").await;
    assert_eq!(client.response().await.status, 400);
    assert_eq!(&*gate.event().await.findings[0].evidence, "tls_on_clear_port");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_used_is_named_with_its_fault() {
    let authority = Authority::new();
    let good = authority.issue(&["a.example"]);
    let other = authority.issue(&["b.example"]);
    let empty = authority.dir.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let broken = authority.dir.path().join("broken.pem");
    std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let cases = [
        ("/nowhere.pem".into(), good.key.clone(), "`/nowhere.pem`: cannot be read: No such file"),
        (empty.clone(), good.key.clone(), "empty.pem`: holds no certificate"),
        (broken, good.key.clone(), "broken.pem`: holds a certificate that cannot be read"),
        (good.certificate.clone(), empty, "empty.pem`: holds no private key"),
        (good.certificate, other.key, "b.example.key`: is not the key of the certificate in"),
    ];
    for (certificate, key, expected) in cases {
        let config =
            listening(1, vec![Certificate { certificate, key, ocsp_response: None, client_certificates: None }]);
        let sinks = Sinks { events: Arc::new(|_| ()), exchanges: None };
        let error = Gateway::new(&config, snapshot(&config, 1), sinks, GatewayOptions::default()).err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_served_after_a_reload() {
    let authority = Authority::new();
    let origin = Origin::echo().await;
    let config = listening(origin.port, vec![authority.issue(&["a.example"])]);
    let gate = Gate::start(&config);
    let serial = |tls: &TlsStream<TcpStream>| tls.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    let before = serial(&authority.connect(gate.address, "a.example", &[], ALL).await.unwrap());
    authority.issue(&["a.example"]); // the same files
    assert_eq!(gate.handle.reload(&config, snapshot(&config, 2)).unwrap(), Vec::<String>::new());
    let after = serial(&authority.connect(gate.address, "a.example", &[], ALL).await.unwrap());
    assert_ne!(before, after);
}

/// An HTTP/1.1 origin over TLS.
async fn tls_origin(certificate: &Certificate) -> u16 {
    let chain = vec![CertificateDer::from_pem_file(&certificate.certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&certificate.key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(tls) = acceptor.accept(tcp).await else { return };
                let mut client = Client::over(tls);
                while client.head().await.is_some() {
                    client.io.write_all(&answer(b"over tls")).await.unwrap();
                    client.io.flush().await.unwrap();
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstreams_certificate_is_verified() {
    let authority = Authority::new();
    let stranger = Authority::new();
    let port = tls_origin(&authority.issue(&["inner.example"])).await;
    let named = |name: &str| Some(name.to_owned());
    let cases = [
        (named("inner.example"), true, Some(authority.file()), 200),
        (named("other.example"), true, Some(authority.file()), 502),
        (named("inner.example"), true, Some(stranger.file()), 502),
        (named("inner.example"), true, None, 502),
        (None, true, Some(authority.file()), 502), // the address is not in the certificate
        (named("other.example"), false, None, 200),
    ];
    for (server_name, verify, authorities, status) in cases {
        let mut config = config(&[port]);
        config.upstreams[0].tls = Some(UpstreamTls { server_name: server_name.clone(), verify, authorities });
        let mut gate = Gate::start(&config);
        let response = request(gate.address, get("/")).await;
        assert_eq!(response.status, status, "{server_name:?} verify {verify}");
        let ending = if status == 200 { Ending::Answered } else { Ending::UpstreamUnreachable };
        assert_eq!(gate.event().await.ending, ending);
    }
}
