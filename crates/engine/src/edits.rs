//! What the host changes in a request before it goes to the upstream: credentials out, identity in.

use std::sync::Arc;

/// Fields beside `X-Forwarded-*` in which proxies tell upstreams what the client asked for, or who it is.
const FORWARDING: [&[u8]; 3] = [b"x-real-ip", b"x-original-url", b"x-rewrite-url"];

/// Changes to a request's head. Without any policy that wants some, there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Fields to take out, lower case
    pub(crate) removed: Vec<Arc<str>>,
    /// Fields to add once those are out
    pub(crate) added: Vec<(Arc<str>, String)>,
    /// The query parameter to take out
    pub(crate) query: Option<Arc<str>>,
}

impl Edits {
    /// Whether the request goes on as it came.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty() && self.query.is_none()
    }

    /// Whether the field `name` must not reach the upstream. `_` counts as `-`: servers that follow CGI (RFC 3875
    /// §4.1.18) read both as one name.
    pub fn removes(&self, name: &[u8]) -> bool {
        self.removed.iter().any(|removed| is_same_field(removed.as_bytes(), name))
    }

    /// Fields to add after those are gone: names in lower case, values of visible ASCII and spaces.
    pub fn added(&self) -> impl Iterator<Item = (&str, &str)> {
        self.added.iter().map(|(name, value)| (&**name, value.as_str()))
    }

    /// The target without the parameter that holds a credential; `None` when it stays as it is.
    pub fn target(&self, target: &[u8]) -> Option<Vec<u8>> {
        let name = self.query.as_deref()?;
        let question = memchr::memchr(b'?', target)?;
        let (path, query) = target.split_at_checked(question)?;
        let query = query.get(1..)?;
        let is_credential = |pair: &&[u8]| parameter_is(pair, name);
        if !query.split(|byte| *byte == b'&').any(|pair| is_credential(&pair)) {
            return None;
        }
        let mut kept = path.to_vec();
        for (at, pair) in query.split(|byte| *byte == b'&').filter(|pair| !is_credential(pair)).enumerate() {
            kept.push(if at == 0 { b'?' } else { b'&' });
            kept.extend_from_slice(pair);
        }
        Some(kept)
    }

    /// Adds a field, unless an earlier policy has added it.
    pub(crate) fn add(&mut self, name: &Arc<str>, value: String) {
        if !self.added.iter().any(|(added, _)| added == name) {
            self.added.push((Arc::clone(name), value));
        }
    }

    pub(crate) fn remove(&mut self, name: &Arc<str>) {
        if !self.removed.contains(name) {
            self.removed.push(Arc::clone(name));
        }
    }
}

/// Whether two field names are one to some server.
pub(crate) fn is_same_field(one: &[u8], other: &[u8]) -> bool {
    let letter = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    one.len() == other.len() && one.iter().map(letter).eq(other.iter().map(letter))
}

/// Whether only a proxy should send this field, `Forwarded` aside; of strangers the gateway drops it. CGI and its heirs
/// make `-` and `_` the same, so here they are too.
pub fn is_forwarding(name: &[u8]) -> bool {
    let prefix = b"x-forwarded-";
    name.get(..prefix.len()).is_some_and(|start| is_same_field(start, prefix))
        || FORWARDING.iter().any(|known| is_same_field(name, known))
}

/// Whether `pair` of a query is the parameter `name`, in whatever percent-encoding.
pub(crate) fn parameter_is(pair: &[u8], name: &str) -> bool {
    let key = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
    key == name.as_bytes() || decoded(key) == name.as_bytes()
}

/// Percent-decoding, once, with `+` as a space (WHATWG URL §5.1).
pub(crate) fn decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let hex = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        rest = after;
        match (first, after) {
            (b'%', [high, low, beyond @ ..]) => match (hex(high), hex(low)) {
                (Some(high), Some(low)) => {
                    decoded.push(high << 4 | low);
                    rest = beyond;
                }
                _ => decoded.push(b'%'),
            },
            (b'+', _) => decoded.push(b' '),
            _ => decoded.push(*first),
        }
    }
    decoded
}

/// A field's value: visible ASCII and spaces stay, everything else is percent-encoded, so that no name can break out
/// of its field.
pub(crate) fn field_value(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' => value.push_str("%25"),
            b' '..=b'~' => value.push(char::from(byte)),
            _ => value.push_str(&format!("%{byte:02X}")),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_leaves_the_query_in_whatever_spelling() {
        let edits = Edits { query: Some("api_key".into()), ..Edits::default() };
        for (target, wanted) in [
            ("/a?api_key=1", Some("/a")),
            ("/a?x=1&api_key=2&y=3&api%5Fkey=4", Some("/a?x=1&y=3")),
            ("/a?api_keys=1", None),
            ("/a", None),
            ("/api_key=1", None),
        ] {
            let target = edits.target(target.as_bytes()).map(|target| String::from_utf8(target).unwrap());
            assert_eq!(target.as_deref(), wanted);
        }
    }

    #[test]
    fn a_field_is_removed_in_every_spelling_that_servers_take_for_it() {
        let edits = Edits { removed: vec!["x-user".into()], ..Edits::default() };
        for (name, is_removed) in [("X-User", true), ("x_user", true), ("x-users", false), ("xuser", false)] {
            assert_eq!(edits.removes(name.as_bytes()), is_removed, "{name}");
        }
    }

    #[test]
    fn a_value_cannot_break_out_of_its_field() {
        assert_eq!(field_value("a\r\nx-admin: 1"), "a%0D%0Ax-admin: 1");
        assert_eq!(field_value("Zoë 100%"), "Zo%C3%AB 100%25");
    }
}
