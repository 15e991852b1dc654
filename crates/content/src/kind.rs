//! The kinds of nodes that all formats together have.

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Bytes that no decoder knows
    Raw,
    /// JSON object, GraphQL object literal
    Object,
    /// JSON array, GraphQL list literal
    Array,
    /// String of JSON, GraphQL or protobuf, decoded
    String,
    /// Number as written
    Number,
    /// `true` or `false` as written
    Bool,
    /// `null` as written
    Null,
    /// `name=value` of a query or form, percent-decoded
    Pair,
    /// `name=value` of a cookie header, as sent
    Cookie,
    /// A part of a multipart body without a file name
    Field,
    /// A part with a file name
    File,
    /// A header line of a part; raw is the whole line
    Header,
    /// A part's file name
    Filename,
    /// XML element
    Element,
    /// XML attribute, value decoded
    Attribute,
    /// XML namespace declaration: `xmlns` or `xmlns:prefix`
    Namespace,
    /// XML text and CDATA, decoded
    Text,
    /// XML text of white space only
    Space,
    /// XML comment
    Comment,
    /// XML processing instruction
    Instruction,
    /// GraphQL operation; its value is `query`, `mutation` or `subscription`
    Operation,
    /// GraphQL fragment definition; its value is the type condition
    Fragment,
    /// GraphQL field; named by its alias, else its name; its value is the name
    Selection,
    /// GraphQL fragment spread; named by the fragment
    Spread,
    /// GraphQL inline fragment; its value is the type condition
    InlineFragment,
    /// GraphQL directive
    Directive,
    /// GraphQL variable definition; its value is the type
    VariableDefinition,
    /// GraphQL use of a variable
    Variable,
    /// GraphQL enum literal
    Enum,
    /// gRPC length-prefixed message
    Frame,
    /// Protobuf field that reads as a message
    Message,
    /// Protobuf field that reads both as a message and as text
    MessageOrText,
    /// Protobuf field of bytes that are neither message nor text
    Bytes,
    /// Protobuf varint, 32- or 64-bit field; its value is the unsigned number in decimal
    Scalar,
}

impl Kind {
    /// Whether its value is what an application would take as a value of its input.
    ///
    /// Files, part headers, comments and raw bytes are not: ask for them by kind.
    #[inline]
    pub const fn is_leaf(self) -> bool {
        match self {
            Self::String
            | Self::Number
            | Self::Bool
            | Self::Null
            | Self::Pair
            | Self::Cookie
            | Self::Field
            | Self::Attribute
            | Self::Text
            | Self::Enum
            | Self::MessageOrText
            | Self::Bytes
            | Self::Scalar => true,
            Self::Raw
            | Self::Object
            | Self::Array
            | Self::File
            | Self::Header
            | Self::Filename
            | Self::Element
            | Self::Namespace
            | Self::Space
            | Self::Comment
            | Self::Instruction
            | Self::Operation
            | Self::Fragment
            | Self::Selection
            | Self::Spread
            | Self::InlineFragment
            | Self::Directive
            | Self::VariableDefinition
            | Self::Variable
            | Self::Frame
            | Self::Message => false,
        }
    }
}
