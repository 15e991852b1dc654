//! The checks of threat limits, one for each family of limits. Sources: OWASP API4:2023; CWE-770, CWE-409, CWE-776.

use bartizan_content::{Format, Limit};
use bartizan_model::{CheckInfo, Severity};

use crate::decide::Refusal;

/// A check of one family of limits.
const fn limit(id: &'static str, title: &'static str, cwe: &'static [u32], why: &'static str) -> CheckInfo {
    CheckInfo {
        id,
        title,
        severity: Severity::Medium,
        owasp: "API4:2023",
        cwe,
        since: "0.2",
        why,
        fix: "the evidence names the limit; when such requests are honest, raise it in the policy, for their paths only",
    }
}

pub(crate) static JSON: CheckInfo = limit(
    "CON-101",
    "json beyond a limit",
    &[770, 674],
    "documents that are deep, wide or long beyond what the API needs exhaust the parser behind the gateway",
);
pub(crate) static XML: CheckInfo = limit(
    "CON-102",
    "xml beyond a limit",
    &[776, 611, 770],
    "document types, entities and endless elements of XML read files and exhaust memory (XXE, billion laughs)",
);
pub(crate) static GRAPHQL: CheckInfo = limit(
    "CON-103",
    "graphql beyond a limit",
    &[770, 400],
    "one GraphQL document can ask for millions of objects: by depth, aliases, page sizes or fragments",
);
pub(crate) static FORM: CheckInfo = limit(
    "CON-104",
    "query, form or cookies beyond a limit",
    &[770],
    "thousands of parameters collide in hash tables, and a rule engine that stops counting lets the last ones pass",
);
pub(crate) static HEADER: CheckInfo = limit(
    "CON-105",
    "header fields beyond a limit",
    &[770],
    "long and many header fields tie up every server on the way and hide payloads from inspection",
);
pub(crate) static MULTIPART: CheckInfo = limit(
    "CON-106",
    "multipart body beyond a limit",
    &[770, 434],
    "bodies of many parts or files exhaust disk and descriptors behind the gateway",
);
pub(crate) static PROTOBUF: CheckInfo = limit(
    "CON-107",
    "protobuf or grpc beyond a limit",
    &[770, 674],
    "nested and endless messages exhaust the stack and memory of the service that decodes them",
);
pub(crate) static BOMB: CheckInfo = limit(
    "CON-108",
    "decompression bomb",
    &[409],
    "a few kilobytes that unpack to gigabytes end the server that unpacks them",
);

pub(crate) static MALFORMED: CheckInfo = CheckInfo {
    id: "CON-109",
    title: "malformed body",
    severity: Severity::Medium,
    owasp: "API8:2023",
    cwe: &[20, 436],
    since: "0.2",
    why: "a body that breaks its format's grammar is read differently by different parsers, and inspected by none for sure",
    fix: "mend the client; when the service must take such bodies, write `refuse_malformed: false` for its paths",
};
pub(crate) static ODD: CheckInfo = CheckInfo {
    id: "CON-110",
    title: "unusual body",
    severity: Severity::Low,
    owasp: "API8:2023",
    cwe: &[436],
    since: "0.2",
    why: "duplicate keys, escaped NULs and the like are well formed, and yet parsers disagree about what they mean",
    fix: "look at the client; nothing is refused for this alone",
};
pub(crate) static FILE: CheckInfo = CheckInfo {
    id: "CON-111",
    title: "uploaded file not allowed",
    severity: Severity::High,
    owasp: "API8:2023",
    cwe: &[434, 22],
    since: "0.2",
    why: "an uploaded script that the server runs, or a name that leads out of its folder, takes the server over",
    fix: "when such files are meant, add their extension or media type to the policy; a name with a path never is",
};
pub(crate) static PATTERN: CheckInfo = CheckInfo {
    id: "CON-112",
    title: "forbidden pattern",
    severity: Severity::High,
    owasp: "API8:2023",
    cwe: &[20],
    since: "0.2",
    why: "somebody wrote down that this expression must match nowhere, and it does",
    fix: "the evidence names the pattern; narrow it by `member`, or the policy by its scope, when the request is honest",
};

/// The check that a limit belongs to, and the answer that goes with it.
pub(crate) const fn of_limit(limit: Limit, format: Format<'_>) -> (&'static CheckInfo, Refusal) {
    let name = limit.name().as_bytes();
    let info = match name {
        [b'i', b'n', b'f', b'l', ..] => return (&BOMB, Refusal::ContentTooLarge),
        [b'j', b's', b'o', b'n', b'_', ..] => &JSON,
        [b'x', b'm', b'l', b'_', ..] => &XML,
        [b'g', b'r', b'a', b'p', b'h', ..] => &GRAPHQL,
        [b'f', b'o', b'r', b'm', b'_', ..] | [b'c', b'o', b'o', b'k', ..] => &FORM,
        [b'h', b'e', b'a', b'd', ..] => &HEADER,
        [b'm', b'u', b'l', b't', ..] => &MULTIPART,
        [b'p', b'r', b'o', b't', ..] | [b'g', b'r', b'p', b'c', ..] => &PROTOBUF,
        _ => of_format(format), // nodes and decoded bytes are limits of every format
    };
    (info, Refusal::UnprocessableContent)
}

const fn of_format(format: Format<'_>) -> &'static CheckInfo {
    match format {
        Format::Json | Format::Raw => &JSON,
        Format::Xml => &XML,
        Format::Graphql => &GRAPHQL,
        Format::Form | Format::Cookies => &FORM,
        Format::Multipart(_) => &MULTIPART,
        Format::Protobuf | Format::Grpc => &PROTOBUF,
    }
}

/// The word for a format in evidence.
pub(crate) const fn format_name(format: Format<'_>) -> &'static str {
    match format {
        Format::Raw => "body",
        Format::Form => "form",
        Format::Cookies => "cookies",
        Format::Json => "json",
        Format::Xml => "xml",
        Format::Graphql => "graphql",
        Format::Protobuf => "protobuf",
        Format::Grpc => "grpc",
        Format::Multipart(_) => "multipart",
    }
}
