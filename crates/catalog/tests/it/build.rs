//! Events made by hand: what every field is when a case does not care.

use bartizan_catalog::{Catalog, CatalogLimits};
use bartizan_model::{
    Actor, ActorKind, AuthKinds, Client, Decision, Ending, Event, HttpVersion, Missing, RequestId, Scheme, Source,
    Timestamp,
};

/// An answered GET.
pub fn event(path: &str) -> Event {
    Event {
        id: RequestId::from_bits(1),
        time: Timestamp::from_millis(1_000),
        source: Source::Gateway,
        client: Client { ip: None, via: None, tls_version: None },
        actor: actor("ann"),
        scheme: Scheme::Https,
        version: HttpVersion::Http11,
        host: "api.example".into(),
        method: "GET".into(),
        path: path.into(),
        api: Some("shop".into()),
        endpoint: None,
        parameters: Vec::new(),
        auth: AuthKinds::NONE,
        principal: None,
        cache_status: None,
        user_agent: None,
        request_type: None,
        response_type: None,
        ending: Ending::Answered,
        status: 200,
        request_bytes: 0,
        response_bytes: 0,
        duration_us: 0,
        upstream_us: None,
        upstream: None,
        findings: Vec::new(),
        decision: Decision::default(),
        missing: Missing::default(),
    }
}

pub fn actor(id: &str) -> Actor {
    Actor { kind: ActorKind::Credential, id: id.into() }
}

/// An event from `actor` that ended with `status`.
pub fn answered(method: &str, path: &str, actor_id: &str, status: u16) -> Event {
    Event { method: method.into(), actor: actor(actor_id), status, ..event(path) }
}

pub fn catalog() -> Catalog {
    Catalog::new(CatalogLimits::default())
}

/// `METHOD template` of everything that was learned.
pub fn learned(catalog: &Catalog) -> Vec<String> {
    catalog.learned().iter().map(|endpoint| format!("{} {}", endpoint.method, endpoint.template)).collect()
}
