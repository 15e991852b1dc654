//! Events: list, histogram, facets, one in full, SQL.

use serde_json::{Value, json};

use crate::client::Client;
use crate::world::World;

fn items(client: &Client, query: &str) -> Vec<Value> {
    client.get(&format!("/events?{query}")).expect(200).json["items"].as_array().unwrap().clone()
}

#[test]
fn events_are_listed_newest_first_and_paged_by_cursor() {
    let world = World::new(1000);
    let admin = world.admin();
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = admin.get(&format!("/events?limit=300{cursor}")).expect(200).json;
        let rows = page["items"].as_array().unwrap();
        assert!(rows.is_sorted_by(|a, b| a["time"].as_str() >= b["time"].as_str()));
        ids.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let mut played: Vec<String> = world.events.iter().map(|event| event.id.to_string()).collect();
    ids.sort();
    played.sort();
    assert_eq!(ids, played);
}

#[test]
fn a_filter_narrows_and_a_bad_one_names_its_term() {
    let world = World::new(1000);
    let admin = world.admin();
    let denied = items(&admin, "q=decision:deny%20applied:true&limit=1000");
    assert_eq!(denied.len(), 100);
    assert!(denied.iter().all(|row| row["method"] == "DELETE" && row["status"] == 405), "{}", denied[0]);
    assert_eq!(items(&admin, "q=method:GET%20-host:bank.example%20status:4xx&limit=1000").len(), 50);
    assert_eq!(items(&admin, "q=from=2026").len(), 0);
    let bad = admin.get("/events?q=colour:red").expect(400);
    assert!(bad.detail().contains("colour"), "{}", bad.detail());
    admin.get("/events?cursor=nonsense").expect(400);
    assert_eq!(items(&admin, "from=2026-01-31T11:59:00Z&limit=1000").len(), 16);
}

#[test]
fn the_histogram_partitions_the_requests() {
    let world = World::new(1000);
    let admin = world.admin();
    let histogram = admin.get("/events/histogram").expect(200).json;
    let buckets = histogram["buckets"].as_array().unwrap();
    let sum = |word: &str| buckets.iter().map(|bucket| bucket[word].as_u64().unwrap()).sum::<u64>();
    assert_eq!(["allowed", "observed", "denied", "errors"].map(sum), [700, 100, 100, 100]);
    let shop = admin.get("/events/histogram?q=host:shop.example%20decision:deny").expect(200).json;
    let observed: u64 =
        shop["buckets"].as_array().unwrap().iter().map(|bucket| bucket["observed"].as_u64().unwrap()).sum();
    assert_eq!(observed, 100);
}

#[test]
fn facets_count_the_most_frequent_values() {
    let world = World::new(1000);
    let admin = world.admin();
    let facets = admin.get("/events/facets?fields=method,status&q=host:bank.example").expect(200).json;
    let methods = facets["method"].as_array().unwrap();
    assert_eq!(methods[0], json!({"value": "GET", "count": 300}));
    assert_eq!(facets["status"].as_array().unwrap().len(), 3);
    admin.get("/events/facets?fields=").expect(400);
    admin.get("/events/facets?fields=colour").expect(400);
    admin.get("/events/facets").expect(400);
}

#[test]
fn one_event_is_shown_as_stored_with_what_its_checks_mean() {
    let world = World::new(100);
    let admin = world.admin();
    let denied = world.events.iter().find(|event| event.decision.applied).unwrap();
    let shown = admin.get(&format!("/events/{}", denied.id)).expect(200).json;
    let mut expected = serde_json::to_value(denied).unwrap();
    let check = denied.decision.check.as_ref().unwrap().as_str();
    let note = &shown["checks"][check];
    assert!(note["why"].as_str().is_some_and(|why| !why.is_empty()), "{shown}");
    expected["checks"] = shown["checks"].clone();
    assert_eq!(shown, expected);
    admin.get("/events/00000000000000000000000000000000").expect(404);
    admin.get("/events/not-an-id").expect(404);
}

#[test]
fn sql_reads_the_events_and_nothing_else() {
    let world = World::new(100);
    let admin = world.admin();
    let sql = |text: &str| admin.post("/sql", &json!({"sql": text}));
    let table = sql("SELECT host, count(*) AS n FROM events GROUP BY host ORDER BY host").expect(200).json;
    assert_eq!(table["rows"], json!([["bank.example", 50], ["shop.example", 50]]));
    assert_eq!(table["columns"][1], json!({"name": "n", "type": "integer"}));
    for refused in [
        "DELETE FROM events",
        "DROP TABLE events",
        "INSERT INTO events SELECT * FROM events",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "COPY events TO '/tmp/out.csv'",
        "SET datafusion.execution.batch_size = 1",
        "SELECT * FROM users",
        "SELECT FROM WHERE",
        "",
    ] {
        let answer = sql(refused).expect(400);
        assert!(!answer.detail().is_empty(), "{refused}");
    }
    let cut = admin.post("/sql", &json!({"sql": "SELECT id FROM events", "limit": 7})).expect(200).json;
    assert_eq!((cut["rows"].as_array().unwrap().len(), &cut["truncated"]), (7, &json!(true)));
}
