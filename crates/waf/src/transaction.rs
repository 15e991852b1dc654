//! One exchange as the host shows it: request head, request body, response head, response body, end.

use std::net::SocketAddr;

use bartizan_model::{HeaderField, Timestamp};

use crate::ast::{AllowScope, EngineMode};
use crate::plan::{Outcome, Plan, Skip};
use crate::request;
use crate::run::Runner;

/// A request's head.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Method as sent
    pub method: &'a [u8],
    /// Target as sent
    pub target: &'a [u8],
    /// `HTTP/1.1`, `HTTP/2`
    pub protocol: &'a [u8],
    /// Fields in order, `Host` among them
    pub headers: &'a [HeaderField<'a>],
    /// Where it came from
    pub client: Option<SocketAddr>,
    /// Where it arrived
    pub server: Option<SocketAddr>,
    /// Names the exchange
    pub id: &'a str,
    /// When
    pub now: Timestamp,
}

/// A response's head.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// Status
    pub status: u16,
    /// `HTTP/1.1`
    pub protocol: &'a [u8],
    /// Fields in order
    pub headers: &'a [HeaderField<'a>],
}

/// A rule that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Its id
    pub rule: u32,
    /// Its place in [`Plan::rules`]
    pub index: usize,
    /// `log` rather than `nolog`
    pub is_logged: bool,
    /// `msg:` with its macros expanded; may hold what the client sent
    pub message: Vec<u8>,
    /// `logdata:` with its macros expanded; holds what the client sent
    pub data: Vec<u8>,
    /// The last value that matched, as `ARGS:id`; the name is the client's
    pub variable: Vec<u8>,
    /// 0 (emergency) to 7 (debug)
    pub severity: Option<u8>,
}

/// What a rule wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intervention {
    /// The rule's id
    pub rule: u32,
    /// What
    pub action: Action,
    /// Status to answer with
    pub status: u16,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Answer with an error
    Deny,
    /// Close the connection
    Drop,
    /// Send elsewhere
    Redirect(Vec<u8>),
}

/// One exchange.
#[derive(Debug)]
pub struct Transaction<'p> {
    runner: Runner<'p>,
    intervention: Option<Intervention>,
}

impl<'p> Transaction<'p> {
    /// Begins.
    pub fn new(plan: &'p Plan) -> Self {
        Self { runner: Runner::new(plan), intervention: None }
    }

    /// The request's head: phase 1.
    pub fn request_head(&mut self, head: &Request<'_>) -> Option<Intervention> {
        request::head(&mut self.runner.inputs, head);
        request::choose_processor(&mut self.runner);
        self.phase(0)
    }

    /// The whole body, empty when there is none: phase 2.
    pub fn request_body(&mut self, body: &[u8]) -> Option<Intervention> {
        request::body(&mut self.runner, body);
        self.phase(1)
    }

    /// The response's head: phase 3.
    pub fn response_head(&mut self, head: &Response<'_>) -> Option<Intervention> {
        request::response_head(&mut self.runner.inputs, head);
        self.phase(2)
    }

    /// The whole body, empty when there is none or it is not to be looked at: phase 4.
    pub fn response_body(&mut self, body: &[u8]) -> Option<Intervention> {
        request::response_body(&mut self.runner, body);
        self.phase(3)
    }

    /// Whether the response's body is looked at, after [`Transaction::response_head`].
    pub fn wants_response_body(&self) -> bool {
        request::is_response_inspected(&self.runner)
    }

    /// The exchange is over: phase 5.
    pub fn finish(&mut self) {
        let _ = self.phase(4); // nothing can be stopped any more
    }

    /// Every rule that matched so far, in order.
    pub fn matches(&self) -> &[Match] {
        &self.runner.matches
    }

    fn phase(&mut self, phase: usize) -> Option<Intervention> {
        let is_last = phase == 4;
        if self.runner.mode == EngineMode::Off || (self.intervention.is_some() && !is_last) || self.is_allowed(phase) {
            return None;
        }
        let plan = self.runner.plan;
        let rules = plan.phases.get(phase)?;
        let mut at = 0;
        while let Some(index) = rules.get(at) {
            at += 1;
            let Some(head) = plan.head(*index) else { continue };
            let index = *index as usize;
            if !self.runner.head(index, head) {
                continue;
            }
            if let Skip::To(position) = head.skip {
                at = at.max(position);
            }
            if self.runner.mode == EngineMode::Off {
                return None;
            }
            if self.act(index, &head.outcome, phase) {
                return if is_last { None } else { self.intervention.clone() };
            }
        }
        None
    }

    /// Does what the rule says; whether the phase is over.
    fn act(&mut self, index: usize, outcome: &'p Outcome, phase: usize) -> bool {
        if self.runner.mode != EngineMode::On {
            return false;
        }
        let rule = self.runner.plan.infos.get(index).map_or(0, |info| info.id);
        let (action, status) = match outcome {
            Outcome::Pass => return false,
            Outcome::Allow(scope) => {
                self.runner.controls.allowed = Some(*scope);
                return true;
            }
            Outcome::Deny(status) => (Action::Deny, *status),
            Outcome::Drop => (Action::Drop, 403),
            Outcome::Redirect(url, status) => (Action::Redirect(self.runner.expanded(index, url)), *status),
        };
        if phase < 4 {
            self.intervention = Some(Intervention { rule, action, status });
        }
        true
    }

    fn is_allowed(&self, phase: usize) -> bool {
        match self.runner.controls.allowed {
            None | Some(AllowScope::Phase) => false,
            Some(AllowScope::Request) => phase < 2,
            Some(AllowScope::All) => phase < 4,
        }
    }
}
