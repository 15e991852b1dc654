//! Arbitrary bytes, and sound samples with bytes changed: no reader panics, and each goes on to the end.

use bartizan_integrations::tell::fuzz;
use proptest::collection::vec;
use proptest::prelude::*;

const SEEDS: &[&str] = &[
    include_str!("../samples/browser.har"),
    include_str!("../samples/combined.log"),
    include_str!("../samples/envoy.log"),
    include_str!("../samples/haproxy.log"),
    include_str!("../samples/json.log"),
    r#"{"request":{"method":"GET","url":"http://a/?password=b","headers":[["a",{"base64":"/w=="}]]},"response":{"status":200}}"#,
];

/// A sample with a few bytes overwritten, and a piece cut out.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (prop::sample::select(SEEDS), changes, any::<(prop::sample::Index, prop::sample::Index)>()).prop_map(
        |(seed, changes, (from, to))| {
            let mut bytes = seed.as_bytes().to_vec();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
            if from < to {
                bytes.drain(from..to);
            }
            bytes
        },
    )
}

fn check(input: &[u8]) {
    fuzz::exchanges(input);
    fuzz::har(input);
    fuzz::access_log(input);
    fuzz::mask(input);
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_survived(input in vec(any::<u8>(), 0..400)) {
        check(&input);
    }

    #[test]
    fn damaged_samples_are_survived(input in mutated()) {
        check(&input);
    }
}

#[test]
fn every_sample_is_survived_wherever_it_is_cut() {
    for seed in SEEDS {
        for end in (0..seed.len()).step_by(7) {
            fuzz::har(&seed.as_bytes()[..end]);
            fuzz::access_log(&seed.as_bytes()[..end]);
        }
    }
}

#[test]
fn nesting_costs_no_stack() {
    for open in ["[", "{\"a\":", "{\"password\":"] {
        let deep = open.repeat(200_000);
        check(deep.as_bytes());
        fuzz::har(format!("{{\"log\":{{\"entries\":[{deep}").as_bytes());
    }
}

#[test]
fn the_fuzz_corpus_is_survived() {
    type Target = fn(&[u8]);
    let targets: [(&str, Target); 4] = [
        ("integrations_exchanges", fuzz::exchanges),
        ("integrations_har", fuzz::har),
        ("integrations_access_log", fuzz::access_log),
        ("integrations_mask", fuzz::mask),
    ];
    for (name, target) in targets {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
        let mut inputs = 0;
        for entry in std::fs::read_dir(&folder).expect("the corpus is committed") {
            target(&std::fs::read(entry.expect("readable").path()).expect("readable"));
            inputs += 1;
        }
        assert!(inputs > 0, "{name}");
    }
}
