//! Active health checks: what is asked of a target, and when its answers take it out or back.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use bartizan_config::{HealthCheck, HealthProbe};
use pingora::http::RequestHeader;
use pingora::lb::Backend;
use pingora::lb::health_check::{HealthCheck as _, HttpHealthCheck};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType};

/// Whether a target gets requests, and why.
#[derive(Debug)]
pub(crate) struct Health {
    healthy: AtomicBool,
    streak: AtomicU32,
    detail: Mutex<String>, // written by the checker, read by the console
}

impl Health {
    /// Healthy until a check says otherwise.
    pub(super) fn new(is_checked: bool) -> Self {
        let detail = if is_checked { "not checked yet" } else { "no health check" };
        Self { healthy: AtomicBool::new(true), streak: AtomicU32::new(0), detail: Mutex::new(detail.to_owned()) }
    }

    /// Whether the target gets requests.
    pub(super) fn is_healthy(&self) -> bool {
        self.healthy.load(Relaxed)
    }

    /// What was last heard.
    pub(super) fn detail(&self) -> String {
        self.detail.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Takes one check's outcome in; tells whether the target was taken out or back.
    pub(super) fn observe(&self, check: &HealthCheck, outcome: &Result<(), String>) -> bool {
        let detail = match outcome {
            Ok(()) => "healthy".to_owned(),
            Err(fault) => fault.clone(),
        };
        *self.detail.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = detail;
        if outcome.is_ok() == self.is_healthy() {
            self.streak.store(0, Relaxed);
            return false;
        }
        let streak = self.streak.fetch_add(1, Relaxed) + 1;
        let needed = if outcome.is_ok() { check.healthy_after } else { check.unhealthy_after };
        if streak < needed.get() {
            return false;
        }
        self.streak.store(0, Relaxed);
        self.healthy.store(outcome.is_ok(), Relaxed);
        true
    }
}

/// Asks targets of one host how they are.
pub(super) enum Prober {
    /// A TCP connection
    Tcp,
    /// A request
    Http(Box<HttpHealthCheck>),
}

impl Prober {
    /// The prober for targets reached like `peer`, which is called `authority`.
    pub(super) fn new(check: &HealthCheck, peer: &HttpPeer, authority: &str) -> Option<Self> {
        let HealthProbe::Http { path, host } = &check.probe else { return Some(Self::Tcp) };
        let mut request = RequestHeader::build("GET", path.as_bytes(), None).ok()?;
        request.insert_header("Host", host.as_deref().unwrap_or(authority)).ok()?;
        request.insert_header("User-Agent", "bartizan-health-check").ok()?;
        let mut http = HttpHealthCheck::new(authority, false);
        http.peer_template = peer.clone();
        http.req = request;
        http.validator = Some(Box::new(|response| match response.status.as_u16() {
            200..=399 => Ok(()),
            status => Error::e_explain(ErrorType::CustomCode("unhealthy status", status), format!("status {status}")),
        }));
        Some(Self::Http(Box::new(http)))
    }

    /// Asks one target, at most for `timeout_ms`.
    pub(super) async fn probe(&self, address: SocketAddr, check: &HealthCheck) -> Result<(), String> {
        let asked = async {
            match self {
                Self::Tcp => tokio::net::TcpStream::connect(address).await.map(drop).map_err(|error| error.to_string()),
                Self::Http(http) => {
                    let backend = Backend { addr: address.into(), weight: 1, ext: http::Extensions::new() };
                    http.check(&backend).await.map_err(|error| fault(&error))
                }
            }
        };
        match tokio::time::timeout(Duration::from_millis(check.timeout_ms), asked).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("no answer within {} ms", check.timeout_ms)),
        }
    }
}

fn fault(error: &Error) -> String {
    match error.etype() {
        ErrorType::CustomCode(_, status) => format!("answered with status {status}"),
        other => other.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn a_target_is_taken_out_and_back_after_the_configured_streaks() {
        let check = HealthCheck {
            probe: HealthProbe::Tcp,
            interval_ms: 1,
            timeout_ms: 1,
            unhealthy_after: NonZeroU32::new(3).unwrap(),
            healthy_after: NonZeroU32::new(2).unwrap(),
        };
        let health = Health::new(true);
        let bad = Err("refused".to_owned());
        let flips: Vec<bool> = [&bad, &bad, &Ok(()), &bad, &bad, &bad, &Ok(()), &bad, &Ok(()), &Ok(())]
            .map(|outcome| health.observe(&check, outcome))
            .into();
        assert_eq!(flips, [false, false, false, false, false, true, false, false, false, true]);
        assert!(health.is_healthy());
    }
}
