//! Start, reload, stop, hand-over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use bartizan_config::PolicyRule;
use bartizan_gateway::{Gateway, GatewayOptions, Sinks, Stop};
use bartizan_model::{Ending, Mode};
use tokio::sync::Notify;

use crate::support::{Client, Gate, Origin, answer, config, get, policy, request, snapshot};

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_said_so() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = config(&[1]);
    config.listeners[0].address = taken.local_addr().unwrap();
    let sinks = Sinks { events: Arc::new(|_| ()), exchanges: None };
    let error = Gateway::new(&config, snapshot(&config, 1), sinks, GatewayOptions::default()).err().unwrap();
    let expected = format!("cannot listen on `{}`: Address already in use", config.listeners[0].address);
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert!(error.to_string().ends_with("stop it or choose another port"), "{error}");
}

/// Answers with its name when told to.
async fn waiting(name: &'static str, reached: Arc<Notify>, go_on: Arc<Notify>) -> Origin {
    Origin::start(move |mut conn| {
        let (reached, go_on) = (reached.clone(), go_on.clone());
        async move {
            while conn.request().await.is_some() {
                reached.notify_one();
                go_on.notified().await;
                conn.send(&answer(name.as_bytes())).await;
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_finishes_on_the_configuration_it_began_with() {
    let (reached, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let old = waiting("old", reached.clone(), go_on.clone()).await;
    let new = Origin::saying("new").await;
    let mut gate = Gate::start(&config(&[old.port]));
    let mut client = Client::connect(gate.address).await;
    client.send(get("/")).await;
    reached.notified().await;

    let mut after = config(&[new.port]);
    after.listeners[0].address = gate.address;
    let needs = gate.handle.reload(&after, snapshot(&after, 2)).unwrap();
    assert_eq!(needs.len(), 2, "{needs:?}"); // port 0 and the bound port are two listeners to the configuration
    assert_eq!(request(gate.address, get("/")).await.text(), "new");
    go_on.notify_one();
    assert_eq!(client.response().await.text(), "old");
    client.send(get("/")).await;
    assert_eq!(client.response().await.text(), "new", "the same connection, the next request");
    for _ in 0..3 {
        assert_eq!(gate.event().await.ending, Ending::Answered);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_policies_and_says_what_it_cannot_change() {
    let origin = Origin::echo().await;
    let before = config(&[origin.port]);
    let gate = Gate::start(&before);
    let mut after = before.clone();
    after.policies = vec![policy(
        "methods",
        Mode::Enforce,
        PolicyRule::Methods { allow: vec!["PUT".into()], overrides: Default::default() },
    )];
    assert_eq!(gate.handle.reload(&after, snapshot(&after, 2)).unwrap(), Vec::<String>::new());
    assert_eq!(request(gate.address, get("/")).await.status, 405);
    after.threads = std::num::NonZeroUsize::new(1);
    after.listeners[0].proxy_protocol = true;
    after.shutdown_grace_ms += 1;
    let needs = gate.handle.reload(&after, snapshot(&after, 3)).unwrap();
    let expected = ["settings of listener `127.0.0.1:0` changed", "`threads` changed", "`shutdown_grace` changed"];
    assert_eq!(needs, expected);
    gate.handle.publish(snapshot(&before, 4));
    assert_eq!(request(gate.address, get("/")).await.status, 200, "a Snapshot alone can be published");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_reloads_under_load_fail_no_request() {
    let origins = [Origin::saying("0").await, Origin::saying("0").await];
    let gate = Gate::start(&config(&[origins[0].port]));
    let stop = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..8)
        .map(|index| {
            let (address, stop, served) = (gate.address, stop.clone(), served.clone());
            tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                let body = "b".repeat(index * 5_000);
                let post = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                while !stop.load(SeqCst) {
                    client.send(if index % 2 == 0 { get("/") } else { post.clone() }).await;
                    assert_eq!(client.response().await.status, 200);
                    served.fetch_add(1, SeqCst);
                }
            })
        })
        .collect();
    let handle = gate.handle.clone();
    let ports = [origins[0].port, origins[1].port];
    let counted = served.clone();
    let reloads = tokio::task::spawn_blocking(move || {
        for generation in 0..1000_u64 {
            let mut config = config(&[ports[generation as usize % 2]]);
            config.upstreams[0].retries_max = (generation % 3) as u32; // another pool each time
            handle.reload(&config, snapshot(&config, generation)).unwrap();
            while counted.load(SeqCst) < 2 * generation as usize {
                std::thread::yield_now(); // two requests a reload
            }
        }
    });
    reloads.await.unwrap();
    stop.store(true, SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    assert!(origins.iter().all(|origin| origin.accepted() > 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_stop_finishes_what_is_under_way_and_takes_nothing_new() {
    let (reached, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let origin = waiting("done", reached.clone(), go_on.clone()).await;
    let mut gate = Gate::start(&config(&[origin.port]));
    let mut idle = Client::connect(gate.address).await;
    let mut client = Client::connect(gate.address).await;
    client.send(get("/")).await;
    reached.notified().await;
    gate.handle.stop(Stop::Graceful);
    assert!(idle.try_response().await.is_none(), "idle connections are closed");
    go_on.notify_one();
    let response = client.response().await;
    assert_eq!(response.text(), "done");
    assert_eq!(gate.event().await.ending, Ending::Answered);
    drop(client);
    assert_eq!(gate.stop(Stop::Graceful).await, Stop::Graceful);
    assert!(tokio::net::TcpStream::connect(gate.address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grace_ends_and_a_request_that_was_cut_off_is_told() {
    let reached = Arc::new(Notify::new());
    let origin = waiting("never", reached.clone(), Arc::new(Notify::new())).await;
    let mut config = config(&[origin.port]);
    config.shutdown_grace_ms = 100;
    let mut gate = Gate::start(&config);
    let mut client = Client::connect(gate.address).await;
    client.send(get("/")).await;
    reached.notified().await;
    assert_eq!(gate.stop(Stop::Graceful).await, Stop::Graceful);
    assert_eq!(gate.event().await.ending, Ending::ClientClosed);
    assert!(client.try_response().await.is_none());
}

/// The hand-over between two gateways of one process: the same sockets and signals' effect as between two processes.
#[tokio::test(flavor = "multi_thread")]
async fn sockets_are_handed_over_without_a_refused_connection() {
    let origin = Origin::saying("0").await;
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("upgrade.sock");
    let mut config = config(&[origin.port]);
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    config.listeners[0].address = free.local_addr().unwrap();
    drop(free);
    let options =
        |upgrade| GatewayOptions { upgrade, upgrade_socket: Some(socket.clone()), signals: false, desk: None };
    let sinks = || Sinks { events: Arc::new(|_| ()), exchanges: None };
    let old = Gateway::new(&config, snapshot(&config, 1), sinks(), options(false)).unwrap();
    let (address, old_handle) = (old.addresses()[0], old.handle());
    let old = tokio::task::spawn_blocking(|| old.run().unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn({
        let stop = stop.clone();
        async move {
            let mut served = 0;
            while !stop.load(SeqCst) {
                assert_eq!(
                    request(address, get("/").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).await.status,
                    200
                );
                served += 1;
            }
            served
        }
    });
    let (new_config, new_options, new_sinks) = (config.clone(), options(true), sinks());
    let new = tokio::task::spawn_blocking(move || {
        let new = Gateway::new(&new_config, snapshot(&new_config, 1), new_sinks, new_options).unwrap();
        let handle = new.handle();
        (handle, std::thread::spawn(|| new.run().unwrap()))
    });
    while !socket.exists() {
        tokio::task::yield_now().await;
    }
    old_handle.stop(Stop::HandOver);
    let (new_handle, new) = new.await.unwrap();
    assert_eq!(old.await.unwrap(), Stop::HandOver);
    for _ in 0..50 {
        assert_eq!(request(address, get("/")).await.status, 200);
    }
    stop.store(true, SeqCst);
    assert!(load.await.unwrap() > 0);
    assert!(new_handle.stats().exchanges_total >= 50);
    new_handle.stop(Stop::Graceful);
    tokio::task::spawn_blocking(|| new.join().unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_over_that_nobody_takes_changes_nothing() {
    let origin = Origin::saying("0").await;
    let config = config(&[origin.port]);
    let gate = Gate::start(&config); // no upgrade socket: a hand-over is a graceful stop
    let dir = tempfile::tempdir().unwrap();
    let options = GatewayOptions {
        upgrade: false,
        upgrade_socket: Some(dir.path().join("nobody.sock")),
        signals: false,
        desk: None,
    };
    let sinks = Sinks { events: Arc::new(|_| ()), exchanges: None };
    let lonely = Gateway::new(&config, snapshot(&config, 1), sinks, options).unwrap();
    let (address, handle) = (lonely.addresses()[0], lonely.handle());
    let running = tokio::task::spawn_blocking(|| lonely.run().unwrap());
    handle.stop(Stop::HandOver);
    assert_eq!(request(address, get("/")).await.status, 200);
    handle.stop(Stop::Fast);
    assert_eq!(running.await.unwrap(), Stop::Fast);
    drop(gate);
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_stop_it() {
    use rustix::process::{Signal, getpid, kill_process};
    let origin = Origin::saying("0").await;
    let config = config(&[origin.port]);
    for (signal, expected) in
        [(Signal::TERM, Stop::Graceful), (Signal::INT, Stop::Fast), (Signal::QUIT, Stop::Graceful)]
    {
        let sinks = Sinks { events: Arc::new(|_| ()), exchanges: None };
        let gateway = Gateway::new(&config, snapshot(&config, 1), sinks, GatewayOptions::default()).unwrap();
        let address = gateway.addresses()[0];
        let running = tokio::task::spawn_blocking(|| gateway.run().unwrap());
        assert_eq!(request(address, get("/")).await.status, 200); // it serves, so it listens for signals
        kill_process(getpid(), signal).unwrap();
        assert_eq!(running.await.unwrap(), expected);
    }
}
