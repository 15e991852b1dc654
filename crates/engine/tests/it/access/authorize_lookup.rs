//! What conditions and Cedar policies look up: members without the whole, and decisions that are remembered.

use std::sync::Arc;

use serde_json::json;

use super::authorize::{call, desk, of, plans, same};
use super::desk::{Call, Desk};

/// A desk with one condition for every call.
fn condition(when: &str) -> Desk {
    desk(&format!(
        "
  - name: when
    mode: enforce
    authorize:
      operations: [{{ id: item, path: \"/items/{{item}}\" }}]
      rules: [{{ name: it, operations: [item], anonymous: true, require: {{ when: '{when}' }} }}]
"
    ))
}

#[test]
fn a_member_means_the_same_alone_and_within_the_whole() {
    let caller = json!({ "sub": "ann", "roles": ["x", "y"], "groups": "g h", "level": 3, "is": true, "names": ["a"], "numbers": [1, 2], "https://acme.example/tenant": "acme" });
    let known = of("POST", "/items/a%20b?page=2&page=3&size=%37", caller);
    let (holds, fails, errs) = (None, Some("ACC-307"), Some("ACC-309"));
    for (when, check) in [
        ("principal.subject == \"ann\" && principal[\"subject\"] == \"ann\"", holds),
        ("principal.roles == principal[\"roles\"] && principal.roles == [\"x\", \"y\"]", holds),
        ("principal.groups == [\"g\", \"h\"] && \"g\" in principal[\"groups\"]", holds),
        ("principal.claims.level == 3 && principal.claims[\"level\"] == 3 && principal[\"claims\"].level == 3", holds),
        ("principal.claims.is && principal.claims.names[0] == \"a\" && 2 in principal.claims.numbers", holds),
        ("principal.claims[\"https://acme.example/tenant\"] == \"acme\"", holds),
        ("has(principal.claims.level) && !has(principal.claims.missing) && has(principal.claims)", holds),
        ("!has(principal.application) && has(principal.authority)", holds),
        ("\"level\" in principal.claims && !(\"missing\" in principal.claims)", holds),
        ("principal.claims.missing == 1", errs),
        ("principal.claims.level.deeper == 1", errs),
        ("principal.application == \"x\"", errs),
        (
            "request.method == \"POST\" && request[\"method\"] == \"POST\" && request.path.startsWith(\"/items/a\")",
            holds,
        ),
        ("request.hour == 0 && request.weekday == 4 && request.minute == request[\"minute\"]", holds),
        ("request.host == \"api.example\" && request.scheme == \"https\"", holds),
        ("client.address == \"192.0.2.1\" && client[\"address\"] == client.address", holds),
        ("parameters.path.item == \"a b\" && parameters[\"path\"].item == \"a b\"", holds),
        ("parameters.query.page == [\"2\", \"3\"] && parameters.query.size[0] == \"7\"", holds),
        ("parameters.query.page[1] == \"3\" && parameters.query.exists(name, name == \"size\")", holds),
        ("size(parameters.query) == 2 && size(principal.claims.names) == 1", holds),
        ("parameters.query.missing[0] == \"1\"", errs),
        ("parameters.path.missing == \"1\"", errs),
        ("[1, 2].exists(principal, principal == 2)", holds),
        ("principal == null", fails),
    ] {
        condition(when).check(when, &known, check);
    }
    for (when, check) in [
        ("principal == null", holds),
        ("principal == null || principal.subject == \"ann\"", holds),
        ("principal.subject == \"ann\"", errs),
        ("principal.claims.level == 3", errs),
        ("request.method == \"GET\"", holds),
    ] {
        condition(when).check(when, &call("GET", "/items/a"), check);
    }
}

#[test]
fn a_condition_that_looks_at_a_query_beyond_its_bounds_does_not_hold() {
    let many = |count: usize| format!("/items/a?{}", "p=1&".repeat(count));
    for (when, target, check) in [
        ("parameters.query.p[0] == \"1\"", many(64), None),
        ("parameters.query.p[0] == \"1\"", many(65), Some("ACC-309")),
        ("parameters.path.item == \"a\"", many(65), Some("ACC-309")),
        ("parameters.path.item == \"a\"", format!("/items/a?p={}", "1".repeat(8192)), Some("ACC-309")),
        ("principal.subject == \"ann\"", many(65), None),
    ] {
        condition(when).check(when, &of("GET", &target, same()), check);
    }
}

const BANK: &str = "
  - name: bank
    mode: enforce
    authorize:
      groups_claim: groups
      operations:
        - { id: read, methods: [GET, HEAD], path: \"/accounts/{account}\", query: [currency] }
        - { id: list, methods: [GET], path: /accounts }
        - { id: close, methods: [DELETE], path: \"/accounts/{account}\" }
      cedar: { files: [bank.cedar], claims: [{ name: accounts, type: strings }] }
";

/// Every part of a request that decides something here.
const POLICIES: &str = r#"
@id("owners") permit (principal, action == Action::"read", resource)
when { principal.claims has accounts && principal.claims.accounts.contains(resource.path.account) };
@id("early") permit (principal, action in [Action::"list", Action::"close"], resource) when { context.hour < 1 };
@id("minutes") forbid (principal, action == Action::"close", resource) when { context has minute && context["minute"] > 30 };
@id("host") forbid (principal, action == Action::"list", resource) unless { [context.host].contains("api.example") };
@id("head") forbid (principal, action == Action::"read", resource) when { context.method == "HEAD" };
@id("spelling") forbid (principal, action == Action::"read", resource) when { context.path like "*/accounts/8/*" };
@id("currency") forbid (principal, action == Action::"read", resource)
when { resource.query has currency && !(["EUR"].containsAll(resource.query.currency)) };
@id("blocked") forbid (principal in Group::"blocked", action, resource);
@id("suspended") forbid (principal in Role::"suspended", action, resource);
@id("mallory") forbid (principal == Caller::"https://login.example#mallory", action, resource);
@id("scopes") forbid (principal, action, resource) unless { principal.scopes.contains("accounts:read") };
"#;

fn bank() -> Desk {
    let mut desk = desk(BANK);
    let plans = plans(BANK, POLICIES).unwrap_or_else(|faults| panic!("{faults:#?}"));
    desk.snapshot = Arc::new(desk.snapshot.with_endpoints(3, &[]).with_cedar(Arc::new(plans)));
    desk
}

#[test]
fn what_is_remembered_is_what_would_be_decided() {
    let owner = || json!({ "accounts": ["7", "8"], "exp": super::desk::NOW + 99_999 });
    let with = |name: &str, value: &str| {
        let mut claims = owner();
        claims[name] = value.into();
        claims
    };
    let get = |target: &str| of("GET", target, owner());
    let at = |after_secs: i64, call: Call| Call { after_secs, ..call };
    // Each differs in one thing from another one, which is decided otherwise.
    let rows = [
        ("their own", get("/accounts/7"), None),
        ("somebody else's", get("/accounts/9"), Some("ACC-308")),
        ("their own, in one spelling", get("/accounts/8"), None),
        ("the same in another", get("/accounts/8/"), Some("ACC-308")),
        ("in a currency", get("/accounts/7?currency=EUR"), None),
        ("in another", get("/accounts/7?currency=USD"), Some("ACC-308")),
        ("in both", get("/accounts/7?currency=EUR&currency=USD"), Some("ACC-308")),
        ("in two that are one", get("/accounts/7?currency=EUR,USD"), Some("ACC-308")),
        ("by another method", of("HEAD", "/accounts/7", owner()), Some("ACC-308")),
        ("another operation", of("DELETE", "/accounts/7", owner()), None),
        ("later in the hour", at(31 * 60, of("DELETE", "/accounts/7", owner())), Some("ACC-308")),
        ("without a parameter", get("/accounts"), None),
        ("an hour later", at(3600, get("/accounts")), Some("ACC-308")),
        ("at another host", Call { host: Some("other.example"), ..get("/accounts") }, Some("ACC-308")),
        ("in a group", of("GET", "/accounts", with("groups", "blocked")), Some("ACC-308")),
        ("in another group", of("GET", "/accounts", with("groups", "unblocked")), None),
        ("in a role", of("GET", "/accounts", with("roles", "suspended")), Some("ACC-308")),
        ("with other scopes", of("GET", "/accounts", with("scope", "accounts:write")), Some("ACC-308")),
        ("somebody else", of("GET", "/accounts", with("sub", "mallory")), Some("ACC-308")),
        ("with other accounts", of("GET", "/accounts/7", with("accounts", "9")), Some("ACC-308")),
        ("with claims of another type", of("GET", "/accounts/7", same()), Some("ACC-309")),
        ("at another minute, which nothing asks for", at(31 * 60, get("/accounts/7")), None),
    ];
    let remembering = bank();
    for round in 0..2 {
        for (name, call, check) in &rows {
            remembering.check(&format!("{name}, round {round}"), call, *check);
        }
    }
    for (name, call, check) in rows.iter().rev() {
        bank().check(name, call, *check);
        remembering.check(name, call, *check);
    }
}
