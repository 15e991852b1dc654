//! Redis: where it is, and whether what is written of it fits together.

use bartizan_model::excerpt;

use super::Checker;
use crate::config::{Redis, RedisTls};
use crate::defaults;
use crate::document;
use crate::path::SettingPath;
use crate::report;

/// The meaning of `redis`.
pub(super) fn redis(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Redis) -> Option<Redis> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !written.key_prefix.bytes().all(is_name) {
        let message = format!("`{}` is not a name", excerpt(&written.key_prefix));
        checker.error(&at.key("key_prefix"), report::MALFORMED_NAME, message, "use letters, digits, `-`, `_` and `.`");
    }
    let tls = written.tls.as_ref().map(|tls| redis_tls(checker, &at.key("tls"), tls));
    let password_file = written.password_file.as_deref().map(|file| checker.file(&at.key("password_file"), file));
    let key_file = written.key_file.as_deref().map(|file| checker.file(&at.key("key_file"), file));
    let timeout_ms = checker.duration(&at.key("timeout"), &written.timeout, defaults::REDIS_TIMEOUT);
    let (host, port) = checker.target(&at.key("address"), &written.address)?;
    let is_local = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    if !is_local && tls.is_none() {
        let message = "counts and the password travel in clear text".to_owned();
        checker.warning(&at.key("address"), report::WEAK, message, "add `tls: {}`, or reach Redis on this machine");
    }
    if key_file.is_none() && password_file.is_none() {
        let message =
            "clients are hashed without a secret: who reads Redis can find out who is counted there".to_owned();
        checker.warning(at, report::WEAK, message, "add `key_file`, the same secret at every gateway");
    }
    if written.user.is_some() && password_file.is_none() {
        let message = "a user without a password".to_owned();
        checker.error(&at.key("user"), report::CONTRADICTION, message, "add `password_file`, or leave `user` out");
    }
    Some(Redis {
        host,
        port,
        gateways: written.gateways,
        tls,
        user: written.user.clone(),
        password_file,
        database: written.database,
        key_prefix: written.key_prefix.clone(),
        key_file,
        key_quotas: super::rate::shared(Some(written.key_quotas.shared), Some(written.key_quotas.failure_mode)),
        timeout_ms,
    })
}

fn redis_tls(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::RedisTls) -> RedisTls {
    let certificate = written.certificate.as_deref().map(|file| checker.file(&at.key("certificate"), file));
    let key = written.key.as_deref().map(|file| checker.file(&at.key("key"), file));
    if certificate.is_some() != key.is_some() {
        let message = "a client certificate and its key belong together".to_owned();
        checker.error(at, report::CONTRADICTION, message, "write both `certificate` and `key`, or neither");
    }
    RedisTls {
        authorities: written.authorities.as_deref().map(|file| checker.file(&at.key("authorities"), file)),
        client: certificate.zip(key),
    }
}
