//! One exchange while it passes through: what every callback of the proxy shares, and the one event at its end.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bartizan_config::Limits;
use bartizan_engine::Inspection;
use bartizan_model::{CacheStatus, Ending, Outcome, RequestId, Source, Timestamp};
use http::HeaderValue;
use smallvec::SmallVec;

use crate::body::Body;
use crate::cache::serve::Kept;
use crate::clients::Turn;
use crate::ids;
use crate::link::Link;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::response::ResponseBody;
use crate::shared::{Generation, Shared};
use crate::upgrade::Holdback;

/// Pingora's context of a request: nothing until the head is looked at.
pub(crate) struct Context {
    shared: Arc<Shared>,
    /// Boxed: Pingora moves the context from future to future
    pub(crate) exchange: Option<Box<Exchange>>,
}

/// One exchange.
pub(crate) struct Exchange {
    pub(crate) link: Arc<Link>,
    pub(crate) generation: Arc<Generation>,
    pub(crate) inspection: Box<Inspection>,
    pub(crate) begun: Timestamp,
    /// The id as a field value
    pub(crate) id_value: HeaderValue,
    /// Host as the client sent it
    pub(crate) authority: HeaderValue,
    /// The target to send when the client's was in absolute form
    pub(crate) origin_form: Option<Vec<u8>>,
    pub(crate) body: Body,
    pub(crate) response: ResponseBody,
    /// We asked the client for the body (`100 Continue`) ourselves
    pub(crate) is_continued: bool,
    /// Targets tried so far
    pub(crate) tried: SmallVec<[SocketAddr; 2]>,
    /// The current attempt has a connection
    pub(crate) is_connected: bool,
    /// Of a request that asks to switch protocols: keeps the answer back until Pingora has ended the request
    pub(crate) holdback: Option<Arc<Holdback>>,
    /// The engine decided against it after it had begun to pass
    pub(crate) is_stopped: bool,
    pub(crate) upstream_us: Option<u64>,
    pub(crate) ending: Option<Ending>,
    pub(crate) record: Option<Box<Record>>,
    /// What it has to do with kept answers
    pub(crate) kept: Option<Box<Kept>>,
    /// What a policy that keeps answers did for it
    pub(crate) cache_status: Option<CacheStatus>,
    /// Counted among the client's requests
    pub(crate) turn: Option<Turn>,
}

impl Exchange {
    /// Counts the request among its client's, or says that they are too many.
    pub(crate) fn crowding(&mut self, limits: &Limits) -> Option<Refusal> {
        let seat = self.link.seat.as_ref()?;
        self.turn = seat.begin_request(limits.requests_per_client_max);
        self.turn.is_none().then_some(Refusal::TooManyRequests)
    }
}

/// What the session knows at the end.
#[derive(Clone, Copy, Default)]
pub(crate) struct Totals {
    pub(crate) status: u16,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
}

impl Context {
    /// Before the head.
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, exchange: None }
    }

    /// The head is complete, the body is framed as `message.rs` has it: pins the running generation and begins the inspection.
    pub(crate) fn begin(&mut self, link: Arc<Link>, framing: u64) -> &mut Exchange {
        link.begin_exchange(framing);
        self.shared.counters.exchanges_total.fetch_add(1, Relaxed);
        self.shared.counters.exchanges_open.fetch_add(1, Relaxed);
        let generation = self.shared.current.load_full();
        let begun = ids::now();
        let id = ids::request_id(begun);
        let snapshot = generation.snapshot.clone();
        let mut inspection = Inspection::new(snapshot, &link.connection, id, Source::Gateway, begun);
        if self.shared.desk.is_some() {
            inspection.can_ask();
        }
        self.exchange.insert(Box::new(Exchange {
            link,
            generation,
            inspection,
            begun,
            id_value: id_value(id),
            authority: HeaderValue::from_static(""),
            origin_form: None,
            body: Body::default(),
            response: ResponseBody::default(),
            is_continued: false,
            tried: SmallVec::new(),
            is_connected: false,
            holdback: None,
            is_stopped: false,
            upstream_us: None,
            ending: None,
            record: self.shared.sinks.exchanges.is_some().then(Box::default),
            kept: None,
            cache_status: None,
            turn: None,
        }))
    }

    /// Ends the exchange: its one event goes to the sink.
    pub(crate) fn finish(&mut self, ending: Ending, totals: Totals) {
        let Some(mut exchange) = self.exchange.take() else { return };
        drop(exchange.turn.take()); // whoever is told that it is over may begin the next one
        self.shared.counters.exchanges_open.fetch_sub(1, Relaxed);
        let now = ids::now();
        let outcome = Outcome {
            ending,
            status: totals.status,
            request_bytes: totals.request_bytes,
            response_bytes: totals.response_bytes,
            upstream_us: exchange.upstream_us,
            cache_status: exchange.cache_status,
            duration_us: None,
        };
        if let (Some(record), Some(sink)) = (exchange.record, &self.shared.sinks.exchanges) {
            let client = exchange.inspection.client().ip;
            sink(record.into_exchange(exchange.begun, client, totals, now.micros_since(exchange.begun)));
        }
        (self.shared.sinks.events)(exchange.inspection.finish(outcome, now));
    }
}

impl Drop for Context {
    /// An exchange that never reached its end: a panic in a callback, or the worker stopped under it.
    fn drop(&mut self) {
        if self.exchange.is_none() {
            return;
        }
        let ending = match std::thread::panicking() {
            true => {
                self.shared.count_internal_fault();
                Ending::InternalFault
            }
            false => Ending::ClientClosed,
        };
        // A second panic while unwinding would end the process; the event is worth less than that.
        let _ = catch_unwind(AssertUnwindSafe(|| self.finish(ending, Totals::default())));
    }
}

fn id_value(id: RequestId) -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 32];
    for (byte, pair) in id.as_bits().to_be_bytes().iter().zip(text.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 0xf)];
    }
    // Hexadecimal digits are always a field value.
    HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A configuration, and what the engine makes of it.
    pub(crate) fn compiled(text: &str) -> (bartizan_config::Config, Arc<bartizan_engine::Snapshot>) {
        let config = bartizan_config::parse(text, "a.yaml", "/".as_ref()).config.expect("a valid configuration");
        let inputs = bartizan_engine::Inputs {
            generation: 1,
            endpoints: &[],
            plans: &bartizan_engine::Plans::new(),
            counters: &bartizan_engine::Counters::default(),
            key: [0; 32],
        };
        let snapshot = Arc::new(bartizan_engine::Snapshot::compile(&config, inputs));
        (config, snapshot)
    }

    #[test]
    fn a_panic_is_counted_and_told_as_a_fault_of_ours() {
        let (config, snapshot) = compiled(
            "listeners:\n  - address: 127.0.0.1:1\nupstreams:\n  - name: a\n    targets:\n      - address: 127.0.0.1:2\n",
        );
        let upstreams = Arc::new(crate::upstream::Upstreams::new(&config, None).unwrap());
        let (send, events) = std::sync::mpsc::channel();
        let sinks = crate::Sinks { events: Arc::new(move |event| send.send(event).unwrap()), exchanges: None };
        let shared = Arc::new(Shared {
            current: arc_swap::ArcSwap::from_pointee(Generation::new(&config, snapshot, upstreams, None)),
            writer: std::sync::Mutex::new(()),
            sinks,
            desk: None,
            counters: crate::shared::Counters::default(),
            cache_counters: crate::cache::Counters::default(),
            clients: Arc::new(crate::clients::Clients::new()),
            connections_room: u64::MAX,
            is_closing: std::sync::atomic::AtomicBool::new(false),
        });
        let connection = bartizan_model::Connection { peer: None, local: None, tls: None };
        let mut context = Context::new(shared.clone());
        context.begin(Arc::new(Link::new(connection, None, Arc::default())), 0);
        let callback = std::thread::spawn(move || {
            let _context = context;
            panic!("a bug of ours");
        });
        assert!(callback.join().is_err());
        assert_eq!(events.recv().unwrap().ending, Ending::InternalFault);
        assert_eq!((shared.counters.read().internal_faults_total, shared.counters.read().exchanges_open), (1, 0));
    }

    #[test]
    fn the_id_in_the_field_is_the_id_in_the_event() {
        let id = RequestId::from_bits(0x0123_4567_89ab_cdef_0000_0000_0000_00ff);
        assert_eq!(id_value(id).to_str().unwrap(), id.to_string());
    }
}
