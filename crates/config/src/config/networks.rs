//! What is meant by countries, network operators and lists of networks.

use std::path::PathBuf;

/// A file that says where addresses are, or on which list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressData {
    /// Name, unique
    pub name: String,
    /// The file
    pub file: PathBuf,
    /// What it holds
    pub kind: AddressFileKind,
}

/// What a file of address data holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressFileKind {
    /// MaxMind DB
    Database,
    /// CSV with countries
    Countries,
    /// CSV with operators
    Asns,
    /// CSV with latitudes and longitudes
    Coordinates,
    /// CSV with labels
    Labels,
}

/// Where clients may call from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks {
    /// Two letters, upper case
    pub countries: NetworkLists<[u8; 2]>,
    /// Numbers of operators
    pub asns: NetworkLists<u32>,
    /// Labels
    pub labels: NetworkLists<String>,
    /// Who is not known passes allow lists of countries and operators
    pub allow_unknown: bool,
}

/// What is allowed (empty = all) and denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkLists<T> {
    /// Only these
    pub allow: Vec<T>,
    /// Not these
    pub deny: Vec<T>,
}

impl<T> NetworkLists<T> {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }
}

impl Networks {
    /// What it demands, in one line.
    pub fn summary(&self) -> String {
        let country = |code: &[u8; 2]| String::from_utf8_lossy(code).into_owned();
        let asn = |number: &u32| format!("AS{number}");
        let mut parts = Vec::new();
        let mut add = |word: &str, list: Vec<String>| {
            if !list.is_empty() {
                parts.push(format!("{word} {}", list.join(", ")));
            }
        };
        add("only from", self.countries.allow.iter().map(country).collect());
        add("only from", self.asns.allow.iter().map(asn).collect());
        add("only from", self.labels.allow.clone());
        add("not from", self.countries.deny.iter().map(country).collect());
        add("not from", self.asns.deny.iter().map(asn).collect());
        add("not from", self.labels.deny.clone());
        parts.join("; ")
    }
}
