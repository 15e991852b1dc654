//! What a policy about parameters that carry URLs means.

use ipnet::IpNet;

use super::HostPattern;

/// Where URLs in parameters may lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ssrf {
    /// Names and paths of parameters; empty = every value that is an absolute URL
    pub parameters: Vec<String>,
    /// Schemes, lower case
    pub schemes: Vec<String>,
    /// Hosts; empty = every public one
    pub hosts: Vec<HostPattern>,
    /// Ports, beside none
    pub ports: Vec<u16>,
    /// Addresses that may be internal
    pub networks: Vec<IpNet>,
    /// Domains of names that are addresses in disguise, lower case
    pub disguises: Vec<String>,
    /// Bytes of a body that are looked at
    pub body_bytes_max: u64,
}

impl Ssrf {
    /// What it demands, in one line.
    pub fn summary(&self) -> String {
        let whose = match self.parameters.as_slice() {
            [] => "every URL".to_owned(),
            names => format!("URLs in {}", names.join(", ")),
        };
        let hosts: Vec<String> = self.hosts.iter().map(HostPattern::words).collect();
        let whither = if hosts.is_empty() { "public hosts".to_owned() } else { hosts.join(", ") };
        format!("{whose} only to {whither} by {}", self.schemes.join(", "))
    }
}
