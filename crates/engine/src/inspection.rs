//! The life of a request, top to bottom: begin, head, body, end, response, finish.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bartizan_model::{
    Client, Connection, Decision, Event, Finding, Missing, Outcome, RequestHead, RequestId, ResponseHead, Source,
    Timestamp,
};

use crate::{Answer, Route, Snapshot, answer};

/// What the host does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Pass on what was seen so far
    Continue,
    /// Keep the body back until a later step says [`Step::Continue`] or [`Step::Stop`]; when no body follows,
    /// `request_end` says which
    Hold,
    /// Answer in the upstream's place with [`Inspection::answer`]; nothing more goes to the upstream
    Stop(Decision),
}

/// Holds the current Snapshot and begins inspections on it.
#[derive(Debug)]
pub struct Engine {
    current: ArcSwap<Snapshot>,
}

impl Engine {
    /// An engine that runs `snapshot`.
    pub fn new(snapshot: Snapshot) -> Self {
        Self { current: ArcSwap::from_pointee(snapshot) }
    }

    /// The Snapshot that new inspections will run on.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Runs new inspections on `snapshot`; those under way finish on theirs.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        self.current.store(snapshot);
    }

    /// Begins an inspection of an exchange seen inline.
    pub fn begin(&self, connection: &Connection, id: RequestId, now: Timestamp) -> Inspection {
        Inspection::new(self.snapshot(), connection, id, Source::Gateway, now)
    }
}

/// One exchange while the engine looks at it. Owned and `Send`; pins one Snapshot.
#[derive(Debug)]
pub struct Inspection {
    snapshot: Arc<Snapshot>,
    id: RequestId,
    source: Source,
    begun: Timestamp,
    client: Client,
    route: Option<Arc<Route>>,
    findings: Vec<Finding>,
    decision: Decision,
    missing: Missing,
}

impl Inspection {
    /// Begins an inspection; `now` is when the request's head was complete.
    pub fn new(
        snapshot: Arc<Snapshot>,
        connection: &Connection,
        id: RequestId,
        source: Source,
        now: Timestamp,
    ) -> Self {
        let client = Client { ip: connection.peer.map(|peer| peer.ip()), via: None, tls_version: None };
        Self {
            snapshot,
            id,
            source,
            begun: now,
            client,
            route: None,
            findings: Vec::new(),
            decision: Decision::default(),
            missing: Missing::default(),
        }
    }

    /// The request's head. Call once, first.
    pub fn request_head(&mut self, head: &RequestHead<'_>) -> Step {
        let _ = (head, &self.snapshot, self.source, self.begun);
        Step::Continue
    }

    /// A piece of the request's body, in order.
    pub fn request_body(&mut self, chunk: &[u8]) -> Step {
        let _ = chunk;
        Step::Continue
    }

    /// The request is complete.
    pub fn request_end(&mut self) -> Step {
        Step::Continue
    }

    /// The upstream's response head.
    pub fn response_head(&mut self, head: &ResponseHead<'_>) -> Step {
        let _ = head;
        Step::Continue
    }

    /// A piece of the response's body, in order.
    pub fn response_body(&mut self, chunk: &[u8]) -> Step {
        let _ = chunk;
        Step::Continue
    }

    /// The response is complete.
    pub fn response_end(&mut self) -> Step {
        Step::Continue
    }

    /// The request could not be parsed: `reason` is a word from a closed set, such as `bad_request_line`. Then call
    /// [`Inspection::finish`] with `Ending::Malformed`.
    pub fn malformed(&mut self, reason: &'static str) -> Step {
        let _ = reason;
        Step::Continue
    }

    /// Where the request goes, after `request_head`; `None` when nothing matches: answer 404, `Ending::NoRoute`.
    pub fn route(&self) -> Option<&Route> {
        self.route.as_deref()
    }

    /// Where the request came from.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What was noticed so far.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What is decided so far.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// The request's id.
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// For hosts that know what they could not see.
    pub fn missing_mut(&mut self) -> &mut Missing {
        &mut self.missing
    }

    /// The answer to give after a [`Step::Stop`], with `Allow` on a 405.
    pub fn answer(&self) -> Answer {
        answer(&self.decision, self.id)
    }

    /// Ends the inspection and gives its event: exactly one per exchange.
    pub fn finish(self, outcome: Outcome, now: Timestamp) -> Event {
        let _ = (outcome, now);
        unimplemented!()
    }
}
