//! Upstreams: targets, balance, TLS, timeouts, health.

use std::num::NonZeroU32;

use bartizan_model::excerpt;

use super::Checker;
use crate::config::{
    Balance, HashKey, HealthCheck, HealthProbe, Target, Timeouts, Upstream, UpstreamProtocol, UpstreamTls,
};
use crate::path::SettingPath;
use crate::{defaults, document, report};

/// Every upstream; names are checked here.
pub(super) fn all(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &[document::Upstream]) -> Vec<Upstream> {
    checker.names(at, "upstream", written.iter().map(|upstream| upstream.name.as_str()));
    written.iter().enumerate().map(|(index, upstream)| one(checker, &at.index(index), upstream)).collect()
}

fn one(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Upstream) -> Upstream {
    Upstream {
        name: written.name.clone(),
        targets: targets(checker, &at.key("targets"), &written.targets),
        balance: balance(checker, &at.key("balance"), &written.balance),
        tls: written.tls.as_ref().map(|tls| upstream_tls(checker, &at.key("tls"), tls)),
        protocol: match written.protocol {
            document::Protocol::Http1 => UpstreamProtocol::Http1,
            document::Protocol::Http2 => UpstreamProtocol::Http2,
        },
        timeouts: timeouts(checker, &at.key("timeouts"), &written.timeouts),
        health: health(checker, &at.key("health"), &written.health),
        retries_max: written.retries,
        resolve_interval_ms: checker.duration(
            &at.key("resolve_interval"),
            &written.resolve_interval,
            defaults::RESOLVE_INTERVAL,
        ),
    }
}

fn targets(checker: &mut Checker<'_, '_>, list: &SettingPath, written: &[document::Target]) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::with_capacity(written.len());
    for (index, target) in written.iter().enumerate() {
        let at = list.index(index).key("address");
        let Some((host, port)) = checker.target(&at, &target.address) else { continue };
        if let Some(first) = targets.iter().position(|other| other.host == host && other.port == port) {
            let line = checker.line_of(&list.index(first).key("address"));
            let message = format!("`{}` is a target twice", excerpt(&target.address));
            let help = format!("line {line} has it too; use `weight` to give it a larger share");
            checker.error(&at, report::NOT_UNIQUE, message, help);
        }
        targets.push(Target { host, port, weight: count(target.weight) });
    }
    targets
}

fn balance(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Balance) -> Balance {
    match written {
        document::Balance::RoundRobin => Balance::RoundRobin,
        document::Balance::Random => Balance::Random,
        document::Balance::ConsistentHash(over) => Balance::ConsistentHash(match over {
            document::HashOver::ClientAddress => HashKey::ClientAddress,
            document::HashOver::Path => HashKey::Path,
            document::HashOver::Header(name) => {
                HashKey::Header(checker.header_name(&at.key("consistent_hash").key("header"), name))
            }
        }),
    }
}

fn upstream_tls(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::UpstreamTls) -> UpstreamTls {
    if !written.verify {
        let message = "`verify: false` lets anyone on the way read and change everything".to_owned();
        let help = "name your own authority in `authorities` instead";
        checker.warning(&at.key("verify"), report::WEAK, message, help);
    }
    UpstreamTls {
        server_name: written.server_name.as_deref().map(|name| checker.host_header(&at.key("server_name"), name)),
        verify: written.verify,
        authorities: written.authorities.as_deref().map(|file| checker.file(&at.key("authorities"), file)),
    }
}

fn timeouts(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Timeouts) -> Timeouts {
    let timeouts = Timeouts {
        connect_ms: checker.duration(&at.key("connect"), &written.connect, defaults::CONNECT_TIMEOUT),
        handshake_ms: checker.duration(&at.key("handshake"), &written.handshake, defaults::HANDSHAKE_TIMEOUT),
        read_ms: checker.duration(&at.key("read"), &written.read, defaults::READ_TIMEOUT),
        write_ms: checker.duration(&at.key("write"), &written.write, defaults::WRITE_TIMEOUT),
        idle_ms: checker.duration(&at.key("idle"), &written.idle, defaults::IDLE_TIMEOUT),
    };
    if timeouts.connect_ms > timeouts.handshake_ms {
        let message = format!(
            "`connect` is `{}` and `handshake`, which includes it, is `{}`",
            excerpt(&written.connect.0),
            excerpt(&written.handshake.0)
        );
        let help = "write a `handshake` that is at least `connect`";
        checker.error(&at.key("connect"), report::CONTRADICTION, message, help);
    }
    timeouts
}

fn health(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Health) -> Option<HealthCheck> {
    let interval_ms = checker.duration(&at.key("interval"), &written.interval, defaults::HEALTH_INTERVAL);
    let timeout_ms = checker.duration(&at.key("timeout"), &written.timeout, defaults::HEALTH_TIMEOUT);
    if timeout_ms > interval_ms {
        let message = format!(
            "`timeout` is `{}` and longer than `interval`, `{}`",
            excerpt(&written.timeout.0),
            excerpt(&written.interval.0)
        );
        checker.error(&at.key("timeout"), report::CONTRADICTION, message, "a check must end before the next begins");
    }
    let host = written.host.as_deref().map(|host| checker.host_header(&at.key("host"), host));
    let probe = match &written.path {
        Some(path) => HealthProbe::Http { path: checker.request_target(&at.key("path"), path), host },
        None => {
            if host.is_some() {
                let message = "`host` has no effect: without `path`, a check only connects".to_owned();
                checker.warning(&at.key("host"), report::NO_EFFECT, message, "add a `path`, or remove `host`");
            }
            HealthProbe::Tcp
        }
    };
    written.enabled.then_some(HealthCheck {
        probe,
        interval_ms,
        timeout_ms,
        unhealthy_after: count(written.unhealthy_after),
        healthy_after: count(written.healthy_after),
    })
}

/// A count that the schema keeps above zero.
fn count(written: u32) -> NonZeroU32 {
    NonZeroU32::new(written).unwrap_or(NonZeroU32::MIN)
}
