//! What was noticed while decoding: limits reached, errors of syntax, oddities.
//!
//! A fault is a fact about the document, not an act: checks and rules decide what it means. The list is bounded (one of
//! each kind and limit, and the first [`FAULTS_KEPT`] of all), the count is not.

use crate::limits::Limit;
use crate::tree::NodeId;

/// LIMIT: faults kept with their place; beyond it only the first of each kind and limit is kept.
pub(crate) const FAULTS_KEPT: usize = 32;

/// Something noticed in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What
    pub kind: FaultKind,
    /// Which limit, if `kind` is [`FaultKind::LimitReached`]
    pub limit: Option<Limit>,
    /// Byte of the source where it was noticed
    pub offset: u32,
    /// The innermost open node there
    pub node: Option<NodeId>,
    /// Whether decoding stopped here
    pub has_stopped: bool,
}

impl Fault {
    /// The name: the limit's, else the kind's.
    pub const fn name(&self) -> &'static str {
        match self.limit {
            Some(limit) => limit.name(),
            None => self.kind.name(),
        }
    }
}

/// How bad a fault is for the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultClass {
    /// The document is well formed, but unusual in a way that attacks use
    Oddity,
    /// The document breaks its format's grammar
    Syntax,
    /// A limit was reached
    Limit,
}

macro_rules! kinds {
    ($($variant:ident $name:literal $class:ident $text:literal,)*) => {
        /// What kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum FaultKind {
            $(#[doc = $text] $variant,)*
        }

        impl FaultKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in messages and rules.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What it means, in one sentence.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// How bad it is.
            pub const fn class(self) -> FaultClass {
                match self {
                    $(Self::$variant => FaultClass::$class,)*
                }
            }
        }
    };
}

kinds! {
    LimitReached "limit_reached" Limit "A limit was reached; the fault's `limit` says which.",

    EmptyDocument "empty_document" Syntax "There is no value, element or message where one is required.",
    UnexpectedByte "unexpected_byte" Syntax "A byte that the grammar does not allow here.",
    UnexpectedEnd "unexpected_end" Syntax "The document ends inside a value.",
    TrailingData "trailing_data" Syntax "Bytes after the end of the document.",
    BadUtf8 "bad_utf8" Syntax "Bytes that are not UTF-8 where UTF-8 is required; they are kept as they are.",
    UnsupportedEncoding "unsupported_encoding" Syntax "A character encoding that is not decoded.",
    ByteOrderMark "byte_order_mark" Oddity "A byte order mark before the document; it is skipped.",

    BadNumber "bad_number" Syntax "A number that breaks the grammar: a leading zero, a bare point or sign.",
    BigNumber "big_number" Oddity "A number that neither 64-bit integers nor doubles hold.",
    ControlCharacter "control_character" Syntax "A control character where it must be escaped.",
    BadEscape "bad_escape" Syntax "An escape sequence that the format does not have.",
    LoneSurrogate "lone_surrogate" Syntax "Half of a UTF-16 pair in an escape; decoded as U+FFFD.",
    EscapedNul "escaped_nul" Oddity "A NUL written as an escape.",
    DuplicateKey "duplicate_key" Oddity "Two members of one object, or two attributes of one element, have one name.",

    BadPercent "bad_percent" Oddity "A `%` that two hexadecimal digits do not follow; it is kept as it is.",

    XmlMismatchedTag "xml_mismatched_tag" Syntax "An end tag that does not match the open element.",
    XmlSyntax "xml_syntax" Syntax "Markup that is not well formed.",
    XmlUnknownEntity "xml_unknown_entity" Oddity "A reference to an entity other than XML's five; it is kept as it is.",
    XmlBadCharacter "xml_bad_character" Syntax "A character reference to no character of XML.",

    MultipartNoBoundary "multipart_no_boundary" Syntax "The content type has no usable boundary.",
    MultipartBadBoundary "multipart_bad_boundary" Syntax "A delimiter line that is almost, but not, the boundary's.",
    MultipartNoFinalBoundary "multipart_no_final_boundary" Syntax "The closing delimiter is missing.",
    MultipartBadHeader "multipart_bad_header" Syntax "A part's header line has no name, no colon, or a NUL.",
    MultipartDuplicateHeader "multipart_duplicate_header" Syntax "A part has one header field twice.",
    MultipartBadDisposition "multipart_bad_disposition" Syntax "A part's Content-Disposition is missing or cannot be read.",
    MultipartDuplicateName "multipart_duplicate_name" Syntax "A Content-Disposition has two names or two file names.",
    MultipartExtendedFilename "multipart_extended_filename" Oddity "A part uses `filename*`, which RFC 7578 forbids.",
    MultipartBoundaryQuoted "multipart_boundary_quoted" Oddity "The boundary is quoted.",
    MultipartBoundaryWhitespace "multipart_boundary_whitespace" Oddity "White space around the boundary parameter.",
    MultipartDataBefore "multipart_data_before" Oddity "Data before the first delimiter.",
    MultipartDataAfter "multipart_data_after" Oddity "Data after the closing delimiter.",
    MultipartHeaderFolding "multipart_header_folding" Oddity "A part's header line is folded.",
    MultipartInvalidHeaderFolding "multipart_invalid_header_folding" Oddity "A fold begins with something other than space or tab.",
    MultipartLfLine "multipart_lf_line" Oddity "A line ends in a bare LF.",
    MultipartCrlfLine "multipart_crlf_line" Oddity "A line ends in CR LF, as it should; odd only beside a bare LF.",
    MultipartMissingSemicolon "multipart_missing_semicolon" Oddity "No `;` before the boundary parameter.",
    MultipartInvalidQuoting "multipart_invalid_quoting" Oddity "Single quotes around or inside a parameter.",
    MultipartInvalidPart "multipart_invalid_part" Oddity "A part without a name, or with an empty one.",
    MultipartDelimiterInside "multipart_delimiter_inside" Oddity "A line before the last delimiter begins with `--` or holds the boundary, and is no delimiter.",
    MultipartUnmatchedBoundary "multipart_unmatched_boundary" Oddity "The same after the last delimiter: the body may be read otherwise elsewhere.",

    GraphqlUnknownFragment "graphql_unknown_fragment" Oddity "A spread of a fragment that is not defined.",
    GraphqlFragmentCycle "graphql_fragment_cycle" Oddity "Fragments that spread each other in a circle.",

    GrpcBadFrame "grpc_bad_frame" Syntax "A length-prefixed message with a bad flag or a wrong length.",
    GrpcCompressed "grpc_compressed" Oddity "A compressed length-prefixed message; it is kept as it is.",

    UnknownCoding "unknown_coding" Syntax "A content coding that is not decoded.",
    CorruptCoding "corrupt_coding" Syntax "A compressed body that cannot be decompressed to its end.",
}

const _: () = assert!(FaultKind::ALL.len() <= 128 && Limit::ALL.len() <= 128, "the sets of seen faults are 128 bits");
