//! Requests of honest clients: templates whose blanks are filled in, and prose in the fields that people write into.

use std::path::Path;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fastrand::Rng;

use crate::encode::{self, component, controls, percent};
use crate::sample::{HOST, Sample};

/// Requests made of each template, and of each text that mentions what rules look for.
const REQUESTS_EACH: usize = 9;
const CARRIERS_EACH: usize = 4;

const WORDS: &[&str] = &[
    "harbor", "violet", "granite", "meadow", "copper", "lantern", "orchid", "summit", "walnut", "breeze", "cobalt",
    "ember", "falcon", "glacier", "juniper", "select", "union", "order", "script", "table", "alert", "group", "exec",
];
const FIRST: &[&str] = &["Anna", "Seán", "José", "Mei", "Olu", "Zoë", "D'Arcy", "François", "Ivan", "Nour"];
const LAST: &[&str] =
    &["O'Neil", "Müller", "d'Angelo", "Nguyễn", "Smith-Jones", "O’Brien", "Null", "García", "Or", "Łuk"];
const MAILBOXES: &[&str] = &["o'neil", "o'brien", "d'angelo", "mueller", "smith-jones", "or", "nguyen", "select"];
const STREETS: &[&str] =
    &["12 King's Road", "Rue de l'Église 4", "Hauptstr. 7 & 9", "5th Ave #301", "St. Mary's Sq. 1/2"];
const CITIES: &[&str] = &["Köln", "L'Aquila", "São Paulo", "St. John's", "Zürich", "Union City"];
const TITLES: &[&str] = &[
    "Can't log in since Monday",
    "Totals don't add up (again)",
    "Q3 plan & budget",
    "Re: your order #4711",
    "Fix: select box loses its value",
    "Drop support for old clients?",
    "5 > 3 isn't always true ;-)",
    "C++ vs. C#: which one?",
    "Don't panic -- it's only a test",
    "Union members' meeting on Friday",
];
const SEARCHES: &[&str] = &[
    "o'reilly sql pocket guide",
    "\"exact phrase\" OR other",
    "rock 'n' roll -live",
    "c++ && templates",
    "<3 emoji",
    "wie macht man kuchen?",
    "où acheter du pain",
    "как выбрать ноутбук",
    "東京 ホテル 予約",
    "select all mail",
    "union square parking",
    "price < 100 and rating >= 4",
    "how to drop a table in excel",
    "cat; dog; bird",
    "50% off!",
];
const FOREIGN: &[&str] = &[
    "C'est l'heure d'aller à l'école; n'oublie pas ton sac.",
    "Das ist's, oder? Und wenn's regnet, bleiben wir.",
    "これは「テスト」です。1または2を選択。",
    "Это 'цитата' -- не более; или нет?",
    "¿Qué tal? ¡Elige 1 o 2!",
    "L'union fait la force; selectează o opțiune.",
    "그는 '안녕'이라고 말했다.",
    "هل تريد تحديد الكل أم لا؟",
];
const AGENTS: &[&str] = &[
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "okhttp/4.12.0",
    "curl/8.5.0",
    "axios/1.7.9",
    "Go-http-client/2.0",
    "ExampleApp/5.2 (iPhone; iOS 19.1; Scale/3.00)",
    "PostmanRuntime/7.43.0",
    "Apache-HttpClient/5.4 (Java/21.0.4)",
    "GitHub-Hookshot/2cb1db6",
];

/// Fills in blanks.
struct Blanks {
    random: Rng,
    prose: Vec<String>,
    next_prose: usize,
}

/// Every honest request of a set.
pub fn samples(folder: &Path, set: &str) -> Result<Vec<Sample>> {
    let read = |name: String| {
        std::fs::read_to_string(folder.join(&name)).with_context(|| format!("cannot read `benign/{name}`"))
    };
    let prose: Vec<String> = read(format!("prose-{set}.txt"))?.lines().map(controls).collect();
    let random = Rng::with_seed(if set == "tuning" { 11 } else { 23 });
    let mut blanks = Blanks { random, prose, next_prose: 0 };
    let templates = read(format!("{set}.txt"))?;
    let mut samples = Vec::new();
    for template in templates.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        for _ in 0..REQUESTS_EACH {
            samples.push(blanks.request(template)?);
        }
    }
    for (number, text) in blanks.prose.clone().iter().enumerate() {
        for carrier in 0..CARRIERS_EACH {
            samples.push(blanks.prose_request(set, number + carrier, text)?);
        }
    }
    Ok(samples)
}

impl Blanks {
    fn pick(&mut self, all: &[&str]) -> String {
        all[self.random.usize(..all.len())].to_owned()
    }

    fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| self.random.digit(16)).collect()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.random.u8(..)).collect()
    }

    fn fill(&mut self, name: &str) -> Option<String> {
        Some(match name {
            "word" => self.pick(WORDS),
            "words" => format!("{} {}", self.pick(WORDS), self.pick(WORDS)),
            "n" => self.random.u32(1..5_000).to_string(),
            "byte" => self.random.u32(1..255).to_string(),
            "price" => format!("{}.{:02}", self.random.u32(1..900), self.random.u32(..100)),
            "uuid" => {
                let hex = self.hex(32);
                [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
            }
            "hex8" => self.hex(8),
            "hex16" => self.hex(16),
            "hex24" => self.hex(24),
            "hex32" => self.hex(32),
            "hex40" => self.hex(40),
            "hex64" => self.hex(64),
            "code" => (0..10).map(|_| self.random.alphanumeric().to_ascii_uppercase()).collect(),
            "secret" => encode::base64_url(&self.hex(20)),
            "password" => format!("{}'{}#{}&x", self.pick(WORDS), self.hex(3), self.random.u32(..99)),
            "first" => self.pick(FIRST),
            "last" => self.pick(LAST),
            "name" => format!("{} {}", self.pick(FIRST), self.pick(LAST)),
            "email" => format!("{}.{}+{}@example.com", self.pick(WORDS), self.pick(MAILBOXES), self.random.u32(..99)),
            "phone" => format!("+49 (0) 30 {}-{}", self.random.u32(1000..9999), self.random.u32(10..99)),
            "street" => self.pick(STREETS),
            "city" => self.pick(CITIES),
            "zip" => self.random.u32(10_000..99_999).to_string(),
            "date" => format!("2026-{:02}-{:02}", self.random.u32(1..13), self.random.u32(1..29)),
            "time" => format!("2026-{:02}-{:02}T10:00:00+02:00", self.random.u32(1..13), self.random.u32(1..29)),
            "epoch" => self.random.u32(1_760_000_000..1_800_000_000).to_string(),
            "url" => format!(
                "https://www.example.org/{}/{}?id={}&ref=mail#top",
                self.pick(WORDS),
                self.pick(WORDS),
                self.hex(6)
            ),
            "agent" => self.pick(AGENTS),
            "title" => self.pick(TITLES),
            "search" => self.pick(SEARCHES),
            "foreign" => self.pick(FOREIGN),
            "cursor" => encode::base64(&format!("{{\"id\":{},\"o\":\"next\"}}", self.random.u32(..9_999))),
            "base64" => STANDARD.encode(self.bytes(180)),
            "jwt" => {
                let head = encode::base64_url(r#"{"alg":"RS256","typ":"JWT","kid":"2026-01"}"#);
                let claims = format!(r#"{{"sub":"{}","iss":"https://id.example.com","exp":1800000000}}"#, self.hex(12));
                format!("{head}.{}.{}", encode::base64_url(&claims), encode::base64_url(&self.hex(43)))
            }
            "prose" | "xprose" => {
                self.next_prose += 1;
                self.prose[self.next_prose % self.prose.len()].clone()
            }
            _ => return None,
        })
    }

    /// The template with its blanks filled in, each written as `write` says.
    fn filled(&mut self, template: &str, write: impl Fn(&str) -> String) -> String {
        let mut out = String::new();
        let mut rest = template;
        while let Some(start) = rest.find('{') {
            out.push_str(&rest[..start]);
            rest = &rest[start..];
            let end = rest.find('}').unwrap_or(0);
            match rest.get(1..end).and_then(|name| self.fill(name)) {
                Some(text) => {
                    out.push_str(&write(&text));
                    rest = &rest[end + 1..];
                }
                None => {
                    out.push('{');
                    rest = &rest[1..];
                }
            }
        }
        out + rest
    }

    fn request(&mut self, template: &str) -> Result<Sample> {
        let mut parts = template.split(" ¦ ");
        let first = parts.next().unwrap_or_default();
        let (method, rest) = first.split_once(' ').context("a request line")?;
        let bodiless = matches!(method, "GET" | "HEAD" | "DELETE" | "OPTIONS");
        let (target, body) = match rest.split_once(' ') {
            Some((target, body)) if !bodiless => (target, body.split_once(' ')),
            _ => (rest, None),
        };
        let target = self.target(target);
        let agent = self.pick(AGENTS);
        let mut sample = Sample {
            class: "honest".to_owned(),
            encoding: "plain",
            place: body.map_or("head", |(kind, _)| place(kind)),
            method: method.to_owned(),
            target,
            ..Sample::default()
        }
        .with("Host", HOST)
        .with("User-Agent", &agent)
        .with("Accept", "application/json, text/plain, */*")
        .with("X-Request-Id", &self.fill("uuid").unwrap_or_default());
        if self.random.u8(..3) == 0 {
            sample = sample.with("Authorization", &format!("Bearer {}", self.fill("jwt").unwrap_or_default()));
        }
        for field in parts {
            let (name, value) = field.split_once(": ").context("a header field")?;
            sample = sample.with(name, &self.filled(value, str::to_owned));
        }
        match body {
            Some((kind, text)) => self.body(sample, kind, text),
            None => Ok(sample),
        }
    }

    fn target(&mut self, template: &str) -> String {
        let (path, query) = template.split_once('?').unwrap_or((template, ""));
        let path = self.filled(path, |text| percent(text.as_bytes(), b"-_.~"));
        if query.is_empty() {
            return path;
        }
        let pairs: Vec<String> = query
            .split('&')
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                format!("{}={}", percent(name.as_bytes(), b"-_.[]$"), component(&self.filled(value, str::to_owned)))
            })
            .collect();
        format!("{path}?{}", pairs.join("&"))
    }

    fn body(&mut self, sample: Sample, kind: &str, text: &str) -> Result<Sample> {
        let json = |blanks: &mut Self| controls(&blanks.filled(text, encode::json));
        Ok(match kind {
            "json" => {
                let body = json(self);
                sample.with_body("application/json", body)
            }
            "scim" => {
                let body = json(self);
                sample.with_body("application/scim+json", body)
            }
            "patch" => {
                let body = json(self);
                sample.with_body("application/json-patch+json", body)
            }
            "merge" => {
                let body = json(self);
                sample.with_body("application/merge-patch+json", body)
            }
            "ndjson" => {
                let body = json(self);
                sample.with_body("application/x-ndjson", body)
            }
            "graphql" => sample.with_body("application/graphql", text),
            "xml" => {
                let body = self.filled(text, encode::xml);
                sample.with_body("application/xml", body)
            }
            "csv" => {
                let body = controls(&self.filled(text, str::to_owned));
                sample.with_body("text/csv", body)
            }
            "text" => {
                let body = self.filled(text, str::to_owned);
                sample.with_body("text/plain; charset=utf-8", body)
            }
            "octets" => {
                let body = self.bytes(400);
                sample.with_body("application/octet-stream", body)
            }
            "form" => {
                let pairs: Vec<String> = text
                    .split('&')
                    .map(|pair| {
                        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                        let value = self.filled(value, str::to_owned);
                        format!("{}={}", component(name), component(&value).replace("%20", "+"))
                    })
                    .collect();
                sample.with_body("application/x-www-form-urlencoded", pairs.join("&"))
            }
            "multipart" => self.multipart(sample, text),
            _ => bail!("unknown kind of body `{kind}`"),
        })
    }

    /// `name=filename;type;content;field=text;…`
    fn multipart(&mut self, sample: Sample, text: &str) -> Sample {
        let boundary = format!("----WebKitFormBoundary{}", self.hex(16));
        let mut body = Vec::new();
        let mut parts = text.splitn(4, ';');
        let mut next = || parts.next().unwrap_or_default().to_owned();
        let (file, media_type, content, fields) = (next(), next(), next(), next());
        let (name, filename) = file.split_once('=').unwrap_or((&file, "x"));
        let filename = self.filled(filename, str::to_owned);
        body.extend_from_slice(
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{filename}\"\r\nContent-Type: {media_type}\r\n\r\n").as_bytes(),
        );
        if content == "{binary}" {
            body.extend(self.bytes(700));
        } else {
            body.extend_from_slice(controls(&self.filled(&content, str::to_owned)).as_bytes());
        }
        for field in fields.split(';').filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            let value = self.filled(value, str::to_owned);
            body.extend_from_slice(
                format!("\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}")
                    .as_bytes(),
            );
        }
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        sample.with_body(&format!("multipart/form-data; boundary={boundary}"), body)
    }

    /// A text in a field that people write into.
    fn prose_request(&mut self, set: &str, carrier: usize, text: &str) -> Result<Sample> {
        const TUNING: [&str; 7] = [
            r#"POST /v1/posts json {"title":"{title}","text":"{prose}"}"#,
            r#"PUT /v1/tasks/{n} json {"task":{"description":"{prose}","done":false}}"#,
            "POST /v1/support form subject={title}&body={prose}",
            r#"POST /v1/prompt json {"inputs":["{prose}"],"stream":true}"#,
            "POST /v1/mail xml <mail><subject>{title}</subject><text>{prose}</text></mail>",
            "POST /v1/report multipart log={word}.txt;text/plain;ok;comment={prose}",
            "GET /v1/suggest?text={prose}",
        ];
        const MEASURING: [&str; 7] = [
            r#"POST /api/threads/{n} json {"author":{n},"post":"{prose}"}"#,
            r#"PATCH /api/cards/{uuid} merge {"details":{"notes":["{prose}"]}}"#,
            "POST /api/enquiries form topic={word}&question={prose}",
            r#"POST /api/generate json {"contents":[{"role":"user","parts":[{"text":"{prose}"}]}]}"#,
            r#"POST /api/letters xml <letter id="{n}"><to>{name}</to><content>{prose}</content></letter>"#,
            "POST /api/claims multipart photo={word}.png;image/png;{binary};remark={prose}",
            "GET /api/lookup?phrase={prose}&lang=en",
        ];
        const UNSEEN: [&str; 7] = [
            r#"POST /v2/memos json {"memo":"{prose}"}"#,
            r#"PUT /v2/entries/{n} json {"entry":{"lines":[{"value":"{prose}"}]}}"#,
            "POST /v2/inbox form from={email}&content={prose}",
            r#"POST /v2/ask json {"prompt":"{prose}","n":1}"#,
            "POST /v2/doc xml <doc><p>{prose}</p></doc>",
            "POST /v2/mixed multipart a={word}.bin;application/octet-stream;{binary};words={prose}",
            "GET /v2/complete?prefix={prose}",
        ];
        let templates = match set {
            "tuning" => TUNING,
            "measuring" => MEASURING,
            _ => UNSEEN,
        };
        let all = std::mem::replace(&mut self.prose, vec![text.to_owned()]);
        let sample = self.request(templates[carrier * 2 % templates.len()]);
        self.prose = all;
        sample.map(|sample| Sample { class: "prose".to_owned(), ..sample })
    }
}

fn place(kind: &str) -> &'static str {
    match kind {
        "json" | "scim" | "patch" | "merge" | "ndjson" => "json",
        "xml" => "xml",
        "form" => "form",
        "multipart" => "multipart",
        "graphql" => "graphql",
        _ => "body",
    }
}
