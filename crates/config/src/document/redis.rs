//! What people write of Redis: where it is, and how it is spoken to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, FailureMode, RateSharing, duration_bounds};
use crate::defaults;

/// A Redis server (6.2 or later) that counts rate limits for several gateways. Of clients it only learns keyed hashes.
/// A change needs a restart.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// Host name or address, and port.
    #[schemars(extend("title" = "host and port"), example = &"redis.internal:6379")]
    pub address: String,
    /// How many gateways share it, at most. It sizes what each leases, and the share that each enforces alone.
    #[schemars(range(min = 1, max = defaults::GATEWAYS_MAX), example = 4)]
    pub gateways: u64,
    /// TLS. Without it, clear text.
    pub tls: Option<RedisTls>,
    /// User (ACL). Without it, `default`.
    #[schemars(length(min = 1), example = &"bartizan")]
    pub user: Option<String>,
    /// File with the password, read at the start and whenever it connects; relative to this document's folder.
    #[schemars(length(min = 1), extend("title" = "file name"), example = &"redis.password")]
    pub password_file: Option<String>,
    /// Number of the database.
    #[serde(default)]
    #[schemars(range(min = 0, max = defaults::REDIS_DATABASE_MAX))]
    pub database: u32,
    /// Beginning of every key: letters, digits, `-`, `_` and `.`. Gateways with another prefix count apart.
    #[serde(default = "key_prefix")]
    #[schemars(length(min = 1, max = defaults::NAME_CHARS_MAX))]
    pub key_prefix: String,
    /// File with a secret of at least 16 bytes, the same at every gateway: clients are hashed with it. Relative to this
    /// document's folder. Without it, the password
    /// is that secret; without either, who reads Redis can find out whether a known address or user is counted there.
    #[schemars(length(min = 1), extend("title" = "file name"), example = &"redis.key")]
    pub key_file: Option<String>,
    /// The quotas that API keys bring along (`bartizan key create --quota`).
    #[serde(default)]
    pub key_quotas: KeyQuotas,
    /// Longest wait for an answer while a request waits; beyond it the policy's `failure_mode` decides.
    #[serde(default = "timeout")]
    #[schemars(extend("x-bounds" = duration_bounds(defaults::REDIS_TIMEOUT)))]
    pub timeout: Duration,
}

/// How the quotas that API keys bring along are shared. What a plan allows says so itself.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeyQuotas {
    /// With whom they are shared. Applications of one name are one, at whichever gateway their keys were made.
    pub shared: RateSharing,
    /// What holds while Redis cannot be reached.
    pub failure_mode: FailureMode,
}

impl Default for KeyQuotas {
    fn default() -> Self {
        Self { shared: RateSharing::Leased, failure_mode: FailureMode::Share }
    }
}

/// TLS towards Redis. Its certificate is always checked.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RedisTls {
    /// PEM file of the authorities to trust instead of the system's; relative to this document's folder.
    #[schemars(length(min = 1), extend("title" = "file name"), example = &"tls/redis-ca.pem")]
    pub authorities: Option<String>,
    /// PEM file with a client certificate; `key` must be there too.
    #[schemars(length(min = 1), extend("title" = "file name"), example = &"tls/gateway.crt")]
    pub certificate: Option<String>,
    /// PEM file with its private key.
    #[schemars(length(min = 1), extend("title" = "file name"), example = &"tls/gateway.key")]
    pub key: Option<String>,
}

fn key_prefix() -> String {
    defaults::REDIS_KEY_PREFIX.to_owned()
}

fn timeout() -> Duration {
    Duration::default_of(defaults::REDIS_TIMEOUT)
}
