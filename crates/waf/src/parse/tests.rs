//! Nothing that is written makes the parser panic, and its table of codes is in order.

use proptest::prelude::*;

use super::CODES;
use crate::fuzz::fuzz_parse;

/// Pieces that rule files are made of, so that random files get further than the first word.
const PIECES: &[&str] = &[
    "SecRule ",
    "SecAction ",
    "Include ",
    "*.conf",
    "SecMarker ",
    "SecRuleRemoveById ",
    "SecRuleUpdateTargetById ",
    "ARGS",
    "XML:/*",
    "TX:",
    "|",
    "!",
    "&",
    ":",
    "/",
    "'",
    "\"",
    "\\",
    "\\\n",
    "\r\n",
    "\n",
    " ",
    ",",
    "@rx ",
    "@eq ",
    "@pmFromFile a.data",
    "%{tx.",
    "%{",
    "}",
    "id:",
    "1",
    "-",
    "=",
    ";",
    "setvar:tx.a",
    "ctl:",
    "ruleRemoveTargetById=",
    "chain",
    "t:none",
    "msg:'",
    "#",
    "é",
    "\u{0}",
    "(",
    "[",
];

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        fuzz_parse(&bytes);
    }

    #[test]
    fn no_pieces_of_rules_make_the_parser_panic(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..64)) {
        fuzz_parse(pieces.concat().as_bytes());
    }
}

#[test]
fn codes_are_unique_ascending_and_say_what_they_mean() {
    assert!(CODES.windows(2).all(|pair| pair[0].id < pair[1].id));
    for code in CODES {
        let number: u32 = code.id.strip_prefix("SEC-").and_then(|digits| digits.parse().ok()).expect(code.id);
        assert_eq!(number >= 100, code.severity == bartizan_model::DiagnosticSeverity::Warning, "{}", code.id);
        assert!(code.meaning.ends_with('.') && code.meaning.len() > 20, "{}", code.id);
    }
}
