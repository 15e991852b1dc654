//! Corrupt segments, crashes in the middle of compaction, full disks, clocks that jump, readers during compaction.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bartizan_model::Timestamp;
use bartizan_store::{HealthState, Store, StoreOptions};

use crate::sample::{HOUR, START, at, count, event, files, open, query, segments};

const DAY: i64 = 24 * HOUR;

/// The wall clock moved by some microseconds.
fn clock_plus(micros: i64) -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    Timestamp::from_micros(i64::try_from(now).unwrap() + micros)
}

/// A store with `segments` segments of one hour, ten events each.
fn with_segments(directory: &Path, segments: u64) -> Store {
    let store = open(directory);
    for segment in 0..segments {
        store.append(&(0..10).map(|more| event(segment * 10 + more)).collect::<Vec<_>>());
        store.flush().unwrap();
    }
    store
}

#[test]
fn segments_with_a_broken_footer_are_put_aside_at_opening_and_named() {
    let directory = tempfile::tempdir().unwrap();
    drop(with_segments(directory.path(), 5));
    let paths = segments(directory.path());
    let bytes = fs::read(&paths[0]).unwrap();
    fs::write(&paths[0], &bytes[..bytes.len() / 2]).unwrap();
    fs::write(&paths[1], "").unwrap();
    fs::write(&paths[2], [&bytes[..bytes.len() - 200], &[0xff; 192], &bytes[bytes.len() - 8..]].concat()).unwrap();
    let store = open(directory.path());
    let health = store.health();
    assert_eq!((health.quarantined.len(), health.segments, count(&store)), (3, 2, 20));
    for (quarantined, path) in health.quarantined.iter().zip(&paths) {
        assert!(path.ends_with(quarantined.name.strip_suffix(".quarantined").unwrap()), "{quarantined:?}");
        assert!(!quarantined.reason.is_empty() && !path.exists());
    }
    drop(store);
    assert_eq!(open(directory.path()).health().quarantined, health.quarantined, "and it is still known later");
}

/// Overwrites all but the footer.
fn break_pages(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    // pages, footer, its length in four bytes, `PAR1`
    let tail = bytes.len() - 8;
    let footer = u32::from_le_bytes(bytes[tail..tail + 4].try_into().unwrap());
    bytes[4..tail - footer as usize].fill(0xa5);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_segment_whose_pages_are_broken_is_put_aside_by_the_query_that_finds_out() {
    let directory = tempfile::tempdir().unwrap();
    drop(with_segments(directory.path(), 3));
    let path = &segments(directory.path())[1];
    break_pages(path);
    let store = open(directory.path());
    assert_eq!(store.health().quarantined, []);
    let found = store.block_on(store.search(query(""))).unwrap();
    assert_eq!(found.items.len(), 20);
    let quarantined = store.health().quarantined;
    assert_eq!(quarantined.len(), 1);
    assert!(path.ends_with(quarantined[0].name.strip_suffix(".quarantined").unwrap()));
    assert!(!path.exists());
}

#[test]
fn a_reader_leaves_out_what_cannot_be_read_and_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let writer = with_segments(directory.path(), 4);
    let paths = segments(directory.path());
    let bytes = fs::read(&paths[0]).unwrap();
    fs::write(&paths[0], &bytes[..bytes.len() / 2]).unwrap();
    fs::write(&paths[1], "").unwrap();
    let reader = Store::open_read_only(directory.path()).unwrap();
    assert_eq!(count(&reader), 20);
    assert_eq!(reader.block_on(reader.search(query(""))).unwrap().items.len(), 20);
    let left_out = reader.left_out();
    assert_eq!((left_out.len(), reader.health().segments), (2, 2));
    assert_eq!(reader.health().quarantined, left_out);
    for (left_out, path) in left_out.iter().zip(&paths) {
        assert!(path.ends_with(&left_out.name) && path.exists() && !left_out.reason.is_empty(), "{left_out:?}");
    }
    drop((reader, writer));
}

#[test]
fn a_reader_goes_on_without_a_segment_whose_pages_are_broken() {
    let directory = tempfile::tempdir().unwrap();
    drop(with_segments(directory.path(), 3));
    break_pages(&segments(directory.path())[1]);
    let reader = Store::open_read_only(directory.path()).unwrap();
    assert_eq!(reader.block_on(reader.search(query(""))).unwrap().items.len(), 20);
    assert_eq!((reader.left_out().len(), count(&reader)), (1, 20));
}

#[test]
fn compaction_makes_one_sorted_segment_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for segment in [4, 2, 0, 3, 1] {
        store.append(&[event(segment * 10 + 5), event(segment * 10)]);
        store.append(&[at(START + 5 * HOUR + i64::try_from(segment).unwrap(), segment)]);
        store.flush().unwrap();
    }
    let before = store.block_on(store.search(query(""))).unwrap();
    store.maintain(clock_plus(0));
    assert_eq!(segments(directory.path()).len(), 10, "an hour that is being written to is left alone");
    store.maintain(clock_plus(HOUR));
    assert_eq!(segments(directory.path()).len(), 2);
    assert_eq!(store.block_on(store.search(query(""))).unwrap(), before);
    let sql = "SELECT path FROM events WHERE time < '2026-01-01T01:00:00Z'";
    let stored = store.block_on(store.sql(sql, bartizan_store::SqlLimits::default())).unwrap();
    let numbers = stored.rows.iter().map(|row| row[0].as_str().unwrap()["/users/".len()..].parse::<u64>().unwrap());
    assert!(numbers.is_sorted(), "rows lie in the order of time");
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.block_on(store.search(query(""))).unwrap(), before);
    assert_eq!(store.health().segments, 2);
}

#[test]
fn many_small_segments_of_a_running_hour_are_compacted() {
    let directory = tempfile::tempdir().unwrap();
    let store = with_segments(directory.path(), 50);
    store.maintain(clock_plus(0));
    assert_eq!(segments(directory.path()).len(), 1);
    assert_eq!(count(&store), 500);
    store.append(&[event(7777)]);
    store.flush().unwrap();
    store.maintain(clock_plus(HOUR));
    assert_eq!((segments(directory.path()).len(), count(&store)), (1, 501));
}

/// Files and their contents: what a crash leaves at one step of compaction.
type Files = Vec<(PathBuf, Vec<u8>)>;

/// Copies of the files before and after a compaction of three segments: (inputs, output).
fn before_and_after_compaction(directory: &Path) -> (Files, (PathBuf, Vec<u8>)) {
    let store = with_segments(directory, 3);
    let read = |path: &PathBuf| (path.clone(), fs::read(path).unwrap());
    let inputs = segments(directory).iter().map(read).collect();
    store.maintain(clock_plus(HOUR));
    drop(store);
    let output = read(&segments(directory)[0]);
    (inputs, output)
}

#[test]
fn a_crash_at_any_step_of_compaction_leaves_every_event_once() {
    let origin = tempfile::tempdir().unwrap();
    let (inputs, (path, output)) = before_and_after_compaction(origin.path());
    let temporary = path.with_extension("parquet.tmp");
    let with = |more: Files| -> Files { inputs.iter().cloned().chain(more).collect() };
    let renamed = vec![(path, output.clone())];
    let steps: [(&str, Files); 7] = [
        ("before anything", with(vec![])),
        ("temporary file made", with(vec![(temporary.clone(), vec![])])),
        ("temporary file half written", with(vec![(temporary.clone(), output[..output.len() / 2].to_vec())])),
        ("temporary file whole", with(vec![(temporary, output.clone())])),
        ("renamed", with(renamed.clone())),
        ("first input deleted", [inputs[1..].to_vec(), renamed.clone()].concat()),
        ("all inputs deleted", renamed),
    ];
    for (step, left) in steps {
        fs::remove_dir_all(origin.path().join("events")).unwrap();
        for (path, bytes) in &left {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let reader = Store::open_read_only(origin.path()).unwrap();
        assert_eq!(count(&reader), 30, "{step}: as a reader sees it");
        let store = open(origin.path());
        assert_eq!(count(&store), 30, "{step}");
        assert_eq!(store.health().quarantined, [], "{step}");
        store.append(&[event(1000)]);
        store.flush().unwrap();
        store.maintain(clock_plus(HOUR));
        drop(store);
        assert_eq!(files(origin.path()).len(), 1, "{step}: nothing is left over");
        assert_eq!(count(&open(origin.path())), 31, "{step}: and it goes on");
    }
}

#[test]
fn an_unreadable_output_of_a_crashed_compaction_gives_way_to_its_inputs() {
    let directory = tempfile::tempdir().unwrap();
    let (inputs, (path, output)) = before_and_after_compaction(directory.path());
    for (path, bytes) in &inputs {
        fs::write(path, bytes).unwrap();
    }
    fs::write(&path, &output[..output.len() - 20]).unwrap();
    let reader = Store::open_read_only(directory.path()).unwrap();
    assert_eq!((count(&reader), reader.left_out().len()), (30, 1));
    drop(reader);
    let store = open(directory.path());
    assert_eq!((count(&store), store.health().quarantined.len()), (30, 1));
}

#[test]
fn old_segments_go_by_when_they_were_written() {
    let directory = tempfile::tempdir().unwrap();
    let options =
        || StoreOptions { retention_secs: 7 * 24 * 3600, flush_interval_ms: 3_600_000, ..StoreOptions::default() };
    let store = Store::open(directory.path(), options()).unwrap();
    store.append(&[at(0, 1), at(START, 2), at(250_000_000_000_000_000, 3)]);
    store.flush().unwrap();
    store.maintain(clock_plus(6 * DAY));
    assert_eq!(count(&store), 3);
    store.maintain(clock_plus(8 * DAY));
    assert_eq!((count(&store), files(directory.path()).len(), store.health().bytes), (0, 0, 0));
    store.append(&[event(4)]);
    store.flush().unwrap();
    assert_eq!(count(&store), 1, "an hour whose directory has gone can be written again");
}

#[test]
fn a_clock_that_ran_ahead_does_not_keep_its_segments_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    drop(with_segments(directory.path(), 2));
    // the first segment as a clock of the year 2126 would have named it
    let first = &segments(directory.path())[0];
    let name = first.file_name().unwrap().to_str().unwrap();
    let mut parts: Vec<String> = name.split('_').map(str::to_owned).collect();
    parts[3] = format!("{:016x}", (clock_plus(100 * 365 * DAY).as_micros() as u64) ^ (1 << 63));
    fs::rename(first, first.with_file_name(parts.join("_"))).unwrap();
    let store = open(directory.path());
    store.maintain(clock_plus(29 * DAY));
    assert_eq!(count(&store), 20);
    store.maintain(clock_plus(31 * DAY));
    assert_eq!(count(&store), 0);
}

#[test]
fn the_oldest_segments_go_when_there_are_too_many_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let size = {
        let other = tempfile::tempdir().unwrap();
        with_segments(other.path(), 1).health().bytes
    };
    let options =
        StoreOptions { retention_bytes_max: size * 5 / 2, flush_interval_ms: 3_600_000, ..StoreOptions::default() };
    let store = Store::open(directory.path(), options).unwrap();
    for number in 0..5 {
        store.append(&(0..10).map(|more| event(number * 10 + more)).collect::<Vec<_>>());
        store.flush().unwrap();
    }
    store.maintain(clock_plus(0));
    let left = store.block_on(store.search(query(""))).unwrap().items;
    assert_eq!(left.len(), 20);
    assert_eq!(left[0].path, "/users/49");
    assert!(store.health().bytes <= size * 5 / 2);
}

#[test]
fn times_that_jump_back_are_kept_in_their_own_order() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for (number, time) in [START + 10 * HOUR, START, START - HOUR, START + 10 * HOUR + 1].into_iter().enumerate() {
        store.append(&[at(time, number as u64)]);
        store.flush().unwrap();
    }
    store.maintain(clock_plus(HOUR));
    let found = store.block_on(store.search(query(""))).unwrap().items;
    let paths: Vec<&str> = found.iter().map(|row| row.path.as_str()).collect();
    assert_eq!(paths, ["/users/3", "/users/0", "/users/1", "/users/2"]);
}

/// A failing disk: events are dropped and counted, the health says why, and all is well once it works again.
fn check_recovery(store: &Store, break_disk: impl FnOnce(), mend_disk: impl FnOnce()) {
    store.append(&[event(1)]);
    store.flush().unwrap();
    break_disk();
    store.append(&(0..20_000).map(event).collect::<Vec<_>>());
    assert!(store.flush().is_err());
    let health = store.health();
    assert_eq!((health.state, health.dropped, health.written), (HealthState::Error, 20_000, 1), "{health:?}");
    assert!(health.detail.starts_with("cannot "), "{}", health.detail);
    assert_eq!(count(store), 1, "what was kept can still be read");
    mend_disk();
    store.append(&[event(2)]);
    store.flush().unwrap();
    let health = store.health();
    assert_eq!((health.state, health.detail.as_str(), health.dropped), (HealthState::Ok, "", 20_000));
    assert_eq!((health.written, count(store)), (2, 2));
}

#[test]
fn a_directory_that_cannot_be_written_drops_events_counts_them_and_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.append(&[event(1)]);
    store.flush().unwrap();
    let day = directory.path().join("events/2026-01-02");
    fs::write(&day, "a file where a directory should be").unwrap();
    store.append(&[event(2), at(START + DAY, 3)]);
    assert!(store.flush().is_err());
    let health = store.health();
    assert_eq!((health.state, health.dropped, health.written), (HealthState::Error, 1, 2), "{health:?}");
    assert!(health.detail.starts_with("cannot create"), "{}", health.detail);
    assert_eq!(count(&store), 2);
    fs::remove_file(&day).unwrap();
    store.append(&[at(START + DAY, 4)]);
    store.flush().unwrap();
    assert_eq!((store.health().state, count(&store)), (HealthState::Ok, 3));
}

#[test]
fn a_full_disk_drops_events_counts_them_and_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let Some(mount) = Tmpfs::mount(&directory.path().join("small")) else {
        eprintln!("skipped: mounting a small tmpfs needs root and is not permitted here");
        return;
    };
    let filler = mount.path.join("filler");
    let store = open(&mount.path.join("data"));
    check_recovery(&store, || fill(&filler), || fs::remove_file(&filler).unwrap());
    assert_eq!(files(&mount.path.join("data")).len(), 2, "no temporary file is left");
    drop(store);
}

/// Writes to a file until the disk is full.
fn fill(path: &Path) {
    use std::io::Write;
    let mut file = fs::File::create(path).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
}

/// A file system of one mebibyte, unmounted when dropped.
struct Tmpfs {
    path: PathBuf,
}

impl Tmpfs {
    fn mount(path: &Path) -> Option<Self> {
        fs::create_dir(path).unwrap();
        let mount =
            std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(path).output();
        mount.is_ok_and(|output| output.status.success()).then(|| Self { path: path.to_owned() })
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let done = std::process::Command::new("umount").arg("-l").arg(&self.path).status();
        if !done.is_ok_and(|status| status.success()) {
            eprintln!("could not unmount {}", self.path.display());
        }
    }
}

#[test]
fn readers_see_every_event_once_while_segments_are_compacted_under_them() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.append(&[event(0)]);
    store.flush().unwrap();
    let (done, flushed) = (AtomicBool::new(false), AtomicU64::new(1));
    let watch = |reader: &Store| {
        let (mut rounds, mut last) = (0, 0);
        while !done.load(Ordering::SeqCst) || rounds < 3 {
            let least = flushed.load(Ordering::SeqCst);
            let found = count(reader);
            let page = reader.block_on(reader.search(query(""))).unwrap().items;
            assert!(found >= least && found >= last, "{found} of at least {least}, {last} before");
            assert!(page.is_sorted_by(|one, other| one.time > other.time), "an event twice, or out of order");
            assert!(page.len() as u64 >= found.min(1000));
            last = found;
            rounds += 1;
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| watch(&store));
        scope.spawn(|| watch(&Store::open_read_only(directory.path()).unwrap()));
        for round in 1..=60 {
            store.append(&(0..5).map(|more| event(round * 10 + more)).collect::<Vec<_>>());
            store.flush().unwrap();
            flushed.fetch_add(5, Ordering::SeqCst);
            store.maintain(clock_plus(HOUR));
        }
        done.store(true, Ordering::SeqCst);
    });
    assert_eq!((count(&store), segments(directory.path()).len()), (301, 1));
}
