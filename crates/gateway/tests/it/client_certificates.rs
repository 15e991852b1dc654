//! Mutual TLS through the real listener: whose certificates are accepted, who is told, and what no reuse of a connection,
//! a session or a name gets around.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bartizan_config::{
    Certificate, ClientCertificates, ClientDemand, Config, KeySource, ListenerTls, Policy, PolicyRule, TlsVersion,
};
use bartizan_engine::AccessState;
use bartizan_gateway::{Gateway, GatewayOptions, Sinks, unusable_files};
use bartizan_model::{CredentialKind, Ending, Event, Mode, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyPair, NameConstraints, SanType, SerialNumber, date_time_ymd,
};
use ring::digest;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SignatureScheme, SupportedProtocolVersion, version};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{Client, Gate, Origin, config, get, policy, snapshot};

const ALL: &[&SupportedProtocolVersion] = &[&version::TLS12, &version::TLS13];
const TLS12: &[&SupportedProtocolVersion] = &[&version::TLS12];
const ORDERS: &str = "spiffe://example.org/ns/shop/sa/orders";
const GOOD: u64 = 10;
const REVOKED: u64 = 11;

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// A certificate to be: what a test changes about it.
#[derive(Clone)]
struct Leaf {
    serial: u64,
    uris: Vec<&'static str>,
    dns: Vec<&'static str>,
    years: (i32, i32),
    purpose: Option<ExtendedKeyUsagePurpose>,
    is_authority: bool,
}

impl Default for Leaf {
    fn default() -> Self {
        Self {
            serial: GOOD,
            uris: vec![ORDERS],
            dns: Vec::new(),
            years: (2024, 2099),
            purpose: Some(ExtendedKeyUsagePurpose::ClientAuth),
            is_authority: false,
        }
    }
}

/// What a client shows: chain and key.
#[derive(Clone, Debug)]
struct Shown {
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl ResolvesClientCert for Shown {
    /// Shows it whatever the server would like, and whether or not the key belongs to it.
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
        Some(Arc::new(CertifiedKey::new(self.chain.clone(), key)))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    params
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn authority(name: &str) -> Issuer {
    Issuer::self_signed(authority_params(name), KeyPair::generate().unwrap()).unwrap()
}

fn below(name: &str, issuer: &Issuer) -> Issuer {
    Issuer::signed_by(authority_params(name), KeyPair::generate().unwrap(), issuer).unwrap()
}

/// A certificate by the last of `issuers`; those before it, but for the first, are in the chain.
fn issue(leaf: &Leaf, issuers: &[&Issuer]) -> Shown {
    let key = KeyPair::generate().unwrap();
    let certificate = params(leaf).signed_by(&key, issuers.last().unwrap()).unwrap();
    let between = issuers.iter().skip(1).rev().map(|issuer| issuer.der().clone());
    Shown { chain: std::iter::once(certificate.der().clone()).chain(between).collect(), key: key.serialize_der() }
}

fn params(leaf: &Leaf) -> CertificateParams {
    let mut params = named("orders");
    params.serial_number = Some(SerialNumber::from(leaf.serial));
    params.subject_alt_names.extend(leaf.uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
    params.subject_alt_names.extend(leaf.dns.iter().map(|name| SanType::DnsName((*name).try_into().unwrap())));
    (params.not_before, params.not_after) = (date_time_ymd(leaf.years.0, 1, 1), date_time_ymd(leaf.years.1, 1, 1));
    params.extended_key_usages.extend(leaf.purpose.clone());
    if leaf.is_authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    params
}

/// A list of `issuer` on which `serials` stand.
fn revocation_list(issuer: &Issuer, serials: &[u64], next_year: i32) -> String {
    crate::revocation::list(issuer, serials, next_year).unwrap()
}

/// Files of a test, and the server's own certificates in them.
struct Files {
    dir: TempDir,
    server: Issuer,
}

impl Files {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), server: authority("servers") }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A certificate of the gateway's for this name.
    fn served(&self, name: &str, client_certificates: Option<ClientCertificates>) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let mut params = named(name);
        params.subject_alt_names.push(SanType::DnsName(name.try_into().unwrap()));
        let certificate = params.signed_by(&key, &self.server).unwrap();
        Certificate {
            certificate: self.write(&format!("{name}.pem"), &certificate.pem()),
            key: self.write(&format!("{name}.key"), &key.serialize_pem()),
            ocsp_response: None,
            client_certificates,
        }
    }

    /// What is demanded: certificates of this authority, not on these lists.
    fn demand(&self, demand: ClientDemand, authority: &Issuer, lists: &[String]) -> ClientCertificates {
        let lists = lists.iter().enumerate();
        ClientCertificates {
            authorities: self.write("clients.pem", &authority.pem()),
            demand,
            revocation_lists: lists.map(|(number, list)| self.write(&format!("{number}.crl"), list)).collect(),
        }
    }

    fn client(&self, shown: Option<Shown>, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.server.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let builder = builder.with_root_certificates(roots);
        Arc::new(match shown {
            Some(shown) => builder.with_client_cert_resolver(Arc::new(shown)),
            None => builder.with_no_client_auth(),
        })
    }
}

async fn connect(address: SocketAddr, name: &str, config: &Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(config.clone()).connect(name, tcp).await
}

/// The status of one request; `None` when the connection was not let in. A client of TLS 1.3 learns of a refusal only when
/// it reads.
async fn status(address: SocketAddr, name: &str, config: &Arc<ClientConfig>, request: impl AsRef<[u8]>) -> Option<u16> {
    let mut client = Client::over(connect(address, name, config).await.ok()?);
    client.send(request).await;
    client.try_response().await.map(|response| response.status)
}

/// One listener with this TLS, whose callers must be one of our services.
fn listening(origin_port: u16, certificates: Vec<Certificate>, demand: Option<ClientCertificates>) -> Config {
    let mut config = config(&[origin_port]);
    config.listeners[0].tls =
        Some(ListenerTls { certificates, version_min: TlsVersion::Tls12, client_certificates: demand });
    config.policies = vec![callers("{ mtls: { spiffe_ids: [\"spiffe://example.org/ns/*/sa/orders\"] } }")];
    config
}

/// A policy as people write it; `method` in flow style.
fn callers(method: &str) -> Policy {
    let text = format!(
        "listeners: [{{ address: \"127.0.0.1:1\" }}]
upstreams: [{{ name: a, targets: [{{ address: \"127.0.0.1:2\" }}] }}]
policies:
  - name: callers
    mode: enforce
    authenticate:
      subject: plain
      methods: [{method}]
      identity_headers: [{{ name: x-id, claim: spiffe_id }}, {{ name: x-thumbprint, claim: \"x5t#S256\" }}, {{ name: x-serial, claim: serial }}]
"
    );
    let parsed = bartizan_config::parse(&text, "a.yaml", "/".as_ref());
    let policies = parsed.config.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics)).policies;
    let PolicyRule::Authenticate(rule) = policies[0].rule.clone() else { panic!("an authenticate policy") };
    policy("callers", Mode::Enforce, PolicyRule::Authenticate(rule))
}

/// How a connection was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Met {
    /// Answered, as whom
    As(&'static str),
    /// Answered 401, by this check
    Unauthorized(&'static str),
    /// The handshake failed, for this reason
    Refused(&'static str),
}

fn reason(event: &Event) -> &str {
    &event.findings[0].evidence
}

async fn check(name: &str, files: &Files, demand: ClientCertificates, client: &Arc<ClientConfig>, expected: Met) {
    let origin = Origin::saying("hello").await;
    let mut gate = Gate::start(&listening(origin.port, vec![files.served("a.example", None)], Some(demand)));
    let answered = status(gate.address, "a.example", client, get("/")).await;
    let event = gate.event().await;
    let refused = gate.handle.stats().client_certificates_refused_total;
    match expected {
        Met::As(subject) => {
            assert_eq!((answered, refused), (Some(200), 0), "{name}: {:?}", event.findings);
            let principal = event.principal.unwrap_or_else(|| panic!("{name}: nobody is known"));
            assert_eq!((&*principal.subject, principal.credential), (subject, CredentialKind::Certificate), "{name}");
        }
        Met::Unauthorized(check) => {
            assert_eq!((answered, refused), (Some(401), 0), "{name}: {:?}", event.findings);
            assert_eq!(event.decision.check.as_ref().map(|check| check.as_str()), Some(check), "{name}");
            assert_eq!((event.principal, origin.accepted()), (None, 0), "{name}");
        }
        Met::Refused(because) => {
            assert_eq!((answered, refused), (None, 1), "{name}: {:?}", event.findings);
            assert_eq!(reason(&event), because, "{name}");
            assert_eq!(event.decision.check.as_ref().map(|check| check.as_str()), Some("ACC-216"), "{name}");
            assert_eq!((event.status, event.ending, origin.accepted()), (0, Ending::Stopped, 0), "{name}");
            assert_eq!(gate.handle.stats().handshake_failures_total, 1, "{name}");
        }
    }
    assert!(gate.further_events().is_empty(), "{name}: one event");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_shown_and_good_or_its_holder_stays_outside() {
    use ClientDemand::{Optional, Required};
    let files = Files::new();
    let (root, other) = (authority("clients"), authority("others"));
    let good = || Some(issue(&Leaf::default(), &[&root]));
    let of = |leaf: Leaf| Some(issue(&leaf, &[&root]));
    let demand = |demand| files.demand(demand, &root, &[]);
    for (name, demand, shown, expected) in [
        ("good", demand(Required), good(), Met::As(ORDERS)),
        ("good, where it is optional", demand(Optional), good(), Met::As(ORDERS)),
        ("no purpose named", demand(Required), of(Leaf { purpose: None, ..Leaf::default() }), Met::As(ORDERS)),
        ("none", demand(Required), None, Met::Refused("no_client_certificate")),
        ("none, where it is optional", demand(Optional), None, Met::Unauthorized("ACC-201")),
        (
            "expired",
            demand(Required),
            of(Leaf { years: (2020, 2025), ..Leaf::default() }),
            Met::Refused("client_certificate_expired"),
        ),
        (
            "not yet valid",
            demand(Required),
            of(Leaf { years: (2090, 2099), ..Leaf::default() }),
            Met::Refused("client_certificate_not_yet_valid"),
        ),
        (
            "of another authority",
            demand(Required),
            Some(issue(&Leaf::default(), &[&other])),
            Met::Refused("client_certificate_of_unknown_issuer"),
        ),
        (
            "of another authority, where it is optional",
            demand(Optional),
            Some(issue(&Leaf::default(), &[&other])),
            Met::Refused("client_certificate_of_unknown_issuer"),
        ),
        (
            "of an authority with the same name",
            demand(Required),
            Some(issue(&Leaf::default(), &[&authority("clients")])),
            Met::Refused("client_certificate_signature_bad"),
        ),
        (
            "for servers",
            demand(Required),
            of(Leaf { purpose: Some(ExtendedKeyUsagePurpose::ServerAuth), ..Leaf::default() }),
            Met::Refused("client_certificate_not_for_clients"),
        ),
        (
            "for signing code",
            demand(Required),
            of(Leaf { purpose: Some(ExtendedKeyUsagePurpose::CodeSigning), ..Leaf::default() }),
            Met::Refused("client_certificate_not_for_clients"),
        ),
        (
            "an authority's own",
            demand(Required),
            of(Leaf { is_authority: true, ..Leaf::default() }),
            Met::Refused("client_certificate_not_acceptable"),
        ),
    ] {
        check(name, &files, demand.clone(), &files.client(shown.clone(), ALL), expected).await;
        check(&format!("{name}, TLS 1.2"), &files, demand, &files.client(shown, TLS12), expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_certificate_of_somebody_else_is_not_enough_for_the_policy() {
    let files = Files::new();
    let root = authority("clients");
    let demand = files.demand(ClientDemand::Required, &root, &[]);
    let of = |uris: Vec<&'static str>, dns| issue(&Leaf { uris, dns, ..Leaf::default() }, &[&root]);
    for (name, shown) in [
        ("another trust domain", of(vec!["spiffe://evil.org/ns/shop/sa/orders"], Vec::new())),
        ("another service", of(vec!["spiffe://example.org/ns/shop/sa/admin"], Vec::new())),
        ("two URIs", of(vec![ORDERS, "spiffe://example.org/x"], Vec::new())),
        ("a DNS name in place of a URI", of(Vec::new(), vec!["orders.example"])),
    ] {
        for versions in [ALL, TLS12] {
            let client = files.client(Some(shown.clone()), versions);
            check(name, &files, demand.clone(), &client, Met::Unauthorized("ACC-216")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_leads_to_an_authority_by_the_rules() {
    let files = Files::new();
    let root = authority("clients");
    let middle = below("middle", &root);
    let demand = files.demand(ClientDemand::Required, &root, &[]);
    let mut self_signed = issue(&Leaf::default(), &[&root]);
    let key = KeyPair::generate().unwrap();
    self_signed.chain = vec![params(&Leaf::default()).self_signed(&key).unwrap().der().clone()];
    self_signed.key = key.serialize_der();
    let stolen = Shown { key: KeyPair::generate().unwrap().serialize_der(), ..issue(&Leaf::default(), &[&root]) };
    let mut cut = issue(&Leaf::default(), &[&root, &middle]);
    cut.chain.truncate(1);
    let leaf_as_issuer = Issuer::signed_by(named("a leaf"), KeyPair::generate().unwrap(), &root).unwrap();
    let mut constrained = authority_params("constrained");
    constrained.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("inner.example".to_owned())],
        excluded_subtrees: Vec::new(),
    });
    let constrained = Issuer::signed_by(constrained, KeyPair::generate().unwrap(), &root).unwrap();
    let mut old = authority_params("old");
    (old.not_before, old.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2025, 1, 1));
    let old = Issuer::signed_by(old, KeyPair::generate().unwrap(), &root).unwrap();
    let mut long = vec![below("long 0", &root)];
    for number in 1..8 {
        let next = below(&format!("long {number}"), long.last().unwrap());
        long.push(next);
    }
    let long: Vec<&Issuer> = std::iter::once(&root).chain(&long).collect();
    let dns = |dns| Leaf { dns: vec![dns], ..Leaf::default() };
    for (name, shown, expected) in [
        ("one between", issue(&Leaf::default(), &[&root, &middle]), Met::As(ORDERS)),
        ("six between", issue(&Leaf::default(), &long[..7]), Met::As(ORDERS)),
        ("too many between", issue(&Leaf::default(), &long), Met::Refused("client_certificate_not_acceptable")),
        ("one is missing", cut, Met::Refused("client_certificate_of_unknown_issuer")),
        ("signed by itself", self_signed, Met::Refused("client_certificate_of_unknown_issuer")),
        ("with another key", stolen, Met::Refused("client_certificate_signature_bad")),
        (
            "signed by a leaf",
            issue(&Leaf::default(), &[&root, &leaf_as_issuer]),
            Met::Refused("client_certificate_not_acceptable"),
        ),
        (
            "a name that its authority may not give",
            issue(&dns("outer.example"), &[&root, &constrained]),
            Met::Refused("client_certificate_not_acceptable"),
        ),
        ("one between is expired", issue(&Leaf::default(), &[&root, &old]), Met::Refused("client_certificate_expired")),
    ] {
        check(name, &files, demand.clone(), &files.client(Some(shown), ALL), expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_or_cannot_be_looked_up_is_refused() {
    let files = Files::new();
    let (root, other) = (authority("clients"), authority("others"));
    let middle = below("middle", &root);
    let list = |serials: &[u64]| revocation_list(&root, serials, 2099);
    let by_root = |serial| issue(&Leaf { serial, ..Leaf::default() }, &[&root]);
    let by_middle = |serial| issue(&Leaf { serial, ..Leaf::default() }, &[&root, &middle]);
    let mut numbered = authority_params("numbered");
    numbered.serial_number = Some(SerialNumber::from(77_u64));
    let numbered = Issuer::signed_by(numbered, KeyPair::generate().unwrap(), &root).unwrap();
    let forged = revocation_list(&authority("clients"), &[], 2099);
    for (name, lists, shown, expected) in [
        ("not on the list", vec![list(&[REVOKED])], by_root(GOOD), Met::As(ORDERS)),
        ("on the list", vec![list(&[REVOKED])], by_root(REVOKED), Met::Refused("client_certificate_revoked")),
        (
            "a list of another authority only",
            vec![revocation_list(&other, &[REVOKED], 2099)],
            by_root(GOOD),
            Met::Refused("client_certificate_without_revocation_list"),
        ),
        (
            "a list that is past its next update",
            vec![revocation_list(&root, &[], 2025)],
            by_root(GOOD),
            Met::Refused("client_certificate_with_stale_revocation_list"),
        ),
        (
            "a list that somebody else has signed",
            vec![forged],
            by_root(REVOKED),
            Met::Refused("client_certificate_with_bad_revocation_list"),
        ),
        (
            "a list of the root, none of the one between",
            vec![list(&[])],
            by_middle(GOOD),
            Met::Refused("client_certificate_without_revocation_list"),
        ),
        (
            "lists of both",
            vec![list(&[]), revocation_list(&middle, &[REVOKED], 2099)],
            by_middle(GOOD),
            Met::As(ORDERS),
        ),
        (
            "on the list of the one between",
            vec![list(&[]), revocation_list(&middle, &[REVOKED], 2099)],
            by_middle(REVOKED),
            Met::Refused("client_certificate_revoked"),
        ),
        (
            "the one between is on the root's list",
            vec![list(&[77]), revocation_list(&numbered, &[], 2099)],
            issue(&Leaf::default(), &[&root, &numbered]),
            Met::Refused("client_certificate_revoked"),
        ),
    ] {
        let demand = files.demand(ClientDemand::Required, &root, &lists);
        check(name, &files, demand, &files.client(Some(shown), ALL), expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_used_are_named_before_anything_is_served() {
    let files = Files::new();
    let root = authority("clients");
    let good = files.demand(ClientDemand::Required, &root, &[revocation_list(&root, &[], 2099)]);
    let leaf = issue(&Leaf::default(), &[&root]);
    let leaf = pem_of("CERTIFICATE", &leaf.chain[0]);
    for (demand, expected) in [
        (ClientCertificates { authorities: "/nowhere.pem".into(), ..good.clone() }, "`/nowhere.pem`: cannot be read"),
        (
            ClientCertificates { authorities: files.write("empty.pem", ""), ..good.clone() },
            "empty.pem`: holds no certificate",
        ),
        (
            ClientCertificates { authorities: files.write("leaf.pem", &leaf), ..good.clone() },
            "is no authority's certificate",
        ),
        (
            ClientCertificates { revocation_lists: vec!["/nowhere.crl".into()], ..good.clone() },
            "`/nowhere.crl`: cannot be read",
        ),
        (
            ClientCertificates { revocation_lists: vec![files.write("empty.crl", "")], ..good.clone() },
            "empty.crl`: holds no revocation list",
        ),
        (
            ClientCertificates { revocation_lists: vec![files.write("odd.crl", "0odd")], ..good },
            "odd.crl`: holds a revocation list that cannot be read",
        ),
    ] {
        let config = listening(1, vec![files.served("a.example", None)], Some(demand));
        assert!(unusable_files(&config).iter().any(|fault| {
            let told = format!("`{}`: {}", fault.file.display(), fault.fault);
            told.contains(expected)
        }));
        let sinks = Sinks { events: Arc::new(|_| ()), exchanges: None };
        let error = Gateway::new(&config, snapshot(&config, 1), sinks, GatewayOptions::default()).err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

fn pem_of(label: &str, der: &[u8]) -> String {
    use base64::engine::general_purpose::STANDARD;
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_while_the_gateway_runs_is_refused_from_then_on() {
    let files = Files::new();
    let root = authority("clients");
    let origin = Origin::saying("hello").await;
    let demand = files.demand(ClientDemand::Required, &root, &[revocation_list(&root, &[], 2099)]);
    let config = listening(origin.port, vec![files.served("a.example", None)], Some(demand));
    let mut gate = Gate::start(&config);
    let client = files.client(Some(issue(&Leaf { serial: REVOKED, ..Leaf::default() }, &[&root])), ALL);
    assert_eq!(status(gate.address, "a.example", &client, get("/")).await, Some(200));
    assert_eq!(gate.handle.renew_trust().unwrap(), 0, "no file has changed");

    // A list that cannot be used changes nothing.
    files.write("0.crl", "nothing");
    assert!(gate.handle.renew_trust().unwrap_err().to_string().contains("0.crl"));
    assert!(gate.handle.reload(&config, snapshot(&config, 2)).is_err());
    assert_eq!(status(gate.address, "a.example", &client, get("/")).await, Some(200));

    files.write("0.crl", &revocation_list(&root, &[REVOKED], 2099));
    assert_eq!(gate.handle.renew_trust().unwrap(), 1);
    assert_eq!(status(gate.address, "a.example", &client, get("/")).await, None);
    for _ in 0..2 {
        assert_eq!(gate.event().await.status, 200);
    }
    assert_eq!(reason(&gate.event().await), "client_certificate_revoked");

    // The authority itself is exchanged, with a reload.
    let next = authority("next");
    files.write("clients.pem", &next.pem());
    files.write("0.crl", &revocation_list(&next, &[], 2099));
    gate.handle.reload(&config, snapshot(&config, 3)).unwrap();
    let of = |issuer: &Issuer| files.client(Some(issue(&Leaf::default(), &[issuer])), ALL);
    assert_eq!(status(gate.address, "a.example", &of(&root), get("/")).await, None);
    assert_eq!(status(gate.address, "a.example", &of(&next), get("/")).await, Some(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_is_resumed_where_certificates_are_asked_for() {
    let files = Files::new();
    let root = authority("clients");
    let origin = Origin::saying("hello").await;
    let kinds = async |address: SocketAddr, client: &Arc<ClientConfig>| {
        let mut kinds = Vec::new();
        for _ in 0..3 {
            let mut client = Client::over(connect(address, "a.example", client).await.unwrap());
            client.send(get("/")).await;
            assert_eq!(client.response().await.status, 200);
            kinds.push(client.io.get_ref().1.handshake_kind().unwrap());
        }
        kinds
    };
    for versions in [TLS12, ALL] {
        for demand in [ClientDemand::Required, ClientDemand::Optional] {
            let demand = files.demand(demand, &root, &[]);
            let gate = Gate::start(&listening(origin.port, vec![files.served("a.example", None)], Some(demand)));
            let client = files.client(Some(issue(&Leaf::default(), &[&root])), versions);
            assert!(kinds(gate.address, &client).await.iter().all(|kind| *kind == HandshakeKind::Full));
        }
        // The same client resumes where nothing is asked for: the test would notice.
        let mut config = listening(origin.port, vec![files.served("a.example", None)], None);
        config.policies.clear();
        let gate = Gate::start(&config);
        let client = files.client(None, versions);
        assert_eq!(kinds(gate.address, &client).await[2], HandshakeKind::Resumed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_name_demands_cannot_be_had_over_a_connection_for_another() {
    let files = Files::new();
    let root = authority("clients");
    let origin = Origin::saying("hello").await;
    let demand = files.demand(ClientDemand::Required, &root, &[]);
    let certificates = vec![files.served("public.example", None), files.served("private.example", Some(demand))];
    let mut config = listening(origin.port, certificates, None);
    config.policies.clear(); // the demand alone keeps others out
    let mut gate = Gate::start(&config);
    let (nobody, known) = (files.client(None, ALL), files.client(Some(issue(&Leaf::default(), &[&root])), ALL));
    let to = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for (name, client, request, expected) in [
        ("public.example", &nobody, to("public.example"), Some(200)),
        ("private.example", &known, to("private.example"), Some(200)),
        ("private.example", &nobody, to("private.example"), None),
        ("public.example", &nobody, to("private.example"), Some(421)),
        ("public.example", &nobody, to("PRIVATE.example:443"), Some(421)),
        ("public.example", &nobody, to("private.example.:8443"), Some(421)),
        (
            "public.example",
            &nobody,
            "GET https://private.example/ HTTP/1.1\r\nHost: private.example\r\n\r\n".into(),
            Some(421),
        ),
        ("private.example", &known, to("public.example"), Some(421)),
        ("public.example", &nobody, to("unknown.example"), Some(200)),
    ] {
        assert_eq!(status(gate.address, name, client, &request).await, expected, "{name}: {request}");
        let event = gate.event().await;
        let check = event.decision.check.as_ref().map(|check| check.as_str());
        let expected = match expected {
            Some(421) => Some("ACC-233"),
            Some(_) => None,
            None => Some("ACC-216"),
        };
        assert_eq!(check, expected, "{name}: {request}");
    }
    assert_eq!(origin.seen().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_issuer_that_clients_leave_out_of_their_chain_can_be_demanded() {
    let files = Files::new();
    let (root, other) = (authority("clients"), authority("others"));
    let origin = Origin::saying("hello").await;
    let demand = files.demand(ClientDemand::Required, &root, &[]);
    files.write("clients.pem", &format!("{}{}", root.pem(), other.pem()));
    let mut config = listening(origin.port, vec![files.served("a.example", None)], Some(demand));
    let fingerprint: String =
        digest::digest(&digest::SHA256, root.der()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    config.policies = vec![callers(&format!("{{ mtls: {{ issuers: [\"{fingerprint}\"] }} }}"))];
    let gate = Gate::start(&config);
    for (issuer, expected) in [(&root, Some(200)), (&other, Some(401))] {
        let client = files.client(Some(issue(&Leaf::default(), &[issuer])), ALL);
        assert_eq!(status(gate.address, "a.example", &client, get("/")).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_is_told_of_the_certificate_and_of_nothing_that_a_client_says() {
    let files = Files::new();
    let root = authority("clients");
    let origin = Origin::saying("hello").await;
    let demand = files.demand(ClientDemand::Required, &root, &[]);
    let gate = Gate::start(&listening(origin.port, vec![files.served("a.example", None)], Some(demand)));
    let shown = issue(&Leaf::default(), &[&root]);
    let thumbprint = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &shown.chain[0]));
    let forged = "GET / HTTP/1.1\r\nHost: a.example\r\nx-id: spiffe://example.org/admin\r\nx-serial: 1\r\n\r\n";
    assert_eq!(status(gate.address, "a.example", &files.client(Some(shown), ALL), forged).await, Some(200));
    let seen = origin.last();
    assert_eq!(seen.header("x-id"), Some(ORDERS));
    assert_eq!(seen.header("x-thumbprint"), Some(thumbprint.as_str()));
    assert_eq!(seen.header("x-serial"), Some("0a"));
    assert_eq!(seen.head.to_ascii_lowercase().matches("x-id:").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_bound_to_a_certificate_works_on_its_connections_only() {
    let files = Files::new();
    let root = authority("clients");
    let origin = Origin::saying("hello").await;
    let demand = files.demand(ClientDemand::Optional, &root, &[]);
    let mut config = listening(origin.port, vec![files.served("a.example", None)], Some(demand));
    config.policies = vec![callers(
        "{ jwt: { issuer: \"https://login.example\", audiences: [shop], jwks_file: keys.jwks, algorithms: [EdDSA] } }",
    )];
    let PolicyRule::Authenticate(rule) = &config.policies[0].rule else { panic!("an authenticate policy") };
    let source: KeySource = rule.key_sources().next().unwrap().clone();
    let pair = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key());
    let keys = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"one","x":"{x}"}}]}}"#);
    let access = Arc::new(AccessState::default());
    access.publish_keys(&source, keys.as_bytes(), Timestamp::from_millis(1_790_000_000_000)).unwrap();
    let snapshot = snapshot(&config, 1).with_endpoints(1, &[]).with_access(access);
    let mut gate = Gate::start_on(&config, Arc::new(snapshot));
    let (ours, other) = (issue(&Leaf::default(), &[&root]), issue(&Leaf { serial: 12, ..Leaf::default() }, &[&root]));
    let thumbprint = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &ours.chain[0]));
    let claims = format!(
        r#"{{"iss":"https://login.example","aud":"shop","sub":"orders","exp":4000000000,"cnf":{{"x5t#S256":"{thumbprint}"}}}}"#
    );
    let signed =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA","kid":"one"}"#), URL_SAFE_NO_PAD.encode(claims));
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes())));
    let request = format!("GET / HTTP/1.1\r\nHost: a.example\r\nAuthorization: Bearer {token}\r\n\r\n");
    for (shown, expected, check) in
        [(Some(ours), Some(200), None), (Some(other), Some(401), Some("ACC-210")), (None, Some(401), Some("ACC-210"))]
    {
        let client = files.client(shown, ALL);
        assert_eq!(status(gate.address, "a.example", &client, &request).await, expected);
        let event = gate.event().await;
        assert_eq!(event.decision.check.as_ref().map(|check| check.as_str()), check, "{:?}", event.findings);
    }
}
