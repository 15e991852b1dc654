//! Properties of the meters and the table, on a virtual clock.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::table::{Fingerprint, Slot, Table};
use super::{CLOCK_STEP_US, Meter, Period};

const SECOND: u64 = 1_000_000;
const BEGIN: u64 = 1_767_225_600 * SECOND + 123;
const WINDOW: u64 = 10 * SECOND;

fn key(number: u64) -> Fingerprint {
    Fingerprint::new(u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64 | u128::from(number))
}

/// Pauses that an adversary would choose: none, just before and just after a boundary of a bucket or a window.
fn pause() -> impl Strategy<Value = u64> {
    let bucket = WINDOW.div_ceil(60);
    prop_oneof![
        4 => Just(0u64),
        4 => 1u64..1000,
        2 => bucket - 2..bucket + 2,
        2 => WINDOW - bucket - 2..WINDOW - bucket + 2,
        2 => WINDOW - 2..WINDOW + 2,
        1 => 0..3 * WINDOW,
    ]
}

/// Most that was admitted in any half-open window.
fn most(admitted: &[(u64, u64)], window: u64) -> u64 {
    (0..admitted.len())
        .map(|first| {
            let within = admitted[first..].iter().take_while(|(time, _)| *time < admitted[first].0 + window);
            within.map(|(_, amount)| amount).sum()
        })
        .max()
        .unwrap_or_default()
}

/// What a meter admits of arrivals: pauses, amounts, and steps back of its clock.
fn admitted(meter: &Meter, arrivals: &[(u64, u64, u64)]) -> Vec<(u64, u64)> {
    let table = Table::new(meter.clone(), 1000);
    let mut time = BEGIN + 100_000 * SECOND;
    let mut back = 0;
    let mut admitted = Vec::new();
    for (pause, amount, step) in arrivals {
        time += pause;
        back += step;
        let taken = table.take(key(1), time - back, *amount, false);
        if taken.is_admitted {
            admitted.push((time, *amount));
        }
    }
    admitted
}

/// Arrivals, a few of which step the clock back.
fn arrivals() -> impl Strategy<Value = Vec<(u64, u64, u64)>> {
    let step = prop_oneof![60 => Just(0u64), 1 => 1..SECOND, 1 => 0..70 * SECOND, 1 => Just(1000 * SECOND)];
    proptest::collection::vec((pause(), 1u64..5, step), 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_window_never_admits_more_than_its_limit_whatever_the_clock_does(arrivals in arrivals(), limit in 1u64..200) {
        let most = most(&admitted(&Meter::window(limit, WINDOW), &arrivals), WINDOW);
        prop_assert!(most <= limit, "{} of {}", most, limit);
    }

    #[test]
    fn a_large_window_never_admits_more_than_its_limit(arrivals in arrivals(), limit in 1u64..40, scale in 1u64..3) {
        let scale = [1u64, 10_000, 1_000_000_000][scale as usize];
        let large: Vec<_> = arrivals.iter().map(|(pause, amount, step)| (*pause, amount * scale, *step)).collect();
        let most = most(&admitted(&Meter::volume(limit * scale, WINDOW), &large), WINDOW);
        prop_assert!(most <= limit * scale, "{} of {}", most, limit * scale);
    }

    #[test]
    fn a_pace_never_admits_more_than_requests_and_burst(
        arrivals in arrivals(), requests in 1u64..100, burst in 1u64..50,
    ) {
        let most = most(&admitted(&Meter::gcra(requests, WINDOW, burst), &arrivals), WINDOW);
        prop_assert!(most <= requests + burst, "{} of {} + {}", most, requests, burst);
    }

    #[test]
    fn a_calendar_window_admits_exactly_its_limit(
        arrivals in proptest::collection::vec(0..WINDOW / 4, 1..400), limit in 1u64..30, start in -50i64..50,
    ) {
        let period = Period::Every { length_us: WINDOW, start_us: start * SECOND as i64 };
        let table = Table::new(Meter::calendar(limit, period), 1000);
        let (mut asked, mut given) = (BTreeMap::<i64, u64>::new(), BTreeMap::<i64, u64>::new());
        let mut time = BEGIN;
        for pause in arrivals {
            time += pause;
            let window = (time as i64 - start * SECOND as i64).div_euclid(WINDOW as i64);
            *asked.entry(window).or_default() += 1;
            *given.entry(window).or_default() += u64::from(table.take(key(1), time, 1, false).is_admitted);
        }
        for (window, asked) in asked {
            prop_assert_eq!(given[&window], asked.min(limit));
        }
    }

    #[test]
    fn what_is_given_back_was_never_taken(arrivals in arrivals(), limit in 1u64..100, which in 0usize..5) {
        let meter = [
            Meter::gcra(limit, WINDOW, 5),
            Meter::window(limit, WINDOW),
            Meter::volume(limit, WINDOW),
            Meter::calendar(limit, Period::Month),
            Meter::in_flight(limit),
        ][which].clone();
        let (touched, plain) = (Table::new(meter.clone(), 1000), Table::new(meter, 1000));
        let mut time = BEGIN;
        for (pause, amount, _) in arrivals {
            time += pause;
            let given = touched.take(key(1), time, amount, false);
            if given.is_admitted {
                touched.give_back(key(1), given.slot, time, amount);
            }
            prop_assert_eq!(touched.take(key(1), time, amount, false), plain.take(key(1), time, amount, false));
        }
    }

    #[test]
    fn who_is_told_to_wait_is_admitted_after_it_and_not_before(
        arrivals in arrivals(), limit in 1u64..100, which in 0usize..4,
    ) {
        let meter = [
            Meter::gcra(limit, WINDOW, 5),
            Meter::window(limit, WINDOW),
            Meter::volume(limit, WINDOW),
            Meter::calendar(limit, Period::Month),
        ][which].clone();
        let mut state = vec![0; meter.words()];
        let mut time = BEGIN;
        for (pause, amount, _) in arrivals {
            time += pause;
            meter.settle(&mut state, time);
            if meter.remaining(&state, time) >= amount {
                meter.add(&mut state, time, amount);
                continue;
            }
            let wait = meter.wait(&state, time, amount);
            prop_assert_eq!(wait == u64::MAX, amount > [5, limit, limit, limit][which]);
            if wait < u64::MAX {
                prop_assert!(wait > 0);
                for (at, fits) in [(time + wait - 1, false), (time + wait, true)] {
                    let mut later = state.clone();
                    meter.settle(&mut later, at);
                    prop_assert_eq!(meter.remaining(&later, at) >= amount, fits);
                }
            }
        }
    }

    #[test]
    fn after_a_step_back_nobody_waits_longer_than_a_window_and_a_minute(
        taken in 1u64..200, limit in 1u64..100, back in 1u64..100_000 * SECOND, which in 0usize..3,
    ) {
        let meter = [Meter::gcra(limit, WINDOW, limit), Meter::window(limit, WINDOW), Meter::volume(limit, WINDOW)];
        let table = Table::new(meter[which].clone(), 1000);
        let time = BEGIN + 200_000 * SECOND;
        (0..taken).for_each(|_| table.add(key(1), time, 1));
        let now = time - back;
        table.peek(key(1), now);
        let later = now + WINDOW + WINDOW.div_ceil(60) + 1 + CLOCK_STEP_US;
        prop_assert_eq!(table.peek(key(1), later).remaining, limit);
    }

    #[test]
    fn the_table_counts_each_key_as_if_it_were_alone(
        asks in proptest::collection::vec((0u64..300, prop_oneof![8 => Just(0u64), 4 => 1u64..1000, 1 => 0..2 * WINDOW]), 1..2000),
        limit in 1u64..100,
    ) {
        let meter = Meter::window(limit, WINDOW);
        let table = Table::new(meter.clone(), 100_000);
        let mut alone: HashMap<u64, Vec<u64>> = HashMap::new();
        let mut time = BEGIN;
        for (number, pause) in asks {
            time += pause;
            let state = alone.entry(number).or_insert_with(|| vec![0; meter.words()]);
            meter.settle(state, time);
            let fits = meter.remaining(state, time) > 0;
            if fits {
                meter.add(state, time, 1);
            }
            prop_assert_eq!(table.take(key(number), time, 1, false).is_admitted, fits);
        }
        prop_assert_eq!(table.overflowed(), 0);
    }
}

/// Arrivals of a Poisson process.
fn poisson(rate_per_us: f64, count: usize, seed: u64) -> Vec<u64> {
    let mut state = seed;
    let mut time = BEGIN as f64;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let uniform = ((state >> 11) as f64 + 1.0) / (1u64 << 53) as f64;
            time -= uniform.ln() / rate_per_us;
            time as u64
        })
        .collect()
}

/// How many an exact count of each admission would let through.
fn exact(arrivals: &[u64], limit: usize, window: u64) -> usize {
    let mut admitted: Vec<u64> = Vec::new();
    for time in arrivals {
        let oldest = admitted.len().checked_sub(limit).map(|at| admitted[at]);
        if oldest.is_none_or(|oldest| time - oldest >= window) {
            admitted.push(*time);
        }
    }
    admitted.len()
}

#[test]
fn sub_buckets_admit_nearly_what_exact_counting_does() {
    for (limit, load) in [(100, 0.9), (100, 1.0), (100, 1.2), (100, 1.5), (1000, 1.0), (1000, 1.5), (70_000, 1.2)] {
        let arrivals = poisson(load * limit as f64 / (60 * SECOND) as f64, (limit * 40).min(400_000), 7);
        let table = Table::new(Meter::volume(limit as u64, 60 * SECOND), 1000);
        let ours = arrivals.iter().filter(|time| table.take(key(1), **time, 1, false).is_admitted).count();
        let part = ours as f64 / exact(&arrivals, limit, 60 * SECOND) as f64;
        assert!((0.98..=1.0).contains(&part), "{limit} at {load}: {part}");
    }
}

#[test]
fn the_log_admits_exactly_what_exact_counting_does() {
    for limit in [1, 5, 64] {
        let arrivals = poisson(1.3 * limit as f64 / (60 * SECOND) as f64, limit * 200, 3);
        let table = Table::new(Meter::window(limit as u64, 60 * SECOND), 1000);
        let ours = arrivals.iter().filter(|time| table.take(key(1), **time, 1, false).is_admitted).count();
        assert_eq!(ours, exact(&arrivals, limit, 60 * SECOND), "{limit}");
    }
}

#[test]
fn a_window_of_a_month_keeps_its_limit_with_longer_ticks() {
    let month = 30 * 86_400 * SECOND;
    let table = Table::new(Meter::window(3, month), 1000);
    (0..3).for_each(|at| assert!(table.take(key(1), BEGIN + at, 1, false).is_admitted));
    assert!(!table.take(key(1), BEGIN + month - 1, 1, false).is_admitted);
    assert!(table.take(key(1), BEGIN + month + SECOND, 1, false).is_admitted);
}

#[test]
fn a_flood_of_keys_resets_nobody_and_shares_one_limit() {
    let table = Table::new(Meter::window(5, WINDOW), 1000);
    let victim = key(u64::MAX);
    (0..5).for_each(|_| assert!(table.take(victim, BEGIN, 1, false).is_admitted));
    let admitted = (0..200_000).filter(|number| table.take(key(*number), BEGIN + number / 100, 1, false).is_admitted);
    let admitted = admitted.count() as u64;
    assert!(!table.take(victim, BEGIN + 2000, 1, false).is_admitted, "the victim's count is as it was");
    let (keys, bytes) = table.size();
    assert!(keys <= 256 * 13 && bytes < 400_000, "{keys} keys in {bytes} bytes");
    assert!(admitted <= keys + 256 * 5, "{admitted}: beyond the table's keys there is one limit in each shard");
    assert!(table.overflowed() > 190_000);
}

#[test]
fn who_leaves_the_overflow_takes_its_counts_along() {
    let table = Table::new(Meter::window(5, WINDOW), 1);
    let mut stranger = 0;
    while table.overflowed() == 0 {
        stranger += 256; // all in one shard
        table.take(key(stranger), BEGIN, 1, false);
    }
    let late = key(stranger);
    let mut admitted = 1;
    admitted += (0..10).filter(|_| table.take(late, BEGIN + SECOND, 1, false).is_admitted).count();
    assert_eq!((admitted, table.take(late, BEGIN + SECOND, 1, false).slot), (5, Slot::Overflow));
    // The first keys have expired and make room; what was counted in the overflow has not.
    let taken = table.take(late, BEGIN + WINDOW + SECOND / 2, 1, false);
    assert_eq!((taken.slot, taken.remaining), (Slot::Own, 0), "one left the window: the first, of the shared five");
}

#[test]
fn what_has_expired_makes_room() {
    let table = Table::new(Meter::gcra(1, SECOND, 1), 100_000);
    for round in 0..50 {
        (0..1000).for_each(|number| _ = table.take(key(round * 1000 + number), BEGIN + round * 10 * SECOND, 1, false));
    }
    let (keys, bytes) = table.size();
    assert_eq!(table.overflowed(), 0);
    assert!(keys <= 256 * 20 && bytes <= 256 * 27 * 24, "{keys} keys in {bytes} bytes");
}

#[test]
fn who_goes_on_trying_goes_on_waiting_where_all_requests_count() {
    for (meter, most) in [(Meter::gcra(5, WINDOW, 5), 9), (Meter::window(5, WINDOW), 5), (Meter::volume(5, WINDOW), 5)]
    {
        let (all, admitted) = (Table::new(meter.clone(), 1000), Table::new(meter, 1000));
        let count = |table: &Table, is_always_counted| {
            let asks = (0..100).map(|at| table.take(key(1), BEGIN + at * SECOND, 1, is_always_counted));
            asks.filter(|taken| taken.is_admitted).count()
        };
        assert_eq!(count(&all, true), most);
        assert!(count(&admitted, false) > 40);
    }
}
