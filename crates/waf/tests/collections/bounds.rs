//! The store's bounds: memory, records, members; what goes first; and that nothing is lost under concurrency.

use std::sync::Arc;

use bartizan_waf::{CollectionLimits, Gates, Transaction};
use proptest::prelude::*;

use crate::{Site, head, store};

/// Counts by the path, says the count.
const COUNTER: &str = "SecAction \"id:1,phase:1,nolog,pass,initcol:resource=%{REQUEST_FILENAME}\"\n\
                       SecAction \"id:2,phase:1,log,pass,msg:'%{resource.n}',setvar:resource.n=+1\"\n";

fn site(rules: &str, limits: CollectionLimits) -> Site {
    Site { store: store(limits), ..Site::new(rules) }
}

#[test]
fn a_million_random_keys_take_no_more_memory_than_the_limit() {
    let limits = CollectionLimits { records: 20_000, bytes: 4 << 20 };
    let site = site(COUNTER, limits);
    let mut random = fastrand::Rng::with_seed(7);
    site.say("/warm"); // what a thread keeps for later exchanges is no part of it
    let memory = allocation_counter::measure(|| {
        for _ in 0..1_000_000 {
            let mut transaction = Transaction::new(Arc::clone(&site.plan));
            transaction.keep_in(Arc::clone(&site.store), b"policy");
            head(&mut transaction, "192.0.2.1", &format!("/{:x}", random.u128(..)), site.now);
        }
    });
    let counts = site.store.counts();
    assert!(counts.records <= limits.records as u64 && counts.bytes <= limits.bytes as u64, "{counts:?}");
    assert!(counts.records >= limits.records as u64 / 2, "the store is used: {counts:?}");
    assert!(memory.bytes_max <= limits.bytes as u64, "{} bytes at most, {} allowed", memory.bytes_max, limits.bytes);
    assert_eq!(counts.evicted_total + counts.records, 1_000_001);
}

#[test]
fn the_estimate_of_memory_is_no_less_than_what_is_taken() {
    for rules in [
        COUNTER,
        "SecAction \"id:1,phase:1,nolog,pass,initcol:resource=%{REQUEST_FILENAME}\"\n\
         SecAction \"id:2,phase:1,nolog,pass,setvar:resource.%{REQUEST_FILENAME}=%{REQUEST_FILENAME},\
         setvar:resource.another_name=+1,expirevar:resource.another_name=60,setvar:resource.text=abcdefghijklmnop\"\n",
    ] {
        let site = site(rules, CollectionLimits::default());
        site.say("/warm");
        let memory = allocation_counter::measure(|| {
            (0..20_000).for_each(|number| _ = site.say(&format!("/a-path-of-some-length/{number}")));
        });
        let counts = site.store.counts();
        assert_eq!(counts.records, 20_001);
        assert!(memory.bytes_current <= i64::try_from(counts.bytes).unwrap(), "{memory:?} {counts:?}");
    }
}

#[test]
fn what_was_used_longest_ago_goes_first() {
    // One shard's share is the 16th part of the limit; so many records that each shard has some.
    let site = site(COUNTER, CollectionLimits { records: 1600, bytes: 1 << 20 });
    (0..10).for_each(|_| _ = site.say("/busy"));
    for number in 0..20_000 {
        site.say(&format!("/{number}"));
        if number % 50 == 0 {
            site.say("/busy");
        }
    }
    assert_eq!(site.say("/busy"), "411");
    assert_eq!(site.say("/0"), "1", "used once, long ago");
    assert!(site.store.counts().evicted_total > 15_000);
}

#[test]
fn what_has_expired_goes_before_what_has_not() {
    let rules = "SecAction \"id:1,phase:1,nolog,pass,initcol:resource=%{REQUEST_FILENAME}\"\n\
                 SecRule ARGS_GET:short \"@eq 1\" \"id:2,phase:1,nolog,pass,setvar:resource.TIMEOUT=1\"\n\
                 SecAction \"id:3,phase:1,log,pass,msg:'%{resource.n}',setvar:resource.n=+1\"\n";
    let mut site = site(rules, CollectionLimits { records: 160_000, bytes: 64 << 20 });
    (0..1000).for_each(|number| _ = site.say(&format!("/{number}?short=1")));
    site.wait(2);
    // Shards are cleared when something is written to them.
    (0..1000).for_each(|number| _ = site.say(&format!("/long/{number}")));
    let counts = site.store.counts();
    assert_eq!((counts.records, counts.evicted_total), (1000, 0));
}

#[test]
fn a_record_that_is_full_keeps_what_it_has() {
    let site = site(
        "SecAction \"id:1,phase:1,nolog,pass,initcol:global=all\"\n\
         SecRule REQUEST_FILENAME \"@rx .\" \"id:2,phase:1,nolog,pass,setvar:global.%{MATCHED_VAR}=+1\"\n\
         SecRule &GLOBAL \"@ge 0\" \"id:3,phase:1,log,pass,msg:'%{MATCHED_VAR} %{global./1}'\"\n",
        CollectionLimits::default(),
    );
    (0..200).for_each(|number| _ = site.say(&format!("/{number}")));
    assert_eq!(site.say("/1"), "64 2");
    assert_eq!(site.store.counts().refused_total, 136);
}

#[test]
fn a_name_that_is_too_long_is_not_kept() {
    let site = site(
        "SecAction \"id:1,phase:1,nolog,pass,initcol:global=all,setvar:global.%{REQUEST_FILENAME}=+1\"\n\
         SecRule &GLOBAL \"@ge 0\" \"id:2,phase:1,log,pass,msg:'%{MATCHED_VAR}'\"\n",
        CollectionLimits::default(),
    );
    assert_eq!(site.say(&format!("/{}", "x".repeat(127))), "1");
    assert_eq!(site.say(&format!("/{}", "x".repeat(128))), "1");
    assert_eq!(site.store.counts().refused_total, 1);
}

#[test]
fn a_text_that_is_too_long_is_not_kept() {
    let site = site(
        "SecAction \"id:1,phase:1,nolog,pass,initcol:global=all\"\n\
         SecAction \"id:2,phase:1,log,pass,msg:'%{global.path}',setvar:global.path=%{REQUEST_FILENAME}\"\n",
        CollectionLimits::default(),
    );
    assert_eq!(site.say("/short"), "/short");
    assert_eq!(site.say(&format!("/{}", "x".repeat(2000))), "/short");
    assert_eq!(site.store.counts().refused_total, 1);
}

#[test]
fn concurrent_exchanges_lose_no_update() {
    const THREADS: u32 = 8;
    const EACH: u32 = 5_000;
    let site = site(COUNTER, CollectionLimits::default());
    std::thread::scope(|scope| {
        for number in 0..THREADS {
            let site = &site;
            scope.spawn(move || {
                for turn in 0..EACH {
                    site.say("/one");
                    site.say(&format!("/{}", (number + turn) % 7));
                }
            });
        }
    });
    assert_eq!(site.say("/one"), (THREADS * EACH + 1).to_string());
    let others: u32 = (0..7).map(|number| site.say(&format!("/{number}")).parse::<u32>().unwrap() - 1).sum();
    assert_eq!(others, THREADS * EACH);
}

#[derive(Clone, Debug)]
enum Turn {
    Ask(u8),
    Wait(u16),
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = prop_oneof![9 => (0..40u8).prop_map(Turn::Ask), 1 => (0..90u16).prop_map(Turn::Wait)];
    prop::collection::vec(turn, 0..300)
}

proptest! {
    /// Against a naive counter: per key a list of the times at which it was raised, ended a minute after the last.
    #[test]
    fn a_counter_counts_as_a_list_of_times_does(turns in turns()) {
        let rules = "SecAction \"id:1,phase:1,nolog,pass,initcol:resource=%{REQUEST_FILENAME}\"\n\
                     SecAction \"id:2,phase:1,log,pass,msg:'%{resource.n}',setvar:resource.n=+1,\
                     expirevar:resource.n=60\"\n";
        let mut site = Site::gated(rules, Gates::All);
        let mut naive = std::collections::HashMap::<u8, (i64, u32)>::new();
        let mut now = 0;
        for turn in turns {
            match turn {
                Turn::Ask(key) => {
                    let (last, count) = naive.entry(key).or_insert((i64::MIN / 2, 0));
                    *count = if now - *last >= 60 { 1 } else { *count + 1 };
                    *last = now;
                    prop_assert_eq!(site.say(&format!("/{key}")), count.to_string());
                }
                Turn::Wait(seconds) => {
                    now += i64::from(seconds);
                    site.wait(seconds.into());
                }
            }
        }
    }

    /// Whatever is asked in whatever order: the bounds hold after every exchange.
    #[test]
    fn a_small_store_never_grows_beyond_its_limits(keys in prop::collection::vec(0..500u16, 0..800)) {
        let limits = CollectionLimits { records: 64, bytes: 64 << 10 };
        let site = site(COUNTER, limits);
        for key in keys {
            site.say(&format!("/{key}"));
            let counts = site.store.counts();
            prop_assert!(counts.records <= limits.records as u64 && counts.bytes <= limits.bytes as u64, "{:?}", counts);
        }
    }
}
