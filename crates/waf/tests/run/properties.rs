//! Random rule files over random requests: the compiled plan logs what the interpreter logs over the rules as written.
//!
//! A rule file is a handful of rules made from few words, so that rules match, write what others read, jump over them,
//! switch them off and chain; a request is made from the same words.

use std::path::Path;
use std::sync::Arc;

use bartizan_waf::{Gates, Memory, Options, Parsed, Plan, Sources, parse};
use proptest::prelude::*;

use super::{FORM, JSON, Seen, Sent, XML, run};

/// What a link looks at.
const TARGETS: &[&str] = &[
    "ARGS",
    "ARGS_NAMES",
    "ARGS_GET|REQUEST_COOKIES",
    "ARGS|!ARGS:b",
    "ARGS:a|REQUEST_HEADERS:X-Note",
    "ARGS:/^a/|XML:/*",
    "&ARGS",
    "REQUEST_HEADERS|!REQUEST_HEADERS:Content-Type",
    "REQUEST_HEADERS_NAMES",
    "REQUEST_URI",
    "REQUEST_FILENAME|REQUEST_BASENAME",
    "REQUEST_BODY",
    "TX:score",
    "TX:/^f/",
    "TX:0",
    "&TX:flag",
    "MATCHED_VARS",
    "MATCHED_VAR_NAME",
];

/// What a link asks.
const OPERATORS: &[&str] = &[
    "@rx bad",
    "@rx (?i)b(a+)d",
    "@rx ^(?:bad|select)[^a-z]*x?",
    "@rx [<>'%]",
    "@rx ^$",
    "!@rx ^[a-z]+$",
    "@pm bad select /etc/passwd",
    "@contains select",
    "@streq bad",
    "!@streq bad",
    "@streq 0",
    "@beginsWith /",
    "@endsWith d",
    "@within bad select one",
    "@eq 0",
    "@ge 2",
    "!@ge 2",
    "@gt %{tx.limit}",
    "@detectSQLi",
    "@validateByteRange 32-126",
    "@unconditionalMatch",
];

const TRANSFORMS: &[&str] = &[
    "",
    ",t:none",
    ",t:none,t:lowercase",
    ",t:none,t:urlDecodeUni",
    ",t:none,t:urlDecodeUni,t:htmlEntityDecode,t:lowercase",
    ",t:none,t:removeWhitespace",
    ",t:none,t:base64Decode",
    ",t:none,t:base64Decode,t:urlDecodeUni,t:jsDecode,t:removeWhitespace,multiMatch",
    ",t:none,t:removeWhitespace,t:base64Decode,t:removeNulls,t:replaceComments",
    ",t:none,t:replaceComments,t:compressWhitespace",
    ",t:none,t:length",
    ",t:none,t:jsDecode,multiMatch",
];

/// What a link does for each match.
const EFFECTS: &[&str] = &[
    "",
    "",
    ",capture",
    ",setvar:tx.score=+2",
    ",setvar:tx.score=+%{tx.limit}",
    ",setvar:tx.flag=1",
    ",setvar:!tx.flag",
    ",setvar:tx.found_%{MATCHED_VAR_NAME}=%{MATCHED_VAR}",
    ",capture,setvar:tx.flag=%{tx.1}",
];

/// What a head does beside it.
const CONTROLS: &[&str] = &[
    "",
    "",
    "",
    ",ctl:ruleRemoveById=3",
    ",ctl:ruleRemoveTargetById=4;ARGS:a",
    ",ctl:ruleRemoveMatchedById=2-6",
    ",skipAfter:END",
    ",ctl:forceRequestBodyVariable=On",
];

const WORDS: &[&str] = &[
    "bad",
    "BAAD",
    "b%61d",
    "%2562ad",
    "&#98;ad",
    "YmFk",
    "YiU2MWQ=",     // b%61d
    "eCBiIGEJZHk=", // x b a\tdy
    "/2JhwqBkgA==", // \xffba\xc2\xa0d\x80
    "Ylx1MDA2MWQ=", // b\\u0061d
    "YmEAK2Q=",     // ba\x00+d
    "Yi8qKi9hZA==", // b/**/ad
    "select",
    "a text so long that it is read in two places at once select",
    "a word that stands where the parts of a text overlap that is read in four places: bad, or select, or BAD/etc/passwd",
    "sel/**/ect",
    "' or 1=1 -- ",
    "<x>",
    "/etc/passwd",
    "\\u0062ad",
    "one",
    "1",
    "",
    " ",
    "é",
];

prop_compose! {
    /// One link without its id.
    fn link()(
        target in prop::sample::select(TARGETS),
        operator in prop::sample::select(OPERATORS),
        transforms in prop::sample::select(TRANSFORMS),
        effect in prop::sample::select(EFFECTS),
    ) -> (String, String) {
        (format!("SecRule {target} \"{operator}\""), format!("{transforms}{effect}"))
    }
}

prop_compose! {
    /// A rule or a chain; `{id}` stands for its number.
    fn rule()(
        links in proptest::collection::vec(link(), 1..4),
        phase in 1..3,
        control in prop::sample::select(CONTROLS),
    ) -> String {
        let last = links.len() - 1;
        let lines = links.iter().enumerate().map(|(at, (rule, actions))| {
            let chain = if at < last { ",chain" } else { "" };
            let head = match at {
                0 => format!("id:{{id}},phase:{phase},pass,log,logdata:'%{{MATCHED_VAR}} %{{TX.score}} %{{TX.1}}'{control}"),
                // A link says what it does, and a head must say something.
                _ => "t:none".to_owned(),
            };
            format!("{rule} \"{head}{actions}{chain}\"")
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

prop_compose! {
    fn rules()(rules in proptest::collection::vec(rule(), 1..10), first in 0..3, end in 0usize..10) -> String {
        let mut text = format!(
            "SecRequestBodyAccess On\nSecAction \"id:100,phase:1,pass,nolog,setvar:tx.limit={first},setvar:tx.score=0\"\n"
        );
        for (at, rule) in rules.iter().enumerate() {
            if at == end {
                text += "SecMarker END\n";
            }
            text += &rule.replace("{id}", &(at + 1).to_string());
            text.push('\n');
        }
        // Whoever jumps must land somewhere.
        text + if end < rules.len() { "" } else { "SecMarker END\n" }
    }
}

/// A request as text, to be borrowed by a [`Sent`].
#[derive(Clone, Debug)]
struct Made {
    target: String,
    note: String,
    format: usize,
    body: String,
}

prop_compose! {
    fn request()(
        query in proptest::collection::vec((prop::sample::select(vec!["a", "b", "ab", "bad"]), prop::sample::select(WORDS)), 0..4),
        note in prop::sample::select(WORDS),
        format in 0usize..3,
        words in proptest::collection::vec(prop::sample::select(WORDS), 0..4),
    ) -> Made {
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", value.replace(' ', "+"))).collect();
        let body = match format {
            _ if words.is_empty() => String::new(),
            0 => words.iter().map(|word| format!("a={}", word.replace(' ', "+"))).collect::<Vec<_>>().join("&"),
            1 => format!("{{\"a\":[{}]}}", words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(",")),
            _ => format!("<r b=\"1\">{}</r>", words.concat()),
        };
        Made { target: format!("/one?{}", query.join("&")), note: note.to_owned(), format, body }
    }
}

impl Made {
    fn with_sent<T>(&self, use_it: impl FnOnce(Sent<'_>) -> T) -> T {
        let [content_type] = [FORM, JSON, XML][self.format] else { panic!("one field") };
        let headers = [*content_type, ("X-Note", self.note.as_str()), ("Cookie", "c=bad")];
        use_it(Sent { target: &self.target, headers: &headers, body: self.body.as_bytes(), is_body_cut: false })
    }

    fn seen(&self, plan: &Arc<Plan>) -> Seen {
        self.with_sent(|sent| run(Arc::clone(plan), sent))
    }
}

/// The plan, if the rules compile: not every action goes with every target.
fn compiled(rules: &str, gates: Gates, memory: Memory, opens_values: bool) -> Option<Arc<Plan>> {
    let read = |_: &Path| Ok(rules.as_bytes().to_vec());
    let glob = |_: &Path| Ok(Vec::new());
    let Parsed { document, .. } = parse(&["test.conf".into()], &Sources { read: &read, glob: &glob });
    let options = Options { gates, memory, detect_bodies: true, opens_values, ..Options::default() };
    Plan::compile(&document, &options).ok().map(Arc::new)
}

/// `base64Decode` makes nothing of `0`, but with `multiMatch` the count is asked about before it.
#[test]
fn a_count_of_nothing_is_asked_about_at_each_step() {
    let rules = "SecRule &ARGS \"@streq 0\" \"id:1,phase:1,pass,log,t:none,t:base64Decode,multiMatch\"";
    let made = Made { target: "/".to_owned(), note: String::new(), format: 0, body: String::new() };
    for gates in [Gates::All, Gates::None] {
        let plan = compiled(rules, gates, Memory::On, false).unwrap();
        assert_eq!(made.seen(&plan).matches.len(), 1, "{gates:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Folding and gates change nothing: only necessary conditions are compiled.
    #[test]
    fn the_compiled_plan_logs_what_the_interpreter_logs(
        rules in rules(),
        requests in proptest::collection::vec(request(), 1..8),
        opens_values: bool,
    ) {
        let plans = [Gates::All, Gates::None].map(|gates| compiled(&rules, gates, Memory::On, opens_values));
        prop_assume!(plans.iter().all(Option::is_some));
        let [Some(compiled), Some(naive)] = plans else { panic!("both compile") };
        for made in &requests {
            prop_assert_eq!(made.seen(&compiled), made.seen(&naive), "{}\n{:?}", rules, made);
        }
    }

    /// A value is kept when it comes for the second time, and used from the third on.
    #[test]
    fn what_threads_remember_changes_nothing(rules in rules(), requests in proptest::collection::vec(request(), 1..4)) {
        let plans = [Memory::On, Memory::Off].map(|memory| compiled(&rules, Gates::All, memory, true));
        prop_assume!(plans.iter().all(Option::is_some));
        let [Some(remembering), Some(forgetful)] = plans else { panic!("both compile") };
        for made in requests.iter().cycle().take(requests.len() * 4) {
            prop_assert_eq!(made.seen(&remembering), made.seen(&forgetful), "{}\n{:?}", rules, made);
        }
    }
}
