//! How what authorization costs grows with the operations and the Cedar policies of a policy; what each kind of rule
//! costs is for `access_cost` to say. `cargo run --release -p bartizan-engine --example authorize_cost [calls]`

mod cost;

use bartizan_model::HeaderField;
use cost::{CALLERS, Desk, head, nanoseconds};

/// Rounds; the median counts.
const ROUNDS: usize = 7;

/// An `authorize` policy with `count` operations besides the one that is asked for.
fn policy(count: usize, rest: &str) -> String {
    let mut text = "  - name: bank\n    mode: enforce\n    authorize:\n      operations:\n".to_owned();
    for number in 0..count {
        text.push_str(&format!(
            "        - {{ id: op{number}, methods: [GET], path: \"/v1/things{number}/{{id}}\" }}\n"
        ));
    }
    text.push_str("        - { id: readAccount, methods: [GET], path: \"/accounts/{accountId}\" }\n");
    text + rest
}

/// `count` policies for other operations' roles, and one that permits.
fn cedar(count: usize) -> String {
    let mut text = "permit (principal, action == Action::\"readAccount\", resource)\nwhen { principal.claims has accounts && principal.claims.accounts.contains(resource.path.accountId) };\n".to_owned();
    for number in 1..count {
        text.push_str(&format!("permit (principal in Role::\"role{number}\", action == Action::\"op0\", resource) when {{ principal in Group::\"g{number}\" }};\n"));
    }
    text
}

fn main() {
    let calls = std::env::args().nth(1).map_or(20_000, |text| text.parse().unwrap());
    let desk = Desk::new();
    let token = desk.authorization(1);
    let headers = [
        HeaderField { name: b"host", value: b"api.example" },
        HeaderField { name: b"user-agent", value: b"cost/1" },
        HeaderField { name: b"accept", value: b"application/json" },
        HeaderField { name: b"authorization", value: token.as_bytes() },
    ];
    let rule =
        |require: &str| format!("      rules: [{{ name: a, operations: [readAccount], require: {{ {require} }} }}]\n");
    let settings = "      cedar: { files: [bank.cedar], claims: [{ name: accounts, type: strings }] }\n";
    let scopes = "scopes: { all: [\"accounts:read\"] }, roles: { any: [customer] }";
    let rows = [
        ("scopes and roles, 1 operation", policy(0, &rule(scopes)), String::new()),
        ("the same, 100 operations", policy(100, &rule(scopes)), String::new()),
        ("the same, 900 operations", policy(900, &rule(scopes)), String::new()),
        ("Cedar, 1 policy", policy(1, settings), cedar(1)),
        ("Cedar, 10 policies", policy(1, settings), cedar(10)),
        ("Cedar, 100 policies", policy(1, settings), cedar(100)),
    ];
    let base = [desk.snapshot(CALLERS, "")];
    let measured = rows.iter().map(|(_, policy, cedar)| desk.snapshot(&format!("{CALLERS}{policy}"), cedar));
    let snapshots: Vec<_> = base.into_iter().chain(measured).collect();
    let figures = nanoseconds(&snapshots, &[head("/accounts/7", &headers)], calls, ROUNDS);
    println!("a known caller without `authorize`: {:.0} ns; on top of it", figures[0]);
    for ((name, ..), figure) in rows.iter().zip(&figures[1..]) {
        println!("{name:<32} {:+8.0} ns", figure - figures[0]);
    }
}
