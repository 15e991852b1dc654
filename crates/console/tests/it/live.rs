//! The live tail.

use std::io::BufRead;
use std::sync::Arc;

use serde_json::Value;

use crate::world::World;

/// The next message: its event name and data. Comments are skipped.
fn next(stream: &mut impl BufRead) -> (String, Value) {
    let (mut name, mut data) = (String::new(), String::new());
    for line in stream.by_ref().lines() {
        let line = line.unwrap();
        match line.split_once(": ") {
            Some(("event", word)) => name = word.to_owned(),
            Some(("data", text)) => data = text.to_owned(),
            Some(_) => {}
            None if line.is_empty() && !name.is_empty() => break,
            None => {}
        }
    }
    (name, serde_json::from_str(&data).unwrap())
}

#[test]
fn a_tail_shows_the_new_events_that_fit() {
    let world = World::new(100);
    let admin = world.admin();
    let (status, mut tail) = admin.stream("/events/live?q=method:DELETE");
    assert_eq!(status.as_u16(), 200);
    for event in &world.events {
        world.live.send(Arc::new(event.clone())).unwrap();
    }
    let deletes = world.events.iter().filter(|event| &*event.method == "DELETE");
    for event in deletes {
        let (name, row) = next(&mut tail);
        assert_eq!((name.as_str(), row["id"].as_str().unwrap()), ("exchange", event.id.to_string().as_str()));
        assert_eq!(row["method"], "DELETE");
    }
}

#[test]
fn a_reader_that_lags_is_told_how_much_it_missed() {
    let world = World::new(100);
    let admin = world.admin();
    let (_, mut tail) = admin.stream("/events/live");
    let event = Arc::new(world.events[0].clone());
    // fill every buffer between the server and a client that does not read: queue, sockets, broadcast channel
    for _ in 0..200_000 {
        world.live.send(Arc::clone(&event)).unwrap();
    }
    let mut seen = 0u64;
    let missed = loop {
        let (name, data) = next(&mut tail);
        match name.as_str() {
            "exchange" => seen += 1,
            _ => break data["missed"].as_u64().unwrap(),
        }
    };
    assert!(missed > 0 && seen + missed <= 200_000, "{seen} seen, {missed} missed");
}

#[test]
fn a_bad_term_and_a_tail_too_many_are_refused() {
    let world = World::new(0);
    let admin = world.admin();
    admin.get("/events/live?q=colour:red").expect(400);
    let tails: Vec<_> = (0..32).map(|_| admin.stream("/events/live")).collect();
    assert!(tails.iter().all(|(status, _)| status.as_u16() == 200));
    let refused = admin.get("/events/live").expect(429);
    assert!(!refused.header("retry-after").is_empty());
}
