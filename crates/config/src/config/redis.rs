//! What the settings of Redis mean.

use std::path::PathBuf;

use super::RateSharing;

/// A Redis server that counts for several gateways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// Host name or address
    pub host: String,
    /// Port
    pub port: u16,
    /// How many gateways share it, at least 1
    pub gateways: u64,
    /// TLS; `None` in the clear
    pub tls: Option<RedisTls>,
    /// User; `None` is Redis' default one
    pub user: Option<String>,
    /// File with the password
    pub password_file: Option<PathBuf>,
    /// Number of the database
    pub database: u32,
    /// Beginning of every key
    pub key_prefix: String,
    /// File with the secret that clients are hashed with
    pub key_file: Option<PathBuf>,
    /// How the quotas that API keys bring along are shared
    pub key_quotas: RateSharing,
    /// Longest wait for an answer, in milliseconds, at least 1
    pub timeout_ms: u64,
}

/// TLS towards Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisTls {
    /// PEM file of the authorities to trust instead of the system's
    pub authorities: Option<PathBuf>,
    /// PEM files of a client certificate and its key
    pub client: Option<(PathBuf, PathBuf)>,
}
