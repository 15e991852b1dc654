//! An upstream that writes down, byte for byte, what reaches it, and answers as told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;

/// One request as it reached the origin.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Request line, without its line end
    pub line: String,
    /// Header lines as sent
    pub headers: Vec<String>,
    /// Body
    pub body: Vec<u8>,
}

impl Seen {
    /// The first value of a header, in whatever case its name came.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|header| {
            let (found, value) = header.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A plain HTTP/1.1 server on the loopback address. Its threads end with the process.
pub struct Origin {
    /// Port it listens on
    pub port: u16,
    connections: Arc<AtomicU64>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Origin {
    /// Answers every request with `200` and a small JSON body, after `delay`.
    ///
    /// # Errors
    /// No port can be bound.
    pub fn start(delay: Duration) -> Result<Self> {
        Self::answering(move |_| {
            std::thread::sleep(delay);
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{\"ok\":true}".to_owned()
        })
    }

    /// Answers every request with what `answer` makes of it, byte for byte.
    ///
    /// # Errors
    /// No port can be bound.
    pub fn answering(answer: impl Fn(&Seen) -> String + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let connections = Arc::new(AtomicU64::new(0));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(answer);
        let origin = Self { port, connections: Arc::clone(&connections), seen: Arc::clone(&seen) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                connections.fetch_add(1, Ordering::Relaxed);
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let _ = serve(&stream, &*answer, &seen);
                });
            }
        });
        Ok(origin)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Requests seen so far, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(stream: &TcpStream, answer: &dyn Fn(&Seen) -> String, seen: &Mutex<Vec<Seen>>) -> Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut headers = Vec::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            match header.trim_end() {
                "" => break,
                text => headers.push(text.to_owned()),
            }
        }
        let body = read_body(&mut reader, &headers)?;
        let request = Seen { line: line.trim_end().to_owned(), headers, body };
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        (&*stream).write_all(answer(&request).as_bytes())?;
    }
}

fn read_body(reader: &mut BufReader<&TcpStream>, headers: &[String]) -> Result<Vec<u8>> {
    let value = |name: &str| {
        headers.iter().find_map(|header| {
            let (found, value) = header.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let mut body = Vec::new();
    if let Some(length) = value("content-length") {
        reader.take(length.parse()?).read_to_end(&mut body)?;
    } else if value("transfer-encoding").is_some() {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size)?;
            let size = u64::from_str_radix(size.trim(), 16)?;
            reader.take(size).read_to_end(&mut body)?;
            let mut end = String::new();
            reader.read_line(&mut end)?;
            if size == 0 {
                break;
            }
        }
    }
    Ok(body)
}
