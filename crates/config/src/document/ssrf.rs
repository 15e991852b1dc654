//! What people write in a policy about parameters that carry URLs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Size, size_bounds};
use crate::defaults;

/// Where parameters that carry URLs may lead (server-side request forgery): to public hosts by ordinary schemes and ports,
/// or to those that are listed. Internal addresses are refused in every spelling, and so is what two readers could read
/// differently. Names are not resolved: what an upstream connects to is for the upstream to check.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ssrf {
    /// Parameters in query, form, JSON and XML that carry URLs: a name without case, or a path in which `*` stands for one
    /// name or index. What they hold without a scheme is taken for a host. Without any, every value that begins like an
    /// absolute URL is looked at.
    #[schemars(inner(length(min = 1, max = defaults::MEMBER_NAME_CHARS_MAX)), example = vec!["callback_url", "webhook.url", "items.*.href"])]
    pub parameters: Vec<String>,
    /// Schemes they may have.
    #[schemars(length(min = 1), inner(length(min = 1, max = defaults::NAME_CHARS_MAX)))]
    pub schemes: Vec<String>,
    /// Hosts they may lead to, `*.example.com` for every name below. Without any, every public host. An internal name may be
    /// listed.
    #[schemars(example = vec!["hooks.partner.example", "*.cdn.example"])]
    pub hosts: Vec<String>,
    /// Ports they may have.
    #[schemars(length(min = 1), inner(range(min = 1, max = u16::MAX)))]
    pub ports: Vec<u16>,
    /// Networks whose addresses they may have, internal ones too.
    #[schemars(example = vec!["10.20.0.0/16"])]
    pub networks: Vec<String>,
    /// Domains whose names are addresses in disguise (`10.0.0.1.nip.io`), or change with each look-up.
    #[schemars(inner(length(min = 1, max = 253)))]
    pub disguises: Vec<String>,
    /// Bytes of a body that are looked at. A longer one is answered 413, one that is broken 400.
    #[schemars(extend("x-bounds" = size_bounds(defaults::CONTENT_BODY_BYTES)))]
    pub body_bytes_max: Size,
}

impl Default for Ssrf {
    fn default() -> Self {
        let disguises = [
            "nip.io",
            "sslip.io",
            "xip.io",
            "backname.io",
            "traefik.me",
            "localtest.me",
            "lvh.me",
            "vcap.me",
            "lacolhost.com",
            "fuf.me",
            "rbndr.us",
            "1u.ms",
        ];
        Self {
            parameters: Vec::new(),
            schemes: ["https", "http"].map(str::to_owned).to_vec(),
            hosts: Vec::new(),
            ports: vec![80, 443],
            networks: Vec::new(),
            disguises: disguises.map(str::to_owned).to_vec(),
            body_bytes_max: Size::default_of(defaults::CONTENT_BODY_BYTES),
        }
    }
}
