//! Client certificates: names that are demanded, and certificates that only look like them.

use bartizan_model::{CredentialKind, Strength};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SanType, date_time_ymd,
};

use super::desk::{Call, Desk};

/// What a client's certificate says.
#[derive(Clone, Default)]
struct Leaf {
    common_name: &'static str,
    dns: &'static [&'static str],
    uris: &'static [&'static str],
    emails: &'static [&'static str],
    organization: &'static str,
    /// First and last year
    years: Option<(i32, i32)>,
    purpose: Option<ExtendedKeyUsagePurpose>,
    is_authority: bool,
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// DER of the leaf and of its issuer.
fn chain(leaf: &Leaf, issuer: &Authority) -> Vec<Vec<u8>> {
    let text = |text: &&str| (*text).try_into().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    if !leaf.organization.is_empty() {
        params.distinguished_name.push(DnType::OrganizationName, leaf.organization);
    } else if !leaf.common_name.is_empty() {
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.distinguished_name.push(DnType::CommonName, leaf.common_name);
    }
    params.subject_alt_names.extend(leaf.dns.iter().map(|name| SanType::DnsName(text(name))));
    params.subject_alt_names.extend(leaf.uris.iter().map(|name| SanType::URI(text(name))));
    params.subject_alt_names.extend(leaf.emails.iter().map(|name| SanType::Rfc822Name(text(name))));
    let (first, last) = leaf.years.unwrap_or((2025, 2030));
    (params.not_before, params.not_after) = (date_time_ymd(first, 6, 1), date_time_ymd(last, 6, 1));
    params.extended_key_usages.extend(leaf.purpose.clone());
    if leaf.is_authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let certificate = params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap();
    vec![certificate.der().to_vec(), issuer.der().to_vec()]
}

/// Rules, a certificate, and the check that must notice.
fn table() -> Vec<(&'static str, &'static str, Leaf, Option<&'static str>)> {
    const BAD: Option<&str> = Some("ACC-216");
    let dns = |dns| Leaf { dns, ..Leaf::default() };
    let uri = |uris| Leaf { uris, ..Leaf::default() };
    let named = |common_name| Leaf { common_name, ..Leaf::default() };
    const SPIFFE: &str = "spiffe_ids: [\"spiffe://example.org/ns/*/sa/orders\"]";
    vec![
        ("any certificate, where nothing is demanded", "", dns(&["a.example"]), None),
        ("a DNS name", "dns_names: [a.example]", dns(&["b.example", "A.example"]), None),
        ("one label for a wildcard", "dns_names: [\"*.example\"]", dns(&["a.example"]), None),
        ("two labels for a wildcard", "dns_names: [\"*.example\"]", dns(&["a.b.example"]), BAD),
        ("no label for a wildcard", "dns_names: [\"*.example\"]", dns(&["example"]), BAD),
        ("a wildcard in the certificate", "dns_names: [a.example]", dns(&["*.example"]), BAD),
        ("a wildcard for a wildcard", "dns_names: [\"*.example\"]", dns(&["*.example"]), BAD),
        ("a name that only begins alike", "dns_names: [a.example]", dns(&["a.example.evil"]), BAD),
        ("a DNS name in the subject only", "dns_names: [a.example]", named("a.example"), BAD),
        ("a name with a NUL", "dns_names: [a.example]", dns(&["a.example\0.evil"]), BAD),
        ("a subject, whole", "subjects: [\"O=Example, CN=orders\"]", named("orders"), None),
        ("a part of a subject", "subjects: [\"CN=orders\"]", named("orders"), BAD),
        (
            "a subject with another subject inside its name",
            "subjects: [\"O=Example, CN=orders\"]",
            named("x, O=Example, CN=orders"),
            BAD,
        ),
        (
            "a value that pretends to be two",
            "subjects: [\"O=Example, CN=orders\"]",
            Leaf { organization: "Example, CN=orders", ..Leaf::default() },
            BAD,
        ),
        ("a SPIFFE id", SPIFFE, uri(&["spiffe://example.org/ns/shop/sa/orders"]), None),
        ("another account", SPIFFE, uri(&["spiffe://example.org/ns/shop/sa/admin"]), BAD),
        ("another trust domain", SPIFFE, uri(&["spiffe://evil.org/ns/shop/sa/orders"]), BAD),
        ("more segments", SPIFFE, uri(&["spiffe://example.org/ns/shop/sa/orders/x"]), BAD),
        ("a segment too few", SPIFFE, uri(&["spiffe://example.org/ns/sa/orders"]), BAD),
        ("an empty segment", SPIFFE, uri(&["spiffe://example.org/ns//sa/orders"]), BAD),
        ("dots for a segment", SPIFFE, uri(&["spiffe://example.org/ns/../sa/orders"]), BAD),
        ("two URIs", SPIFFE, uri(&["spiffe://example.org/ns/shop/sa/orders", "spiffe://example.org/x"]), BAD),
        ("any rest", "spiffe_ids: [\"spiffe://example.org/**\"]", uri(&["spiffe://example.org/a/b"]), None),
        ("a URI", "uris: [\"urn:orders\"]", uri(&["urn:orders"]), None),
        ("another URI", "uris: [\"urn:orders\"]", uri(&["urn:orders2"]), BAD),
        (
            "an address, its domain in another case",
            "emails: [Jane@example.com]",
            Leaf { emails: &["Jane@EXAMPLE.com"], ..Leaf::default() },
            None,
        ),
        (
            "an address, its user in another case",
            "emails: [Jane@example.com]",
            Leaf { emails: &["jane@example.com"], ..Leaf::default() },
            BAD,
        ),
        ("one list of two", "dns_names: [a.example], uris: [\"urn:orders\"]", dns(&["a.example"]), BAD),
        ("expired", "", Leaf { years: Some((2020, 2025)), ..dns(&["a.example"]) }, BAD),
        ("not yet valid", "", Leaf { years: Some((2027, 2030)), ..dns(&["a.example"]) }, BAD),
        (
            "for servers only",
            "",
            Leaf { purpose: Some(ExtendedKeyUsagePurpose::ServerAuth), ..dns(&["a.example"]) },
            BAD,
        ),
        ("for clients", "", Leaf { purpose: Some(ExtendedKeyUsagePurpose::ClientAuth), ..dns(&["a.example"]) }, None),
        ("an authority", "", Leaf { is_authority: true, ..dns(&["a.example"]) }, BAD),
        ("a certificate of nobody", "", Leaf::default(), BAD),
    ]
}

pub fn tally() -> Vec<(&'static str, bool)> {
    super::rows(&table().into_iter().map(|(_, _, _, check)| check).collect::<Vec<_>>())
}

fn desk(rules: &str) -> Desk {
    Desk::new(&format!("{{ methods: [{{ mtls: {{ {rules} }} }}] }}"))
}

fn shown(chain: Vec<Vec<u8>>) -> Call {
    Call { chain, ..Call::get("/") }
}

#[test]
fn a_certificate_is_judged_by_its_names() {
    let issuer = authority("clients");
    let table = table();
    assert!(table.len() >= 15);
    for (name, rules, leaf, check) in table {
        let desk = desk(rules);
        let call = shown(chain(&leaf, &issuer));
        desk.check(name, &call, check);
        desk.check(&format!("{name} again, from memory"), &call, check);
    }
}

#[test]
fn an_issuer_counts_only_when_it_signed() {
    let (ours, other) = (authority("ours"), authority("ours")); // the same name, another key
    let fingerprint = |der: &[u8]| {
        let digest = ring::digest::digest(&ring::digest::SHA256, der);
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
    };
    let desk = desk(&format!("issuers: [\"{}\"]", fingerprint(ours.der())));
    let leaf = Leaf { dns: &["a.example"], ..Leaf::default() };
    let good = chain(&leaf, &ours);
    desk.check("signed by ours", &shown(good.clone()), None);
    desk.check("without its issuer", &shown(good[..1].to_vec()), Some("ACC-216"));
    let foreign = chain(&leaf, &other);
    desk.check("signed by another", &shown(foreign.clone()), Some("ACC-216"));
    let pretended = vec![foreign[0].clone(), ours.der().to_vec()];
    desk.check("signed by another, with ours put beside it", &shown(pretended), Some("ACC-216"));
    desk.check("ours itself", &shown(vec![ours.der().to_vec(), ours.der().to_vec()]), Some("ACC-216"));
}

#[test]
fn what_is_no_certificate_is_refused_and_nothing_is_missing() {
    let desk = desk("");
    let good = chain(&Leaf { dns: &["a.example"], ..Leaf::default() }, &authority("clients"));
    desk.check("no certificate", &shown(vec![]), Some("ACC-201"));
    desk.check("nonsense", &shown(vec![b"nonsense".to_vec()]), Some("ACC-216"));
    desk.check("a byte less", &shown(vec![good[0][..good[0].len() - 1].to_vec()]), Some("ACC-216"));
    desk.check("a byte more", &shown(vec![[&good[0][..], b"x"].concat()]), Some("ACC-216"));
}

#[test]
fn a_certificates_holder_is_its_best_name() {
    let desk = Desk::new("{ subject: plain, required_scopes: [\"a:b\"], methods: [{ mtls: { scopes: [\"a:b\"] } }] }");
    let leaf = Leaf { common_name: "x", dns: &["a.example"], uris: &["spiffe://example.org/a"], ..Leaf::default() };
    let served = desk.serve(&shown(chain(&leaf, &authority("clients"))));
    let principal = served.event.principal.unwrap();
    assert_eq!(&*principal.subject, "spiffe://example.org/a");
    assert_eq!((principal.credential, principal.strength), (CredentialKind::Certificate, Strength::ProofOfPossession));
}

#[test]
fn a_policy_can_tell_the_upstream_what_the_certificate_says() {
    let headers = "[{ name: x-id, claim: spiffe_id }, { name: x-end, claim: not_after }, { name: x-names, claim: dns_names }, { name: x-subject, claim: subject_dn }, { name: x-none, claim: nothing }]";
    let desk = Desk::new(&format!("{{ identity_headers: {headers}, methods: [{{ mtls: {{}} }}] }}"));
    let leaf = Leaf {
        common_name: "orders",
        dns: &["a.example", "b.example"],
        uris: &["spiffe://example.org/a"],
        ..Leaf::default()
    };
    let served = desk.serve(&shown(chain(&leaf, &authority("clients"))));
    assert_eq!(served.check(), None);
    let added = format!("{:?}", served.edits);
    let end = date_time_ymd(2030, 6, 1).unix_timestamp().to_string();
    for value in ["spiffe://example.org/a", &end, "a.example b.example", "O=Example, CN=orders"] {
        assert!(added.contains(value), "{value}: {added}");
    }
}
