//! SQL for analysts: what it answers, and what it refuses.

use bartizan_store::{Error, SqlLimits, Store, StoreOptions, Table};
use serde_json::json;

use crate::sample::{denied, event, open};

fn sql(store: &Store, text: &str) -> Result<Table, Error> {
    store.block_on(store.sql(text, SqlLimits::default()))
}

fn store_with_events(directory: &std::path::Path) -> Store {
    let store = open(directory);
    store.append(&[event(1), event(2), denied(event(3), true)]);
    store.flush().unwrap();
    store.append(&[event(4)]);
    store
}

#[test]
fn a_select_answers_with_names_types_and_values() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_with_events(directory.path());
    let text = "SELECT time, method, status, applied, check, duration_us / 2.0 AS half, string_to_array(checks, ',') AS list \
                FROM events WHERE decision = 'deny'";
    let table = sql(&store, text).unwrap();
    let columns: Vec<_> = table.columns.iter().map(|column| (column.name.as_str(), column.kind.as_str())).collect();
    let expected = [
        ("time", "time"),
        ("method", "text"),
        ("status", "integer"),
        ("applied", "boolean"),
        ("check", "text"),
        ("half", "number"),
        ("list", "list"),
    ];
    assert_eq!(columns, expected);
    let row = json!(["2026-01-01T00:00:00.000003Z", "GET", 403, true, "ACC-101", 501.5, ["ACC-101", "LIM-101"]]);
    assert_eq!(json!(table.rows), json!([row]));
    assert!(!table.truncated);
}

#[test]
fn time_ranges_grouping_and_describing_work_as_analysts_write_them() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_with_events(directory.path());
    for (text, rows) in [
        (
            "SELECT count(*) FROM events WHERE time >= '2026-01-01T00:00:00.000002Z' AND time < '2026-01-02'",
            json!([[3]]),
        ),
        ("SELECT count(*) FROM events WHERE time > now()", json!([[0]])),
        ("SELECT count(*) FROM events", json!([[4]])),
        (
            "SELECT date_trunc('hour', time) AS hour, status / 100 AS class, count(*) AS n FROM events GROUP BY 1, 2 ORDER BY 2",
            json!([["2026-01-01T00:00:00.000000Z", 2, 3], ["2026-01-01T00:00:00.000000Z", 4, 1]]),
        ),
        (
            "WITH slow AS (SELECT * FROM events WHERE duration_us > 1002) SELECT path FROM slow ORDER BY path LIMIT 1",
            json!([["/users/3"]]),
        ),
        ("SELECT host FROM events WHERE path LIKE '/users/%' AND auth = 'jwt' LIMIT 1", json!([["api.example"]])),
    ] {
        assert_eq!(json!(sql(&store, text).unwrap().rows), rows, "{text}");
    }
    assert!(sql(&store, "DESCRIBE events").unwrap().rows.iter().any(|row| row[0] == "duration_us"));
    assert!(sql(&store, "SHOW TABLES").unwrap().rows.iter().any(|row| row.contains(&json!("events"))));
    assert!(!sql(&store, "EXPLAIN SELECT * FROM events").unwrap().rows.is_empty());
}

#[test]
fn nothing_but_reading_events_is_possible() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_with_events(directory.path());
    let target = directory.path().join("out.csv");
    std::fs::write(directory.path().join("secret.csv"), "a\n1\n").unwrap();
    let (out, secret) = (target.display(), directory.path().join("secret.csv"));
    let secret = secret.display();
    let attacks = [
        format!("COPY events TO '{out}' STORED AS CSV"),
        format!("COPY (SELECT * FROM events) TO '{out}'"),
        format!("EXPLAIN ANALYZE COPY (SELECT * FROM events) TO '{out}' STORED AS CSV"),
        format!("EXPLAIN COPY (SELECT * FROM events) TO '{out}' STORED AS CSV"),
        format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{secret}'"),
        format!("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{}'", directory.path().join("events/").display()),
        format!("SELECT * FROM '{secret}'"),
        format!("SELECT * FROM \"{secret}\""),
        format!("SELECT * FROM \"file://{secret}\""),
        format!("SELECT * FROM read_csv('{secret}')"),
        "CREATE TABLE t AS SELECT 1".to_owned(),
        "CREATE VIEW v AS SELECT 1".to_owned(),
        "SELECT * INTO t FROM events".to_owned(),
        "INSERT INTO events SELECT * FROM events".to_owned(),
        "WITH x AS (SELECT 1) INSERT INTO events SELECT * FROM events".to_owned(),
        "DELETE FROM events".to_owned(),
        "UPDATE events SET status = 200".to_owned(),
        "DROP TABLE events".to_owned(),
        "TRUNCATE TABLE events".to_owned(),
        "SET datafusion.execution.target_partitions = 64".to_owned(),
        "RESET datafusion.execution.target_partitions".to_owned(),
        "PREPARE p AS SELECT 1".to_owned(),
        "EXECUTE p".to_owned(),
        "BEGIN".to_owned(),
        "SELECT 1; DROP TABLE events".to_owned(),
        "CREATE FUNCTION f() RETURNS INT RETURN 1".to_owned(),
        "ATTACH DATABASE 'state.db' AS s".to_owned(),
        "SELECT * FROM state.db".to_owned(),
        "SELECT * FROM users".to_owned(),
        String::new(),
        "SELEC".to_owned(),
        "SELECT nothing FROM events".to_owned(),
        "SELECT ".repeat(20_000),
        format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000)),
    ];
    for attack in &attacks {
        let error = sql(&store, attack).expect_err(attack);
        let shown: String = attack.chars().take(80).collect();
        assert!(error.is_query_fault(), "{shown}: {error:?}");
        assert!(!error.to_string().contains(&directory.path().join("events").display().to_string()), "{error}");
    }
    assert!(!target.exists());
    assert_eq!(crate::sample::count(&store), 4, "nothing has changed");
}

#[test]
fn a_result_is_cut_at_the_row_limit() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_with_events(directory.path());
    let limits = |rows_max| SqlLimits { rows_max, ..SqlLimits::default() };
    let table = store.block_on(store.sql("SELECT id FROM events", limits(2))).unwrap();
    assert_eq!((table.rows.len(), table.truncated), (2, true));
    let table = store.block_on(store.sql("SELECT id FROM events", limits(4))).unwrap();
    assert_eq!((table.rows.len(), table.truncated), (4, false));
}

#[test]
fn an_endless_query_is_stopped_in_time_and_a_huge_one_for_its_memory() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_with_events(directory.path());
    let limits = SqlLimits { rows_max: 10, timeout_ms: 300 };
    let endless = [
        "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 100000000) b WHERE a.value + b.value = 7",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t",
    ];
    for text in endless {
        let error = store.block_on(store.sql(text, limits)).expect_err(text);
        assert!(matches!(error, Error::TimedOut { .. } | Error::OutOfMemory), "{text}: {error:?}");
    }
    drop(store);
    let small = StoreOptions { query_memory_bytes: 1 << 20, ..StoreOptions::default() };
    let store = Store::open(directory.path(), small).unwrap();
    let huge =
        "SELECT value * 7919 % 100003 AS n, count(*) FROM generate_series(1, 200000) GROUP BY n ORDER BY 2 LIMIT 1";
    let error = sql(&store, huge).unwrap_err();
    assert!(matches!(error, Error::OutOfMemory), "{error:?}");
    assert_eq!(crate::sample::count(&store), 4, "the next query runs");
}

/// A statement with a chain of some length.
type Chain = fn(usize) -> String;

/// Chains that make a tree as deep as they are long.
const CHAINS: &[(&str, Chain)] = &[
    ("sum", |n| format!("SELECT 1{}", "+1".repeat(n))),
    ("sum of a column", |n| format!("SELECT status{} FROM events", "+status".repeat(n))),
    ("or", |n| format!("SELECT * FROM events WHERE status = 1{}", " OR status = 2".repeat(n))),
    ("and", |n| format!("SELECT * FROM events WHERE true{}", " AND applied".repeat(n))),
    ("concatenation", |n| format!("SELECT path{} FROM events", "||path".repeat(n))),
    ("union", |n| format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(n))),
    ("union of events", |n| format!("SELECT path FROM events{}", " UNION SELECT path FROM events".repeat(n))),
    ("except", |n| format!("SELECT 1{}", " EXCEPT SELECT 2".repeat(n))),
    ("not", |n| format!("SELECT {}true", "NOT ".repeat(n))),
    ("minus", |n| format!("SELECT {}1", "- ".repeat(n))),
    ("case", |n| format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(n), " END".repeat(n))),
    ("when", |n| format!("SELECT CASE{} END FROM events", " WHEN applied THEN 1".repeat(n))),
    ("call", |n| format!("SELECT {}path{} FROM events", "lower(".repeat(n), ")".repeat(n))),
    ("brackets", |n| format!("SELECT {}1{}", "(".repeat(n), ")".repeat(n))),
    ("subquery", |n| format!("{}SELECT 1{}", "SELECT * FROM (".repeat(n), ")".repeat(n))),
    ("with", |n| {
        format!(
            "WITH t0 AS (SELECT 1 AS x){} SELECT x FROM t{n}",
            (1..=n).map(|i| format!(", t{i} AS (SELECT x FROM t{})", i - 1)).collect::<String>()
        )
    }),
    ("is", |n| format!("SELECT applied{} FROM events", " IS NULL".repeat(n))),
    ("cast", |n| format!("SELECT path{} FROM events", "::text".repeat(n))),
    ("zone", |n| format!("SELECT time{} FROM events", " AT TIME ZONE 'UTC'".repeat(n))),
    ("index", |n| format!("SELECT path{} FROM events", "[1]".repeat(n))),
    ("like", |n| format!("SELECT path{} FROM events", " LIKE 'a'".repeat(n))),
    ("between", |n| format!("SELECT applied{} FROM events", " BETWEEN false AND true".repeat(n))),
    ("coalesce", |n| format!("SELECT {}path{} FROM events", "coalesce(".repeat(n), ", 'a')".repeat(n))),
    ("nullif", |n| format!("SELECT {}path{} FROM events", "nullif(".repeat(n), ", 'a')".repeat(n))),
    ("in", |n| format!("SELECT applied{} FROM events", " IN (true, applied)".repeat(n))),
    ("distinct", |n| format!("SELECT applied{} FROM events", " IS DISTINCT FROM true".repeat(n))),
    ("collate", |n| format!("SELECT path{} FROM events", " COLLATE c".repeat(n))),
    ("cross join", |n| {
        format!("SELECT 1 FROM (SELECT 1) a0{}", (0..n).map(|i| format!(", (SELECT 1) b{i}")).collect::<String>())
    }),
    ("table list", |n| {
        format!("SELECT 1 FROM events a0{} LIMIT 1", (0..n).map(|i| format!(", events b{i}")).collect::<String>())
    }),
    ("explain", |n| format!("{}SELECT 1", "EXPLAIN ".repeat(n))),
];

fn is_refused_for_its_length(answer: &Result<Table, Error>) -> bool {
    matches!(answer, Err(Error::Query(text)) if text.contains("more than the ") && text.contains(" allowed; "))
}

#[test]
fn a_chain_as_long_as_allowed_is_answered_and_a_longer_one_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_with_events(directory.path());
    let limits = SqlLimits { rows_max: 10, timeout_ms: 5000 };
    let run = |text: &str| store.block_on(store.sql(text, limits));
    for (name, chain) in CHAINS {
        let too_long = run(&chain(2000));
        assert!(is_refused_for_its_length(&too_long), "{name}: {too_long:?}");
        let longest = (1..=201).rev().map(|n| run(&chain(n))).find(|answer| !is_refused_for_its_length(answer));
        let longest = longest.unwrap_or_else(|| panic!("{name}: no length is allowed"));
        assert!(longest.as_ref().err().is_none_or(Error::is_query_fault), "{name}: {longest:?}");
    }
    assert!(is_refused_for_its_length(&run(&format!("SELECT 1{}", "+1".repeat(4000)))));
    assert_eq!(crate::sample::count(&store), 4, "the next query runs");
}

#[test]
fn long_lists_are_not_deep() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_with_events(directory.path());
    let list = ", 200".repeat(10_000);
    let answer = sql(&store, &format!("SELECT count(*) FROM events WHERE status IN (403{list})")).unwrap();
    assert_eq!(json!(answer.rows), json!([[4]]));
    sql(&store, &format!("SELECT coalesce(1{list})")).unwrap();
    sql(&store, &format!("SELECT status{} FROM events", ", status".repeat(500))).unwrap_err();
    assert!(is_refused_for_its_length(&sql(
        &store,
        &format!("SELECT 1 FROM events WHERE status IN (1){}", " OR 1 IN (1)".repeat(100))
    )));
}

#[test]
fn the_largest_filters_are_answered_and_larger_ones_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_with_events(directory.path());
    let search = |q: String| store.block_on(store.search(crate::sample::query(&q)));
    for q in [
        "a ".repeat(64),
        "-a ".repeat(64),
        "path:a,*b*c*d*,e,f,g,h,*i,j*,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z,*,** ".repeat(50),
        format!("path:*{}", "a*".repeat(2000)),
    ] {
        assert!(search(q.clone()).unwrap().items.len() <= 4, "{q}");
    }
    for q in ["a ".repeat(65), "a ".repeat(2000), "a ".repeat(200_000), format!("status:1{}", ",1".repeat(64))] {
        assert!(matches!(search(q), Err(Error::Query(_))));
    }
}

#[test]
fn what_is_refused_is_named_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_with_events(directory.path());
    for (text, said) in [
        ("EXPLAIN ANALYZE COPY events TO 'x.csv'", "`COPY` is not allowed: only SELECT"),
        ("EXPLAIN DROP TABLE events", "`DROP` is not allowed"),
        ("DELETE FROM events", "`DELETE` is not allowed"),
        ("SELEC", "the SQL cannot be read: Expected: an SQL statement, found: SELEC"),
        ("SELECT 'a", "the SQL cannot be read: Unterminated string literal"),
    ] {
        let error = sql(&store, text).unwrap_err().to_string();
        assert!(error.starts_with(said), "{text}: {error}");
    }
}

#[test]
fn functions_that_make_much_out_of_little_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_with_events(directory.path());
    for (name, text) in [
        ("repeat", "SELECT length(repeat('a', 200000000))"),
        ("lpad", "SELECT length(lpad('a', 200000000, 'b'))"),
        ("rpad", "SELECT length(rpad(path, 200000000)) FROM events"),
        ("range", "SELECT cardinality(range(1, 200000000))"),
        ("generate_series", "SELECT cardinality(generate_series(1, 200000000))"),
        ("array_repeat", "SELECT cardinality(array_repeat('a', 200000000))"),
        ("list_repeat", "SELECT cardinality(list_repeat('a', 200000000))"),
        ("array_resize", "SELECT cardinality(array_resize(string_to_array('a', 'b'), 200000000))"),
        ("array_to_string", "SELECT array_to_string(string_to_array(path, NULL), 'aaaaaaaaaa') FROM events"),
        ("array_concat", "SELECT array_concat(string_to_array(path, '/'), string_to_array(path, '/')) FROM events"),
        ("arrow_cast", "SELECT arrow_cast(NULL, 'FixedSizeBinary(2000000000)')"),
        ("make_array", "SELECT make_array(path, path) FROM events"),
        ("[…]", "SELECT [path, path] FROM events"),
    ] {
        let error = sql(&store, text).expect_err(text);
        assert!(matches!(error, Error::Refused(_)), "{text}: {error:?}");
        assert!(error.to_string().starts_with(&format!("`{name}` is not available")), "{text}: {error}");
    }
}

#[test]
fn text_cannot_be_grown_without_end_by_joining_and_replacing() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_with_events(directory.path());
    let doubled = |join: &str| {
        let steps: String = (1..=18).map(|i| format!(", t{i} AS (SELECT {join} AS s FROM t{})", i - 1)).collect();
        format!("WITH t0 AS (SELECT '{}' AS s){steps} SELECT length(s) FROM t18", "a".repeat(1024))
    };
    let thousand = "b".repeat(1000);
    let replaced = |name: &str, flags: &str| {
        format!("SELECT length({name}({name}('{thousand}', 'b', '{thousand}'{flags}), 'b', '{thousand}'{flags}))")
    };
    for (name, text) in [
        ("||", doubled("s || s")),
        ("concat", doubled("concat(s, s)")),
        ("concat_ws", doubled("concat_ws('', s, s)")),
        ("||", doubled("s || s").replace("' AS s)", "' || path AS s FROM events)")),
        ("replace", replaced("replace", "")),
        ("regexp_replace", replaced("regexp_replace", ", 'g'")),
    ] {
        let error = sql(&store, &text).expect_err(&text);
        assert!(error.to_string().starts_with(&format!("`{name}` would make more than")), "{name}: {error}");
    }
    let long = format!("SELECT '{}'", "a".repeat(1025));
    assert!(sql(&store, &long).unwrap_err().to_string().contains("longer than 1024 bytes"));
}

#[test]
fn text_is_joined_and_replaced_as_in_any_sql() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_with_events(directory.path());
    for (text, rows) in [
        ("SELECT method || ' ' || path FROM events ORDER BY path LIMIT 1", json!([["GET /users/1"]])),
        ("SELECT status || '!' AS s, 'a' || NULL FROM events LIMIT 1", json!([["200!", null]])),
        ("SELECT concat(method, ' ', NULL, status) FROM events LIMIT 1", json!([["GET 200"]])),
        ("SELECT concat_ws('/', 'a', host) FROM events LIMIT 1", json!([["a/api.example"]])),
        ("SELECT replace(path, '/users', '/u') FROM events ORDER BY path LIMIT 1", json!([["/u/1"]])),
        (
            "SELECT regexp_replace(path, '[0-9]+', '{id}') AS p, count(*) FROM events GROUP BY p",
            json!([["/users/{id}", 4]]),
        ),
        ("SELECT [1, 2]", json!([[[1, 2]]])),
    ] {
        assert_eq!(json!(sql(&store, text).unwrap().rows), rows, "{text}");
    }
    assert_eq!(
        sql(&store, "SELECT method || path FROM events").unwrap().columns[0].name,
        "events.method || events.path"
    );
}
