//! Files of address data, and policies over what they say.

use bartizan_model::excerpt;

use super::Checker;
use crate::config::{AddressData, AddressFileKind, NetworkLists, Networks};
use crate::document::{self, AddressDataKind};
use crate::path::SettingPath;
use crate::report;

/// Every file.
pub(super) fn files(
    checker: &mut Checker<'_, '_>,
    at: &SettingPath,
    written: &[document::AddressData],
) -> Vec<AddressData> {
    checker.names(at, "address file", written.iter().map(|file| file.name.as_str()));
    written
        .iter()
        .enumerate()
        .map(|(index, file)| AddressData {
            name: file.name.clone(),
            file: checker.file(&at.index(index).key("file"), &file.file),
            kind: match file.holds {
                AddressDataKind::Database => AddressFileKind::Database,
                AddressDataKind::Countries => AddressFileKind::Countries,
                AddressDataKind::Asns => AddressFileKind::Asns,
                AddressDataKind::Coordinates => AddressFileKind::Coordinates,
                AddressDataKind::Labels => AddressFileKind::Labels,
            },
        })
        .collect()
}

/// The meaning of `networks`.
pub(super) fn networks(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Networks) -> Networks {
    let countries_at = at.key("countries");
    let networks = Networks {
        countries: NetworkLists {
            allow: countries(checker, &countries_at.key("allow"), &written.countries.allow),
            deny: countries(checker, &countries_at.key("deny"), &written.countries.deny),
        },
        asns: NetworkLists { allow: written.asns.allow.clone(), deny: written.asns.deny.clone() },
        labels: NetworkLists { allow: written.labels.allow.clone(), deny: written.labels.deny.clone() },
        allow_unknown: written.allow_unknown,
    };
    let is_empty = networks.countries.is_empty() && networks.asns.is_empty() && networks.labels.is_empty();
    if is_empty && !checker.is_partial {
        let help = "add `countries`, `asns` or `labels`, each with `allow` or `deny`";
        checker.error(at, report::EMPTY, "`networks` names no network".to_owned(), help);
    }
    networks
}

fn countries(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &[String]) -> Vec<[u8; 2]> {
    let mut codes = Vec::with_capacity(written.len());
    for (index, text) in written.iter().enumerate() {
        let code: Option<[u8; 2]> = text.as_bytes().try_into().ok();
        match code.filter(|code| code.iter().all(u8::is_ascii_alphabetic)) {
            Some(code) => codes.push(code.map(|letter| letter.to_ascii_uppercase())),
            None => {
                let message = format!("`{}` is not a country's code", excerpt(text));
                let help =
                    "write its two letters (ISO 3166-1), such as `DE`; quote `\"NO\"`, which YAML may take for false";
                checker.error(&at.index(index), report::MALFORMED_NAME, message, help);
            }
        }
    }
    codes
}

/// Policies that ask what no file can tell.
pub(super) fn unanswered(checker: &mut Checker<'_, '_>, root: &SettingPath, config: &crate::config::Config) {
    use crate::config::{PolicyRule, RateKey};
    let has = |kinds: &[AddressFileKind]| config.address_data.iter().any(|data| kinds.contains(&data.kind));
    let countries = has(&[AddressFileKind::Database, AddressFileKind::Countries]);
    let asns = has(&[AddressFileKind::Database, AddressFileKind::Asns]);
    let coordinates = has(&[AddressFileKind::Database, AddressFileKind::Coordinates]);
    let labels = has(&[AddressFileKind::Labels]);
    for (index, policy) in config.policies.iter().enumerate() {
        let at = root.key("policies").index(index);
        let mut asked = |is_asked: bool, is_known: bool, at: SettingPath, what: &str| {
            if is_asked && !is_known && !checker.is_partial {
                let message = format!("no file of `address_data` tells {what}");
                checker.error(&at, report::UNKNOWN_NAME, message, "add one to `address_data`, with `holds`");
            }
        };
        if let PolicyRule::Networks(rules) = &policy.rule {
            let at = at.key("networks");
            asked(!rules.countries.is_empty(), countries, at.key("countries"), "countries");
            asked(!rules.asns.is_empty(), asns, at.key("asns"), "operators");
            asked(!rules.labels.is_empty(), labels, at.key("labels"), "labels");
        }
        if let PolicyRule::Continuity(rules) = &policy.rule {
            let at = at.key("continuity");
            asked(rules.countries_max.is_some(), countries, at.key("countries_max"), "countries");
            asked(rules.operators_max.is_some(), asns, at.key("operators_max"), "operators");
            asked(rules.speed_max.is_some(), coordinates, at.key("speed_max"), "coordinates");
            asked(!rules.ignore_labels.is_empty(), labels, at.key("ignore_labels"), "labels");
        }
        if let PolicyRule::Rate(rate) = &policy.rule {
            let at = at.key("rate").key("key");
            asked(rate.key.contains(&RateKey::Country), countries, at.clone(), "countries");
            asked(rate.key.contains(&RateKey::Asn), asns, at, "operators");
        }
    }
}
