//! Payloads by class, put in the places of a request and wrapped in encodings.
//!
//! A line of a table is a payload. Most are values that fit anywhere; `k|` is a pair with a telling name, `j|` a JSON
//! body, `x|` an XML body, `g|` a GraphQL document, `t|` the head of a token, `h|` a header field, `p|` a target.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::encode::{self, base64, component, controls, mixed_case, percent};
use crate::sample::{HOST, Sample};

/// Places and encodings of a value that each payload is tried in, beside the plain ones.
const WRAPPED_EACH: usize = 3;
const PLAIN_EACH: usize = 2;

const PLACES: [&str; 11] =
    ["query", "json", "form", "xml", "header", "json-deep", "multipart", "cookie", "path", "xml-attribute", "json-key"];

/// What requests of the two sets look like around the payload.
struct Carrier {
    collection: &'static str,
    names: [&'static str; 5],
    header: &'static str,
    cookie: &'static str,
    agent: &'static str,
}

const TUNING: Carrier = Carrier {
    collection: "/v1/items",
    names: ["q", "name", "id", "comment", "file"],
    header: "X-Tenant",
    cookie: "prefs",
    agent: "python-requests/2.32.3",
};

const MEASURING: Carrier = Carrier {
    collection: "/api/records",
    names: ["search", "title", "ref", "message", "target"],
    header: "X-Client-Context",
    cookie: "state",
    agent: "okhttp/4.12.0",
};

const UNSEEN: Carrier = Carrier {
    collection: "/v2/things",
    names: ["filter", "note", "key", "text", "path"],
    header: "X-Origin-App",
    cookie: "ctx",
    agent: "Go-http-client/2.0",
};

/// Every attack of a set.
pub fn samples(folder: &Path, set: &str) -> Result<Vec<Sample>> {
    let mut files: Vec<_> = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    let carrier = match set {
        "tuning" => &TUNING,
        "measuring" => &MEASURING,
        _ => &UNSEEN,
    };
    let mut samples = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
        let class = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        of_class(carrier, &class, &text, set, &mut samples)?;
    }
    Ok(samples)
}

fn of_class(carrier: &Carrier, class: &str, text: &str, set: &str, samples: &mut Vec<Sample>) -> Result<()> {
    let mut encodings: Vec<&'static str> = Vec::new();
    let mut is_meant = false;
    for (number, line) in text.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")).enumerate() {
        if let Some(list) = line.strip_prefix("@encodings ") {
            encodings = list.split(',').map(encoding).collect::<Result<_>>()?;
        } else if crate::SETS.iter().any(|set| line.strip_prefix('@') == Some(set)) {
            is_meant = line.strip_prefix('@') == Some(set);
        } else if is_meant {
            let before = samples.len();
            payload(carrier, number, &controls(line), &encodings, samples);
            samples[before..].iter_mut().for_each(|sample| finish(carrier, class, sample));
        }
    }
    Ok(())
}

fn encoding(name: &str) -> Result<&'static str> {
    const ENCODINGS: [&str; 7] = ["plain", "url2", "base64", "unicode", "entities", "case", "comments"];
    match ENCODINGS.into_iter().find(|known| *known == name) {
        Some(known) => Ok(known),
        None => bail!("unknown encoding `{name}`"),
    }
}

fn finish(carrier: &Carrier, class: &str, sample: &mut Sample) {
    class.clone_into(&mut sample.class);
    sample.is_attack = true;
    let mut headers = vec![("Host".to_owned(), HOST.to_owned())];
    if !sample.headers.iter().any(|(name, _)| name == "User-Agent") {
        headers.push(("User-Agent".to_owned(), carrier.agent.to_owned()));
    }
    headers.push(("Accept".to_owned(), "application/json".to_owned()));
    headers.append(&mut sample.headers);
    sample.headers = headers;
}

fn payload(carrier: &Carrier, number: usize, line: &str, encodings: &[&'static str], out: &mut Vec<Sample>) {
    let (kind, text) = match line.split_once('|') {
        Some((kind @ ("k" | "j" | "x" | "g" | "t" | "h" | "p"), text)) => (kind, text),
        _ => ("", line),
    };
    match kind {
        "k" => pair(carrier, text, out),
        "j" => json_body(carrier, text, out),
        "x" => xml_body(carrier, text, out),
        "g" => graphql(text, out),
        "t" => token(carrier, number, text, out),
        "h" => {
            let (name, value) = text.split_once(": ").unwrap_or((text, ""));
            out.push(request("GET", carrier.collection, "header", "plain").with(name, value));
        }
        "p" => out.push(request("GET", text, "path", "plain")),
        _ => value(carrier, number, text, encodings, out),
    }
}

fn request(method: &str, target: &str, place: &'static str, encoding: &'static str) -> Sample {
    Sample { method: method.to_owned(), target: target.to_owned(), place, encoding, ..Sample::default() }
}

/// A value: in some places plainly, in others wrapped, so that over a class every place and encoding comes up.
fn value(carrier: &Carrier, number: usize, text: &str, encodings: &[&'static str], out: &mut Vec<Sample>) {
    let plain: Vec<_> = PLACES.iter().filter_map(|place| place_value(carrier, number, text, place, "plain")).collect();
    let wrapped: Vec<_> = encodings
        .iter()
        .filter(|encoding| **encoding != "plain")
        .flat_map(|encoding| PLACES.iter().filter_map(|place| place_value(carrier, number, text, place, encoding)))
        .collect();
    pick(plain, PLAIN_EACH, number, out);
    pick(wrapped, WRAPPED_EACH, number * 5, out);
}

/// `count` of them, spread out, beginning elsewhere for each payload.
fn pick(all: Vec<Sample>, count: usize, start: usize, out: &mut Vec<Sample>) {
    let len = all.len();
    let step = len / count.min(len).max(1);
    let wanted: Vec<usize> = (0..count.min(len)).map(|at| (start + at * step) % len).collect();
    out.extend(all.into_iter().enumerate().filter(|(at, _)| wanted.contains(at)).map(|(_, sample)| sample));
}

/// The payload in this place and encoding; `None` where they do not go together.
fn place_value(
    carrier: &Carrier,
    number: usize,
    text: &str,
    place: &'static str,
    encoding: &'static str,
) -> Option<Sample> {
    let name = carrier.names[number % carrier.names.len()];
    let text = match encoding {
        "unicode" if place.starts_with("json") => text.to_owned(),
        "entities" if place.starts_with("xml") => text.to_owned(),
        "unicode" | "entities" => return None,
        "url2" => percent(text.as_bytes(), b""),
        "base64" if matches!(place, "path" | "json-key") => return None,
        "base64" => base64(text),
        "case" => mixed_case(text),
        "comments" => text.replace(' ', "/**/"),
        _ => text.to_owned(),
    };
    let json = |text: &str| if encoding == "unicode" { encode::json_unicode(text) } else { encode::json(text) };
    let xml = |text: &str| if encoding == "entities" { encode::xml_entities(text) } else { encode::xml(text) };
    let collection = carrier.collection;
    let post = || request("POST", collection, place, encoding);
    let is_field_value = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    Some(match place {
        "query" => request("GET", &format!("{collection}?limit=20&{name}={}", component(&text)), place, encoding),
        "form" => post().with_body(
            "application/x-www-form-urlencoded",
            format!("{name}={}&lang=en", percent(text.as_bytes(), b"-_.")),
        ),
        "json" => {
            post().with_body("application/json", format!(r#"{{"lang":"en","{name}":"{}","count":3}}"#, json(&text)))
        }
        "json-deep" => post().with_body(
            "application/json",
            format!(r#"{{"data":{{"items":[{{"id":7}},{{"id":8,"{name}":["a","{}"]}}]}}}}"#, json(&text)),
        ),
        "json-key" => post().with_body("application/json", format!(r#"{{"fields":{{"{}":1}}}}"#, json(&text))),
        "xml" => post().with_body(
            "application/xml",
            format!("<?xml version=\"1.0\"?><item><id>5</id><{name}>{}</{name}></item>", xml(&text)),
        ),
        "xml-attribute" => {
            // A line end that is meant is a reference there: a literal one is a blank (XML 1.0 §3.3.3).
            let value = xml(&text).replace('\n', "&#10;");
            post().with_body("text/xml", format!("<items><item {name}=\"{value}\" lang=\"en\"/></items>"))
        }
        "multipart" => post().with_body(
            "multipart/form-data; boundary=x7Mq",
            format!(
                "--x7Mq\r\nContent-Disposition: form-data; name=\"lang\"\r\n\r\nen\r\n--x7Mq\r\nContent-Disposition: \
                 form-data; name=\"{name}\"\r\n\r\n{text}\r\n--x7Mq--\r\n"
            ),
        ),
        "header" if is_field_value && !text.starts_with(' ') => {
            request("GET", collection, place, encoding).with(carrier.header, &text)
        }
        "cookie" => request("GET", collection, place, encoding).with(
            "Cookie",
            &format!("lang=en; {}={}", carrier.cookie, percent(text.as_bytes(), b"!#$&'()*+-./:<=>?@[]^_`{|}~")),
        ),
        "path" => request("GET", &format!("{collection}/{}", percent(text.as_bytes(), b"-_.~!$'()*")), place, encoding),
        _ => return None,
    })
}

fn pair(carrier: &Carrier, text: &str, out: &mut Vec<Sample>) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let collection = carrier.collection;
    let value = component(value);
    out.push(request("GET", &format!("{collection}?lang=en&{name}={value}"), "query-name", "plain"));
    let form = format!("lang=en&{}={value}", percent(name.as_bytes(), b"_"));
    out.push(request("POST", collection, "form-name", "plain").with_body("application/x-www-form-urlencoded", form));
    let twice = percent(percent(name.as_bytes(), b"").as_bytes(), b"");
    out.push(request("GET", &format!("{collection}?{twice}={value}"), "query-name", "url2"));
}

fn json_body(carrier: &Carrier, text: &str, out: &mut Vec<Sample>) {
    let post = |encoding| request("POST", carrier.collection, "json-body", encoding);
    out.push(post("plain").with_body("application/json", text));
    let escaped =
        text.replace('$', "\\u0024").replace('_', "\\u005f").replace('@', "\\u0040").replace("co", "\\u0063o");
    out.push(post("unicode").with_body("application/json; charset=utf-8", escaped));
    let target = format!("{}?filter={}", carrier.collection, component(text));
    out.push(request("GET", &target, "query", "plain"));
}

fn xml_body(carrier: &Carrier, text: &str, out: &mut Vec<Sample>) {
    for content_type in ["application/xml", "text/xml; charset=utf-8", "application/soap+xml"] {
        out.push(request("POST", carrier.collection, "xml-body", "plain").with_body(content_type, text));
    }
}

fn graphql(text: &str, out: &mut Vec<Sample>) {
    let body = format!(r#"{{"query":"{}"}}"#, encode::json(text));
    out.push(request("POST", "/graphql", "json-body", "plain").with_body("application/json", body));
    out.push(request("GET", &format!("/graphql?query={}", component(text)), "query", "plain"));
    out.push(request("POST", "/graphql", "graphql-body", "plain").with_body("application/graphql", text));
}

fn token(carrier: &Carrier, number: usize, head: &str, out: &mut Vec<Sample>) {
    let payload = format!(r#"{{"sub":"{number}","role":"admin","iat":1760000000}}"#);
    let signature = if head.to_ascii_lowercase().contains("none") {
        String::new()
    } else {
        encode::base64_url("0123456789abcdefghij")
    };
    let token = format!("{}.{}.{signature}", encode::base64_url(head), encode::base64_url(&payload));
    let collection = carrier.collection;
    out.push(request("GET", collection, "header", "plain").with("Authorization", &format!("Bearer {token}")));
    out.push(request("GET", &format!("{collection}?access_token={token}"), "query", "plain"));
    out.push(request("GET", collection, "cookie", "plain").with("Cookie", &format!("lang=en; auth={token}")));
    let body = format!(r#"{{"assertion":"{token}"}}"#);
    out.push(request("POST", collection, "json", "plain").with_body("application/json", body));
}
