//! A labelled request, and its line in a file of exchanges (docs/formats.md).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The host that all samples are sent to.
pub const HOST: &str = "api.example.com";

/// A labelled request.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Class of attack; what an honest client does
    pub class: String,
    pub is_attack: bool,
    pub encoding: &'static str,
    pub place: &'static str,
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Sample {
    /// Adds a field.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a body of this type.
    pub fn with_body(self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let length = body.len().to_string();
        Self { body, ..self.with("Content-Type", content_type).with("Content-Length", &length) }
    }

    fn line(&self) -> Value {
        let mut request = json!({
            "method": self.method,
            "url": format!("https://{HOST}{}", self.target),
            "headers": self.headers,
        });
        let (name, body) = match std::str::from_utf8(&self.body) {
            Ok(text) => ("body", text.to_owned()),
            Err(_) => ("body_base64", STANDARD.encode(&self.body)),
        };
        request[name] = json!(body);
        let label = json!({
            "class": self.class, "attack": self.is_attack, "encoding": self.encoding, "place": self.place,
        });
        json!({ "request": request, "label": label })
    }
}

/// The file of all samples.
pub fn write_all(samples: &[Sample]) -> String {
    samples.iter().map(|sample| format!("{}\n", sample.line())).collect()
}
