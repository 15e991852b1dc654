//! Builders for unit tests.

use bartizan_config::{Api, Config, Data, HostHeader, Limits, Policy, PolicyRule, Scope};
use bartizan_model::{Mode, Secret};

use crate::policy::Policies;
use crate::stage::limit::rate::key::Fingerprinter;

/// The smallest configuration: one API on every host, no policies.
pub(crate) fn config() -> Config {
    Config {
        listeners: Vec::new(),
        upstreams: Vec::new(),
        apis: vec![Api {
            name: "default".into(),
            hosts: Vec::new(),
            path_prefix: "/".into(),
            upstream: "origin".into(),
            host_header: HostHeader::Keep,
            body_bytes_max: 1 << 20,
            streaming: Vec::new(),
        }],
        plans: Vec::new(),
        policies: Vec::new(),
        trusted_proxies: Vec::new(),
        address_data: Vec::new(),
        limits: Limits {
            header_bytes_max: 1 << 16,
            header_count_max: 100,
            header_timeout_ms: 1,
            client_read_timeout_ms: 1,
            keepalive_timeout_ms: 1,
            body_timeout_ms: 1,
            connections_max: 1,
            connections_per_client_max: 1,
            requests_per_client_max: 1,
        },
        data: Data {
            directory: "data".into(),
            retention_secs: 1,
            retention_bytes_max: 1,
            queue_events_max: std::num::NonZeroUsize::MIN,
        },
        audit_logs: Vec::new(),
        redis: None,
        metrics: None,
        console: None,
        threads: None,
        shutdown_grace_ms: 1,
    }
}

/// A policy that denies every address, on every request.
pub(crate) fn policy(name: &str, mode: Mode) -> Policy {
    let rule = PolicyRule::Addresses { allow: Vec::new(), deny: vec!["0.0.0.0/0".parse().unwrap()] };
    Policy { name: name.into(), mode, scope: Scope::default(), rule }
}

/// The policies of `config`, compiled.
pub(crate) fn policies(config: &Config) -> Policies {
    let fingerprinter = Fingerprinter::new(&Secret::new([7; 32]));
    Policies::compile(config, &crate::Plans::new(), &crate::Counters::default(), fingerprinter)
}
