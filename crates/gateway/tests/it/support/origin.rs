//! An HTTP/1.1 origin that keeps the raw bytes of every request.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::header;

/// One request as it arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Request line and fields, with the blank line
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

/// A connection at the origin.
pub(crate) struct Conn {
    pub(crate) tcp: TcpStream,
    unread: Vec<u8>,
    origin: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    accepted: AtomicUsize,
    seen: Mutex<Vec<Seen>>,
}

/// An origin; ends with the value.
pub(crate) struct Origin {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// `200` with this body.
pub(crate) fn answer(body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

impl Origin {
    /// Each connection is `serve`d.
    pub(crate) async fn start<F, S>(serve: S) -> Self
    where
        S: Fn(Conn) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), serve)
    }

    pub(crate) fn start_on<F, S>(listener: TcpListener, serve: S) -> Self
    where
        S: Fn(Conn) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let origin = shared.clone();
        let accept = async move {
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                origin.accepted.fetch_add(1, SeqCst);
                tasks.spawn(serve(Conn { tcp, unread: Vec::new(), origin: origin.clone() }));
            }
        };
        Self { port, shared, task: tokio::spawn(accept).abort_handle() }
    }

    /// Answers every request with `200` and the request's own body.
    pub(crate) async fn echo() -> Self {
        Self::start(|mut conn| async move {
            while let Some(seen) = conn.request().await {
                conn.send(&answer(&seen.body)).await;
            }
        })
        .await
    }

    /// Answers every request with `200` and this body.
    pub(crate) async fn saying(body: &'static str) -> Self {
        Self::start(move |mut conn| async move {
            while conn.request().await.is_some() {
                conn.send(&answer(body.as_bytes())).await;
            }
        })
        .await
    }

    /// Connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(SeqCst)
    }

    /// Requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("a request at the origin")
    }
}

impl Conn {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.tcp.write_all(bytes).await;
    }

    /// Only the head of the next request.
    pub(crate) async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                let rest = self.unread.split_off(end + 4);
                let head = std::mem::replace(&mut self.unread, rest);
                return Some(String::from_utf8(head).unwrap());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// The next whole request; `None` when the peer went away before it was complete.
    pub(crate) async fn request(&mut self) -> Option<Seen> {
        let head = self.head().await?;
        let body = match (header(&head, "content-length"), header(&head, "transfer-encoding")) {
            (Some(length), None) => self.take(length.parse().unwrap()).await?,
            (None, Some("chunked")) => self.chunks().await?,
            (None, None) => Vec::new(),
            other => panic!("framing {other:?}"),
        };
        let seen = Seen { head, body };
        self.origin.seen.lock().unwrap().push(seen.clone());
        Some(seen)
    }

    async fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                if let Some(end) = self.unread.windows(2).position(|two| two == b"\r\n") {
                    break self.take(end + 2).await?;
                }
                if !self.more().await {
                    return None;
                }
            };
            let size = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
            let mut chunk = self.take(size + 2).await?;
            chunk.truncate(size);
            body.extend(chunk);
            if size == 0 {
                return Some(body);
            }
        }
    }

    /// Body bytes that came after the head, whatever they are, until the peer goes away.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.unread)
    }

    /// Sends back whatever comes, until the peer goes away.
    pub(crate) async fn echo(&mut self) {
        loop {
            let bytes = std::mem::take(&mut self.unread);
            self.send(&bytes).await;
            if !self.more().await {
                return;
            }
        }
    }

    pub(crate) async fn take(&mut self, bytes: usize) -> Option<Vec<u8>> {
        while self.unread.len() < bytes {
            if !self.more().await {
                return None;
            }
        }
        let rest = self.unread.split_off(bytes);
        Some(std::mem::replace(&mut self.unread, rest))
    }

    async fn more(&mut self) -> bool {
        matches!(self.tcp.read_buf(&mut self.unread).await, Ok(read) if read > 0)
    }
}
