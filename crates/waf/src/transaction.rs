//! One exchange as the host shows it: request head, request body, response head, response body, end.

use std::net::SocketAddr;
use std::sync::Arc;

use bartizan_model::{HeaderField, RequestId, Timestamp};

use crate::Variable;
use crate::ast::{AllowScope, EngineMode};
use crate::collections::Collections;
use crate::cut::Cut;
use crate::plan::{Outcome, Plan, Skip};
use crate::request;
use crate::run::{Runner, State};

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
    pub id: RequestId,
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

/// A rule that matched, and says `log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Its id
    pub rule: u32,
    /// Its place in [`Plan::rules`]
    pub index: usize,
    /// `msg:` with its macros expanded; may hold what the client sent
    pub message: Vec<u8>,
    /// `logdata:` with its macros expanded; holds what the client sent
    pub data: Vec<u8>,
    /// The last value that matched, as `ARGS:id`; the name is the client's
    pub variable: Vec<u8>,
    /// What the operator found in it, else the whole value: the first bytes, as transformed; holds what the client sent.
    /// Empty for what rules made themselves, such as a score
    pub matched: Vec<u8>,
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

/// One exchange. Owns all that it needs; pins its plan.
#[derive(Debug)]
pub struct Transaction {
    plan: Arc<Plan>,
    /// `None` only while it is dropped
    state: Option<Box<State>>,
    intervention: Option<Intervention>,
}

impl Transaction {
    /// Begins.
    pub fn new(plan: Arc<Plan>) -> Self {
        let state = Some(State::take(&plan));
        Self { plan, state, intervention: None }
    }

    /// Gives the collections that outlive an exchange; without them they stay empty. Records of one scope (a policy)
    /// are not those of another. Wanted when [`Plan::keeps_collections`].
    pub fn keep_in(&mut self, collections: Arc<Collections>, scope: &[u8]) {
        if let Some(state) = self.state.as_deref_mut() {
            state.persistent.keep_in(collections, scope);
        }
    }

    /// The request's head: phase 1.
    pub fn request_head(&mut self, head: &Request<'_>) -> Option<Intervention> {
        let state = self.state.as_deref_mut()?;
        state.persistent.now = head.now;
        request::head(&self.plan, &mut state.inputs, head);
        request::choose_processor(&self.plan, state);
        self.phase(0)
    }

    /// The whole body, empty when there is none: phase 2.
    pub fn request_body(&mut self, body: &[u8]) -> Option<Intervention> {
        request::body(&self.plan, self.state.as_deref_mut()?, body, true);
        self.phase(1)
    }

    /// The first bytes of a longer body: phase 2. That it ends in the middle is no `REQBODY_ERROR`; it is for the host to
    /// tell.
    pub fn request_body_begin(&mut self, first: &[u8]) -> Option<Intervention> {
        request::body(&self.plan, self.state.as_deref_mut()?, first, false);
        self.phase(1)
    }

    /// What rules could not look at so far, in the order in which it came up.
    pub fn cuts(&mut self) -> &[Cut] {
        self.state.as_deref_mut().map(|state| state.inputs.cuts()).unwrap_or_default()
    }

    /// The response's head: phase 3.
    pub fn response_head(&mut self, head: &Response<'_>) -> Option<Intervention> {
        request::response_head(&mut self.state.as_deref_mut()?.inputs, head);
        self.phase(2)
    }

    /// The whole body, empty when there is none or it is not to be looked at: phase 4.
    pub fn response_body(&mut self, body: &[u8]) -> Option<Intervention> {
        request::response_body(&self.plan, self.state.as_deref_mut()?, body);
        self.phase(3)
    }

    /// Whether the response's body is looked at, after [`Transaction::response_head`].
    pub fn wants_response_body(&self) -> bool {
        self.state.as_deref().is_some_and(|state| request::is_response_inspected(&self.plan, state))
    }

    /// What the client was answered with, for phase 5: a host may not show responses to rules, or have answered itself.
    pub fn answered(&mut self, status: u16) {
        if let Some(state) = self.state.as_deref_mut() {
            state.inputs.set_number(Variable::ResponseStatus, status.into());
        }
    }

    /// The exchange is over: phase 5.
    pub fn finish(&mut self) {
        let _ = self.phase(4); // nothing can be stopped any more
    }

    /// Every rule that matched so far and is to be logged, in order.
    pub fn matches(&self) -> &[Match] {
        self.state.as_deref().map(|state| state.matches.as_slice()).unwrap_or_default()
    }

    fn phase(&mut self, phase: usize) -> Option<Intervention> {
        let is_last = phase == 4;
        let state = self.state.as_deref_mut()?;
        let is_stopped = self.intervention.is_some() && !is_last;
        if state.mode == EngineMode::Off || is_stopped || is_allowed(state, phase) {
            return None;
        }
        if let Some((number, gate)) = self.plan.gate(phase) {
            state.sift(&self.plan, number, gate);
        }
        let stopped = run_phase(&mut Runner { plan: &self.plan, state }, phase)?;
        if !is_last {
            self.intervention = Some(stopped.clone());
        }
        (!is_last).then_some(stopped)
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(state) = self.state.take() {
            State::put_back(state);
        }
    }
}

/// Runs the rules of a phase, until one wants to stop the exchange.
fn run_phase(runner: &mut Runner<'_>, phase: usize) -> Option<Intervention> {
    let plan = runner.plan;
    let rules = plan.phases.get(phase)?;
    let mut at = 0;
    while let Some(place) = rules.next(at, runner.state.sieve.possible()) {
        at = place + 1;
        let Some(entry) = rules.entries.get(place) else { continue };
        let index = entry.head as usize;
        let Some(head) = plan.heads.get(index) else { continue };
        if !entry.is_possible(runner.state.sieve.possible()) || !runner.head(index, head, entry) {
            continue;
        }
        if let Skip::To(position) = head.skip {
            at = at.max(position);
        }
        match runner.state.mode {
            EngineMode::Off => return None,
            EngineMode::DetectionOnly => {}
            EngineMode::On => match act(runner, index, &head.outcome) {
                Act::GoOn => {}
                Act::EndPhase => return None,
                Act::Stop(intervention) => return Some(intervention),
            },
        }
    }
    None
}

/// What a matching rule does to the phase.
enum Act {
    GoOn,
    EndPhase,
    Stop(Intervention),
}

fn act(runner: &mut Runner<'_>, index: usize, outcome: &Outcome) -> Act {
    let rule = runner.plan.infos.get(index).map_or(0, |info| info.id);
    let (action, status) = match outcome {
        Outcome::Pass => return Act::GoOn,
        Outcome::Allow(scope) => {
            runner.state.controls.allowed = Some(*scope);
            return Act::EndPhase;
        }
        Outcome::Deny(status) => (Action::Deny, *status),
        Outcome::Drop => (Action::Drop, 403),
        Outcome::Redirect(url, status) => (Action::Redirect(runner.expanded(index, url)), *status),
    };
    Act::Stop(Intervention { rule, action, status })
}

/// Whether an `allow` skips this phase.
fn is_allowed(state: &State, phase: usize) -> bool {
    match state.controls.allowed {
        None | Some(AllowScope::Phase) => false,
        Some(AllowScope::Request) => phase < 2,
        Some(AllowScope::All) => phase < 4,
    }
}
