//! What is known of an address: country, network operator (ASN), coordinates, and the lists that an operator of ours keeps.
//!
//! The data comes in files that a host reads and hands over as bytes: MaxMind DB, whose records tell country, ASN and
//! coordinates under the names that their makers use, and CSV. Looking up is pure. An address that no file knows has no facts; what follows
//! from that is a policy's to say.
//! Sources: MaxMind DB file format 2.0; ISO 3166-1 alpha-2; RFC 6793 (ASN).

use std::net::IpAddr;
use std::sync::Arc;

use bartizan_config::AddressFileKind;
use bartizan_model::Timestamp;
use ipnet::IpNet;
use maxminddb::{LookupResult, PathElement, Reader};
use smallvec::SmallVec;

/// LIMIT: lines of a CSV file: the routes of the Internet, four times over.
const LINES_MAX: usize = 4_000_000;
/// LIMIT: different labels of all files; each is looked for at each request that asks.
const LABELS_MAX: usize = 64;
/// LIMIT: bytes of a label; it is written into policies and events.
const LABEL_BYTES_MAX: usize = 64;

/// A country by its ISO 3166-1 code.
pub type Country = [u8; 2];

/// Radius of the earth in kilometers (IUGG mean).
const EARTH_RADIUS_KM: f64 = 6371.0;

/// A point on the earth, in hundredths of a degree: a kilometer, where geolocation of addresses errs by tens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coordinates {
    latitude: i16,
    longitude: i16,
}

impl Coordinates {
    /// A point by its degrees, north and east positive; `None` when there is no such point.
    pub fn new(latitude: f64, longitude: f64) -> Option<Self> {
        let is_point = latitude.abs() <= 90.0 && longitude.abs() <= 180.0; // false for NaN
        let hundredths = |degrees: f64| (degrees * 100.0).round() as i16; // at most 18,000
        is_point.then(|| Self { latitude: hundredths(latitude), longitude: hundredths(longitude) })
    }

    /// Kilometers to `other` along the great circle (haversine; a sphere, which errs by at most 0.6 %).
    pub fn kilometers_to(self, other: Self) -> f64 {
        let radians = |hundredths: i16| (f64::from(hundredths) / 100.0).to_radians();
        let (here, there) = (radians(self.latitude), radians(other.latitude));
        let across = (radians(self.longitude) - radians(other.longitude)) / 2.0;
        let up = (here - there) / 2.0;
        let chord = up.sin().powi(2) + here.cos() * there.cos() * across.sin().powi(2);
        2.0 * EARTH_RADIUS_KM * chord.clamp(0.0, 1.0).sqrt().asin()
    }

    fn bits(self) -> u32 {
        u32::from(self.latitude.cast_unsigned()) << 16 | u32::from(self.longitude.cast_unsigned())
    }

    fn from_bits(bits: u32) -> Self {
        Self { latitude: ((bits >> 16) as u16).cast_signed(), longitude: (bits as u16).cast_signed() }
    }
}

/// What is known of one address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressFacts {
    /// Country
    pub country: Option<Country>,
    /// Number of the network operator
    pub asn: Option<u32>,
    /// Where it is, as far as geolocation can tell
    pub coordinates: Option<Coordinates>,
    /// Lists that the address is on
    pub labels: SmallVec<[Arc<str>; 2]>,
}

/// The files of one configuration, read.
#[derive(Debug, Default)]
pub struct AddressData {
    files: Vec<AddressFile>,
}

/// One file.
pub struct AddressFile {
    name: Box<str>,
    content: Content,
}

enum Content {
    Database(Box<Reader<Vec<u8>>>),
    Countries(Ranges),
    Asns(Ranges),
    Coordinates(Ranges),
    Labels(Vec<(Arc<str>, Ranges)>),
}

/// Why a file is not taken, and in which line, when it has lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressFileFault {
    /// From 1
    pub line: Option<u32>,
    /// In words
    pub fault: String,
}

/// How old a file's data is, and how much of it there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressFileInfo {
    /// Name in the configuration
    pub name: Box<str>,
    /// When it was made, as far as the file says
    pub built: Option<Timestamp>,
    /// What it says it is, or `CSV`
    pub kind: Box<str>,
    /// Networks in it, as far as the file says
    pub networks: Option<u64>,
}

impl std::fmt::Debug for AddressFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AddressFile").field("name", &self.name).finish_non_exhaustive()
    }
}

impl AddressFile {
    /// Reads a file's bytes.
    ///
    /// # Errors
    /// They are not what they should be.
    pub fn read(name: &str, kind: AddressFileKind, bytes: Vec<u8>) -> Result<Self, AddressFileFault> {
        let content = match kind {
            AddressFileKind::Database => {
                let reader = Reader::from_source(bytes);
                let reader = reader.map_err(|error| whole(format!("not a MaxMind database: {error}")))?;
                Content::Database(Box::new(reader))
            }
            AddressFileKind::Countries => {
                Content::Countries(valued(&bytes, |line| country_value(line.value), "not a country's two letters")?)
            }
            AddressFileKind::Asns => {
                Content::Asns(valued(&bytes, |line| asn_value(line.value), "not an operator's number")?)
            }
            AddressFileKind::Coordinates => {
                Content::Coordinates(valued(&bytes, coordinates_value, "not latitude and longitude in degrees")?)
            }
            AddressFileKind::Labels => Content::Labels(labelled(&bytes)?),
        };
        Ok(Self { name: name.into(), content })
    }

    /// What the file says of itself.
    pub fn info(&self) -> AddressFileInfo {
        let name = self.name.clone();
        let csv = |networks: usize| AddressFileInfo {
            name: name.clone(),
            built: None,
            kind: "CSV".into(),
            networks: Some(networks as u64),
        };
        match &self.content {
            Content::Database(reader) => {
                let metadata = reader.metadata();
                let built = i64::try_from(metadata.build_epoch).ok().and_then(|secs| secs.checked_mul(1000));
                AddressFileInfo {
                    name,
                    built: built.map(Timestamp::from_millis),
                    kind: metadata
                        .database_type
                        .chars()
                        .filter(|c| !c.is_control())
                        .take(LABEL_BYTES_MAX)
                        .collect::<String>()
                        .into(),
                    networks: None,
                }
            }
            Content::Countries(ranges) | Content::Asns(ranges) | Content::Coordinates(ranges) => csv(ranges.list.len()),
            Content::Labels(labels) => csv(labels.iter().map(|(_, ranges)| ranges.list.len()).sum()),
        }
    }

    /// Whether the label is one of this file's.
    fn has_label(&self, label: &str) -> bool {
        match &self.content {
            Content::Labels(labels) => labels.iter().any(|(known, _)| **known == *label),
            Content::Database(_) | Content::Countries(_) | Content::Asns(_) | Content::Coordinates(_) => false,
        }
    }

    fn find(&self, address: IpAddr, facts: &mut AddressFacts) {
        match &self.content {
            Content::Database(reader) => {
                let Ok(found) = reader.lookup(address) else { return };
                facts.country = facts.country.or_else(|| country(&found));
                facts.asn = facts.asn.or_else(|| asn(&found));
                facts.coordinates = facts.coordinates.or_else(|| coordinates(&found));
            }
            Content::Countries(ranges) => {
                let found = ranges.find(address).and_then(|value| u16::try_from(value).ok());
                facts.country = facts.country.or(found.map(u16::to_be_bytes));
            }
            Content::Asns(ranges) => facts.asn = facts.asn.or_else(|| ranges.find(address)),
            Content::Coordinates(ranges) => {
                facts.coordinates = facts.coordinates.or_else(|| ranges.find(address).map(Coordinates::from_bits));
            }
            Content::Labels(labels) => {
                let found = labels.iter().filter(|(_, ranges)| ranges.find(address).is_some());
                facts.labels.extend(found.map(|(label, _)| Arc::clone(label)));
            }
        }
    }
}

impl AddressData {
    /// Files in the order of the configuration: of two that know a country, the first is believed.
    pub fn new(files: Vec<AddressFile>) -> Self {
        Self { files }
    }

    /// What the files say of themselves.
    pub fn infos(&self) -> Vec<AddressFileInfo> {
        self.files.iter().map(AddressFile::info).collect()
    }

    /// Whether any file has this label.
    pub fn has_label(&self, label: &str) -> bool {
        self.files.iter().any(|file| file.has_label(label))
    }

    /// What is known of `address`.
    pub fn find(&self, address: IpAddr) -> AddressFacts {
        let mut facts = AddressFacts::default();
        let address = address.to_canonical();
        self.files.iter().for_each(|file| file.find(address, &mut facts));
        facts
    }
}

/// Where makers of databases write a country's code: MaxMind and DB-IP, IP2Location and ip-location-db, IPinfo.
fn country(found: &LookupResult<'_, Vec<u8>>) -> Option<Country> {
    use PathElement::Key;
    let paths: [&[PathElement<'_>]; 4] = [
        &[Key("country"), Key("iso_code")],
        &[Key("registered_country"), Key("iso_code")],
        &[Key("country_code")],
        &[Key("country")],
    ];
    let text = |path: &[PathElement<'_>]| found.decode_path::<&str>(path).ok().flatten();
    paths.into_iter().filter_map(text).find_map(country_code)
}

/// Where they write the operator's number, as a number or as `AS64496`.
fn asn(found: &LookupResult<'_, Vec<u8>>) -> Option<u32> {
    use PathElement::Key;
    let paths: [&[PathElement<'_>]; 2] = [&[Key("autonomous_system_number")], &[Key("asn")]];
    paths.into_iter().find_map(|path| {
        let number = found.decode_path::<u32>(path).ok().flatten();
        number.or_else(|| found.decode_path::<&str>(path).ok().flatten().and_then(asn_value))
    })
}

/// Where they write latitude and longitude: MaxMind and DB-IP, ip-location-db, IPinfo (as text).
fn coordinates(found: &LookupResult<'_, Vec<u8>>) -> Option<Coordinates> {
    use PathElement::Key;
    let paths: [[&[PathElement<'_>]; 2]; 3] = [
        [&[Key("location"), Key("latitude")], &[Key("location"), Key("longitude")]],
        [&[Key("latitude")], &[Key("longitude")]],
        [&[Key("lat")], &[Key("lng")]],
    ];
    let degrees = |path: &[PathElement<'_>]| {
        let number = found.decode_path::<f64>(path).ok().flatten();
        number.or_else(|| found.decode_path::<&str>(path).ok().flatten()?.parse().ok())
    };
    paths.into_iter().find_map(|[latitude, longitude]| Coordinates::new(degrees(latitude)?, degrees(longitude)?))
}

/// `de` and `DE` → DE.
fn country_code(text: &str) -> Option<Country> {
    let code: Country = text.as_bytes().try_into().ok()?;
    code.iter().all(u8::is_ascii_alphabetic).then(|| code.map(|letter| letter.to_ascii_uppercase()))
}

fn country_value(text: &str) -> Option<u32> {
    country_code(text).map(|code| u16::from_be_bytes(code).into())
}

fn asn_value(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("AS").or_else(|| text.strip_prefix("as")).unwrap_or(text);
    digits.parse().ok()
}

fn coordinates_value(line: &Line<'_>) -> Option<u32> {
    Coordinates::new(line.value.parse().ok()?, line.next?.parse().ok()?).map(Coordinates::bits)
}

/// First and last address, and a value.
type Range = (u128, u128, u32);

/// Sorted ranges that do not overlap; IPv4 is mapped into IPv6.
#[derive(Debug, Default)]
struct Ranges {
    list: Box<[Range]>,
}

impl Ranges {
    fn find(&self, address: IpAddr) -> Option<u32> {
        let bits = bits(address);
        let after = self.list.partition_point(|(first, _, _)| *first <= bits);
        let (_, last, value) = after.checked_sub(1).and_then(|at| self.list.get(at))?;
        (bits <= *last).then_some(*value)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// A line that says something: its number, the range, what stands behind it.
struct Line<'a> {
    number: u32,
    first: u128,
    last: u128,
    value: &'a str,
    /// What stands behind that
    next: Option<&'a str>,
}

/// Reads `network,value` or `first,last,value`; empty lines and those that begin with `#` say nothing. More columns may
/// follow.
fn lines(bytes: &[u8]) -> Result<Vec<Line<'_>>, AddressFileFault> {
    let text = std::str::from_utf8(bytes).map_err(|_| whole("not UTF-8".to_owned()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if lines.len() >= LINES_MAX {
            return Err(whole(format!("more than {LINES_MAX} networks")));
        }
        let at = |fault: &str| AddressFileFault { line: Some(number), fault: fault.to_owned() };
        let mut cells = line.split(',').map(|cell| cell.trim().trim_matches('"'));
        let (begin, next) = (cells.next().unwrap_or_default(), cells.next());
        let ends = next.and_then(|next| next.parse::<IpAddr>().ok());
        let (first, last, value) = match (begin.parse::<IpAddr>(), ends) {
            (Ok(first), Some(last)) if first.is_ipv4() == last.is_ipv4() => (first, last, cells.next()),
            (Ok(address), None) => (address, address, next),
            (Err(_), None) => {
                let network: IpNet = begin.parse().map_err(|_| at("not a network; write `10.0.0.0/8,label`"))?;
                (network.network(), network.broadcast(), next)
            }
            _ => return Err(at("not a range of addresses")),
        };
        let value = value.filter(|value| !value.is_empty()).ok_or_else(|| at("nothing behind the network"))?;
        let (first, last) = (bits(first.to_canonical()), bits(last.to_canonical()));
        if first > last {
            return Err(at("the range ends before it begins"));
        }
        lines.push(Line { number, first, last, value, next: cells.next() });
    }
    lines.sort_unstable_by_key(|line| line.first);
    Ok(lines)
}

/// Ranges with one value each.
fn valued(bytes: &[u8], read: fn(&Line<'_>) -> Option<u32>, otherwise: &str) -> Result<Ranges, AddressFileFault> {
    let mut list: Vec<Range> = Vec::new();
    for line in lines(bytes)? {
        let at = |fault: &str| AddressFileFault { line: Some(line.number), fault: fault.to_owned() };
        let value = read(&line).ok_or_else(|| at(otherwise))?;
        if list.last().is_some_and(|(_, last, _)| *last >= line.first) {
            return Err(at("the network overlaps another one of this file"));
        }
        list.push((line.first, line.last, value));
    }
    Ok(Ranges { list: list.into() })
}

/// Ranges by their labels; those of one label may overlap.
fn labelled(bytes: &[u8]) -> Result<Vec<(Arc<str>, Ranges)>, AddressFileFault> {
    let mut labels: Vec<(Arc<str>, Vec<Range>)> = Vec::new();
    for line in lines(bytes)? {
        let at = |fault: String| AddressFileFault { line: Some(line.number), fault };
        let label = line.value;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if label.len() > LABEL_BYTES_MAX || !label.bytes().all(is_plain) {
            return Err(at("a label has letters, digits, `-`, `_` and `.`, 64 at most".to_owned()));
        }
        let place = match labels.iter().position(|(known, _)| **known == *label) {
            Some(place) => place,
            None if labels.len() >= LABELS_MAX => return Err(at(format!("more than {LABELS_MAX} labels"))),
            None => {
                labels.push((label.into(), Vec::new()));
                labels.len() - 1
            }
        };
        let Some((_, list)) = labels.get_mut(place) else { continue };
        match list.last_mut() {
            Some((_, last, _)) if *last >= line.first => *last = line.last.max(*last),
            _ => list.push((line.first, line.last, 0)),
        }
    }
    Ok(labels.into_iter().map(|(label, list)| (label, Ranges { list: list.into() })).collect())
}

fn whole(fault: String) -> AddressFileFault {
    AddressFileFault { line: None, fault }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(kind: AddressFileKind, text: &str) -> Result<AddressFile, AddressFileFault> {
        AddressFile::read("a", kind, text.as_bytes().to_vec())
    }

    #[test]
    fn networks_ranges_and_lone_addresses_are_read() {
        let text = "# first, last, country\n1.0.0.0,1.0.0.255,au\n\n\"2001:db8::/32\",\"DE\",more\r\n9.9.9.9,CH\n";
        let data = AddressData::new(vec![csv(AddressFileKind::Countries, text).unwrap()]);
        let country = |address: &str| data.find(address.parse().unwrap()).country;
        assert_eq!(country("1.0.0.77"), Some(*b"AU"));
        assert_eq!(country("::ffff:1.0.0.77"), Some(*b"AU"));
        assert_eq!(country("1.0.1.0"), None);
        assert_eq!(country("2001:db8:ffff::1"), Some(*b"DE"));
        assert_eq!(country("2001:db9::"), None);
        assert_eq!(country("9.9.9.9"), Some(*b"CH"));
        assert_eq!(data.infos()[0].networks, Some(3));
    }

    #[test]
    fn an_address_is_on_every_list_that_holds_it() {
        let text = "10.0.0.0/8,inside\n10.1.0.0/16,office\n10.1.2.0/24,inside\n10.0.0.0/9,inside\n";
        let data = AddressData::new(vec![csv(AddressFileKind::Labels, text).unwrap()]);
        let labels = |address: &str| {
            data.find(address.parse().unwrap()).labels.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(labels("10.1.9.9"), ["inside", "office"]);
        assert_eq!(labels("10.200.0.1"), ["inside"]);
        assert_eq!(labels("11.0.0.0"), [""; 0]);
        assert!(data.has_label("office") && !data.has_label("hosting"));
    }

    #[test]
    fn of_two_files_the_first_that_knows_is_believed() {
        let first = csv(AddressFileKind::Asns, "10.0.0.0/8,AS64496").unwrap();
        let second = csv(AddressFileKind::Asns, "0.0.0.0/0,64497").unwrap();
        let data = AddressData::new(vec![first, second]);
        assert_eq!(data.find("10.0.0.1".parse().unwrap()).asn, Some(64496));
        assert_eq!(data.find("8.8.8.8".parse().unwrap()).asn, Some(64497));
    }

    #[test]
    fn coordinates_come_as_degrees_and_keep_a_kilometer() {
        let text = "10.0.0.0/8,52.52,13.41\n11.0.0.0,11.0.0.255,-33.8688,151.2093,Sydney\n12.0.0.0/8,0,-180\n";
        let data = AddressData::new(vec![csv(AddressFileKind::Coordinates, text).unwrap()]);
        let at = |address: &str| data.find(address.parse().unwrap()).coordinates;
        assert_eq!(at("10.1.2.3"), Coordinates::new(52.52, 13.41));
        assert_eq!(at("12.1.2.3"), Coordinates::new(0.0, -180.0));
        assert_eq!(at("13.1.2.3"), None);
        let kilometers = at("10.1.2.3").unwrap().kilometers_to(at("11.0.0.7").unwrap());
        assert!((16_000.0..16_200.0).contains(&kilometers), "Berlin to Sydney: {kilometers}");
    }

    #[test]
    fn the_great_circle_is_the_way_around_it_takes() {
        let point = |latitude, longitude| Coordinates::new(latitude, longitude).unwrap();
        for (from, to, kilometers) in [
            (point(0.0, 179.9), point(0.0, -179.9), 22.2),
            (point(90.0, 0.0), point(90.0, 137.0), 0.0),
            (point(90.0, 0.0), point(-90.0, 12.0), 20_015.0),
            (point(48.86, 2.35), point(40.71, -74.01), 5837.0),
        ] {
            let (there, back) = (from.kilometers_to(to), to.kilometers_to(from));
            assert!((there - kilometers).abs() <= kilometers * 0.006 + 0.1, "{from:?} {to:?}: {there}");
            assert!((there - back).abs() < 1e-6, "there and back");
        }
        for (latitude, longitude) in [(90.1, 0.0), (0.0, 180.1), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
            assert_eq!(Coordinates::new(latitude, longitude), None);
        }
    }

    #[test]
    fn a_fault_is_told_with_its_line() {
        for (kind, text, line) in [
            (AddressFileKind::Labels, "10.0.0.0/8,a\nnonsense,a", Some(2)),
            (AddressFileKind::Labels, "10.0.0.0/8", Some(1)),
            (AddressFileKind::Labels, "10.0.0.0/8,two words", Some(1)),
            (AddressFileKind::Labels, "10.0.0.9,10.0.0.1,a", Some(1)),
            (AddressFileKind::Labels, "10.0.0.9,2001:db8::1,a", Some(1)),
            (AddressFileKind::Countries, "\n10.0.0.0/8,Germany", Some(2)),
            (AddressFileKind::Countries, "10.0.0.0/8,DE\n10.1.0.0/16,AT", Some(2)),
            (AddressFileKind::Asns, "10.0.0.0/8,AS-1", Some(1)),
            (AddressFileKind::Coordinates, "10.0.0.0/8,52.5", Some(1)),
            (AddressFileKind::Coordinates, "10.0.0.0/8,52.5,13.4\n11.0.0.0/8,91,0", Some(2)),
            (AddressFileKind::Database, "10.0.0.0/8,DE", None),
        ] {
            assert_eq!(csv(kind, text).unwrap_err().line, line, "{text}");
        }
    }
}
