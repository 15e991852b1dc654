//! Ways around `authorize`: another method beside the request's own, and paths that servers read in several ways.

use std::sync::Arc;

use serde_json::json;

use super::authorize::{call, desk, of, plans, same};
use super::desk::{Call, Desk};

/// A path that is built to be many.
const MANY: &str = "/a;1%2523/%2561%253b2/b%255cc;3/d%253f4;5/%252e%252e;6/e%2500f";

fn check(desk: &Desk, rows: &[(&str, Call, Option<&str>)]) {
    rows.iter().for_each(|(name, call, check)| desk.check(name, call, *check));
}

#[test]
fn another_method_beside_the_requests_own_is_not_judged_and_so_refused() {
    let policy = |unmatched: &str| {
        desk(&format!(
            "
  - name: bank
    mode: enforce
    authorize:
      unmatched: {unmatched}
      operations:
        - {{ id: update, methods: [POST], path: \"/accounts/{{id}}\" }}
        - {{ id: close, methods: [DELETE], path: \"/accounts/{{id}}\" }}
      rules:
        - {{ name: updating, operations: [update] }}
        - {{ name: closing, operations: [close], require: {{ roles: {{ all: [manager] }} }} }}
"
        ))
    };
    let post = |target: &str| of("POST", target, same());
    for unmatched in ["deny", "allow"] {
        check(
            &policy(unmatched),
            &[
                ("none", post("/accounts/7"), None),
                ("its own", post("/accounts/7?_method=post").with("x-http-method-override", "POST"), None),
                ("a field", post("/accounts/7").with("X-HTTP-Method-Override", "DELETE"), Some("ACC-309")),
                ("another field", post("/accounts/7").with("x-method-override", "delete"), Some("ACC-309")),
                ("a parameter", post("/accounts/7?_method=DELETE"), Some("ACC-309")),
                ("a parameter, encoded", post("/accounts/7?%5Fmethod=%44ELETE"), Some("ACC-309")),
                ("what is refused anyway", of("DELETE", "/accounts/7?_method=POST", same()), Some("ACC-304")),
            ],
        );
    }
    let refused = policy("allow").serve(&post("/elsewhere").with("x-http-method", "DELETE"));
    let finding = refused.event.findings.first().unwrap();
    assert_eq!((&*finding.check.to_string(), &*finding.location.to_string()), ("ACC-309", "header.x-http-method"));
}

#[test]
fn a_condition_holds_for_every_reading_of_the_path() {
    let policy = |when: &str| {
        desk(&format!(
            "
  - name: parts
    mode: enforce
    authorize: {{ rules: [{{ name: part, anonymous: true, require: {{ when: \"{when}\" }} }}] }}
"
        ))
    };
    check(
        &policy("request.path.startsWith('/public/')"),
        &[
            ("within", call("GET", "/public/x"), None),
            ("within, encoded", call("GET", "/public/a%20b"), None),
            ("out by a servlet's parameter", call("GET", "/public/..;/admin"), Some("ACC-307")),
            ("out by dots", call("GET", "/public/%2e%2e/admin"), Some("ACC-307")),
            ("out after two servers", call("GET", "/public/%252e%252e/admin"), Some("ACC-307")),
            ("in only for some", call("GET", "/%70ublic/x"), Some("ACC-307")),
            ("more than are judged", call("GET", MANY), Some("ACC-309")),
        ],
    );
    check(
        &policy("!request['path'].startsWith('/admin')"),
        &[
            ("elsewhere", call("GET", "/x%20y"), None),
            ("there", call("GET", "/admin"), Some("ACC-307")),
            ("there, encoded", call("GET", "/%61dmin"), Some("ACC-307")),
            ("there by a servlet's parameter", call("GET", "/x/..;/admin"), Some("ACC-307")),
        ],
    );
    check(&policy("client.address != ''"), &[("which does not look at the path", call("GET", MANY), None)]);
}

#[test]
fn a_cedar_policy_permits_only_what_it_permits_in_every_reading_of_the_path() {
    let policy = "
  - name: parts
    mode: enforce
    authorize:
      operations: [{ id: anything, path: /** }]
      cedar: { files: [bank.cedar] }
";
    let text = r#"permit (principal, action, resource) when { context.path like "/public/*" };"#;
    let mut desk = desk(policy);
    let plans = plans(policy, text).unwrap_or_else(|faults| panic!("{faults:#?}"));
    desk.snapshot = Arc::new(desk.snapshot.with_endpoints(3, &[]).with_cedar(Arc::new(plans)));
    let get = |target: &str| of("GET", target, json!({ "accounts": null }));
    check(
        &desk,
        &[
            ("within", get("/public/x"), None),
            ("within, encoded", get("/public/a%20b"), None),
            ("out by a servlet's parameter", get("/public/..;/admin"), Some("ACC-308")),
            ("out by dots", get("/public/%2e%2e/admin"), Some("ACC-308")),
            ("more than are judged", get(&format!("/public{MANY}")), Some("ACC-309")),
        ],
    );
}

#[test]
fn a_path_that_may_be_more_operations_than_are_judged_is_refused_also_where_unmatched_passes() {
    let desk = desk(
        "
  - name: deep
    mode: enforce
    authorize:
      unmatched: allow
      operations:
        - { id: one, path: \"/{a}\" }
        - { id: two, path: \"/{a}/{b}\" }
        - { id: three, path: \"/{a}/{b}/{c}\" }
        - { id: four, path: \"/{a}/{b}/{c}/{d}\" }
        - { id: five, path: \"/{a}/{b}/{c}/{d}/{e}\" }
        - { id: six, path: \"/{a}/{b}/{c}/{d}/{e}/{f}\" }
        - { id: seven, path: \"/{a}/{b}/{c}/{d}/{e}/{f}/{g}\" }
        - { id: secret, path: /secret/** }
      rules:
        - { name: open, operations: [one, two, three, four, five, six, seven], anonymous: true }
        - { name: secret, operations: [secret], require: { roles: { all: [admin] } } }
",
    );
    check(
        &desk,
        &[
            ("one", call("GET", "/a"), None),
            ("a few", call("GET", "/a;b/%2541"), None),
            ("none", call("GET", "/a/b/c/d/e/f/g/h"), None),
            ("many", call("GET", MANY), Some("ACC-309")),
        ],
    );
}
