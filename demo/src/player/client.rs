//! Sends requests and keeps the ledger.

use std::time::Duration;

use ureq::http::Request;
use ureq::{Agent, Body};

use crate::ledger::{Entry, Ledger};

/// LIMIT: an answer that is read.
const ANSWER_BYTES_MAX: u64 = 4 << 20;
/// Longer than any answer of the API takes.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The header that Bartizan puts on its own denials.
const DENIED: &str = "x-bartizan-check";

/// A request, and what the ledger needs to know about it.
pub(super) struct Message<'a> {
    pub(super) host: &'a str,
    pub(super) method: &'a str,
    /// True path template; `None` when the API has no such operation
    pub(super) template: Option<&'a str>,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    /// Media type and content
    pub(super) body: Option<(&'static str, Vec<u8>)>,
    /// Name of the attack it belongs to
    pub(super) attack: Option<&'static str>,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

pub(super) struct Client {
    agent: Agent,
    target: String,
    ledger: Ledger,
}

impl Client {
    pub(super) fn new(target: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(TIMEOUT))
            .max_idle_connections(4)
            .build();
        Self { agent: config.new_agent(), target: target.trim_end_matches('/').to_owned(), ledger: Ledger::default() }
    }

    pub(super) fn into_ledger(self) -> Ledger {
        self.ledger
    }

    /// Sends, waits for the whole answer, and enters it in the ledger.
    pub(super) fn send(&mut self, message: Message<'_>) -> Option<Answer> {
        let Message { host, method, template, path, headers, body, attack } = message;
        let shown = path.split('?').next().unwrap_or_default().to_owned();
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.target)).header("host", host);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let sent = match (body, method) {
            (Some((media_type, bytes)), _) => {
                self.run(request.header("content-type", media_type).body(bytes), Agent::run)
            }
            (None, "POST" | "PUT" | "PATCH") => self.run(request.body(Vec::new()), Agent::run),
            (None, _) => self.run(request.body(()), Agent::run),
        };
        match sent {
            Ok((answer, is_denied)) => {
                let template = template.unwrap_or(&shown);
                let is_listed = crate::operations::OPERATIONS
                    .iter()
                    .any(|known| known.host == host && known.method == method && known.template == template);
                let status = answer.status;
                self.ledger.record(Entry { host, method, template, is_listed, attack, status, is_denied });
                Some(answer)
            }
            Err(words) => {
                self.ledger.fail(attack, format!("{method} {shown}: {words}"));
                None
            }
        }
    }

    fn run<B>(
        &self,
        request: Result<Request<B>, ureq::http::Error>,
        run: impl Fn(&Agent, Request<B>) -> Result<ureq::http::Response<Body>, ureq::Error>,
    ) -> Result<(Answer, bool), String> {
        let request = request.map_err(|error| error.to_string())?;
        let mut response = run(&self.agent, request).map_err(|error| error.to_string())?;
        let is_denied = response.headers().contains_key(DENIED);
        let status = response.status().as_u16();
        let read = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = read.map_err(|error| error.to_string())?;
        Ok((Answer { status, body }, is_denied))
    }
}
