//! XML 1.0 through quick-xml: elements, attributes, texts; nothing is fetched, nothing is expanded.
//!
//! Document types and entities other than XML's five are refused by default (their limits are 0); where a policy allows
//! them they are skipped and kept as written, so no document grows. Texts, CDATA sections and references that touch are
//! one text node, as an application sees them. Namespace declarations are no attributes, as in XPath.

mod name;

use quick_xml::errors::{Error, IllFormedError};
use quick_xml::events::{BytesDecl, BytesStart, Event};
use quick_xml::reader::Reader;

use crate::builder::{Builder, Stop, saturated};
use crate::encoding::{offset_in, push_char, trimmed};
use crate::fault::FaultKind;
use crate::kind::Kind;
use crate::limits::Limit;
use crate::tree::{NameSpan, Span};

use name::{bad_character, is_character, is_name};

pub(crate) fn decode(out: &mut Builder<'_, '_>) -> Result<(), Stop> {
    let skipped = match out.source {
        [0xef, 0xbb, 0xbf, ..] => {
            out.fault(FaultKind::ByteOrderMark, 0);
            3
        }
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] | [0, b'<', ..] | [b'<', 0, ..] => {
            return Err(out.stop(FaultKind::UnsupportedEncoding, 0));
        }
        _ => 0,
    };
    let bad_utf8 = std::str::from_utf8(out.source).err().map(|error| error.valid_up_to());
    let mut reader = Reader::from_reader(out.source.get(skipped..).unwrap_or_default());
    // Attributes are read below, with limits; names of end tags are checked here.
    reader.config_mut().allow_dangling_amp = true;
    let mut parser = Parser { out, reader, skipped, text: None, counts: Counts::default(), is_eight_bit: false };
    let result = parser.document();
    // A document that says so may be of another encoding (XML 1.0 §4.3.3).
    if let Some(at) = bad_utf8.filter(|_| !parser.is_eight_bit) {
        parser.out.fault(FaultKind::BadUtf8, at);
    }
    result
}

#[derive(Default)]
struct Counts {
    roots: u32,
    elements: u32,
    comments: u32,
    instructions: u32,
    dtds: u32,
    entities: u32,
}

/// A text that may go on in the next event.
#[derive(Clone, Copy)]
struct Pending {
    value: Span,
    raw: (usize, usize),
    /// Where its bytes begin in the decoded buffer, if they are there
    mark: Option<usize>,
}

struct Parser<'p, 'a, 'l> {
    out: &'p mut Builder<'a, 'l>,
    reader: Reader<&'a [u8]>,
    /// Bytes of the source before the reader's
    skipped: usize,
    text: Option<Pending>,
    counts: Counts,
    /// The declaration names an encoding in which every byte is a character
    is_eight_bit: bool,
}

impl<'a> Parser<'_, 'a, '_> {
    fn document(&mut self) -> Result<(), Stop> {
        loop {
            let start = self.position();
            let event = match self.reader.read_event() {
                Ok(event) => event,
                Err(error) => return Err(self.refuse(&error)),
            };
            if !matches!(event, Event::Text(_) | Event::CData(_) | Event::GeneralRef(_)) {
                self.flush_text()?;
            }
            match event {
                Event::Text(text) => {
                    self.check_ampersands(&text, start);
                    if memchr::memmem::find(&text, b"]]>").is_some() {
                        self.out.fault(FaultKind::XmlSyntax, start); // XML 1.0 §2.4
                    }
                    self.check_characters(&text, start);
                    self.text(&text, start)?;
                }
                Event::CData(text) => {
                    self.check_characters(&text, start);
                    self.text(&text, start)?;
                }
                Event::GeneralRef(name) => self.reference(&name, start)?,
                Event::Start(tag) => self.element(&tag, start)?,
                Event::Empty(tag) => {
                    self.element(&tag, start)?;
                    self.out.close(self.position());
                }
                Event::End(_) => self.out.close(self.position()),
                Event::Comment(text) => self.comment(&text, start)?,
                Event::PI(instruction) => {
                    self.instruction(instruction.target(), trimmed(instruction.content()), start)?;
                }
                Event::DocType(text) => self.document_type(&text, start)?,
                Event::Decl(declaration) => self.declaration(&declaration, start)?,
                Event::Eof => return self.end(),
            }
        }
    }

    fn position(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX).saturating_add(self.skipped)
    }

    fn refuse(&mut self, error: &Error) -> Stop {
        let at = usize::try_from(self.reader.error_position()).unwrap_or(usize::MAX).saturating_add(self.skipped);
        let kind = match error {
            Error::IllFormed(IllFormedError::MismatchedEndTag { .. } | IllFormedError::UnmatchedEndTag(_)) => {
                FaultKind::XmlMismatchedTag
            }
            Error::Syntax(_) => FaultKind::UnexpectedEnd,
            _ => FaultKind::XmlSyntax,
        };
        let _ = self.flush_text();
        if matches!(error, Error::Syntax(_)) {
            self.keep_rest(at);
        }
        self.out.stop(kind, at)
    }

    /// Keeps what is there of a CDATA section or of an attribute that the document's end cuts, as a text: it may have been
    /// cut for its length alone. Names and comments are not kept; applications do not look into them.
    fn keep_rest(&mut self, at: usize) {
        let markup = self.out.source.get(at..).unwrap_or_default();
        let skipped = match markup {
            [b'<', b'!', b'[', b'C', b'D', b'A', b'T', b'A', b'[', ..] => Some(b"<![CDATA[".len()),
            [b'<', b'!' | b'?' | b'/', ..] => None,
            _ => memchr::memchr2(b'"', b'\'', markup).map(|quote| quote + 1),
        };
        let Some(skipped) = skipped else { return };
        let rest = Span::source(at + skipped, self.out.source.len());
        // A limit that is reached here does not matter: decoding stops anyway.
        let _ = self.out.leaf(Kind::Text, NameSpan::None, rest, rest);
    }

    fn end(&mut self) -> Result<(), Stop> {
        if self.out.open_count() > 0 {
            return Err(self.out.stop(FaultKind::UnexpectedEnd, self.out.source.len()));
        }
        if self.counts.roots == 0 {
            return Err(self.out.stop(FaultKind::EmptyDocument, 0));
        }
        Ok(())
    }

    /// Counts one more node in the innermost element.
    fn child(&mut self, at: usize) -> Result<(), Stop> {
        let count = self.out.count_child();
        self.out.within(Limit::XmlChildCount, count, at)
    }

    // Texts

    /// Text or the content of a CDATA section, each CR LF and CR a line feed as an application gets it (XML 1.0 §2.11).
    fn text(&mut self, bytes: &[u8], start: usize) -> Result<(), Stop> {
        if memchr::memchr(b'\r', bytes).is_some() {
            let mut lines = Vec::with_capacity(bytes.len());
            push_lines(bytes, &mut lines);
            return self.append_after(start, &lines);
        }
        let span = self.out.span_of(bytes, start)?;
        let Some(pending) = self.text else {
            let mark = span.place().0.then(|| span.place().1);
            self.text = Some(Pending { value: span, raw: (start, self.position()), mark });
            return self.out.within(Limit::XmlTextLength, span.len, start);
        };
        self.append(pending, bytes, start)
    }

    /// Notes an `&` that begins no reference; it stays as it is.
    fn check_ampersands(&mut self, text: &[u8], at: usize) {
        if let Some(ampersand) = memchr::memchr(b'&', text) {
            self.out.fault(FaultKind::XmlSyntax, at.saturating_add(ampersand));
        }
    }

    /// Notes characters that XML does not have (§2.2); they stay as they are.
    fn check_characters(&mut self, bytes: &[u8], start: usize) {
        if let Some(at) = bad_character(bytes) {
            self.out.fault(FaultKind::XmlBadCharacter, start.saturating_add(at));
        }
    }

    /// Appends bytes to the text before them.
    fn append(&mut self, pending: Pending, bytes: &[u8], start: usize) -> Result<(), Stop> {
        let length = pending.value.len.saturating_add(saturated(bytes.len()));
        self.out.within(Limit::XmlTextLength, length, start)?;
        let mark = match pending.mark {
            Some(mark) => mark,
            None => {
                let mark = self.out.mark();
                let (_, from) = pending.value.place();
                let source = self.out.source;
                let before = source.get(from..from + pending.value.len as usize).unwrap_or_default();
                self.out.decoded_buffer(before.len(), start)?.extend_from_slice(before);
                mark
            }
        };
        self.out.decoded_buffer(bytes.len(), start)?.extend_from_slice(bytes);
        let value = self.out.decoded_since(mark);
        self.text = Some(Pending { value, raw: (pending.raw.0, self.position()), mark: Some(mark) });
        Ok(())
    }

    fn reference(&mut self, name: &[u8], start: usize) -> Result<(), Stop> {
        let raw_end = self.position();
        let raw = self.out.source.get(start..raw_end).unwrap_or_default();
        let character = self.resolve(name, start)?;
        let mut buffer = [0; 4];
        let bytes = character.map_or(raw, |character| character.encode_utf8(&mut buffer).as_bytes());
        self.append_after(start, bytes)
    }

    /// Appends bytes that are not the source's to the text before them, if there is one.
    fn append_after(&mut self, start: usize, bytes: &[u8]) -> Result<(), Stop> {
        let nothing = Pending { value: Span::source(start, start), raw: (start, start), mark: None };
        self.append(self.text.unwrap_or(nothing), bytes, start)
    }

    /// What `&name;` stands for; `None` if it stays as written.
    fn resolve(&mut self, name: &[u8], at: usize) -> Result<Option<char>, Stop> {
        let character = match name {
            b"lt" => '<',
            b"gt" => '>',
            b"amp" => '&',
            b"apos" => '\'',
            b"quot" => '"',
            [b'#', number @ ..] => match character_reference(number) {
                Some(character) => character,
                None => {
                    self.out.fault(FaultKind::XmlBadCharacter, at);
                    return Ok(None);
                }
            },
            _ if !is_name(name) => {
                self.out.fault(FaultKind::XmlSyntax, at);
                return Ok(None);
            }
            _ => {
                self.counts.entities += 1;
                self.out.within(Limit::XmlEntityCount, self.counts.entities, at)?;
                self.out.fault(FaultKind::XmlUnknownEntity, at);
                return Ok(None);
            }
        };
        Ok(Some(character))
    }

    fn flush_text(&mut self) -> Result<(), Stop> {
        let Some(pending) = self.text.take() else { return Ok(()) };
        let is_blank = trimmed(self.out.bytes(pending.value)).is_empty();
        if self.out.open_count() == 0 {
            return if is_blank { Ok(()) } else { Err(self.out.stop(FaultKind::TrailingData, pending.raw.0)) };
        }
        self.child(pending.raw.0)?;
        let kind = if is_blank { Kind::Space } else { Kind::Text };
        self.out.leaf(kind, NameSpan::None, pending.value, Span::source(pending.raw.0, pending.raw.1))
    }

    // Markup

    fn element(&mut self, tag: &BytesStart<'a>, start: usize) -> Result<(), Stop> {
        if self.out.open_count() == 0 {
            self.counts.roots += 1;
            if self.counts.roots > 1 {
                return Err(self.out.stop(FaultKind::TrailingData, start));
            }
        }
        self.counts.elements += 1;
        self.out.within(Limit::XmlElementCount, self.counts.elements, start)?;
        self.out.within(Limit::XmlNodeDepth, self.out.open_count() + 1, start)?;
        self.child(start)?;
        let qualified = tag.name();
        self.check_name(qualified.as_ref(), Limit::XmlElementNameLength, start)?;
        let name = self.out.span_of(qualified.as_ref(), start)?;
        let raw = Span::source(start, self.position());
        let id = self.out.open(Kind::Element, NameSpan::Bytes(name), Span::default(), raw)?;
        self.attributes(id, tag, start)
    }

    fn check_name(&mut self, name: &[u8], limit: Limit, at: usize) -> Result<(), Stop> {
        if !is_name(name) {
            self.out.fault(FaultKind::XmlSyntax, at);
        }
        self.out.within(limit, saturated(name.len()), at)?;
        let prefix = memchr::memchr(b':', name).unwrap_or(0);
        self.out.within(Limit::XmlNamespacePrefixLength, saturated(prefix), at)
    }

    fn attributes(&mut self, id: u32, tag: &BytesStart<'a>, start: usize) -> Result<(), Stop> {
        let (mut attributes, mut namespaces) = (0, 0);
        let mut all = tag.attributes();
        // Its check for duplicates compares all pairs; ours is not quadratic.
        for attribute in all.with_checks(false) {
            let Ok(attribute) = attribute else {
                return Err(self.out.stop(FaultKind::XmlSyntax, start));
            };
            let key = attribute.key.as_ref();
            let at = offset_in(self.out.source, key).unwrap_or(start);
            let before = at.checked_sub(1).and_then(|before| self.out.source.get(before));
            if !before.is_some_and(u8::is_ascii_whitespace) {
                self.out.fault(FaultKind::XmlSyntax, at); // XML 1.0 §3.1: white space before each attribute
            }
            let prefix = key.strip_prefix(b"xmlns").filter(|rest| rest.is_empty() || rest.starts_with(b":"));
            let (kind, limit) = match prefix {
                Some(prefix) => {
                    namespaces += 1;
                    self.out.within(Limit::XmlNamespaceCountPerElement, namespaces, at)?;
                    let length = saturated(prefix.len().saturating_sub(1));
                    self.out.within(Limit::XmlNamespacePrefixLength, length, at)?;
                    (Kind::Namespace, Limit::XmlNamespaceUriLength)
                }
                None => {
                    attributes += 1;
                    self.out.within(Limit::XmlAttributeCountPerElement, attributes, at)?;
                    self.check_name(key, Limit::XmlAttributeNameLength, at)?;
                    (Kind::Attribute, Limit::XmlAttributeLength)
                }
            };
            self.out.within(limit, saturated(attribute.value.len()), at)?;
            let name = self.out.span_of(key, at)?;
            let raw = self.out.span_of(&attribute.value, at)?;
            let value = self.attribute_value(&attribute.value, raw, at)?;
            self.out.leaf(kind, NameSpan::Bytes(name), value, raw)?;
        }
        for (kind, count) in [(Kind::Attribute, attributes), (Kind::Namespace, namespaces)] {
            if count > 1 {
                self.out.check_duplicate_keys(id, Some(kind), start);
            }
        }
        Ok(())
    }

    /// A value as XML 1.0 §3.3.3 normalizes it: references resolved, and each literal line end or tab a space. What a
    /// reference such as `&#10;` stands for is left as it is.
    fn attribute_value(&mut self, value: &[u8], raw: Span, at: usize) -> Result<Span, Stop> {
        self.check_characters(value, at);
        if memchr::memchr(b'<', value).is_some() {
            self.out.fault(FaultKind::XmlSyntax, at);
        }
        if memchr::memchr(b'&', value).is_none() && memchr::memchr3(b'\t', b'\n', b'\r', value).is_none() {
            return Ok(raw);
        }
        let mark = self.out.mark();
        let mut rest = value;
        while let Some((before, reference)) = memchr::memchr(b'&', rest).and_then(|at| rest.split_at_checked(at)) {
            push_spaced(before, self.out.decoded_buffer(before.len() + 4, at)?);
            let end = memchr::memchr2(b';', b'&', reference.get(1..).unwrap_or_default()).unwrap_or(0);
            let name = reference.get(1..=end).filter(|_| reference.get(end + 1) == Some(&b';'));
            let character = self.resolve(name.unwrap_or_default(), at)?;
            let out = self.out.decoded_buffer(4, at)?;
            rest = match (character, name) {
                (Some(character), Some(name)) => {
                    push_char(character, out);
                    reference.get(name.len() + 2..).unwrap_or_default()
                }
                _ => {
                    out.push(b'&');
                    reference.get(1..).unwrap_or_default()
                }
            };
        }
        push_spaced(rest, self.out.decoded_buffer(rest.len(), at)?);
        Ok(self.out.decoded_since(mark))
    }

    fn comment(&mut self, text: &[u8], start: usize) -> Result<(), Stop> {
        self.counts.comments += 1;
        self.out.within(Limit::XmlCommentCount, self.counts.comments, start)?;
        self.out.within(Limit::XmlCommentLength, saturated(text.len()), start)?;
        if memchr::memmem::find(text, b"--").is_some() || text.ends_with(b"-") {
            self.out.fault(FaultKind::XmlSyntax, start); // XML 1.0 §2.5
        }
        self.check_characters(text, start);
        self.child(start)?;
        let value = self.out.span_of(text, start)?;
        self.out.leaf(Kind::Comment, NameSpan::None, value, Span::source(start, self.position()))
    }

    fn instruction(&mut self, target: &[u8], data: &[u8], start: usize) -> Result<(), Stop> {
        self.counts.instructions += 1;
        self.out.within(Limit::XmlInstructionCount, self.counts.instructions, start)?;
        self.out.within(Limit::XmlInstructionTargetLength, saturated(target.len()), start)?;
        self.out.within(Limit::XmlInstructionDataLength, saturated(data.len()), start)?;
        if !is_name(target) || target.eq_ignore_ascii_case(b"xml") {
            self.out.fault(FaultKind::XmlSyntax, start); // XML 1.0 §2.6
        }
        self.check_characters(data, start);
        self.child(start)?;
        let (target, data) = (self.out.span_of(target, start)?, self.out.span_of(data, start)?);
        let raw = Span::source(start, self.position());
        self.out.leaf(Kind::Instruction, NameSpan::Bytes(target), data, raw)
    }

    fn declaration(&mut self, declaration: &BytesDecl<'_>, start: usize) -> Result<(), Stop> {
        // XML 1.0 §2.8: before everything else, with a version; processors read what says 1.1 or higher as 1.0.
        let is_version = declaration.version().is_ok_and(|version| version.starts_with(b"1."));
        if start != self.skipped || !is_version {
            self.out.fault(FaultKind::XmlSyntax, start);
        }
        let Some(Ok(encoding)) = declaration.encoding() else { return Ok(()) };
        let encoding = trimmed(&encoding).to_ascii_lowercase();
        if !is_known_encoding(&encoding) {
            return Err(self.out.stop(FaultKind::UnsupportedEncoding, start));
        }
        self.is_eight_bit = is_eight_bit(&encoding);
        Ok(())
    }

    fn document_type(&mut self, text: &[u8], start: usize) -> Result<(), Stop> {
        self.counts.dtds += 1;
        self.out.within(Limit::XmlDtdCount, self.counts.dtds, start)?;
        let declared = saturated(memchr::memmem::find_iter(text, b"<!ENTITY").count());
        self.counts.entities = self.counts.entities.saturating_add(declared);
        self.out.within(Limit::XmlEntityCount, self.counts.entities, start)
    }
}

/// Appends bytes with line feeds as the only line ends.
fn push_lines(bytes: &[u8], out: &mut Vec<u8>) {
    let mut before = 0;
    for &byte in bytes {
        match byte {
            b'\n' if before == b'\r' => {}
            b'\r' => out.push(b'\n'),
            _ => out.push(byte),
        }
        before = byte;
    }
}

/// Appends bytes with line ends and tabs as spaces; CR LF is one line end (XML 1.0 §2.11).
fn push_spaced(bytes: &[u8], out: &mut Vec<u8>) {
    let mut before = 0;
    for &byte in bytes {
        match byte {
            b'\n' if before == b'\r' => {}
            b'\t' | b'\n' | b'\r' => out.push(b' '),
            _ => out.push(byte),
        }
        before = byte;
    }
}

/// `65` or `x41` as a character that XML 1.0 allows (§2.2).
fn character_reference(number: &[u8]) -> Option<char> {
    let text = std::str::from_utf8(number).ok()?;
    let is_digits = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let code = match text.strip_prefix('x') {
        Some(hexadecimal) if is_digits(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
        None if is_digits(text) => text.parse().ok()?,
        Some(_) | None => return None,
    };
    char::from_u32(code).filter(|character| is_character(*character))
}

/// Encodings in which bytes below 128 are ASCII, so that markup reads the same whatever the rest means.
fn is_known_encoding(name: &[u8]) -> bool {
    matches!(name, b"utf-8" | b"utf8" | b"us-ascii" | b"ascii") || is_eight_bit(name)
}

/// Those of them in which every byte is a character.
fn is_eight_bit(name: &[u8]) -> bool {
    matches!(name, b"latin1" | b"latin-1") || name.starts_with(b"iso-8859-") || name.starts_with(b"windows-125")
}
