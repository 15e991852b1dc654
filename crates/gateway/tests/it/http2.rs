//! HTTP/2 towards clients and upstreams: prior knowledge, trailers, gRPC.

use std::net::SocketAddr;

use bartizan_config::UpstreamProtocol;
use bartizan_model::{Ending, HttpVersion};
use bytes::Bytes;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Client, Gate, Origin, config, get, request};

/// One HTTP/2 connection to the gateway.
pub(crate) struct Http2 {
    send: SendRequest<Bytes>,
}

impl Http2 {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }

    pub(crate) async fn over<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(io: T) -> Self {
        let (send, connection) = h2::client::handshake(io).await.unwrap();
        tokio::spawn(connection);
        Self { send }
    }

    /// Sends a request with its body in these frames, and reads the whole answer.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<()>,
        frames: Vec<Bytes>,
    ) -> (Response<()>, Vec<u8>, Option<HeaderMap>) {
        self.try_exchange(request, frames).await.unwrap()
    }

    /// Sends a head; its body is the caller's to send.
    pub(crate) fn open(&mut self, request: Request<()>) -> (ResponseFuture, SendStream<Bytes>) {
        self.send.send_request(request, false).unwrap()
    }

    pub(crate) async fn try_exchange(
        &mut self,
        request: Request<()>,
        frames: Vec<Bytes>,
    ) -> Result<(Response<()>, Vec<u8>, Option<HeaderMap>), h2::Error> {
        let mut send = self.send.clone().ready().await?;
        let (response, mut body) = send.send_request(request, frames.is_empty())?;
        let last = frames.len().saturating_sub(1);
        let sender = tokio::spawn(async move {
            for (index, mut frame) in frames.into_iter().enumerate() {
                while !frame.is_empty() {
                    body.reserve_capacity(frame.len());
                    let Some(Ok(room)) = std::future::poll_fn(|cx| body.poll_capacity(cx)).await else { return };
                    let piece = frame.split_to(room.min(frame.len()));
                    if body.send_data(piece, index == last && frame.is_empty()).is_err() {
                        return;
                    }
                }
            }
        });
        let (head, mut body) = response.await?.into_parts();
        let mut bytes = Vec::new();
        while let Some(data) = body.data().await {
            let data = data?;
            body.flow_control().release_capacity(data.len())?;
            bytes.extend(data);
        }
        let trailers = body.trailers().await?;
        sender.abort();
        Ok((Response::from_parts(head, ()), bytes, trailers))
    }
}

/// An HTTP/2 origin in the clear that echoes bodies with a trailer, as gRPC does.
async fn http2_origin() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(tcp).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    tokio::spawn(async move {
                        let te = request.headers().get("te").cloned();
                        let mut body = request.into_body();
                        let mut response = Response::builder().header("content-type", "application/grpc");
                        if let Some(te) = te {
                            response = response.header("seen-te", te);
                        }
                        let mut send = respond.send_response(response.body(()).unwrap(), false).unwrap();
                        while let Some(Ok(data)) = body.data().await {
                            body.flow_control().release_capacity(data.len()).unwrap();
                            send.reserve_capacity(data.len());
                            send.send_data(data, false).unwrap();
                        }
                        let mut trailers = HeaderMap::new();
                        trailers.insert("grpc-status", "0".parse().unwrap());
                        send.send_trailers(trailers).unwrap();
                    });
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn prior_knowledge_in_the_clear_works_beside_http1() {
    let origin = Origin::saying("hello").await;
    let mut gate = Gate::start(&config(&[origin.port]));
    let mut http2 = Http2::connect(gate.address).await;
    for _ in 0..3 {
        let request = Request::get("http://a.example/a%2Fb?x=1").body(()).unwrap();
        let (response, body, _) = http2.exchange(request, Vec::new()).await;
        assert_eq!((response.status().as_u16(), body.as_slice()), (200, &b"hello"[..]));
        let event = gate.event().await;
        assert_eq!((event.version, event.ending, &*event.host), (HttpVersion::Http2, Ending::Answered, "a.example"));
        assert_eq!(response.headers()["x-request-id"].to_str().unwrap(), event.id.to_string());
    }
    assert_eq!(origin.last().line(), "GET /a%2Fb?x=1 HTTP/1.1");
    assert_eq!(origin.last().header("host"), Some("a.example"));
    // shorter than the preface that Pingora asks for
    assert_eq!(request(gate.address, "GET / HTTP/1.0\r\n\r\n").await.status, 200);
    assert_eq!(gate.event().await.version, HttpVersion::Http10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_without_http2_says_so() {
    let origin = Origin::echo().await;
    let mut config = config(&[origin.port]);
    config.listeners[0].http2 = false;
    let mut gate = Gate::start(&config);
    let response = request(gate.address, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(response.status, 400);
    let event = gate.event().await;
    assert_eq!(event.ending, Ending::Malformed);
    assert_eq!(&*event.findings[0].evidence, "http2_not_offered");
    assert_eq!(request(gate.address, get("/")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_call_keeps_its_frames_and_trailers() {
    let mut config = config(&[http2_origin().await]);
    config.upstreams[0].protocol = UpstreamProtocol::Http2;
    let mut gate = Gate::start(&config);
    let mut http2 = Http2::connect(gate.address).await;
    let call = Request::post("http://a.example/pkg.Service/Method")
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let message = Bytes::from_static(b"\0\0\0\0\x05hello");
    let (response, body, trailers) = http2.exchange(call.body(()).unwrap(), vec![message.clone()]).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["seen-te"], "trailers");
    assert_eq!(body, message);
    assert_eq!(trailers.unwrap()["grpc-status"], "0");
    assert_eq!(gate.event().await.ending, Ending::Answered);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_every_kind_reach_an_http2_upstream_whole() {
    let mut config = config(&[http2_origin().await]);
    config.upstreams[0].protocol = UpstreamProtocol::Http2;
    let gate = Gate::start(&config);
    let body = vec![b'x'; 300_000];
    let head = "POST / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n";
    let plain = [format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat();
    assert_eq!(request(gate.address, plain).await.body, body);
    let mut chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for piece in body.chunks(10_000) {
        chunked.extend(format!("{:x}\r\n", piece.len()).bytes().chain(piece.iter().copied()).chain(*b"\r\n"));
    }
    chunked.extend(b"0\r\n\r\n");
    assert_eq!(request(gate.address, chunked).await.body, body);
    let mut http2 = Http2::connect(gate.address).await;
    let frames = body.chunks(9_000).map(Bytes::copy_from_slice).collect();
    let post = Request::post("http://a.example/").body(()).unwrap();
    assert_eq!(http2.exchange(post, frames).await.1, body);
}

#[tokio::test(flavor = "multi_thread")]
async fn cookie_crumbs_become_one_field_for_http1() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&config(&[origin.port]));
    let mut http2 = Http2::connect(gate.address).await;
    let get = Request::get("http://a.example/").header("cookie", "a=1").header("cookie", "b=2");
    http2.exchange(get.body(()).unwrap(), Vec::new()).await;
    assert_eq!(origin.last().header("cookie"), Some("a=1; b=2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_never_became_a_request_are_told_when_the_connection_ends() {
    let origin = Origin::echo().await;
    let mut gate = Gate::start(&config(&[origin.port]));
    let mut http2 = Http2::connect(gate.address).await;
    let differing = Request::get("http://a.example/").header("host", "b.example").body(()).unwrap();
    let (response, ..) = http2.exchange(differing, Vec::new()).await;
    assert_eq!(response.status(), 400);
    drop(http2);
    let event = gate.event().await;
    assert_eq!((event.ending, &*event.findings[0].evidence), (Ending::Malformed, "bad_http2_stream"));
    assert_eq!(event.version, HttpVersion::Http2);
    assert!(origin.seen().is_empty());
}

/// A frame (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// What an HTTP/2 client begins with.
fn preface() -> Vec<u8> {
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, &[])].concat()
}

/// Sends these bytes, reads to the end, and returns what was told.
async fn told(gate: &mut Gate, bytes: Vec<u8>) -> Vec<(HttpVersion, String)> {
    let mut client = Client::connect(gate.address).await;
    client.send(bytes).await;
    let _ = client.io.shutdown().await;
    while client.chunk_or_bytes().await {}
    drop(client);
    gate.stats_once(|stats| stats.connections_open == 0).await;
    let told = gate.further_events().into_iter();
    told.map(|event| (event.version, event.findings[0].evidence.to_string())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_a_whole_http2_connection_is_told_once() {
    let origin = Origin::echo().await;
    let mut gate = Gate::start(&config(&[origin.port]));
    let expected = [(HttpVersion::Http2, "bad_http2_connection".to_owned())];
    for fault in [vec![0xff; 500], frame(0, 0, 0, b"data on stream 0"), frame(1, 4, 1, &[0xff; 20])] {
        assert_eq!(told(&mut gate, [preface(), fault.clone()].concat()).await, expected, "{}", fault.escape_ascii());
    }
    assert_eq!(told(&mut gate, preface()).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_lost_http2_stream_is_counted() {
    let origin = Origin::echo().await;
    let mut gate = Gate::start(&config(&[origin.port]));
    let mut bytes = preface();
    for number in 0..150 {
        bytes.extend(frame(1, 5, 1 + 2 * number, b"\x82\x86\x84\0\x0aconnection\x05close")); // RFC 9113 §8.2.2
    }
    let told = told(&mut gate, bytes).await;
    let counts = told.iter().map(|(version, evidence)| {
        assert_eq!(*version, HttpVersion::Http2);
        match evidence.strip_prefix("bad_http2_stream") {
            Some("") => 1,
            Some(more) => more.strip_prefix(", ").unwrap().strip_suffix(" times").unwrap().parse().unwrap(),
            None => panic!("{evidence}"),
        }
    });
    assert_eq!(counts.sum::<u64>(), 150);
    assert_eq!(told.len(), 101);
}

/// Sends pieces until the gateway gives the connection up; returns what was told and how many pieces went out.
async fn flooded(gate: &mut Gate, piece: impl Fn(u32) -> Vec<u8>, pieces_max: u32) -> (Vec<String>, u32) {
    let mut client = Client::connect(gate.address).await;
    client.send(preface()).await;
    let (mut reader, mut writer) = client.io.into_split();
    let drain = tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
    let mut sent = 0;
    while sent < pieces_max && !drain.is_finished() && writer.write_all(&piece(sent)).await.is_ok() {
        sent += 1;
    }
    let _ = drain.await;
    drop(writer);
    gate.stats_once(|stats| stats.connections_open == 0 && stats.exchanges_open == 0).await;
    let events = gate.further_events();
    (events.iter().flat_map(|event| &event.findings).map(|finding| finding.evidence.to_string()).collect(), sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_opened_and_taken_back_end_the_connection() {
    let origin = Origin::echo().await;
    let mut gate = Gate::start(&config(&[origin.port]));
    let block = b"\x82\x86\x84\x41\x01a";
    // One packet each, so that each stream is seen before it is reset.
    let rapid = |number: u32| {
        let stream = 1 + 2 * number;
        [frame(1, 5, stream, block), frame(3, 0, stream, &[0, 0, 0, 8])].concat()
    };
    let (told, sent) = flooded(&mut gate, rapid, 20_000).await;
    assert!(sent < 20_000, "never given up");
    let floods = ["http2_resets", "http2_flood"];
    assert_eq!(told.iter().filter(|evidence| floods.contains(&evidence.as_str())).count(), 1, "{sent}: {told:?}");
    assert_eq!(gate.handle.stats().http2_floods_total, 1);
    assert_eq!(request(gate.address, get("/")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_we_are_made_to_reset_end_the_connection() {
    let origin = Origin::echo().await;
    let mut gate = Gate::start(&config(&[origin.port]));
    let block = b"\x82\x86\x84\x41\x01a";
    // A window update of zero is a fault of the stream (RFC 9113 §6.9).
    let made_you_reset = |number: u32| {
        let stream = 1 + 2 * number;
        [frame(1, 5, stream, block), frame(8, 0, stream, &[0; 4])].concat()
    };
    let (told, sent) = flooded(&mut gate, made_you_reset, 20_000).await;
    assert!(sent < 20_000, "never given up");
    let floods = ["http2_resets", "http2_flood", "bad_http2_connection"];
    assert_eq!(told.iter().filter(|evidence| floods.contains(&evidence.as_str())).count(), 1, "{sent}: {told:?}");
    assert_eq!(request(gate.address, get("/")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_ask_for_nothing_end_the_connection() {
    let origin = Origin::echo().await;
    let mut gate = Gate::start(&config(&[origin.port]));
    for (what, piece) in [
        ("ping", frame(6, 0, 0, &[7; 8])),
        ("settings", frame(4, 0, 0, &[])),
        ("priority", frame(2, 0, 1, &[0, 0, 0, 0, 1])),
        ("unknown", frame(0x77, 0, 0, b"x")),
    ] {
        let (told, sent) = flooded(&mut gate, |_| piece.repeat(100), 100_000).await;
        assert!(sent < 100_000, "{what}: never given up");
        assert_eq!(told, ["http2_idle_frames"], "{what}");
    }
    assert_eq!(gate.handle.stats().http2_floods_total, 4);
    assert_eq!(request(gate.address, get("/")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_block_without_end_and_empty_data_end_the_connection() {
    let origin = Origin::echo().await;
    let mut gate = Gate::start(&config(&[origin.port]));
    let continuation = |number: u32| match number {
        0 => frame(1, 0, 1, b"\x82\x86\x84\x41\x01a"),
        _ => frame(9, 0, 1, b""),
    };
    let (told, sent) = flooded(&mut gate, continuation, 100_000).await;
    assert!(sent < 100_000 && told == ["http2_flood"], "{sent}: {told:?}");
    let empty = |number: u32| match number {
        0 => frame(1, 4, 1, b"\x83\x86\x84\x41\x01a"),
        _ => frame(0, 0, 1, b""),
    };
    let (told, sent) = flooded(&mut gate, empty, 100_000).await;
    assert!(sent < 100_000, "never given up");
    assert!(told.contains(&"http2_flood".to_owned()), "{sent}: {told:?}");
    assert_eq!(request(gate.address, get("/")).await.status, 200);
}
