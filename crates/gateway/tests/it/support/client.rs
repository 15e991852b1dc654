//! An HTTP/1.1 client that sends exactly the bytes it is given.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to the gateway.
pub(crate) struct Client<T = TcpStream> {
    pub(crate) io: T,
    unread: Vec<u8>,
}

/// A whole response.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// The value of a field in a head.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// A `GET` for this path.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n")
}

/// One request on a connection of its own.
pub(crate) async fn request(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Response {
    let mut client = Client::connect(address).await;
    client.send(bytes).await;
    client.response().await
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Client<T> {
    pub(crate) fn over(io: T) -> Self {
        Self { io, unread: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.io.write_all(bytes.as_ref()).await; // a refused body may end early
        let _ = self.io.flush().await;
    }

    pub(crate) async fn response(&mut self) -> Response {
        self.try_response().await.expect("a response")
    }

    /// The next response; `None` when the gateway closed the connection.
    pub(crate) async fn try_response(&mut self) -> Option<Response> {
        let head = self.head().await?;
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = if status < 200 || matches!(status, 204 | 304) {
            Vec::new()
        } else if header(&head, "transfer-encoding") == Some("chunked") {
            self.chunks().await?
        } else if let Some(length) = header(&head, "content-length") {
            self.take(length.parse().unwrap()).await?
        } else {
            while self.more().await {}
            std::mem::take(&mut self.unread)
        };
        Some(Response { status, head, body })
    }

    pub(crate) async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = self.take(end + 4).await?;
                return Some(String::from_utf8(head).unwrap());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// The next chunk of a chunked body.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
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
        Some(chunk)
    }

    async fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            match self.chunk().await? {
                chunk if chunk.is_empty() => return Some(body),
                chunk => body.extend(chunk),
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
        let read = tokio::time::timeout(PATIENCE, self.io.read_buf(&mut self.unread)).await;
        matches!(read.expect("an answer within 20 s"), Ok(read) if read > 0)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Client<T> {
    /// Reads whatever comes next; `false` at the end.
    pub(crate) async fn chunk_or_bytes(&mut self) -> bool {
        self.unread.clear();
        self.more().await
    }
}
