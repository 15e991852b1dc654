//! Policies about parameters that carry URLs: lists that can be read in one way only.

use bartizan_model::excerpt;

use super::Checker;
use super::values::is_scheme;
use crate::config::{HostPattern, Ssrf};
use crate::defaults;
use crate::document;
use crate::path::SettingPath;
use crate::report;

/// Schemes by which a fetcher reads files, speaks other protocols, or runs what it reads.
const RISKY: [&str; 9] = ["data", "dict", "file", "gopher", "jar", "javascript", "ldap", "php", "tftp"];

/// The meaning of `ssrf`.
pub(super) fn ssrf(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Ssrf) -> Ssrf {
    let schemes_at = at.key("schemes");
    let schemes: Vec<String> = written.schemes.iter().map(|scheme| scheme.to_ascii_lowercase()).collect();
    for (index, scheme) in schemes.iter().enumerate() {
        let at = schemes_at.index(index);
        if !is_scheme(scheme) {
            let message = format!("`{}` is not a scheme", excerpt(scheme));
            checker.error(&at, report::MALFORMED_URL, message, "write the word before `://`, such as `https`");
        } else if RISKY.contains(&scheme.as_str()) {
            let message = format!("`{scheme}` lets a parameter reach more than web servers");
            checker.warning(&at, report::WEAK, message, "remove it, unless the upstream cannot fetch it");
        }
    }
    let hosts_at = at.key("hosts");
    let hosts = written.hosts.iter().enumerate();
    let hosts: Vec<HostPattern> =
        hosts.map(|(index, host)| checker.host_pattern(&hosts_at.index(index), host)).collect();
    let disguises_at = at.key("disguises");
    let disguises = written.disguises.iter().enumerate();
    let disguises = disguises.filter_map(|(index, domain)| {
        let domain = domain.strip_prefix("*.").unwrap_or(domain);
        match checker.host_pattern(&disguises_at.index(index), domain) {
            HostPattern::Exact(domain) => Some(domain),
            HostPattern::Wildcard(_) => None,
        }
    });
    let disguises = disguises.collect();
    for (index, parameter) in written.parameters.iter().enumerate() {
        if parameter.split('.').any(str::is_empty) {
            let message = format!("`{}` is not a parameter's name or path", excerpt(parameter));
            let help = "write a name such as `callback_url`, or a path such as `items.*.href`";
            checker.error(&at.key("parameters").index(index), report::MALFORMED_NAME, message, help);
        }
    }
    Ssrf {
        parameters: written.parameters.clone(),
        schemes,
        hosts,
        ports: written.ports.clone(),
        networks: checker.networks(&at.key("networks"), &written.networks),
        disguises,
        body_bytes_max: checker.size(&at.key("body_bytes_max"), &written.body_bytes_max, defaults::CONTENT_BODY_BYTES),
    }
}
