//! JSON log lines: picks the members that a [`FieldMap`] names, in one pass, without building a tree.
//!
//! The map is compiled into a tree of names. Reading walks line and tree together, so the recursion is as deep as the
//! map, never as the input (serde_json skips the rest, and refuses a nesting of more than 128).

use std::borrow::Cow;
use std::fmt;

use bartizan_model::{Scheme, Timestamp};
use serde::Deserializer;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::field_map::{Field, FieldMap};
use super::{Record, is_absent, read_address, read_status, read_version};
use crate::tell::bad_line::Fault;
use crate::tell::clock;

/// A compiled map.
pub(super) struct Picker {
    fields: Vec<Field>,
    root: Node,
}

/// A member name's place in the paths: which fields end here, and what names go on.
#[derive(Default)]
struct Node {
    fields: Vec<usize>,
    children: Vec<(Box<str>, Node)>,
}

/// A picked value.
#[derive(Clone)]
enum Scalar<'a> {
    Text(Cow<'a, str>),
    Unsigned(u64),
    Float(f64),
}

impl Picker {
    pub(super) fn new(map: &FieldMap) -> Self {
        let mut root = Node::default();
        for (at, (_, paths)) in map.pairs.iter().enumerate() {
            for path in paths {
                root.insert(path, at);
            }
        }
        Self { fields: map.pairs.iter().map(|(field, _)| field.clone()).collect(), root }
    }

    pub(super) fn read<'a>(&'a self, line: &'a [u8], offset_minutes: i16) -> Result<Record<'a>, Fault> {
        let mut picked = vec![None; self.fields.len()];
        let mut deserializer = serde_json::Deserializer::from_slice(line);
        Pick { node: &self.root, picked: &mut picked }
            .deserialize(&mut deserializer)
            .and_then(|()| deserializer.end())
            .map_err(|error| Fault::json(&error))?;
        if !self.fields.iter().zip(&picked).any(|(field, scalar)| field.tells_request() && scalar.is_some()) {
            return Err(Fault::content("no member says which request it was"));
        }
        let mut record = Record::default();
        let mut request = Parts::default();
        for (field, scalar) in self.fields.iter().zip(picked) {
            if let Some(scalar) = scalar.filter(|scalar| !scalar.is_absent()) {
                set(field, scalar, &mut record, &mut request, offset_minutes)?;
            }
        }
        request.into_record(&mut record)?;
        Ok(record)
    }
}

impl Node {
    fn insert(&mut self, path: &[Box<str>], field: usize) {
        let mut node = self;
        for name in path {
            let at = node.children.iter().position(|(known, _)| known == name).unwrap_or(node.children.len());
            if at == node.children.len() {
                node.children.push((name.clone(), Self::default()));
            }
            let Some((_, child)) = node.children.get_mut(at) else { return };
            node = child;
        }
        node.fields.push(field);
    }

    fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|(known, _)| **known == *name).map(|(_, node)| node)
    }
}

/// The parts that a request may be told in, weighed when the whole line is read.
#[derive(Default)]
struct Parts<'a> {
    line: Option<Cow<'a, [u8]>>,
    path: Option<Cow<'a, [u8]>>,
    query: Option<Cow<'a, [u8]>>,
}

impl<'a> Parts<'a> {
    /// A target that was logged as such wins over a request line, and that over a path: some servers log the path
    /// normalized.
    fn into_record(self, record: &mut Record<'a>) -> Result<(), Fault> {
        if let Some(line) = self.line
            && (record.method.is_empty() || record.target.is_empty())
        {
            return record.set_request_line(line);
        }
        if record.target.is_empty()
            && let Some(path) = self.path
        {
            record.target = path;
        }
        if let Some(query) = self.query
            && !record.target.is_empty()
            && !record.target.contains(&b'?')
        {
            let query = query.strip_prefix(b"?").unwrap_or(&query);
            record.target = [&record.target, &b"?"[..], query].concat().into();
        }
        Ok(())
    }
}

/// Puts one picked value into the record, unless an earlier pair of the same name has.
fn set<'a>(
    field: &'a Field,
    scalar: Scalar<'a>,
    record: &mut Record<'a>,
    request: &mut Parts<'a>,
    offset_minutes: i16,
) -> Result<(), Fault> {
    match field {
        Field::Time => {
            if record.time.is_none() {
                let time =
                    scalar.time(offset_minutes).ok_or_else(|| Fault::content("the time is in no form we know"))?;
                record.time = Some(time);
            }
        }
        Field::Client => record.client = record.client.or_else(|| read_client(&scalar.bytes())),
        Field::Method => keep_first(&mut record.method, scalar),
        Field::Url => keep_first(&mut record.target, scalar),
        Field::Path => _ = request.path.get_or_insert_with(|| scalar.into_bytes()),
        Field::Query => _ = request.query.get_or_insert_with(|| scalar.into_bytes()),
        Field::Request => _ = request.line.get_or_insert_with(|| scalar.into_bytes()),
        Field::Scheme => record.scheme = record.scheme.or_else(|| read_scheme(&scalar.bytes())),
        Field::Host => _ = record.host.get_or_insert_with(|| scalar.into_bytes()),
        Field::Server => _ = record.server.get_or_insert_with(|| scalar.into_bytes()),
        Field::Version => _ = record.version.get_or_insert_with(|| read_version(&scalar.bytes())),
        Field::Status => {
            if record.status.is_none() {
                record.status = read_status(&scalar.bytes())?;
            }
        }
        Field::RequestBytes => record.request_bytes = record.request_bytes.or_else(|| clock::number(&scalar.bytes())),
        Field::ResponseBytes => {
            record.response_bytes = record.response_bytes.or_else(|| clock::number(&scalar.bytes()));
        }
        Field::Duration(unit_us) => {
            record.duration_us = record.duration_us.or_else(|| clock::duration(&scalar.bytes(), *unit_us));
        }
        Field::RequestHeader(name) => push_first(&mut record.request_headers, name, scalar),
        Field::ResponseHeader(name) => push_first(&mut record.response_headers, name, scalar),
    }
    Ok(())
}

fn keep_first<'a>(place: &mut Cow<'a, [u8]>, scalar: Scalar<'a>) {
    if place.is_empty() {
        *place = scalar.into_bytes();
    }
}

fn push_first<'a>(headers: &mut Vec<(&'a str, Cow<'a, [u8]>)>, name: &'a str, scalar: Scalar<'a>) {
    if !headers.iter().any(|(known, _)| *known == name) {
        headers.push((name, scalar.into_bytes()));
    }
}

/// An address, or a list of them as in `X-Forwarded-For`: then the one that the logging server has added itself.
fn read_client(text: &[u8]) -> Option<std::net::IpAddr> {
    read_address(text.rsplit(|&byte| byte == b',').next().unwrap_or_default().trim_ascii())
}

fn read_scheme(text: &[u8]) -> Option<Scheme> {
    match text {
        text if text.eq_ignore_ascii_case(b"https") || text.eq_ignore_ascii_case(b"wss") => Some(Scheme::Https),
        text if text.eq_ignore_ascii_case(b"http") || text.eq_ignore_ascii_case(b"ws") => Some(Scheme::Http),
        _ => None,
    }
}

impl<'a> Scalar<'a> {
    /// A member that is there and says nothing.
    const NONE: Self = Self::Text(Cow::Borrowed(""));

    fn is_absent(&self) -> bool {
        match self {
            Self::Text(text) => is_absent(text.as_bytes()),
            Self::Unsigned(_) | Self::Float(_) => false,
        }
    }

    fn into_bytes(self) -> Cow<'a, [u8]> {
        match self {
            Self::Text(Cow::Borrowed(text)) => Cow::Borrowed(text.as_bytes()),
            Self::Text(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
            Self::Unsigned(number) => Cow::Owned(number.to_string().into_bytes()),
            Self::Float(number) => Cow::Owned(number.to_string().into_bytes()),
        }
    }

    fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Text(text) => Cow::Borrowed(text.as_bytes()),
            Self::Unsigned(number) => Cow::Owned(number.to_string().into_bytes()),
            Self::Float(number) => Cow::Owned(number.to_string().into_bytes()),
        }
    }

    fn time(&self, offset_minutes: i16) -> Option<Timestamp> {
        match self {
            Self::Text(text) => clock::time(text.as_bytes(), offset_minutes),
            Self::Unsigned(number) => clock::time(number.to_string().as_bytes(), offset_minutes),
            Self::Float(number) => clock::epoch_float(*number),
        }
    }
}

/// nginx's `escape=json` passes bytes beyond UTF-8 through, which is no JSON: they are taken as percent-encoded.
pub(super) fn mended(line: &[u8]) -> Cow<'_, [u8]> {
    if std::str::from_utf8(line).is_ok() {
        return Cow::Borrowed(line);
    }
    let mut text = Vec::with_capacity(line.len() + 32);
    for chunk in line.utf8_chunks() {
        text.extend_from_slice(chunk.valid().as_bytes());
        for byte in chunk.invalid() {
            text.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    Cow::Owned(text)
}

/// Reads one value at one place of the tree.
struct Pick<'n, 'p, 'a> {
    node: &'n Node,
    picked: &'p mut [Option<Scalar<'a>>],
}

impl<'a> Pick<'_, '_, 'a> {
    fn keep(self, scalar: Scalar<'a>) {
        for at in &self.node.fields {
            if let Some(place) = self.picked.get_mut(*at)
                && place.as_ref().is_none_or(Scalar::is_absent)
            {
                *place = Some(scalar.clone());
            }
        }
    }
}

impl<'a> DeserializeSeed<'a> for Pick<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Pick<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'a str) -> Result<(), E> {
        self.keep(Scalar::Text(Cow::Borrowed(text)));
        Ok(())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.keep(Scalar::Text(Cow::Owned(text.to_owned())));
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<(), E> {
        self.keep(Scalar::Unsigned(number));
        Ok(())
    }

    /// Below zero means "not known" in every log we know.
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        self.keep(Scalar::NONE);
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<(), E> {
        self.keep(Scalar::Float(number));
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.keep(Scalar::NONE);
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.keep(Scalar::NONE);
        Ok(())
    }

    /// A list stands for its first value: Caddy and OpenTelemetry write header fields so.
    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { node, picked } = self;
        let leaf = Node { fields: node.fields.clone(), children: Vec::new() };
        if list.next_element_seed(Pick { node: &leaf, picked })?.is_some() {
            while list.next_element::<IgnoredAny>()?.is_some() {}
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { node, picked } = self;
        while let Some(name) = map.next_key_seed(Name)? {
            match node.child(&name) {
                Some(node) => map.next_value_seed(Pick { node, picked })?,
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }
}

/// A member's name, borrowed from the line where it has no escapes.
struct Name;

impl<'a> DeserializeSeed<'a> for Name {
    type Value = Cow<'a, str>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Cow<'a, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Name {
    type Value = Cow<'a, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'a str) -> Result<Cow<'a, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Cow<'a, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}
