//! What access control costs a call whose token is remembered: each policy of its kind alone, and all of them together.
//!
//! `cargo run --release -p bartizan-engine --example access_cost [calls]` prints microseconds of a whole exchange, and what
//! the policies add to one without any. `… access_cost run NAME CALLS` runs one row and prints nothing, for a tool that
//! counts instructions (`cargo xtask bench access` does). Callers and accounts take turns: 16 callers, 4 accounts each.

mod cost;

use bartizan_model::{HeaderField, Timestamp};
use cost::{CALLERS, Desk, NOW, accounts, connection, exchange, head, nanoseconds};

/// Callers that take turns.
const CALLERS_COUNT: usize = 16;
/// Rounds; the median counts.
const ROUNDS: usize = 9;

const METHODS: &str = "  - { name: methods, mode: enforce, methods: { allow: [GET, POST, PUT, DELETE] } }\n";
const SIZES: &str = "  - { name: sizes, mode: enforce, limits: { target_bytes_max: 8KiB, header_bytes_max: 32KiB, body_bytes_max: 1MiB } }\n";
const ADDRESSES: &str = "  - { name: blocked, mode: enforce, addresses: { deny: [198.51.100.0/24, 203.0.113.0/24, \"2001:db8:bad::/48\"] } }\n";
const NETWORKS: &str = "  - { name: places, mode: enforce, networks: { countries: { allow: [DE, AT, CH] }, labels: { deny: [hosting] } } }\n";
const CORS: &str = "  - { name: pages, mode: enforce, cors: { origins: [\"https://www.bank.example\"], methods: [GET, POST], headers: [authorization, content-type], exposed_headers: [etag] } }\n";
const CSRF: &str = "  - { name: forgery, mode: enforce, csrf: { origins: [\"https://www.bank.example\"] } }\n";
const SSRF: &str = "  - { name: urls, mode: enforce, ssrf: { parameters: [url, callback] } }\n";
const ANSWERS: &str = "  - { name: answers, mode: enforce, response_headers: { remove: [server, x-powered-by] } }\n";
const RATES: &str = "  - { name: pace, mode: enforce, rate: { key: [principal], spike_arrest: { requests: 1000000, per: 1s, burst: 1000000 }, quota: { requests: 1000000000, per: 1h } } }
  - { name: crowd, mode: enforce, rate: { key: [address], spike_arrest: { requests: 1000000, per: 1s, burst: 1000000 } } }\n";

const OPERATIONS: &str = "      operations:
        - { id: listAccounts, methods: [GET], path: /accounts }
        - { id: readAccount, methods: [GET], path: \"/accounts/{accountId}\" }
        - { id: listTransactions, methods: [GET], path: \"/accounts/{accountId}/transactions\" }
        - { id: transfer, methods: [POST], path: \"/accounts/{accountId}/transfers\" }
";
const ROLES: &str = "        - { name: customers, operations: [readAccount], require: { scopes: { all: [\"accounts:read\"] }, roles: { any: [customer, teller] } } }\n";
const OBJECT: &str = "        - { name: own, operations: [readAccount], require: { objects: [\"path.accountId in principal.claims.accounts\"] } }\n";
const CONDITION: &str = "        - { name: hours, operations: [readAccount], require: { when: \"principal.strength == 'bearer' && request.hour >= 0 && request.method == 'GET'\" } }\n";
const CEDAR_FILES: &str = "      cedar: { files: [bank.cedar], claims: [{ name: accounts, type: strings }] }\n";
const CEDAR: &str = "
@id(\"own-accounts\") permit (principal, action == Action::\"readAccount\", resource)
when { principal.claims has accounts && principal.claims.accounts.contains(resource.path.accountId) };
@id(\"tellers\") permit (principal in Role::\"teller\", action, resource);
@id(\"transfers\") permit (principal in Role::\"customer\", action == Action::\"transfer\", resource)
when { principal.claims has accounts && principal.claims.accounts.contains(resource.path.accountId) && context.hour >= 6 };
@id(\"blocked\") forbid (principal in Group::\"blocked\", action, resource);
";

fn authorize(name: &str, rules: &[&str], rest: &str) -> String {
    let rules = if rules.is_empty() { String::new() } else { format!("      rules:\n{}", rules.concat()) };
    format!("  - name: {name}\n    mode: enforce\n    authorize:\n{OPERATIONS}{rules}{rest}")
}

/// The rows: a name, and the policies.
fn rows() -> Vec<(&'static str, String)> {
    let with = |policies: &str| format!("{CALLERS}{policies}");
    let all = |authorize: &str| {
        [METHODS, SIZES, ADDRESSES, NETWORKS, CORS, CSRF, SSRF, ANSWERS, CALLERS, authorize, RATES].concat()
    };
    let rules = authorize("bank", &[ROLES, OBJECT, CONDITION], "");
    let both = authorize("bank", &[ROLES, OBJECT, CONDITION], CEDAR_FILES);
    vec![
        ("none", "  []\n".to_owned()),
        ("jwt", with("")),
        ("jwt+methods", with(METHODS)),
        ("jwt+sizes", with(SIZES)),
        ("jwt+addresses", with(ADDRESSES)),
        ("jwt+networks", with(NETWORKS)),
        ("jwt+cors", with(CORS)),
        ("jwt+csrf", with(CSRF)),
        ("jwt+ssrf", with(SSRF)),
        ("jwt+answers", with(ANSWERS)),
        ("jwt+rates", with(RATES)),
        ("jwt+roles", with(&authorize("bank", &[ROLES], ""))),
        ("jwt+object", with(&authorize("bank", &[OBJECT], ""))),
        ("jwt+cel", with(&authorize("bank", &[CONDITION], ""))),
        ("jwt+cedar", with(&authorize("bank", &[], CEDAR_FILES))),
        ("all-but-cedar", all(&rules)),
        ("all", all(&both)),
    ]
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let desk = Desk::new();
    let tokens: Vec<String> = (0..CALLERS_COUNT).map(|caller| desk.authorization(caller)).collect();
    let headers: Vec<_> = tokens.iter().map(|token| fields(token)).collect();
    let targets: Vec<(usize, String)> = (0..CALLERS_COUNT)
        .flat_map(|caller| accounts(caller).map(move |account| (caller, format!("/accounts/{account}?page=2&size=20"))))
        .collect();
    let heads: Vec<_> = targets.iter().map(|(caller, target)| head(target, &headers[*caller])).collect();
    let rows = rows();
    if let [verb, name, calls] = arguments.as_slice()
        && verb == "run"
    {
        let (_, policies) = rows.iter().find(|(known, _)| known == name).expect("no such row");
        let snapshot = desk.snapshot(policies, CEDAR);
        let calls: usize = calls.parse().expect("how many calls?");
        run(&snapshot, &heads, heads.len()); // warms up: every token is verified once
        counted(&snapshot, &heads, calls);
        return;
    }
    let calls = arguments.first().map_or(20_000, |text| text.parse().expect("how many calls?"));
    let snapshots: Vec<_> = rows.iter().map(|(_, policies)| desk.snapshot(policies, CEDAR)).collect();
    let figures = nanoseconds(&snapshots, &heads, calls, ROUNDS);
    println!("| policies | µs an exchange | µs more than without |\n| --- | ---: | ---: |");
    for ((name, _), figure) in rows.iter().zip(&figures) {
        println!("| {name} | {:.2} | {:+.2} |", figure / 1000.0, (figure - figures[0]) / 1000.0);
    }
}

/// What a tool counts.
#[inline(never)]
fn counted(
    snapshot: &std::sync::Arc<bartizan_engine::Snapshot>,
    heads: &[bartizan_model::RequestHead<'_>],
    calls: usize,
) {
    run(snapshot, heads, calls);
}

fn run(snapshot: &std::sync::Arc<bartizan_engine::Snapshot>, heads: &[bartizan_model::RequestHead<'_>], calls: usize) {
    let connection = connection();
    for (number, head) in (0..calls).zip(heads.iter().cycle()) {
        exchange(snapshot, &connection, head, Timestamp::from_millis(NOW * 1000 + number as i64 / 100));
    }
}

/// What a page's script sends.
fn fields(token: &str) -> [HeaderField<'_>; 9] {
    let field = |name: &'static str, value| HeaderField { name: name.as_bytes(), value };
    [
        field("host", b"api.example"),
        field("user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        field("accept", b"application/json"),
        field("accept-language", b"de,en;q=0.7"),
        field("accept-encoding", b"gzip, br"),
        field("origin", b"https://www.bank.example"),
        field("sec-fetch-site", b"same-site"),
        field("sec-fetch-mode", b"cors"),
        field("authorization", token.as_bytes()),
    ]
}
