//! Metrics and health: `GET /metrics`, `/healthz` and `/readyz` on a port of their own, from before the gateway listens
//! until it has stopped.
//!
//! Most values are read when they are asked for; what each event adds is counted as it passes ([`traffic`]). The server
//! is small on purpose: three paths, no bodies, few connections, every wait with an end.

mod exposition;
mod process;
mod table;
mod traffic;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use bartizan_gateway::{EventSink, GatewayHandle};
use bartizan_model::Timestamp;
use bartizan_store::Store;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};

use crate::control::Control;
use crate::pipeline::Queue;
use crate::shared_counts::SharedCounts;
pub(crate) use traffic::Traffic;

/// LIMIT: connections at once; a scraper and a kubelet take one each.
const CONNECTIONS_MAX: usize = 32;
/// LIMIT: longest wait for a request's head, idle keep-alive included: longer than scrapes lie apart.
const HEAD_TIME_MAX: Duration = Duration::from_secs(75);
/// LIMIT: bytes buffered of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Pause after a failed accept, or while an upgrade waits for the old process to let the port go.
const PAUSE: Duration = Duration::from_millis(100);

/// Where values come from; what is not there yet is told as missing by `/readyz`.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) shared: Option<Arc<SharedCounts>>,
    pub(crate) started_at: Timestamp,
    pub(crate) gateway: Arc<OnceLock<GatewayHandle>>,
    pub(crate) control: Arc<OnceLock<Arc<Control>>>,
    pub(crate) store: Arc<OnceLock<Store>>,
}

impl Sources {
    /// With nothing running yet.
    pub(crate) fn new(queue: Arc<Queue>, shared: Option<Arc<SharedCounts>>, started_at: Timestamp) -> Self {
        let traffic = Arc::default();
        let (gateway, control, store) = Default::default();
        Self { traffic, queue, shared, started_at, gateway, control, store }
    }

    /// Counts events on their way to `sink`.
    pub(crate) fn counting(&self, sink: EventSink) -> EventSink {
        let traffic = Arc::clone(&self.traffic);
        Arc::new(move |event| {
            traffic.count(&event);
            sink(event);
        })
    }

    /// What is waited for; `None` when traffic can come.
    fn waits_for(&self) -> Option<&'static str> {
        match (self.gateway.get(), self.control.get(), self.store.get()) {
            (Some(gateway), _, _) if gateway.is_stopping() => Some("stopping"),
            (None, _, _) => Some("waiting for the listeners"),
            (_, None, _) => Some("waiting for the configuration"),
            (_, _, None) => Some("waiting for the store"),
            (Some(_), Some(_), Some(_)) => None,
        }
    }
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Relaxed)
}

/// The running server; it ends when this is dropped.
pub(crate) struct Serving {
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Serves on a thread of its own. An upgrade waits until the old process lets the port go.
///
/// # Errors
/// The port cannot be had.
pub(crate) fn serve(address: SocketAddr, sources: Sources, is_upgrade: bool) -> Result<Serving> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("metrics: a runtime")?;
    let hint =
        || format!("metrics cannot be told on `{address}`: another program listens there; set `metrics.address`");
    let bound = runtime.block_on(TcpListener::bind(address));
    let bound = match bound {
        Ok(listener) => Some(listener),
        Err(error) if is_upgrade && error.kind() == std::io::ErrorKind::AddrInUse => None,
        Err(error) => return Err(error).with_context(hint),
    };
    if let Some(address) = bound.as_ref().and_then(|listener| listener.local_addr().ok()) {
        tracing::info!(%address, "telling metrics");
    }
    let thread = std::thread::Builder::new().name("metrics".to_owned());
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let run = async move {
        let listener = match bound {
            Some(listener) => listener,
            None => bind_when_free(address).await,
        };
        accept(listener, sources).await;
    };
    let run = move || {
        runtime.block_on(async {
            tokio::select! {
                () = run => {}
                () = stopped.notified() => {}
            }
        });
    };
    Ok(Serving { stop, thread: Some(thread.spawn(run).context("metrics: a thread")?) })
}

async fn bind_when_free(address: SocketAddr) -> TcpListener {
    loop {
        if let Ok(listener) = TcpListener::bind(address).await {
            return listener;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn accept(listener: TcpListener, sources: Sources) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let sources = sources.clone();
                tokio::spawn(async move {
                    connection(stream, sources).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection for metrics could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, sources: Sources) {
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let answer = answer(request.method(), request.uri().path(), &sources);
        async move { Ok::<_, std::convert::Infallible>(answer) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX).max_buf_size(HEAD_BYTES_MAX);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection for metrics broke off");
    }
}

fn answer(method: &Method, path: &str, sources: &Sources) -> Response<String> {
    let plain = |status, text: &str| (status, "text/plain; charset=utf-8", format!("{text}\n"));
    let (status, media_type, body) = match path {
        _ if !matches!(*method, Method::GET | Method::HEAD) => plain(StatusCode::METHOD_NOT_ALLOWED, "GET only"),
        "/metrics" => match exposition::text(sources) {
            Ok(text) => (StatusCode::OK, exposition::MEDIA_TYPE, text),
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written"),
        },
        "/healthz" => plain(StatusCode::OK, "ok"),
        "/readyz" => match sources.waits_for() {
            None => plain(StatusCode::OK, "ready"),
            Some(words) => plain(StatusCode::SERVICE_UNAVAILABLE, words),
        },
        _ => plain(StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz"),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
