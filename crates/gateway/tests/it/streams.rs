//! WebSocket, server-sent events, clients and upstreams that go away.

use std::sync::Arc;

use bartizan_model::Ending;
use futures::{SinkExt, StreamExt};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{accept_async, client_async_with_config};

use crate::support::{Client, Gate, Origin, config, get};

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_passes_large_messages_and_its_close_code() {
    let (told, tell) = tokio::sync::oneshot::channel();
    let told = Arc::new(std::sync::Mutex::new(Some(told)));
    let origin = Origin::start(move |conn| {
        let told = told.lock().unwrap().take();
        async move {
            let mut socket = accept_async(conn.tcp).await.unwrap();
            let mut close = None;
            while let Some(Ok(message)) = socket.next().await {
                match message {
                    Message::Close(frame) => close = frame,
                    message => socket.send(message).await.unwrap(),
                }
            }
            told.unwrap().send(close).unwrap();
        }
    })
    .await;
    let mut gate = Gate::start(&config(&[origin.port]));
    let tcp = tokio::net::TcpStream::connect(gate.address).await.unwrap();
    let limits = WebSocketConfig::default().max_frame_size(None).max_message_size(None);
    let (mut socket, response) = client_async_with_config("ws://a.example/echo", tcp, Some(limits)).await.unwrap();
    assert_eq!(response.status(), 101);
    assert!(response.headers().contains_key("x-request-id"));
    let large = Message::Binary(Bytes::from((0..2_000_000_u32).map(|n| n as u8).collect::<Vec<_>>()));
    for message in [Message::text("small"), large, Message::text("last")] {
        socket.send(message.clone()).await.unwrap();
        assert!(socket.next().await.unwrap().unwrap() == message);
    }
    let goodbye = CloseFrame { code: CloseCode::Library(4321), reason: "enough".into() };
    socket.close(Some(goodbye.clone())).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
    assert_eq!(tell.await.unwrap(), Some(goodbye));
    drop(socket);
    let event = gate.event().await;
    assert_eq!((event.status, event.ending), (101, Ending::Answered));
    assert!(gate.further_events().is_empty());
}

/// The upstream answers before it has even read the request: the `101` is there whenever Pingora looks for it, which is
/// what made it take the end of the request for the end of the tunnel.
#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_stands_however_early_the_upstream_switches() {
    const AT_ONCE: usize = 8;
    const ROUNDS: usize = 40;
    let origin = Origin::start(|mut conn| async move {
        conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").await;
        conn.head().await.unwrap();
        conn.echo().await;
    })
    .await;
    let gate = Gate::start(&config(&[origin.port]));
    let address = gate.address;
    let clients = (0..AT_ONCE).map(|_| {
        tokio::spawn(async move {
            for round in 0..ROUNDS {
                let mut client = Client::connect(address).await;
                client.send("GET /echo HTTP/1.1\r\nHost: a.example\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n").await;
                assert!(client.head().await.expect("a 101").starts_with("HTTP/1.1 101 "));
                for size in [1, 100_000] {
                    let message = vec![round as u8; size];
                    client.send(&message).await;
                    assert!(client.take(size).await.as_ref() == Some(&message), "round {round}: what was sent comes back");
                }
            }
        })
    });
    for client in futures::future::join_all(clients).await {
        client.unwrap();
    }
}

/// An upgrade that is refused is an answer like any other, and nothing of it is kept for the next one.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_upgrade_is_answered() {
    let origin = Origin::saying("not here").await;
    let mut gate = Gate::start(&config(&[origin.port]));
    let mut client = Client::connect(gate.address).await;
    let upgrade = "GET /echo HTTP/1.1\r\nHost: a.example\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    for (request, connections) in [(upgrade.to_owned(), 1), (upgrade.to_owned(), 2), (get("/"), 3), (get("/"), 3)] {
        client.send(request).await;
        assert_eq!(client.response().await.text(), "not here");
        let event = gate.event().await;
        assert_eq!((event.status, event.ending, origin.accepted()), (200, Ending::Answered, connections));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn server_sent_events_arrive_one_by_one() {
    let received = Arc::new(Notify::new());
    let go_on = received.clone();
    let origin = Origin::start(move |mut conn| {
        let go_on = go_on.clone();
        async move {
            conn.request().await.unwrap();
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
                .await;
            for n in 0..5 {
                conn.send(format!("9\r\ndata: {n}\n\n\r\n").as_bytes()).await;
                go_on.notified().await; // the next one is sent only when this one was received
            }
            conn.send(b"0\r\n\r\n").await;
        }
    })
    .await;
    let gate = Gate::start(&config(&[origin.port]));
    let mut client = Client::connect(gate.address).await;
    client.send(get("/events")).await;
    assert!(client.head().await.unwrap().contains("text/event-stream"));
    for n in 0..5 {
        assert_eq!(client.chunk().await.unwrap(), format!("data: {n}\n\n").as_bytes());
        received.notify_one();
    }
    assert_eq!(client.chunk().await.unwrap(), b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_is_an_event() {
    let reached = Arc::new(Notify::new());
    let tell = reached.clone();
    let origin = Origin::start(move |mut conn| {
        let tell = tell.clone();
        async move {
            conn.request().await;
            tell.notify_one();
            conn.rest().await;
        }
    })
    .await;
    let mut gate = Gate::start(&config(&[origin.port]));
    let mut client = Client::connect(gate.address).await;
    client.send(get("/slow")).await;
    reached.notified().await;
    drop(client);
    let event = gate.event().await;
    assert_eq!((event.ending, event.status), (Ending::ClientClosed, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_breaks_off_is_cut_and_told() {
    let origin = Origin::start(|mut conn| async move {
        conn.request().await;
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this").await;
    })
    .await;
    let mut gate = Gate::start(&config(&[origin.port]));
    let mut client = Client::connect(gate.address).await;
    client.send(get("/")).await;
    assert!(client.head().await.is_some());
    while client.chunk_or_bytes().await {}
    let event = gate.event().await;
    assert_eq!((event.ending, event.status), (Ending::UpstreamFailed, 200));
}
