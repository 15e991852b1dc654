//! Upstreams: pools of targets, their names resolved and their health checked in the background.
//!
//! A pool is made from one `config::Upstream` and lives as long as that does not change: a reload takes over unchanged
//! pools with everything they know.

mod balance;
mod health;
mod pool;

use std::collections::BTreeMap;
use std::sync::Arc;

use bartizan_config::Config;

use crate::Error;
use crate::gateway::UpstreamHealth;

pub(crate) use pool::Pool;

/// Every upstream of a configuration, by name.
pub(crate) struct Upstreams {
    by_name: BTreeMap<String, Arc<Pool>>,
    names: Vec<String>,
}

impl Upstreams {
    /// Makes the pools of `config`; those whose settings are the same in `before` are taken over. New host names are
    /// resolved at once, which may block.
    pub(crate) fn new(config: &Config, before: Option<&Self>) -> Result<Self, Error> {
        let mut by_name = BTreeMap::new();
        for upstream in &config.upstreams {
            let known = before.and_then(|before| before.by_name.get(&upstream.name));
            let pool = match known {
                Some(pool) if pool.is_of(upstream)? => pool.clone(),
                Some(_) | None => Arc::new(Pool::new(upstream)?),
            };
            by_name.insert(upstream.name.clone(), pool);
        }
        Ok(Self { by_name, names: config.upstreams.iter().map(|upstream| upstream.name.clone()).collect() })
    }

    /// Starts the background work of pools that have none yet.
    pub(crate) fn start(&self, runtime: &tokio::runtime::Handle) {
        self.by_name.values().for_each(|pool| pool.start(runtime));
    }

    /// The pool of this name.
    pub(crate) fn pool(&self, name: &str) -> Option<&Arc<Pool>> {
        self.by_name.get(name)
    }

    /// The health of every target, in the order of the configuration.
    pub(crate) fn health(&self) -> Vec<UpstreamHealth> {
        let pools = self.names.iter().filter_map(|name| Some((name, self.by_name.get(name)?)));
        pools.map(|(name, pool)| UpstreamHealth { name: name.clone(), targets: pool.health() }).collect()
    }
}
