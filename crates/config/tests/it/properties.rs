//! No document, however odd, makes the crate panic or leaves the reader without an answer.

use bartizan_config::fuzz;
use proptest::prelude::*;

/// Pieces that YAML and our own keys are made of, so that random documents get somewhere.
const PIECES: [&str; 40] = [
    "listeners",
    "upstreams",
    "apis",
    "policies",
    "name",
    "targets",
    "address",
    "balance",
    "consistent_hash",
    "limits",
    "methods",
    "addresses",
    "allow",
    "deny",
    "tls",
    "health",
    "data",
    "console",
    "timeouts",
    "trusted_proxies",
    ": ",
    ":\n",
    "\n",
    "\n  ",
    "\n    ",
    "\n  - ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "&a ",
    "*a",
    "!!int ",
    "'",
    "\"",
    "127.0.0.1:8080",
    "30s",
    "-1",
];

proptest! {
    #[test]
    fn any_bytes_get_an_answer(data in proptest::collection::vec(any::<u8>(), 0..400)) {
        fuzz(&data);
    }

    #[test]
    fn any_arrangement_of_yaml_gets_an_answer(pieces in proptest::collection::vec(0..PIECES.len(), 0..80)) {
        let text: String = pieces.iter().filter_map(|piece| PIECES.get(*piece)).copied().collect();
        fuzz(text.as_bytes());
    }

    /// One value of a whole, valid document replaced by another kind of thing.
    #[test]
    fn any_value_in_any_place_gets_an_answer(line in 0usize..200, value in 0usize..12) {
        const VALUES: [&str; 12] =
            ["", "~", "0", "-1", "1.0", "1e300", ".nan", "yes", "[]", "{}", "[[{a: b}]]", "99999999999999999999"];
        let whole = include_str!("../../../../docs/examples/bartizan.yaml");
        let mut lines: Vec<String> = whole.lines().map(str::to_owned).collect();
        let index = line % lines.len();
        if let Some((key, _)) = lines[index].clone().split_once(": ") {
            lines[index] = format!("{key}: {}", VALUES[value]);
        }
        fuzz(lines.join("\n").as_bytes());
    }
}
