//! Every limit on what is decoded: a named number in [`Limits`], a member of [`Limit`] and a name for policies.
//!
//! Names follow Apigee's JSONThreatProtection and XMLThreatProtection where those have one, in snake case and with the
//! format first: `ContainerDepth` of JSON is `json_container_depth`. A measure equal to its limit is still allowed.
//! The defaults suit APIs: far above what documented public APIs send, far below what hurts.

macro_rules! limits {
    ($($field:ident $variant:ident = $default:expr, $text:literal;)*) => {
        /// How much of each kind is decoded before decoding stops.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits {
            $(#[doc = $text] pub $field: u32,)*
        }

        /// Which limit.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Limit {
            $(#[doc = $text] $variant,)*
        }

        impl Limit {
            /// Every limit.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in policies and faults.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($field),)*
                }
            }

            /// What it bounds, in one sentence.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl Limits {
            /// The number of one limit.
            #[inline]
            pub const fn of(&self, limit: Limit) -> u32 {
                match limit {
                    $(Limit::$variant => self.$field,)*
                }
            }

            /// The number of one limit, to be set.
            pub const fn of_mut(&mut self, limit: Limit) -> &mut u32 {
                match limit {
                    $(Limit::$variant => &mut self.$field,)*
                }
            }

            /// No limit at all but those of the address space: for tests and trusted documents.
            pub const fn unlimited() -> Self {
                Self { $($field: u32::MAX,)* }
            }
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
}

const KIB: u32 = 1 << 10;
const MIB: u32 = 1 << 20;

// LIMIT: each line below is one; the sentence says what it bounds. Memory: a node takes 40 bytes, so `nodes` bounds a
// tree to 5 MiB; decoded bytes never exceed the source's length for any format but inflated bodies.
limits! {
    nodes Nodes = 128 * KIB, "Nodes of one tree, all kinds together.";
    decoded_bytes DecodedBytes = 16 * MIB, "Bytes of names and values that had to be decoded into a new buffer.";

    json_container_depth JsonContainerDepth = 64, "Objects and arrays inside each other.";
    json_array_element_count JsonArrayElementCount = 64 * KIB, "Elements of one array.";
    json_object_entry_count JsonObjectEntryCount = 16 * KIB, "Members of one object.";
    json_object_entry_name_length JsonObjectEntryNameLength = KIB, "Bytes of one member's name, decoded.";
    json_string_value_length JsonStringValueLength = 4 * MIB, "Bytes of one string, decoded.";
    json_number_length JsonNumberLength = 256, "Bytes of one number as written.";

    xml_element_count XmlElementCount = 64 * KIB, "Elements of one document.";
    xml_node_depth XmlNodeDepth = 64, "Elements inside each other.";
    xml_child_count XmlChildCount = 16 * KIB, "Child nodes of one element: elements, texts, comments, instructions.";
    xml_attribute_count_per_element XmlAttributeCountPerElement = 64, "Attributes of one element.";
    xml_namespace_count_per_element XmlNamespaceCountPerElement = 16, "Namespace declarations of one element.";
    xml_element_name_length XmlElementNameLength = 256, "Bytes of an element's name with its prefix.";
    xml_attribute_name_length XmlAttributeNameLength = 256, "Bytes of an attribute's name with its prefix.";
    xml_namespace_prefix_length XmlNamespacePrefixLength = 64, "Bytes of a namespace prefix.";
    xml_instruction_target_length XmlInstructionTargetLength = 64, "Bytes of a processing instruction's target.";
    xml_text_length XmlTextLength = 4 * MIB, "Bytes of one text or CDATA section.";
    xml_attribute_length XmlAttributeLength = 64 * KIB, "Bytes of one attribute's value.";
    xml_namespace_uri_length XmlNamespaceUriLength = KIB, "Bytes of one namespace name.";
    xml_comment_length XmlCommentLength = 16 * KIB, "Bytes of one comment.";
    xml_instruction_data_length XmlInstructionDataLength = 4 * KIB, "Bytes of one processing instruction's data.";
    xml_comment_count XmlCommentCount = KIB, "Comments of one document.";
    xml_instruction_count XmlInstructionCount = 16, "Processing instructions of one document.";
    xml_dtd_count XmlDtdCount = 0, "Document type declarations; they are counted and skipped, never obeyed.";
    xml_entity_count XmlEntityCount = 0, "Entities declared in the document type, and references to any but XML's five.";

    graphql_document_length GraphqlDocumentLength = 256 * KIB, "Bytes of one GraphQL document.";
    graphql_token_count GraphqlTokenCount = 32 * KIB, "Tokens of one document.";
    graphql_depth GraphqlDepth = 16, "Selection sets inside each other, fragments followed.";
    graphql_value_depth GraphqlValueDepth = 32, "List and object literals inside each other.";
    graphql_operation_count GraphqlOperationCount = 16, "Operations of one document.";
    graphql_fragment_count GraphqlFragmentCount = 64, "Fragment definitions of one document.";
    graphql_field_count GraphqlFieldCount = 2 * KIB, "Fields written in one document.";
    graphql_alias_count GraphqlAliasCount = 64, "Aliases written in one document.";
    graphql_directive_count GraphqlDirectiveCount = 64, "Directives written in one document.";
    graphql_cost GraphqlCost = 10_000, "Fields of one operation after fragments are spread, each times the page sizes above it.";
    graphql_introspection_count GraphqlIntrospectionCount = u32::MAX, "Uses of `__schema` and `__type`; 0 refuses introspection.";

    form_field_count FormFieldCount = 2 * KIB, "Pairs of one query or form.";
    form_name_length FormNameLength = 4 * KIB, "Bytes of one pair's name, decoded.";
    form_value_length FormValueLength = 4 * MIB, "Bytes of one pair's value, decoded.";

    cookie_count CookieCount = 256, "Cookies of one header field.";
    cookie_name_length CookieNameLength = KIB, "Bytes of one cookie's name.";
    cookie_value_length CookieValueLength = 16 * KIB, "Bytes of one cookie's value.";

    header_count HeaderCount = 128, "Header fields of one message.";
    header_name_length HeaderNameLength = 256, "Bytes of one header field's name.";
    header_value_length HeaderValueLength = 16 * KIB, "Bytes of one header field's value.";

    multipart_part_count MultipartPartCount = 512, "Parts of one multipart body.";
    multipart_file_count MultipartFileCount = 64, "Parts with a file name.";
    multipart_part_header_count MultipartPartHeaderCount = 16, "Header lines of one part.";
    multipart_part_header_length MultipartPartHeaderLength = 8 * KIB, "Bytes of one part's header lines together.";
    multipart_boundary_length MultipartBoundaryLength = 256, "Bytes of the boundary.";
    multipart_name_length MultipartNameLength = KIB, "Bytes of one part's name.";
    multipart_filename_length MultipartFilenameLength = KIB, "Bytes of one part's file name.";
    multipart_field_length MultipartFieldLength = 4 * MIB, "Bytes of one part's body that is not a file.";

    protobuf_depth ProtobufDepth = 16, "Messages inside each other; deeper ones stay bytes.";
    protobuf_field_count ProtobufFieldCount = 64 * KIB, "Fields of one message, nested ones included.";
    grpc_frame_count GrpcFrameCount = KIB, "Length-prefixed messages of one body.";
    grpc_message_length GrpcMessageLength = 4 * MIB, "Bytes of one length-prefixed message.";

    inflated_bytes InflatedBytes = 16 * MIB, "Bytes of a body after decompression.";
    inflate_ratio InflateRatio = 200, "Times a body may grow by decompression, above its first 64 KiB.";
    inflate_layers InflateLayers = 2, "Content codings on top of each other.";
    inflate_window_bytes InflateWindowBytes = 16 * MIB, "Bytes of the window a compressed body asks for.";
}

impl Limit {
    /// The limit of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|limit| limit.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_found_by_its_name_and_settable() {
        let mut limits = Limits::unlimited();
        for (value, &limit) in (7..).zip(Limit::ALL) {
            assert_eq!(Limit::of_name(limit.name()), Some(limit));
            *limits.of_mut(limit) = value;
        }
        for (value, &limit) in (7..).zip(Limit::ALL) {
            assert_eq!(limits.of(limit), value);
            assert!(limit.text().ends_with('.'));
        }
        assert_eq!(Limit::of_name("json_depth"), None);
    }
}
