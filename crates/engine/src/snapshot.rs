//! Everything an inspection may read: compiled from a `Config` and the learned endpoints, immutable but for what
//! attack rules keep between exchanges, swapped whole.
//!
//! Configuration changes rarely and endpoints change often, so they are shared separately: teaching the engine new
//! endpoints rebuilds the endpoint router and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use bartizan_config::{Config, HostHeader};
use bartizan_model::{Endpoint, Secret};
use bartizan_waf::{CollectionCounts, Collections, Plan};

use crate::address::AddressSet;
use crate::counters::Counters;
use crate::endpoints::EndpointRouter;
use crate::networks::AddressData;
use crate::policy::Policies;
use crate::routes::Routes;
use crate::rule_records;
use crate::stage::access::authorize::cedar::CedarPlans;
use crate::stage::limit::rate::key::Fingerprinter;
use crate::state::AccessState;

/// Compiled attack rules by the name of their policy. The host reads the files that the policies name.
pub type Plans = BTreeMap<String, Arc<Plan>>;

/// What a Snapshot is compiled from besides the configuration.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// Counts up with every Snapshot
    pub generation: u64,
    /// Endpoints the catalog has learned
    pub endpoints: &'a [Endpoint],
    /// Attack rules of the policies that have some
    pub plans: &'a Plans,
    /// Counts of rate limits: the host's own, so that they go on after a reload; a replay has its own
    pub counters: &'a Counters,
    /// Installation key for the keyed hashes of credentials
    pub key: [u8; 32],
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Name of the API
    pub api: Arc<str>,
    /// Name of the upstream
    pub upstream: Arc<str>,
    /// Host header towards the upstream
    pub host_header: HostHeader,
    /// The body streams through uninspected
    pub streaming: bool,
    /// Largest request body; the engine enforces it, the host may size buffers by it
    pub body_bytes_max: u64,
}

/// Everything an inspection may read.
#[derive(Debug)]
pub struct Snapshot {
    generation: u64,
    core: Arc<Core>,
    endpoints: EndpointRouter,
    access: Arc<AccessState>,
    address_data: Arc<AddressData>,
    rule_records: Arc<Collections>,
    cedar: Arc<CedarPlans>,
}

/// What comes from the configuration.
#[derive(Debug)]
struct Core {
    routes: Routes,
    policies: Policies,
    trusted_proxies: AddressSet,
    key: Secret<[u8; 32]>,
}

impl Snapshot {
    /// Compiles a valid configuration; cannot fail.
    pub fn compile(config: &Config, inputs: Inputs<'_>) -> Self {
        let key = Secret::new(inputs.key);
        let core = Core {
            routes: Routes::compile(config),
            policies: Policies::compile(config, inputs.plans, inputs.counters, Fingerprinter::new(&key)),
            trusted_proxies: AddressSet::new(&config.trusted_proxies),
            key,
        };
        Self {
            generation: inputs.generation,
            core: Arc::new(core),
            endpoints: EndpointRouter::new(inputs.endpoints),
            access: Arc::default(),
            address_data: Arc::default(),
            rule_records: rule_records::new(&inputs.key),
            cedar: Arc::default(),
        }
    }

    /// The same Snapshot with other endpoints; everything else is shared.
    #[must_use]
    pub fn with_endpoints(&self, generation: u64, endpoints: &[Endpoint]) -> Self {
        Self {
            generation,
            core: Arc::clone(&self.core),
            endpoints: EndpointRouter::new(endpoints),
            access: Arc::clone(&self.access),
            address_data: Arc::clone(&self.address_data),
            rule_records: Arc::clone(&self.rule_records),
            cedar: Arc::clone(&self.cedar),
        }
    }

    /// The same Snapshot with the Cedar policies of its `authorize` policies, which the host reads and compiles. Without
    /// them what those policies judge is refused.
    #[must_use]
    pub fn with_cedar(mut self, plans: Arc<CedarPlans>) -> Self {
        self.cedar = plans;
        self
    }

    pub(crate) fn cedar(&self) -> &CedarPlans {
        &self.cedar
    }

    /// The same Snapshot over the keys and the memory of `access`. A host makes one for all its Snapshots; without it a
    /// Snapshot has one of its own, that knows no keys.
    #[must_use]
    pub fn with_access(mut self, access: Arc<AccessState>) -> Self {
        self.access = access;
        self
    }

    /// The same Snapshot with what files say of addresses; without it nothing is known of any.
    #[must_use]
    pub fn with_address_data(mut self, data: Arc<AddressData>) -> Self {
        self.address_data = data;
        self
    }

    pub(crate) fn address_data(&self) -> &AddressData {
        &self.address_data
    }

    /// Keys, and what is remembered of callers.
    pub fn access(&self) -> &Arc<AccessState> {
        &self.access
    }

    /// Goes on with what attack rules have kept under the Snapshot that it takes the place of; it begins with nothing
    /// otherwise.
    #[must_use]
    pub fn following(self, before: &Self) -> Self {
        Self { rule_records: Arc::clone(&before.rule_records), ..self }
    }

    /// How much attack rules keep between exchanges, and what did not fit.
    pub fn kept_by_rules(&self) -> CollectionCounts {
        self.rule_records.counts()
    }

    pub(crate) fn rule_records(&self) -> Arc<Collections> {
        Arc::clone(&self.rule_records)
    }

    /// Counts up with every Snapshot.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How many endpoints it can label.
    pub fn endpoint_count(&self) -> usize {
        self.endpoints.len()
    }

    pub(crate) fn routes(&self) -> &Routes {
        &self.core.routes
    }

    pub(crate) fn policies(&self) -> &Policies {
        &self.core.policies
    }

    pub(crate) fn trusted_proxies(&self) -> &AddressSet {
        &self.core.trusted_proxies
    }

    pub(crate) fn key(&self) -> &Secret<[u8; 32]> {
        &self.core.key
    }

    pub(crate) fn endpoints(&self) -> &EndpointRouter {
        &self.endpoints
    }
}
