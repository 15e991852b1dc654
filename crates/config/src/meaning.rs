//! Document → `Config`: what the settings mean, and every contradiction among them.
//!
//! A value that means nothing is reported and replaced by a harmless one, so that the rest is checked too; the caller
//! discards the result when anything was reported as an error.

mod audit_log;
mod authenticate;
mod authorize;
mod browsers;
mod cache;
mod condition;
mod content;
mod continuity;
mod hours;
mod networks;
mod plans;
mod rate;
mod redis;
mod routes;
mod ssrf;
mod threats;
mod upstreams;
mod values;

use std::num::NonZeroUsize;
use std::path::Path;

use bartizan_model::Mode;

use crate::authentication::AuthenticationMethod;
use crate::config::{
    Certificate, ClientCertificates, ClientDemand, Config, Console, Data, Limits, Listener, ListenerTls, PolicyRule,
    TlsVersion,
};
use crate::path::SettingPath;
use crate::report::{self, Fault, Report};
use crate::yaml::Node;
use crate::{defaults, document};

/// What the checks share: the tree for positions, the folder for paths, the report.
struct Checker<'a, 'f> {
    /// Parts of the document were unusable and are left out: what refers to them is not judged
    is_partial: bool,
    /// There is a Redis to share counts through
    has_redis: bool,
    tree: &'a Node,
    base_dir: &'a Path,
    report: &'a mut Report<'f>,
}

/// The meaning of `document`, usable only when `report` has no error.
pub(crate) fn of(document: &document::Document, tree: &Node, base_dir: &Path, report: &mut Report<'_>) -> Config {
    let mut checker =
        Checker { is_partial: report.has_errors(), has_redis: document.redis.is_some(), tree, base_dir, report };
    let root = SettingPath::root();
    let upstreams = upstreams::all(&mut checker, &root.key("upstreams"), &document.upstreams);
    let apis = routes::apis(&mut checker, &root, document, &upstreams);
    let policies = routes::policies(&mut checker, &root.key("policies"), &document.policies, &apis);
    let config = Config {
        listeners: listeners(&mut checker, &root.key("listeners"), &document.listeners),
        upstreams,
        apis,
        policies,
        plans: plans::plans(&mut checker, &root.key("plans"), &document.plans),
        trusted_proxies: checker.networks(&root.key("trusted_proxies"), &document.trusted_proxies),
        address_data: networks::files(&mut checker, &root.key("address_data"), &document.address_data),
        limits: limits(&mut checker, &root.key("limits"), &document.limits),
        data: data(&mut checker, &root.key("data"), &document.data),
        audit_logs: audit_log::all(&mut checker, &root.key("audit_logs"), &document.audit_logs),
        redis: document.redis.as_ref().and_then(|written| redis::redis(&mut checker, &root.key("redis"), written)),
        console: console(&mut checker, &root.key("console"), &document.console),
        metrics: document
            .metrics
            .as_ref()
            .map(|metrics| checker.socket_address(&root.key("metrics").key("address"), &metrics.address)),
        threads: document.threads.and_then(|count| NonZeroUsize::new(usize::try_from(count).ok()?)),
        shutdown_grace_ms: checker.duration(
            &root.key("shutdown_grace"),
            &document.shutdown_grace,
            defaults::SHUTDOWN_GRACE,
        ),
    };
    contradictions(&mut checker, &root, &config);
    networks::unanswered(&mut checker, &root, &config);
    plans::unknown(&mut checker, &root, &config);
    continuity::unwatched(&mut checker, &root, &config);
    config
}

fn listeners(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &[document::Listener]) -> Vec<Listener> {
    written
        .iter()
        .enumerate()
        .map(|(index, listener)| {
            let at = at.index(index);
            let tls = listener.tls.as_ref().map(|tls| listener_tls(checker, &at.key("tls"), tls));
            let address = checker.socket_address(&at.key("address"), &listener.address);
            Listener { address, tls, http2: listener.http2, proxy_protocol: listener.proxy_protocol }
        })
        .collect()
}

fn listener_tls(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::ListenerTls) -> ListenerTls {
    let certificates = written.certificates.iter().enumerate().map(|(index, pair)| {
        let at = at.key("certificates").index(index);
        let ocsp_response = pair.ocsp_response.as_ref();
        Certificate {
            certificate: checker.file(&at.key("certificate"), &pair.certificate),
            key: checker.file(&at.key("key"), &pair.key),
            ocsp_response: ocsp_response.map(|file| checker.file(&at.key("ocsp_response"), file)),
            client_certificates: client_certificates(checker, &at, pair.client_certificates.as_ref()),
        }
    });
    ListenerTls {
        certificates: certificates.collect(),
        version_min: match written.version_min {
            document::TlsVersion::Tls12 => TlsVersion::Tls12,
            document::TlsVersion::Tls13 => TlsVersion::Tls13,
        },
        client_certificates: client_certificates(checker, at, written.client_certificates.as_ref()),
    }
}

fn client_certificates(
    checker: &mut Checker<'_, '_>,
    at: &SettingPath,
    written: Option<&document::ClientCertificates>,
) -> Option<ClientCertificates> {
    let (at, written) = (at.key("client_certificates"), written?);
    let lists = written.revocation_lists.iter().enumerate();
    let lists_at = at.key("revocation_lists");
    Some(ClientCertificates {
        authorities: checker.file(&at.key("authorities"), &written.authorities),
        demand: match written.demand {
            document::ClientDemand::Required => ClientDemand::Required,
            document::ClientDemand::Optional => ClientDemand::Optional,
        },
        revocation_lists: lists.map(|(index, file)| checker.file(&lists_at.index(index), file)).collect(),
    })
}

/// An `mtls` method that nobody can meet: certificates are only seen where a listener asks for them.
fn unmet_mtls(checker: &mut Checker<'_, '_>, root: &SettingPath, config: &Config) {
    let is_asked = config.listeners.iter().filter_map(|listener| listener.tls.as_ref()).any(|tls| {
        tls.client_certificates.is_some() || tls.certificates.iter().any(|pair| pair.client_certificates.is_some())
    });
    if is_asked || checker.is_partial {
        return;
    }
    for (index, policy) in config.policies.iter().enumerate() {
        let PolicyRule::Authenticate(rule) = &policy.rule else { continue };
        let at = rule.methods.iter().position(|method| matches!(method, AuthenticationMethod::Mtls(_)));
        if let (Some(method), true) = (at, policy.mode != Mode::Off) {
            let at = root.key("policies").index(index).key("authenticate").key("methods").index(method);
            let message = "no listener asks clients for certificates, so nobody can prove one".to_owned();
            let help = "write `client_certificates: {authorities: …}` in the listener's `tls`";
            checker.warning(&at, report::NO_EFFECT, message, help);
        }
    }
}

fn limits(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Limits) -> Limits {
    Limits {
        header_bytes_max: checker.size(&at.key("header_bytes_max"), &written.header_bytes_max, defaults::HEADER_BYTES),
        header_count_max: written.header_count_max,
        header_timeout_ms: checker.duration(
            &at.key("header_timeout"),
            &written.header_timeout,
            defaults::HEADER_TIMEOUT,
        ),
        client_read_timeout_ms: checker.duration(
            &at.key("client_read_timeout"),
            &written.client_read_timeout,
            defaults::CLIENT_READ_TIMEOUT,
        ),
        keepalive_timeout_ms: checker.duration(
            &at.key("keepalive_timeout"),
            &written.keepalive_timeout,
            defaults::KEEPALIVE_TIMEOUT,
        ),
        body_timeout_ms: checker.duration(&at.key("body_timeout"), &written.body_timeout, defaults::BODY_TIMEOUT),
        connections_max: written.connections_max,
        connections_per_client_max: written.connections_per_client_max,
        requests_per_client_max: written.requests_per_client_max,
    }
}

fn data(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Data) -> Data {
    let age_ms = checker.duration(&at.key("retention_age"), &written.retention_age, defaults::RETENTION_AGE);
    Data {
        directory: checker.base_dir.join(&written.directory),
        retention_secs: age_ms / 1000,
        retention_bytes_max: checker.size(&at.key("retention_size"), &written.retention_size, defaults::RETENTION_SIZE),
        queue_events_max: usize::try_from(written.queue_events)
            .ok()
            .and_then(NonZeroUsize::new)
            .unwrap_or(NonZeroUsize::MIN),
    }
}

fn console(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Console) -> Option<Console> {
    let at = at.key("address");
    let address = checker.socket_address(&at, &written.address);
    if written.enabled && !address.ip().is_loopback() && !written.secure_cookies {
        let message = format!("the console at `{address}` can be reached from other machines in clear text");
        let help = "listen on 127.0.0.1, or put TLS before it and write `secure_cookies: true`";
        checker.report.warning_at(checker.tree, &at, Fault::new(report::WEAK, message, help));
    }
    let names = written.names.iter().map(|name| name.to_ascii_lowercase()).collect();
    written.enabled.then_some(Console { address, secure_cookies: written.secure_cookies, names })
}

/// Settings that are right alone and wrong together.
fn contradictions(checker: &mut Checker<'_, '_>, root: &SettingPath, config: &Config) {
    for (index, listener) in config.listeners.iter().enumerate() {
        let at = root.key("listeners").index(index);
        let earlier = config.listeners.iter().take(index).position(|other| other.address == listener.address);
        if let Some(first) = earlier.filter(|_| listener.address.port() != 0) {
            let line = checker.line_of(&root.key("listeners").index(first));
            let message = format!("`{}` is listened on twice", listener.address);
            let help = format!("line {line} has it too; keep one or change the port");
            checker.error(&at.key("address"), report::NOT_UNIQUE, message, help);
        }
        let is_console = config.console.as_ref().is_some_and(|console| console.address == listener.address);
        if is_console && listener.address.port() != 0 {
            let message = format!("`{}` is both a listener and the console", listener.address);
            let help = "change the port here, or that of `console: {address: …}`";
            checker.error(&at.key("address"), report::NOT_UNIQUE, message, help);
        }
        if config.metrics == Some(listener.address) && listener.address.port() != 0 {
            let message = format!("`{}` is both a listener and `metrics`", listener.address);
            let help = "change the port here, or that of `metrics: {address: …}`";
            checker.error(&at.key("address"), report::NOT_UNIQUE, message, help);
        }
        if listener.proxy_protocol && config.trusted_proxies.is_empty() && !checker.is_partial {
            let fault = Fault::new(
                report::NO_EFFECT,
                "`proxy_protocol` believes nobody: `trusted_proxies` is empty",
                "name the networks of your load balancers in `trusted_proxies`",
            );
            checker.report.warning_at(checker.tree, &at.key("proxy_protocol"), fault);
        }
    }
    let console = config.console.as_ref().map(|console| console.address);
    if let Some(address) = config.metrics.filter(|address| Some(*address) == console && address.port() != 0) {
        let message = format!("`{address}` is both the console and `metrics`");
        let help = "change the port here, or that of `console: {address: …}`";
        checker.error(&root.key("metrics").key("address"), report::NOT_UNIQUE, message, help);
    }
    unmet_mtls(checker, root, config);
    cache::callers(checker, root, config);
    for (index, network) in config.trusted_proxies.iter().enumerate() {
        if network.prefix_len() == 0 {
            let message = format!("`{network}` lets every client choose the address it is seen with");
            let fault = Fault::new(report::WEAK, message, "name the networks of your load balancers only");
            checker.report.warning_at(checker.tree, &root.key("trusted_proxies").index(index), fault);
        }
    }
}
