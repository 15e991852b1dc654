//! An HTTP client as a browser is one: keeps the session cookie and the CSRF token. Every JSON answer of the API is
//! checked against the OpenAPI document before a test sees it.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::{HeaderMap, Request, StatusCode};

/// The document, as the server gives it.
pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(bartizan_console::document()).unwrap());

#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
    base: String,
    pub(crate) cookie: Option<String>,
    pub(crate) csrf: Option<String>,
}

/// A status, headers and a body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(60)))
            .allow_non_standard_methods(true);
        Self { agent: config.build().into(), base: format!("http://{address}"), cookie: None, csrf: None }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], None)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, &[], Some(body))
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, &[], None)
    }

    /// A call below `/api/v1`, with more headers.
    pub(crate) fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        let json = [("content-type", "application/json")];
        let headers: Vec<(&str, &str)> =
            headers.iter().copied().chain(body.is_some().then_some(json).into_iter().flatten()).collect();
        let answer = self.raw(method, &format!("/api/v1{path}"), &headers, body.map(Value::to_string));
        check_shape(method, path, &answer);
        answer
    }

    /// A call anywhere; nothing but cookie and CSRF token is added.
    pub(crate) fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<String>) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", format!("theme=dark; {cookie}"));
        }
        if let Some(csrf) = self.csrf.as_ref().filter(|_| method != "GET") {
            request = request.header("x-bartizan-csrf", csrf);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = match body {
            Some(body) => self.agent.run(request.body(body).unwrap()).unwrap(),
            None if method == "POST" || method == "PUT" => self.agent.run(request.body("").unwrap()).unwrap(),
            None => self.agent.run(request.body(()).unwrap()).unwrap(),
        };
        let text = response.body_mut().read_to_string().unwrap();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status: response.status().as_u16(), headers: response.headers().clone(), text, json }
    }

    /// A stream of server-sent events.
    pub(crate) fn stream(&self, path: &str) -> (StatusCode, impl std::io::BufRead + use<>) {
        let cookie = self.cookie.clone().unwrap_or_default();
        let request = Request::get(format!("{}/api/v1{path}", self.base)).header("cookie", cookie).body(()).unwrap();
        let response = self.agent.run(request).unwrap();
        let status = response.status();
        (status, std::io::BufReader::new(response.into_body().into_reader()))
    }

    /// Tries to sign in, and keeps the session if that worked.
    pub(crate) fn sign_in(&mut self, name: &str, password: &str) -> Answer {
        let answer = self.post("/session", &serde_json::json!({"name": name, "password": password}));
        if answer.status == 200 { self.sign_in_with(answer) } else { answer }
    }

    /// Keeps the session of an answer.
    pub(crate) fn sign_in_with(&mut self, answer: Answer) -> Answer {
        let cookie = answer.header("set-cookie");
        self.cookie = Some(cookie.split(';').next().unwrap().to_owned());
        self.csrf = Some(answer.json["csrf"].as_str().unwrap().to_owned());
        answer
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub(crate) fn detail(&self) -> &str {
        self.json["detail"].as_str().unwrap_or_default()
    }
}

/// Holds an answer against what the document says about this operation and status.
#[track_caller]
fn check_shape(method: &str, path: &str, answer: &Answer) {
    let path = format!("/api/v1{}", path.split('?').next().unwrap());
    let Some(template) = template_of(&path) else {
        assert!(matches!(answer.status, 404 | 421), "{path} is not documented");
        return;
    };
    let operation = &DOCUMENT["paths"][template][method.to_lowercase()];
    let responses = &operation["responses"];
    let status = answer.status.to_string();
    let key = if responses.get(&status).is_some() { status.as_str() } else { "default" };
    let media_type = answer.header("content-type");
    if media_type.is_empty() {
        assert!(responses[key].get("content").is_none(), "{method} {path} {status}: a body is documented");
        return;
    }
    let escape = |part: &str| part.replace('~', "~0").replace('/', "~1");
    let pointer = format!(
        "#/paths/{}/{}/responses/{key}/content/{}/schema",
        escape(template),
        method.to_lowercase(),
        escape(media_type)
    );
    let in_document = pointer.trim_start_matches('#');
    let default = "#/components/schemas/ProblemBody".to_owned();
    let reference = match DOCUMENT.pointer(in_document) {
        Some(_) => pointer.replace('{', "%7B").replace('}', "%7D"),
        None if media_type == "application/problem+json" => default, // a described status without a media type of its own
        None => panic!("{method} {path} {status}: {media_type} is not documented"),
    };
    let mut schema = DOCUMENT.clone();
    schema["$ref"] = Value::String(reference);
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let faults: Vec<String> =
        validator.iter_errors(&answer.json).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "{method} {path} {status}: {faults:#?}\n{}", answer.text);
}

/// The documented path that `path` falls under: literal segments win over parameters.
fn template_of(path: &str) -> Option<&'static str> {
    let fits = |template: &&String| {
        let (mut wanted, mut given) = (template.split('/'), path.split('/'));
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return true,
                (Some(wanted), Some(given)) if wanted == given || wanted.starts_with('{') => {}
                (_, _) => return false,
            }
        }
    };
    let templates = DOCUMENT["paths"].as_object().unwrap().keys();
    templates.filter(fits).min_by_key(|template| template.matches('{').count()).map(String::as_str)
}
