//! Fills the variables: from heads and bodies to what rules look at.
//!
//! Where ModSecurity 2 and 3 differ, this follows 3: `REQUEST_URI` and `REQUEST_FILENAME` are percent-decoded once,
//! `REQUEST_URI_RAW` is not. All decoding is `content`'s.

use std::borrow::Cow;
use std::net::IpAddr;

use bartizan_content::encoding::percent_decode;
use bartizan_content::{Content, Fault, FaultClass, FaultKind, Format, Kind, Limit, Limits, decode, decode_in};
use bartizan_model::{HeaderField, Part};

use crate::Variable;
use crate::ast::BodyProcessor;
use crate::cut::Left;
use crate::inputs::{Inputs, Item, List, Span, Standing, Text};
use crate::open;
use crate::plan::{Plan, XmlInto};
use crate::run::{State, processor_name};
use crate::transaction::{Request, Response};

/// LIMIT: objects and arrays inside each other, unless `SecRequestBodyJsonDepthLimit` says less; ModSecurity's own.
const JSON_DEPTH_MAX: u32 = 10_000;

/// LIMIT: bytes of all paths of a document. Each repeats the names above its leaf, so that a small but deep body could fill
/// the buffer; beyond the limit only the ends of paths are kept.
pub(crate) const PATHS_BYTES_MAX: usize = 16 << 20;

/// LIMIT: bytes that are kept of a path beyond that.
const PATH_BYTES_MAX: usize = 256;

/// Bytes of the longest address as text.
const ADDRESS_BYTES_MAX: usize = 45;

/// Bytes of a request's id as text, at most.
const ID_BYTES_MAX: usize = 40;

/// Fills what a request's head tells.
pub(crate) fn head(plan: &Plan, inputs: &mut Inputs, head: &Request<'_>) {
    let path_end = memchr::memchr(b'?', head.target).unwrap_or(head.target.len());
    let (path, query) = head.target.split_at_checked(path_end).unwrap_or((head.target, b""));
    let query = query.get(1..).unwrap_or_default();
    inputs.set_text(Variable::RequestMethod, head.method);
    inputs.set_text(Variable::RequestProtocol, head.protocol);
    let line = inputs.text.push_all(&[head.method, b" ", head.target, b" ", head.protocol]);
    inputs.set(Variable::RequestLine, line);
    // The raw target is the middle of the line.
    let raw = line.part(head.method.len() + 1, head.method.len() + 1 + head.target.len());
    inputs.set(Variable::RequestUriRaw, raw);
    inputs.set(Variable::QueryString, raw.part(head.target.len() - query.len(), head.target.len()));
    path_variables(inputs, path, query);
    headers(inputs, List::RequestHeaders, head.headers);
    connection(plan, inputs, head);
    time(plan, inputs, head);
    if !query.is_empty() {
        let is_bad = form(plan, inputs, List::ArgsGet, query);
        number(plan, inputs, Variable::UrlencodedError, u64::from(is_bad));
    }
    inputs.part = Part::Cookie;
    for field in head.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(b"cookie")) {
        let cookies = decode_in(inputs.buffers.tree(), Format::Cookies, field.value, &limits());
        for cookie in cookies.of_kind(Kind::Cookie) {
            inputs.push(List::Cookies, cookie.key(), cookie.value());
        }
        stopped(inputs, &cookies);
        inputs.buffers.keep(field.value.len(), cookies.into_scratch(), None);
    }
    if plan.options.opens_values {
        for (part, list) in
            [(Part::Query, List::ArgsGet), (Part::Cookie, List::Cookies), (Part::Header, List::RequestHeaders)]
        {
            inputs.part = part;
            open::open(inputs, list);
        }
    }
    inputs.part = Part::Body;
    for variable in [Variable::ReqbodyError, Variable::ReqbodyProcessorError] {
        number(plan, inputs, variable, 0);
    }
}

/// Sets a number that some rule asks for.
fn number(plan: &Plan, inputs: &mut Inputs, variable: Variable, number: u64) {
    if plan.uses(variable) {
        inputs.set_number(variable, number);
    }
}

fn connection(plan: &Plan, inputs: &mut Inputs, head: &Request<'_>) {
    let ends = [
        (head.client, Variable::RemoteAddr, Variable::RemotePort),
        (head.server, Variable::ServerAddr, Variable::ServerPort),
    ];
    for (end, address, port) in ends {
        let Some(end) = end else { continue };
        if plan.uses(address) {
            let text = push_address(&mut inputs.text, end.ip().to_canonical());
            inputs.set(address, text);
        }
        number(plan, inputs, port, end.port().into());
    }
    if plan.uses(Variable::UniqueId) {
        let text = inputs.text.push_display(&head.id, ID_BYTES_MAX);
        inputs.set(Variable::UniqueId, text);
    }
}

/// Writes an address.
fn push_address(text: &mut Text, address: IpAddr) -> Span {
    match address {
        // PERF: formatting takes ten times as long.
        IpAddr::V4(address) => {
            let [first, rest @ ..] = address.octets();
            let write = |buffer: &mut Vec<u8>| {
                push_octet(first, buffer);
                for octet in rest {
                    buffer.push(b'.');
                    push_octet(octet, buffer);
                }
            };
            text.write(write, ADDRESS_BYTES_MAX)
        }
        IpAddr::V6(address) => text.push_display(&address, ADDRESS_BYTES_MAX),
    }
}

/// Appends a number below 256 in decimal.
fn push_octet(octet: u8, buffer: &mut Vec<u8>) {
    let digits = [octet / 100, octet / 10 % 10, octet % 10];
    let leading = digits.iter().take(2).take_while(|digit| **digit == 0).count();
    buffer.extend(digits.iter().skip(leading).map(|digit| b'0' + digit));
}

fn path_variables(inputs: &mut Inputs, path: &[u8], query: &[u8]) {
    let path = origin_form(path);
    let mut path_len = 0;
    let decode = |buffer: &mut Vec<u8>| {
        let start = buffer.len();
        percent_decode(path, buffer);
        path_len = buffer.len() - start;
        if !query.is_empty() {
            buffer.push(b'?');
            percent_decode(query, buffer);
        }
    };
    let uri = inputs.text.write(decode, path.len() + 1 + query.len());
    inputs.set(Variable::RequestUri, uri);
    let filename = uri.part(0, path_len);
    inputs.set(Variable::RequestFilename, filename);
    inputs.set(Variable::PathInfo, filename);
    let last = memchr::memrchr2(b'/', b'\\', inputs.text.at(filename));
    inputs.set(Variable::RequestBasename, uri.part(last.map_or(0, |at| at + 1), path_len));
}

/// The path of an absolute target; others as they are.
fn origin_form(path: &[u8]) -> &[u8] {
    if path.starts_with(b"/") {
        return path;
    }
    let Some(scheme) = memchr::memmem::find(path, b"://") else { return path };
    let rest = path.get(scheme + 3..).unwrap_or_default();
    memchr::memchr(b'/', rest).and_then(|at| rest.get(at..)).unwrap_or(b"/")
}

fn headers(inputs: &mut Inputs, list: List, fields: &[HeaderField<'_>]) {
    for field in fields {
        inputs.push(list, field.name, field.value);
    }
    if list == List::RequestHeaders
        && let Some(host) = fields.iter().find(|field| field.name.eq_ignore_ascii_case(b"host"))
    {
        let name = memchr::memrchr(b':', host.value).map_or(host.value, |at| host.value.get(..at).unwrap_or_default());
        inputs.set_text(Variable::ServerName, name);
    }
}

fn time(plan: &Plan, inputs: &mut Inputs, head: &Request<'_>) {
    let seconds = u64::try_from(head.now.as_micros().max(0) / 1_000_000).unwrap_or(0);
    for (variable, value) in [
        (Variable::TimeEpoch, seconds),
        (Variable::TimeHour, seconds / 3600 % 24),
        (Variable::TimeMin, seconds / 60 % 60),
        (Variable::TimeSec, seconds % 60),
        (Variable::TimeWday, (seconds / 86400 + 4) % 7), // the epoch was a Thursday
    ] {
        number(plan, inputs, variable, value);
    }
}

/// Decodes a form or query; whether it breaks the encoding.
fn form(plan: &Plan, inputs: &mut Inputs, list: List, source: &[u8]) -> bool {
    let source = separated(source, plan.settings.separator);
    let content = decode_in(inputs.buffers.tree(), Format::Form, &source, &limits());
    for pair in content.of_kind(Kind::Pair) {
        if !argument(plan, inputs, list, pair.key(), pair.value()) {
            break;
        }
    }
    stopped(inputs, &content);
    let is_bad = !content.is_well_formed();
    inputs.buffers.keep(source.len(), content.into_scratch(), None);
    is_bad
}

/// The source with `SecArgumentSeparator` between its pairs, as it would be with `&`.
fn separated(source: &[u8], separator: u8) -> Cow<'_, [u8]> {
    if separator == b'&' {
        return Cow::Borrowed(source);
    }
    let mut with_ampersands = Vec::with_capacity(source.len());
    for &byte in source {
        match byte {
            b'&' => with_ampersands.extend_from_slice(b"%26"),
            _ if byte == separator => with_ampersands.push(b'&'),
            _ => with_ampersands.push(byte),
        }
    }
    Cow::Owned(with_ampersands)
}

/// Adds an argument; `false` when `SecArgumentsLimit` does not let it in, nor any after it. As in ModSecurity 3, the limit
/// is for query and body together, and not for multipart bodies.
fn argument(plan: &Plan, inputs: &mut Inputs, list: List, name: &[u8], value: &[u8]) -> bool {
    if let Some(max) = plan.settings.arguments_max.filter(|max| inputs.arguments >= *max) {
        inputs.cut(Left::Arguments(max));
        return false;
    }
    inputs.arguments += 1;
    inputs.push(list, name, value);
    true
}

/// Notes that a decoder did not read to the end because of a limit.
fn stopped(inputs: &mut Inputs, content: &Content<'_>) {
    if let Some(limit) = content.stopped().and_then(|fault| fault.limit) {
        inputs.cut(Left::Decoder(limit));
    }
}

/// The media type of forms.
const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// Who takes the request's body apart, unless a rule says otherwise.
pub(crate) fn choose_processor(plan: &Plan, state: &mut State) {
    let content_type = header(&state.inputs, List::RequestHeaders, b"content-type");
    let is_type =
        |wanted: &[u8]| content_type.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted));
    let processor = match Format::of(Some(content_type), b"") {
        // Whatever follows the type: lenient servers read a form, so rules must.
        _ if is_type(FORM) => BodyProcessor::UrlEncoded,
        Format::Multipart(_) if is_type(b"multipart/form-data") => BodyProcessor::Multipart,
        Format::Json if plan.options.detect_bodies => BodyProcessor::Json,
        Format::Xml if plan.options.detect_bodies => BodyProcessor::Xml,
        _ => return,
    };
    state.controls.processor = Some(processor);
    state.inputs.set_text(Variable::ReqbodyProcessor, processor_name(processor));
}

/// The first field of this name; empty without one.
fn header<'i>(inputs: &'i Inputs, list: List, name: &[u8]) -> &'i [u8] {
    let found = inputs.list(list).iter().find(|item| inputs.text.at(item.name).eq_ignore_ascii_case(name));
    found.map(|item| inputs.text.at(item.value)).unwrap_or_default()
}

/// Fills what a request's body tells. `is_whole`: there is no more of it than `source`.
pub(crate) fn body(plan: &Plan, state: &mut State, source: &[u8], is_whole: bool) {
    let controls = state.controls;
    let inputs = &mut state.inputs;
    let is_read = controls.is_request_body_read && !source.is_empty();
    if is_read {
        match controls.processor {
            Some(BodyProcessor::UrlEncoded) => {
                let is_bad = form(plan, inputs, List::ArgsPost, source);
                if is_bad {
                    inputs.set_number(Variable::UrlencodedError, 1);
                }
            }
            Some(BodyProcessor::Json) => json(plan, inputs, Body { source, is_whole }),
            Some(BodyProcessor::Xml) => xml(plan, inputs, Body { source, is_whole }),
            Some(BodyProcessor::Multipart) => {
                let content_type = header(inputs, List::RequestHeaders, b"content-type").to_vec();
                multipart(plan, inputs, &content_type, Body { source, is_whole });
            }
            None => {}
        }
        let is_raw = matches!(controls.processor, None | Some(BodyProcessor::UrlEncoded)) || controls.is_body_forced;
        if is_raw {
            inputs.set_text(Variable::RequestBody, source);
        }
    }
    number(plan, inputs, Variable::RequestBodyLength, source.len() as u64);
    sizes(plan, inputs);
    if plan.options.opens_values {
        open::open(inputs, List::ArgsPost);
    }
}

/// A body as far as it is there.
#[derive(Clone, Copy)]
struct Body<'a> {
    source: &'a [u8],
    is_whole: bool,
}

fn sizes(plan: &Plan, inputs: &mut Inputs) {
    let is_asked = plan.uses(Variable::ArgsCombinedSize) || plan.uses(Variable::FilesCombinedSize);
    if !is_asked {
        return;
    }
    let size = |list: List| -> usize {
        let sent = inputs.list(list).iter().filter(|item| item.standing == Standing::Sent);
        sent.map(|item| item.name.len() + item.value.len()).sum()
    };
    let arguments = size(List::ArgsGet) + size(List::ArgsPost);
    let files: usize = inputs
        .list(List::FilesSizes)
        .iter()
        .map(|item| {
            std::str::from_utf8(inputs.text.at(item.value)).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
        })
        .sum();
    number(plan, inputs, Variable::ArgsCombinedSize, arguments as u64);
    number(plan, inputs, Variable::FilesCombinedSize, files as u64);
}

fn json(plan: &Plan, inputs: &mut Inputs, body: Body<'_>) {
    let mut limits = limits();
    if let Some(depth) = plan.settings.json_depth_max.and_then(|depth| u32::try_from(depth).ok()) {
        limits.json_container_depth = depth;
    }
    let content = decode_in(inputs.buffers.tree(), Format::Json, body.source, &limits);
    let mut walk = content.walk_in(inputs.buffers.path());
    let mut paths_bytes = 0;
    while let Some((path, node)) = walk.next_node() {
        // An element is named by its number, so that rules about names would not see the array's own at the end of one,
        // where they look for `id__in`. libmodsecurity does not show it to them; test 934210-13 of the Core Rule Set asks for it.
        let is_named_array = !plan.options.hides_arrays && node.kind() == Kind::Array && !node.key().is_empty();
        if !is_named_array && !node.kind().is_leaf() {
            continue;
        }
        let path = shortened(inputs, path, &mut paths_bytes);
        if is_named_array {
            let name = inputs.text.push(path);
            inputs.add(List::ArgsPost, Item { standing: Standing::Name, ..Item::new(name, Span::default()) });
        } else if !argument(plan, inputs, List::ArgsPost, path, node.value()) {
            failed(inputs, "JSON parsing error: more arguments than `SecArgumentsLimit`");
            break;
        }
    }
    let path = walk.into_buffer();
    processed(inputs, &content, body, "JSON parsing error");
    inputs.buffers.keep(body.source.len(), content.into_scratch(), Some(path));
}

/// The path, or its end when the paths before it used up what all may have.
fn shortened<'p>(inputs: &mut Inputs, path: &'p [u8], bytes: &mut usize) -> &'p [u8] {
    *bytes = bytes.saturating_add(path.len());
    if *bytes <= PATHS_BYTES_MAX || path.len() <= PATH_BYTES_MAX {
        return path;
    }
    inputs.cut(Left::Paths);
    path.get(path.len() - PATH_BYTES_MAX..).unwrap_or_default()
}

fn xml(plan: &Plan, inputs: &mut Inputs, body: Body<'_>) {
    let content = decode(Format::Xml, body.source, &limits());
    if plan.settings.xml != XmlInto::Args {
        let mut text = Vec::new();
        content.append_text(&mut text);
        inputs.push(List::XmlText, b"/*", &text);
        for attribute in content.of_kind(Kind::Attribute) {
            inputs.push(List::XmlAttributes, b"//@*", attribute.value());
        }
    }
    if plan.settings.xml != XmlInto::Xml {
        xml_arguments(plan, inputs, &content);
    }
    processed(inputs, &content, body, "XML parsing error");
}

/// `SecParseXmlIntoArgs`: the text of each element as an argument, `xml.order.item.sku`. Text on both sides of an element, a
/// comment or an instruction is one, as an application sees it.
fn xml_arguments(plan: &Plan, inputs: &mut Inputs, content: &Content<'_>) {
    let (mut path, mut text, mut paths_bytes) = (Vec::new(), Vec::new(), 0);
    for element in content.of_kind(Kind::Element) {
        text.clear();
        let texts = element.children().filter(|child| matches!(child.kind(), Kind::Text | Kind::Space));
        texts.for_each(|child| text.extend_from_slice(child.value()));
        if text.trim_ascii().is_empty() {
            continue;
        }
        path.clear();
        element.append_path(&mut path);
        let path = shortened(inputs, &path, &mut paths_bytes);
        if !argument(plan, inputs, List::ArgsPost, path, &text) {
            failed(inputs, "XML parsing error: more arguments than `SecArgumentsLimit`");
            return;
        }
    }
}

/// LIMIT: bytes before the end of a cut body in which a fault may be the cut's: the longest escape, twice.
const CUT_MARGIN: usize = 24;

/// The fault for which a body counts as broken: one against its format's grammar, and depth, as in ModSecurity. What
/// comes of a body that was cut is no fault of the body; any other limit is ours, and told as such.
fn broken<'c>(content: &'c Content<'_>, body: Body<'_>) -> Option<&'c Fault> {
    let is_of_cut = |fault: &Fault| {
        let is_end = matches!(fault.kind, FaultKind::UnexpectedEnd | FaultKind::MultipartNoFinalBoundary);
        !body.is_whole && (is_end || fault.offset as usize + CUT_MARGIN >= body.source.len())
    };
    let is_broken = |fault: &&Fault| match fault.kind.class() {
        FaultClass::Syntax => !is_of_cut(fault),
        FaultClass::Limit => fault.limit == Some(Limit::JsonContainerDepth),
        // What ModSecurity refuses and our decoder only notes: bodies are read leniently for the rules' sake.
        FaultClass::Oddity => match (content.format(), fault.kind) {
            (Format::Xml, FaultKind::DuplicateKey) => true,
            // Of a cut body the last part's name may be missing for the cut.
            (Format::Multipart(_), FaultKind::MultipartInvalidPart) => body.is_whole,
            (Format::Xml, FaultKind::XmlUnknownEntity) => memchr::memmem::find(body.source, b"<!DOCTYPE").is_none(),
            _ => false,
        },
    };
    content.faults().iter().find(is_broken)
}

/// Notes whether the body could be taken apart whole.
fn processed(inputs: &mut Inputs, content: &Content<'_>, body: Body<'_>, message: &str) {
    stopped(inputs, content);
    let Some(fault) = broken(content, body) else { return };
    failed(inputs, &format!("{message}: {}", fault.name()));
}

/// Notes that the body could not be taken apart.
fn failed(inputs: &mut Inputs, words: &str) {
    for variable in [Variable::ReqbodyError, Variable::ReqbodyProcessorError] {
        inputs.set_number(variable, 1);
    }
    for variable in [Variable::ReqbodyErrorMsg, Variable::ReqbodyProcessorErrorMsg] {
        inputs.set_text(variable, words.as_bytes());
    }
}

fn multipart(plan: &Plan, inputs: &mut Inputs, content_type: &[u8], body: Body<'_>) {
    let content = decode(Format::Multipart(content_type), body.source, &limits());
    for part in content.roots() {
        match part.kind() {
            Kind::Field => {
                inputs.arguments += 1;
                inputs.push(List::ArgsPost, part.key(), part.value());
            }
            Kind::File => {
                let filename = part.children().find(|child| child.kind() == Kind::Filename);
                let filename = filename.map(|child| child.value()).unwrap_or_default();
                inputs.push(List::Files, part.key(), filename);
                inputs.push(List::FilesNames, part.key(), part.key());
                inputs.push(List::FilesSizes, part.key(), part.value().len().to_string().as_bytes());
                if plan.uses(Variable::FilesTmpContent) {
                    inputs.push(List::FilesContent, part.key(), part.value());
                }
                inputs.set_text(Variable::MultipartFilename, filename);
                inputs.set_text(Variable::MultipartName, part.key());
            }
            _ => {}
        }
        for line in part.children().filter(|child| child.kind() == Kind::Header) {
            inputs.push(List::PartHeaders, part.key(), line.raw());
        }
    }
    multipart_flags(inputs, &content, body);
    processed(inputs, &content, body, "multipart parsing error");
}

/// The `MULTIPART_…` flags, and their sum.
fn multipart_flags(inputs: &mut Inputs, content: &Content<'_>, body: Body<'_>) {
    const FLAGS: &[(Variable, FaultKind, bool)] = &[
        (Variable::MultipartBoundaryQuoted, FaultKind::MultipartBoundaryQuoted, true),
        (Variable::MultipartBoundaryWhitespace, FaultKind::MultipartBoundaryWhitespace, true),
        (Variable::MultipartDataBefore, FaultKind::MultipartDataBefore, true),
        (Variable::MultipartDataAfter, FaultKind::MultipartDataAfter, true),
        (Variable::MultipartHeaderFolding, FaultKind::MultipartHeaderFolding, true),
        (Variable::MultipartInvalidHeaderFolding, FaultKind::MultipartInvalidHeaderFolding, true),
        (Variable::MultipartMissingSemicolon, FaultKind::MultipartMissingSemicolon, true),
        (Variable::MultipartInvalidQuoting, FaultKind::MultipartInvalidQuoting, true),
        (Variable::MultipartInvalidPart, FaultKind::MultipartInvalidPart, true),
        (Variable::MultipartUnmatchedBoundary, FaultKind::MultipartUnmatchedBoundary, false),
    ];
    let mut is_strict = broken(content, body).is_some();
    for (variable, fault, is_error) in FLAGS {
        let is_set = content.has(*fault);
        inputs.set_number(*variable, u64::from(is_set));
        is_strict |= is_set && *is_error;
    }
    let has_too_many = content.stopped().and_then(|fault| fault.limit) == Some(Limit::MultipartFileCount);
    inputs.set_number(Variable::MultipartFileLimitExceeded, u64::from(has_too_many));
    is_strict |= has_too_many;
    // Either kind of line end is common; both in one body are how parsers are told apart.
    let has_mixed_lines = content.has(FaultKind::MultipartLfLine) && content.has(FaultKind::MultipartCrlfLine);
    inputs.set_number(Variable::MultipartLfLine, u64::from(content.has(FaultKind::MultipartLfLine)));
    inputs.set_number(Variable::MultipartStrictError, u64::from(is_strict || has_mixed_lines));
}

/// Fills what a response's head tells.
pub(crate) fn response_head(inputs: &mut Inputs, head: &Response<'_>) {
    inputs.part = Part::Response;
    inputs.set_number(Variable::ResponseStatus, head.status.into());
    inputs.set_text(Variable::ResponseProtocol, head.protocol);
    let status = head.status.to_string();
    let line = inputs.text.push_all(&[head.protocol, b" ", status.as_bytes()]);
    inputs.set(Variable::StatusLine, line);
    headers(inputs, List::ResponseHeaders, head.headers);
    let content_type = header(inputs, List::ResponseHeaders, b"content-type").to_vec();
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    inputs.set_text(Variable::ResponseContentType, essence);
}

/// Whether rules look at the response's body: it is read at all, and its media type is one of those named.
pub(crate) fn is_response_inspected(plan: &Plan, state: &State) -> bool {
    let Some(essence) = state.inputs.scalar(Variable::ResponseContentType) else { return false };
    let essence = state.inputs.text.at(essence);
    state.controls.is_response_body_read
        && plan.settings.response_types.iter().any(|wanted| essence.eq_ignore_ascii_case(wanted))
}

/// Fills what a response's body tells.
pub(crate) fn response_body(plan: &Plan, state: &mut State, source: &[u8]) {
    if is_response_inspected(plan, state) {
        state.inputs.set_text(Variable::ResponseBody, source);
        state.inputs.set_number(Variable::ResponseContentLength, source.len() as u64);
    }
}

/// The limits of decoding, wide: what is too much is for policies to say, and a name or value that is too long for one
/// is still looked at.
fn limits() -> Limits {
    let mut limits = Limits::unlimited();
    let default = Limits::default();
    (limits.nodes, limits.decoded_bytes) = (default.nodes, default.decoded_bytes);
    limits.json_container_depth = JSON_DEPTH_MAX;
    limits.xml_node_depth = default.xml_node_depth;
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_they_are_displayed() {
        let octets = (0..=u8::MAX).map(|octet| IpAddr::from([octet, 255 - octet, octet / 2, 10]));
        let others = ["::1", "2001:db8::17"].map(|address| address.parse().unwrap());
        for address in octets.chain(others) {
            let mut text = Text::default();
            let span = push_address(&mut text, address);
            assert_eq!(text.at(span), address.to_string().as_bytes());
        }
    }
}
