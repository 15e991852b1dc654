//! What kind of body upstreams take a body for: its media type is a claim, and many parse JSON whatever it says.
//!
//! So a body that begins like JSON or XML is that too, beside what it is called. Sources: CWE-436; RFC 9110 §8.3 on
//! recipients that look at the content; body parsers that take every media type (Express `type: "*/*"`, Go `json.Decoder`).

use bartizan_content::{Format, Inflated, Limits, inflate};
use bartizan_model::HeaderField;

use crate::held::HeldBody;
use crate::stage::HeadContext;

/// A byte order mark in UTF-8, which some parsers skip.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// What the head says of the body, for those that look at it when it is complete.
#[derive(Debug, Default)]
pub(crate) struct BodyForm {
    pub(crate) content_type: Option<Box<[u8]>>,
    pub(crate) coding: Option<Box<[u8]>>,
    /// Two fields say what kind of body it is
    pub(crate) is_ambiguous: bool,
}

/// A body as far as it was kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body<'a> {
    pub(crate) form: &'a BodyForm,
    pub(crate) bytes: &'a [u8],
    /// There is more of it
    pub(crate) is_cut: bool,
}

impl BodyForm {
    pub(crate) fn of(ctx: &HeadContext<'_>) -> Self {
        Self {
            content_type: ctx.fields.content_type.map(Box::from),
            coding: coding(ctx.head.headers),
            is_ambiguous: is_ambiguous(ctx.head.headers),
        }
    }

    /// The first `max` bytes of the body that `held` keeps.
    pub(crate) fn body<'a>(&'a self, held: &'a HeldBody, max: usize) -> Body<'a> {
        let (bytes, is_cut) = held.first(max);
        Body { form: self, bytes, is_cut }
    }
}

impl<'a> Body<'a> {
    /// Unpacks it, if it says that it is packed.
    pub(crate) fn unpack(&self, limits: &Limits) -> Option<Inflated> {
        self.form.coding.as_deref().map(|coding| inflate(coding, self.bytes, limits))
    }

    /// What `bytes`, unpacked, are by what they are called.
    pub(crate) fn format(&self, bytes: &[u8]) -> Format<'a> {
        Format::of(self.form.content_type.as_deref(), bytes)
    }

    /// Whether they are called plain text, as which every web page may send a form to another site without asking first
    /// (Fetch, "CORS-safelisted request-header").
    pub(crate) fn is_plain_text(&self) -> bool {
        let essence = self.form.content_type.as_deref().and_then(|kind| kind.split(|byte| *byte == b';').next());
        essence.is_some_and(|essence| essence.trim_ascii().eq_ignore_ascii_case(b"text/plain"))
    }
}

/// The other reading of a body that is read as `declared`, if it begins like one.
pub(crate) fn second_reading(declared: Format<'_>, bytes: &[u8]) -> Option<Format<'static>> {
    let format = Format::of(None, bytes.strip_prefix(MARK).unwrap_or(bytes));
    (format != Format::Raw && format != declared).then_some(format)
}

/// Every coding that fields name, in their order (RFC 9110 §5.3).
pub(crate) fn coding(headers: &[HeaderField<'_>]) -> Option<Box<[u8]>> {
    let mut fields = headers.iter().filter(|field| field.name.eq_ignore_ascii_case(b"content-encoding"));
    let first = fields.next()?.value;
    let joined = fields.fold(first.to_vec(), |joined, field| [&joined, b",".as_slice(), field.value].concat());
    Some(joined.into())
}

/// Whether two fields say what kind of body it is, so that each recipient may believe another.
pub(crate) fn is_ambiguous(headers: &[HeaderField<'_>]) -> bool {
    ["content-type", "content-encoding"]
        .into_iter()
        .any(|name| headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name.as_bytes())).nth(1).is_some())
}
