//! kill -9 of a process that appends and compacts: the store opens, every segment is readable, at most a second is lost.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bartizan_model::Timestamp;
use bartizan_store::{SqlLimits, Store, StoreOptions};

use crate::sample::{at, files};

/// Set in the environment of the process that is killed: its data directory.
const CHILD: &str = "BARTIZAN_STORE_CRASH_CHILD";
const KILLS: usize = 20;
/// What the promise allows to be lost.
const LOSS_MICROS_MAX: i64 = 1_000_000;

fn wall_clock() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

/// The body of the process that is killed; an ordinary run of the tests passes through it at once.
#[test]
fn a_process_appends_until_it_is_killed() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let store = Store::open(Path::new(&directory), StoreOptions::default()).unwrap();
    let compacting = store.clone();
    // as if it were an hour later: every segment is due
    std::thread::spawn(move || {
        loop {
            compacting.maintain(Timestamp::from_micros(wall_clock() + 3_600_000_000));
        }
    });
    let mut number = u64::try_from(wall_clock()).unwrap();
    let mut out = std::io::stdout();
    loop {
        let time = wall_clock();
        let events: Vec<_> = (0..50).map(|more| at(time, number + more)).collect();
        store.append(&events);
        writeln!(out, "appended {time} {number}").unwrap();
        number += 50;
        std::thread::sleep(Duration::from_millis(4));
    }
}

fn spawn_child(directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "crash::a_process_appends_until_it_is_killed"])
        .env(CHILD, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lets a child append for a while and kills it. Gives when, and what it had appended: (time, first number).
fn append_and_kill(directory: &Path, how_long: Duration) -> (i64, Vec<(i64, u64)>) {
    let mut child = spawn_child(directory);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut appended, mut started) = (Vec::new(), None);
    while started.is_none_or(|started: Instant| started.elapsed() < how_long) {
        let line = lines.next().expect("the child lives until it is killed").unwrap();
        // the test harness writes lines too
        let Some(rest) = line.split("appended ").nth(1) else { continue };
        started.get_or_insert_with(Instant::now);
        let (time, number) = rest.split_once(' ').unwrap();
        appended.push((time.parse().unwrap(), number.parse().unwrap()));
    }
    let killed = wall_clock();
    child.kill().unwrap();
    child.wait().unwrap();
    (killed, appended)
}

#[test]
fn twenty_kills_lose_at_most_a_second_each_and_leave_every_segment_readable() {
    let directory = tempfile::tempdir().unwrap();
    let mut durable: Vec<(i64, u64)> = Vec::new();
    for kill in 0..KILLS {
        let how_long = Duration::from_millis(1_050 + 37 * kill as u64);
        let (killed, appended) = append_and_kill(directory.path(), how_long);
        durable.extend(appended.into_iter().filter(|(time, _)| *time < killed - LOSS_MICROS_MAX));
        let store = Store::open(directory.path(), StoreOptions::default()).unwrap();
        assert_eq!(store.health().quarantined, [], "kill {kill}");
        let leftovers: Vec<_> =
            files(directory.path()).into_iter().filter(|path| path.extension().unwrap() != "parquet").collect();
        assert_eq!(leftovers, Vec::<std::path::PathBuf>::new(), "kill {kill}");
        let limits = SqlLimits { rows_max: usize::MAX - 1, ..SqlLimits::default() };
        let table = store.block_on(store.sql("SELECT path FROM events", limits)).unwrap();
        let found: HashSet<u64> = table.rows.iter().map(|row| number_in(row[0].as_str().unwrap())).collect();
        assert_eq!(found.len(), table.rows.len(), "kill {kill}: no event twice");
        let lost: Vec<_> =
            durable.iter().filter(|(_, first)| (0..50).any(|more| !found.contains(&(first + more)))).collect();
        assert!(lost.is_empty(), "kill {kill} at {killed}: lost {lost:?}");
    }
    assert!(durable.len() > KILLS, "something was older than a second at each kill");
}

fn number_in(path: &str) -> u64 {
    path.strip_prefix("/users/").unwrap().parse().unwrap()
}
