//! Opens values that hold values: JSON, tokens, Base64 and percent-encoding inside of a string become members of their own.
//!
//! An attack in a wrapping that the application takes off is an attack all the same. So `note` with a string of JSON gets
//! a member `note.json.a.b` for each leaf, a token `auth.jwt.header.alg` and `auth.jwt.payload.sub`, Base64 that is text
//! `note.base64`, and what is still percent-encoded `note.url`; what is found there is opened in turn. The value itself
//! stays. The strings in a document of GraphQL are its arguments: `query.graphql.page`. Members that were opened are values like others for rules, exclusions can name them, and they count neither in
//! `&ARGS` nor in `ARGS_COMBINED_SIZE` nor against `SecArgumentsLimit`, which are about what was sent.
//!
//! Sources: RFC 4648 §4, §5; RFC 7519; RFC 2397; GraphQL (September 2025) §2.9.4. No other engine does this; it is an [option](crate::Options) of the plan.

mod graphql;

use bartizan_content::encoding::percent_decode;
use bartizan_content::{Format, Limits, Scratch, decode_in};
use smallvec::SmallVec;

use crate::cut::Left;
use crate::inputs::{Inputs, Item, List, Span, Standing};

/// LIMIT: wrappings inside each other; honest ones have two (a token in a cookie that is percent-encoded).
const DEPTH_MAX: u32 = 3;

/// LIMIT: members that one exchange gets by opening; a token has a dozen claims.
const MEMBERS_MAX: usize = 2_048;

/// LIMIT: bytes of their names and values together.
const BYTES_MAX: usize = 4 << 20;

/// Letters of Base64 below which nothing is opened: shorter attacks have no room, and short words decode by chance.
const BASE64_LETTERS_MIN: usize = 8;

/// LIMIT: letters of an authorization scheme in front of a token.
const SCHEME_LETTERS_MAX: usize = 16;

/// What was opened so far in an exchange.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Opened {
    members: usize,
    bytes: usize,
}

/// A value that is to be opened.
#[derive(Debug)]
struct Waiting {
    name: Span,
    value: Span,
    depth: u32,
    /// It is no member yet: what is inside of it stands for it
    is_held: bool,
}

/// What opening needs, to be used again from one exchange to the next.
#[derive(Debug, Default)]
pub(crate) struct Opener {
    waiting: Vec<Waiting>,
    found: Found,
    /// For decoding
    tree: Scratch,
    path: Vec<u8>,
    decoded: Vec<u8>,
    /// Bytes of the longest value that was looked into
    longest: usize,
}

/// What is inside of a value.
#[derive(Debug, Default)]
struct Found {
    /// The ends of names, each with the value behind it
    bytes: Vec<u8>,
    /// Where each of them ends in these bytes: the end of a name, and the value
    members: Vec<(usize, usize)>,
    /// There is more
    is_cut: bool,
}

impl Found {
    fn clear(&mut self) {
        self.bytes.clear();
        self.members.clear();
        self.is_cut = false;
    }

    /// Adds a member whose name ends in these pieces.
    fn add(&mut self, suffix: [&[u8]; 2], value: &[u8]) {
        suffix.iter().for_each(|piece| self.bytes.extend_from_slice(piece));
        let named = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.members.push((named, self.bytes.len()));
    }

    /// The end of each name, and the value.
    fn members(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = (0, self.bytes.as_slice());
        self.members.iter().map_while(move |(named, end)| {
            let (begin, bytes) = rest;
            let (suffix, bytes) = bytes.split_at_checked(named - begin)?;
            let (value, bytes) = bytes.split_at_checked(end - named)?;
            rest = (*end, bytes);
            Some((suffix, value))
        })
    }
}

/// What an inner value's name begins with: `note.base64.json.a` is inside of `note.base64` and of `note`. An exclusion of
/// one of them means what is in it, too.
pub(crate) fn holders(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    const STEPS: [&[u8]; 5] = [b"base64", b"graphql", b"json", b"jwt", b"url"];
    let dots = memchr::memchr_iter(b'.', name);
    dots.filter_map(|dot| {
        let (holder, rest) = name.split_at_checked(dot)?;
        let step = rest.get(1..)?.split(|byte| *byte == b'.').next()?;
        (!holder.is_empty() && STEPS.contains(&step)).then_some(holder)
    })
}

/// Opens the members of a list.
pub(crate) fn open(inputs: &mut Inputs, list: List) {
    let mut opener = inputs.buffers.opener();
    opener.open(inputs, list);
    inputs.buffers.keep_opener(opener.longest, opener);
}

impl Opener {
    fn open(&mut self, inputs: &mut Inputs, list: List) {
        self.waiting.clear();
        self.longest = 0;
        for at in 0..inputs.list(list).len() {
            let Some(item) = inputs.list(list).get(at).copied() else { return };
            if list == List::RequestHeaders && !is_opened_header(inputs.text.at(item.name)) {
                continue;
            }
            let mut next = Some(Waiting { name: item.name, value: item.value, depth: 0, is_held: false });
            while let Some(value) = next {
                if !self.step(inputs, list, &value) {
                    return;
                }
                next = self.waiting.pop();
            }
        }
    }

    /// Opens one value; `false` when no more may be opened.
    fn step(&mut self, inputs: &mut Inputs, list: List, next: &Waiting) -> bool {
        let is_opened = self.look_into(inputs.text.at(next.value));
        if next.is_held && (!is_opened || self.found.is_cut) {
            inputs.add(list, Item { standing: Standing::Inside, ..Item::new(next.name, next.value) });
        }
        if !is_opened {
            return true;
        }
        if self.found.is_cut || next.depth >= DEPTH_MAX {
            inputs.cut(Left::Inner);
        }
        if next.depth >= DEPTH_MAX {
            return true;
        }
        for (suffix, value) in self.found.members() {
            let Opened { members, bytes } = inputs.opened;
            let bytes = bytes + next.name.len() + 1 + suffix.len() + value.len();
            if members >= MEMBERS_MAX || bytes > BYTES_MAX {
                inputs.cut(Left::Inner);
                return false;
            }
            inputs.opened = Opened { members: members + 1, bytes };
            let name = inputs.text.push_behind(next.name, &[b".", suffix]);
            // A document that a page keeps in a cookie is judged by what is in it: braces, colons and quotes are no attack.
            let is_held = list == List::Cookies && next.depth + 1 < DEPTH_MAX && value.trim_ascii().starts_with(b"{");
            let value = inputs.text.push(value);
            if !is_held {
                inputs.add(list, Item { standing: Standing::Inside, ..Item::new(name, value) });
            }
            self.waiting.push(Waiting { name, value, depth: next.depth + 1, is_held });
        }
        true
    }

    /// Finds what is inside of a value; `false` when it is what it is.
    fn look_into(&mut self, value: &[u8]) -> bool {
        self.found.clear();
        self.longest = self.longest.max(value.len());
        let value = value.trim_ascii();
        let value = value.strip_prefix(b"\xef\xbb\xbf").unwrap_or(value).trim_ascii();
        let value = value.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(value);
        let is_opened = match value {
            [b'{', .., b'}'] | [b'[', .., b']'] => self.json(value, b"").or_else(|| self.graphql(value)),
            _ if graphql::is_document(value) => self.graphql(value),
            _ => self.token(value).or_else(|| self.base64_text(value)).or_else(|| self.percent_encoded(value)),
        };
        is_opened.is_some()
    }

    /// Adds the leaves of a string of JSON, named `json.a.b`, behind what stands before.
    fn json(&mut self, value: &[u8], before: &[u8]) -> Option<()> {
        // More leaves than may be opened need not be decoded; the tree has them and the objects around them.
        let nodes = u32::try_from(MEMBERS_MAX * 2).unwrap_or(u32::MAX);
        let limits = Limits { nodes, ..Limits::default() };
        let content = decode_in(std::mem::take(&mut self.tree), Format::Json, value, &limits);
        // Without a limit, it only looked like it.
        let is_json = content.stopped().is_none_or(|fault| fault.limit.is_some());
        if is_json {
            self.found.is_cut |= content.stopped().is_some();
            let mut walk = content.walk_in(std::mem::take(&mut self.path));
            while let Some((path, leaf)) = walk.next() {
                let path = if before.is_empty() { path } else { path.strip_prefix(b"json").unwrap_or(path) };
                self.found.add([before, path], leaf.value());
            }
            self.path = walk.into_buffer();
        }
        self.tree = content.into_scratch();
        is_json.then_some(())
    }

    /// Adds head and payload of a token, with or without its scheme in front.
    fn token(&mut self, value: &[u8]) -> Option<()> {
        let at = memchr::memchr(b' ', value).filter(|at| *at <= SCHEME_LETTERS_MAX);
        let value = at.and_then(|at| value.get(at + 1..)).unwrap_or(value).trim_ascii();
        let mut parts = value.split(|byte| *byte == b'.');
        let (head, payload) = (parts.next()?, parts.next()?);
        parts.next()?; // a signature, though it may be empty
        if !head.starts_with(b"e") {
            return None; // Base64 of a brace
        }
        self.decoded(
            head,
            |opener, head| {
                if head.starts_with(b"{") { opener.json(head, b"jwt.header") } else { None }
            },
        )?;
        self.decoded(payload, |opener, payload| {
            if payload.starts_with(b"{") {
                opener.json(payload, b"jwt.payload")
            } else {
                is_text(payload).then(|| opener.found.add([b"jwt.payload", b""], payload))
            }
        });
        Some(())
    }

    /// Adds the text of Base64, as a whole value or in a `data:` URL.
    fn base64_text(&mut self, value: &[u8]) -> Option<()> {
        let value = match value.strip_prefix(b"data:") {
            Some(url) => url.get(memchr::memmem::find(url, b";base64,")? + 8..)?,
            None => value,
        };
        // PERF: six bytes tell chance from text nearly always; they are decoded without a buffer of their own.
        let begin = value.first_chunk::<8>().filter(|_| value.len() >= BASE64_LETTERS_MIN)?;
        let mut decoded = SmallVec::<[u8; 8]>::new();
        base64(begin, &mut decoded)?;
        if decoded.iter().any(|byte| is_control(*byte)) {
            return None;
        }
        self.decoded(value, |opener, text| is_text(text).then(|| opener.found.add([b"base64", b""], text)))
    }

    /// Adds the strings of a document of GraphQL, named by their arguments.
    fn graphql(&mut self, value: &[u8]) -> Option<()> {
        let before = self.found.members.len();
        for (name, text) in graphql::Strings::of(value).take(MEMBERS_MAX + 1) {
            self.found.add([b"graphql.", name], &text);
        }
        (self.found.members.len() > before).then_some(())
    }

    /// Adds what is percent-encoded still, or again.
    fn percent_encoded(&mut self, value: &[u8]) -> Option<()> {
        memchr::memchr(b'%', value)?;
        self.decoded.clear();
        percent_decode(value, &mut self.decoded);
        (self.decoded != value).then(|| self.found.add([b"url", b""], &self.decoded))
    }

    /// What `take` makes of Base64; `None` when it is none.
    fn decoded(&mut self, value: &[u8], take: impl FnOnce(&mut Self, &[u8]) -> Option<()>) -> Option<()> {
        let mut bytes = std::mem::take(&mut self.decoded);
        bytes.clear();
        let taken = base64(value, &mut bytes).and_then(|()| take(self, &bytes));
        self.decoded = bytes;
        taken
    }
}

/// Whether a header field is looked into: not those whose form HTTP itself gives, nor the cookies, which are on their own.
fn is_opened_header(name: &[u8]) -> bool {
    const CLOSED: [&[u8]; 8] = [b"accept", b"content-", b"cookie", b"host", b"if-", b"sec-", b"trace", b"user-agent"];
    !CLOSED.iter().any(|closed| name.get(..closed.len()).is_some_and(|start| start.eq_ignore_ascii_case(closed)))
}

/// Decodes Base64 of either alphabet, with or without padding, into `out`; `None` when it is not.
fn base64(value: &[u8], out: &mut impl Extend<u8>) -> Option<()> {
    let (mut bits, mut count) = (0u32, 0u32);
    let padding = value.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    for byte in value.get(..value.len() - padding)? {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'\r' | b'\n' => continue, // lines of mail
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        count += 1;
        if count % 4 == 0 {
            let [_, bytes @ ..] = bits.to_be_bytes();
            out.extend(bytes);
        }
    }
    match (count % 4, (bits << (6 * (4 - count % 4) % 24)).to_be_bytes()) {
        (2, [_, first, ..]) => out.extend([first]),
        (3, [_, first, second, _]) => out.extend([first, second]),
        (1, _) => return None,
        _ => {}
    }
    Some(())
}

fn is_text(bytes: &[u8]) -> bool {
    !bytes.is_empty() && !bytes.iter().any(|byte| is_control(*byte)) && std::str::from_utf8(bytes).is_ok()
}

const fn is_control(byte: u8) -> bool {
    byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r') || byte == 0x7f
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inner_name_tells_what_it_is_inside_of() {
        let of = |name: &'static [u8]| holders(name).collect::<Vec<_>>();
        assert_eq!(of(b"__gads.url"), [b"__gads"]);
        assert_eq!(of(b"note.base64.json.a"), [&b"note"[..], b"note.base64"]);
        assert_eq!(of(b"json.items.0"), [b""; 0]);
        assert_eq!(of(b".url"), [b""; 0]);
    }

    fn check(value: &str, expected: &[(&str, &str)]) {
        let mut opener = Opener::default();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // What was found in another value before is gone.
        opener.look_into(br#"{"before":"x"}"#);
        let is_opened = opener.look_into(value.as_bytes());
        assert_eq!(is_opened, !expected.is_empty(), "{value}");
        let found: Vec<_> = opener.found.members().map(|(name, value)| (text(name), text(value))).collect();
        let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, expected, "{value}");
    }

    #[test]
    fn every_wrapping_is_opened() {
        check(r#"{"a":{"b":"c"},"d":[1]}"#, &[("json.a.b", "c"), ("json.d.0", "1")]);
        check("MSBVTklPTiBTRUxFQ1Q=", &[("base64", "1 UNION SELECT")]);
        check("MSBVTklPTiBTRUxFQ1Q", &[("base64", "1 UNION SELECT")]);
        check("Pz8_Pz8_Pj4-Pj4-", &[("base64", "??????>>>>>>")]);
        check("data:text/html;base64,PHNjcmlwdD4xPC9zY3JpcHQ+", &[("base64", "<script>1</script>")]);
        check("%27%20or%201", &[("url", "' or 1")]);
        check(r#"mutation { add(note: "a\"b", n: 1) { id } }"#, &[("graphql.note", "a\"b")]);
        check(r#"{ item(id: "1' or 1") { id } }"#, &[("graphql.id", "1' or 1")]);
        check("\u{feff}{\"a\":\"b\"}", &[("json.a", "b")]);
        let token = "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiInIG9yIDEifQ.";
        check(token, &[("jwt.header.alg", "none"), ("jwt.payload.sub", "' or 1")]);
    }

    #[test]
    fn tokens_that_graphql_ignores_hide_no_document() {
        for document in [
            "{ item(id: \"x\") { id } } # done",
            "{ item(id: \"x\") { id } } # \"a\": \"b\"\r# two\n",
            "{ item(id: \"x\") { id } },",
            "{ item(id: \"x\") { id } }\u{feff}",
            "{ item(id: \"x\") { id } }\t,\n, #",
            "# first\n{ item(id: \"x\") { id } }",
            "#\rquery Q { item(id: \"x\") { id } }",
            ",,{ item(id: \"x\") { id } }",
            "\u{feff}, mutation{ item(id: \"x\") { id } }",
            "query#{\n{ item(id: \"x\") { id } },#}",
            "\"\"\"What \"it\" does\"\"\" query { item(id: \"x\") { id } }",
            "\"it\", # and\nquery { item(id: \"x\") { id } } #",
        ] {
            check(document, &[("graphql.id", "x")]);
        }
    }

    #[test]
    fn what_only_looks_like_a_wrapping_is_left_closed() {
        for value in [
            "",
            "word",
            "internationalization",
            "550e8400-e29b-41d4-a716-446655440000",
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",
            "{not json}",
            "query { items { id } }",
            "{ item(id: 5) }",
            "# heading: \"quoted\"",
            "{ item(id: \"x\") { id } } and more",
            "query parameters: \"a\" # {x",
            "\"note\": \"{}\" }",
            "mutations of \"genes\" {a}",
            "[see below]",
            "100 %",
            "www.example.com",
            "e.g. this. one",
        ] {
            check(value, &[]);
        }
    }

    #[test]
    fn base64_of_every_length_is_decoded() {
        for (encoded, plain) in
            [("", ""), ("YQ", "a"), ("YQ==", "a"), ("YWI=", "ab"), ("YWJj", "abc"), ("YWJjZA", "abcd")]
        {
            let mut decoded = Vec::new();
            assert_eq!(base64(encoded.as_bytes(), &mut decoded), Some(()), "{encoded}");
            assert_eq!(decoded, plain.as_bytes(), "{encoded}");
        }
        assert_eq!(base64(b"Y", &mut Vec::new()), None);
        assert_eq!(base64(b"YWJj!", &mut Vec::new()), None);
    }
}
