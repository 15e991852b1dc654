//! What people write about countries, network operators and lists of networks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::defaults;

/// A file that says where addresses are, or on which list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressData {
    /// Name, unique among these files: letters, digits, `-`, `_` and `.`.
    #[schemars(length(min = 1, max = defaults::NAME_CHARS_MAX), example = &"countries")]
    pub name: String,
    /// The file; relative to this document's folder. Read at the start and at each reload.
    #[schemars(length(min = 1), extend("title" = "file name"), example = &"geo/country.mmdb")]
    pub file: String,
    /// What it holds.
    #[serde(default)]
    pub holds: AddressDataKind,
}

/// What a file of address data holds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AddressDataKind {
    /// A MaxMind database (`.mmdb`) with countries, operators, coordinates or several of them.
    #[default]
    Database,
    /// CSV: a network (or first and last address) and a country's two letters.
    Countries,
    /// CSV: a network (or first and last address) and an operator's number.
    Asns,
    /// CSV: a network (or first and last address), latitude and longitude in degrees.
    Coordinates,
    /// CSV: a network (or first and last address) and a label of your own, such as `hosting`. Networks of one label may
    /// overlap, and an address may have several labels.
    Labels,
}

/// Where clients may call from, by country, network operator and list. A listed deny wins; where there are allow lists of
/// several kinds, the client must be on one of each.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Networks {
    /// Countries by their two letters (ISO 3166-1).
    pub countries: Countries,
    /// Network operators by their numbers.
    pub asns: Asns,
    /// Lists in files that hold `labels`.
    pub labels: Labels,
    /// Let clients pass whose country or operator is not known, where there is an allow list.
    pub allow_unknown: bool,
}

/// Countries.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Countries {
    /// Only these.
    #[schemars(example = vec!["DE", "AT"])]
    pub allow: Vec<String>,
    /// Not these.
    #[schemars(example = vec!["XX"])]
    pub deny: Vec<String>,
}

/// Network operators.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Asns {
    /// Only these.
    #[schemars(example = vec![64496])]
    pub allow: Vec<u32>,
    /// Not these.
    #[schemars(example = vec![64511])]
    pub deny: Vec<u32>,
}

/// Lists of networks.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Labels {
    /// Only those on one of these.
    #[schemars(example = vec!["partners"])]
    pub allow: Vec<String>,
    /// None on one of these.
    #[schemars(example = vec!["hosting", "anonymizers"])]
    pub deny: Vec<String>,
}
