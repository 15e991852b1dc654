//! Fills the variables: from heads and bodies to what rules look at.
//!
//! Where ModSecurity 2 and 3 differ, this follows 3: `REQUEST_URI` and `REQUEST_FILENAME` are percent-decoded once,
//! `REQUEST_URI_RAW` is not. All decoding is `content`'s.

use bartizan_content::encoding::percent_decode;
use bartizan_content::{Content, FaultKind, Format, Kind, Limit, Limits, decode, decode_in};
use bartizan_model::HeaderField;

use crate::Variable;
use crate::ast::BodyProcessor;
use crate::inputs::{Inputs, Item, List};
use crate::plan::Plan;
use crate::run::{State, processor_name};
use crate::transaction::{Request, Response};

/// LIMIT: objects and arrays inside each other, unless `SecRequestBodyJsonDepthLimit` says less; ModSecurity's own.
const JSON_DEPTH_MAX: u32 = 10_000;

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
        let is_bad = form(inputs, List::ArgsGet, query);
        number(plan, inputs, Variable::UrlencodedError, u64::from(is_bad));
    }
    for field in head.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(b"cookie")) {
        let content = decode_in(inputs.buffers.tree(), Format::Cookies, field.value, &limits());
        for cookie in content.of_kind(Kind::Cookie) {
            inputs.push(List::Cookies, cookie.key(), cookie.value());
        }
        inputs.buffers.keep(field.value.len(), content.into_scratch(), None);
    }
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
            let text = inputs.text.push_display(&end.ip().to_canonical(), ADDRESS_BYTES_MAX);
            inputs.set(address, text);
        }
        number(plan, inputs, port, end.port().into());
    }
    if plan.uses(Variable::UniqueId) {
        let text = inputs.text.push_display(&head.id, ID_BYTES_MAX);
        inputs.set(Variable::UniqueId, text);
    }
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
fn form(inputs: &mut Inputs, list: List, source: &[u8]) -> bool {
    let content = decode_in(inputs.buffers.tree(), Format::Form, source, &limits());
    for pair in content.of_kind(Kind::Pair) {
        inputs.push(list, pair.key(), pair.value());
    }
    inputs.is_cut |= content.stopped().is_some();
    let is_bad = !content.is_well_formed();
    inputs.buffers.keep(source.len(), content.into_scratch(), None);
    is_bad
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

/// Fills what a request's body tells.
pub(crate) fn body(plan: &Plan, state: &mut State, source: &[u8]) {
    let controls = state.controls;
    let inputs = &mut state.inputs;
    let is_read = controls.is_request_body_read && !source.is_empty();
    if is_read {
        match controls.processor {
            Some(BodyProcessor::UrlEncoded) => {
                let is_bad = form(inputs, List::ArgsPost, source);
                if is_bad {
                    inputs.set_number(Variable::UrlencodedError, 1);
                }
            }
            Some(BodyProcessor::Json) => json(inputs, source, plan.settings.json_depth_max),
            Some(BodyProcessor::Xml) => xml(inputs, source),
            Some(BodyProcessor::Multipart) => {
                let content_type = header(inputs, List::RequestHeaders, b"content-type").to_vec();
                multipart(inputs, &content_type, source);
            }
            None => {}
        }
        let is_whole = matches!(controls.processor, None | Some(BodyProcessor::UrlEncoded)) || controls.is_body_forced;
        if is_whole {
            inputs.set_text(Variable::RequestBody, source);
        }
    }
    number(plan, inputs, Variable::RequestBodyLength, source.len() as u64);
    sizes(plan, inputs);
}

fn sizes(plan: &Plan, inputs: &mut Inputs) {
    let is_asked = plan.uses(Variable::ArgsCombinedSize) || plan.uses(Variable::FilesCombinedSize);
    if !is_asked {
        return;
    }
    let size = |list: List| -> usize { inputs.list(list).iter().map(|item| item.name.len() + item.value.len()).sum() };
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

fn json(inputs: &mut Inputs, source: &[u8], depth_max: Option<usize>) {
    let mut limits = limits();
    if let Some(depth) = depth_max.and_then(|depth| u32::try_from(depth).ok()) {
        limits.json_container_depth = depth;
    }
    let content = decode_in(inputs.buffers.tree(), Format::Json, source, &limits);
    let mut walk = content.walk_in(inputs.buffers.path());
    while let Some((path, leaf)) = walk.next() {
        let item = Item::new(inputs.text.push(path), inputs.text.push(leaf.value()));
        inputs.add(List::ArgsPost, item);
    }
    let path = walk.into_buffer();
    processed(inputs, &content, "JSON parsing error");
    inputs.buffers.keep(source.len(), content.into_scratch(), Some(path));
}

fn xml(inputs: &mut Inputs, source: &[u8]) {
    let content = decode(Format::Xml, source, &limits());
    let mut text = Vec::new();
    content.append_text(&mut text);
    inputs.push(List::XmlText, b"/*", &text);
    for attribute in content.of_kind(Kind::Attribute) {
        inputs.push(List::XmlAttributes, b"//@*", attribute.value());
    }
    processed(inputs, &content, "XML parsing error");
}

/// Notes whether the body could be taken apart whole.
fn processed(inputs: &mut Inputs, content: &Content<'_>, message: &str) {
    inputs.is_cut |= content.stopped().is_some();
    if content.is_well_formed() && content.stopped().is_none() {
        return;
    }
    for variable in [Variable::ReqbodyError, Variable::ReqbodyProcessorError] {
        inputs.set_number(variable, 1);
    }
    let words =
        content.faults().first().map_or_else(|| message.to_owned(), |fault| format!("{message}: {}", fault.name()));
    for variable in [Variable::ReqbodyErrorMsg, Variable::ReqbodyProcessorErrorMsg] {
        inputs.set_text(variable, words.as_bytes());
    }
}

fn multipart(inputs: &mut Inputs, content_type: &[u8], source: &[u8]) {
    let content = decode(Format::Multipart(content_type), source, &limits());
    for part in content.roots() {
        match part.kind() {
            Kind::Field => inputs.push(List::ArgsPost, part.key(), part.value()),
            Kind::File => {
                let filename = part.children().find(|child| child.kind() == Kind::Filename);
                let filename = filename.map(|child| child.value()).unwrap_or_default();
                inputs.push(List::Files, part.key(), filename);
                inputs.push(List::FilesNames, part.key(), part.key());
                inputs.push(List::FilesSizes, part.key(), part.value().len().to_string().as_bytes());
                inputs.set_text(Variable::MultipartFilename, filename);
                inputs.set_text(Variable::MultipartName, part.key());
            }
            _ => {}
        }
        for line in part.children().filter(|child| child.kind() == Kind::Header) {
            inputs.push(List::PartHeaders, part.key(), line.raw());
        }
    }
    multipart_flags(inputs, &content);
    processed(inputs, &content, "multipart parsing error");
}

/// The `MULTIPART_…` flags, and their sum.
fn multipart_flags(inputs: &mut Inputs, content: &Content<'_>) {
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
    let mut is_strict = !content.is_well_formed();
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
