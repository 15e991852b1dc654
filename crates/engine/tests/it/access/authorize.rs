//! What callers may do: rules over operations, objects, conditions and Cedar policies, as tables. A row without a check
//! must be let in; one with a check must be refused by it, and the client must not learn what was missing.

use std::sync::Arc;

use bartizan_config::PolicyRule;
use bartizan_engine::{CedarFile, CedarPlan, CedarPlans, schema_text};
use bartizan_model::{Diagnostic, DiagnosticSeverity};
use serde_json::{Value, json};

use super::desk::{AUDIENCE, Call, Desk, ISSUER, NOW, Signer, thumbprint};

/// Who calls: a bearer of a token of the issuer, or nobody.
const CALLERS: &str = "
  - name: callers
    mode: enforce
    authenticate:
      anonymous: true
      methods: [{ jwt: { issuer: \"https://login.example\", audiences: [\"https://api.example\"], jwks_file: keys.jwks } }]
";

const BANK: &str = "
  - name: bank
    mode: enforce
    authorize:
      operations:
        - { id: readAccount, methods: [GET], path: \"/accounts/{accountId}\" }
        - { id: closeAccount, methods: [DELETE], path: \"/accounts/{accountId}\" }
        - { id: ownAccounts, methods: [GET], path: /accounts/me }
        - { id: search, methods: [GET], path: /search }
        - { id: transfer, methods: [POST], path: /transfers }
        - { id: adjust, methods: [POST], path: \"/accounts/{accountId}/adjustments\" }
        - { id: admin, path: /admin/** }
        - { id: prices, methods: [GET], path: /prices }
        - { id: forgotten, methods: [GET], path: /forgotten }
      rules:
        - { name: public, operations: [prices], anonymous: true }
        - { name: readers, operations: [readAccount, ownAccounts, search], require: { scopes: { all: [\"accounts:read\"] } } }
        - { name: own, operations: [readAccount], require: { objects: [\"path.accountId in principal.claims.accounts\"] } }
        - name: closing
          operations: [closeAccount]
          require: { roles: { any: [teller, manager] }, groups: { all: [branch-7] }, claims: [{ name: tenant, values: [acme] }] }
        - name: own-search
          operations: [search]
          require:
            objects:
              - query.user == principal.subject
              - header.x-tenant == principal.claims.tenant
              - cookie.account in principal.claims.accounts
        - name: transfers
          operations: [transfer]
          require: { scopes: { any: [\"transfers:write\", \"transfers:all\"] }, objects: [\"body.from.account in principal.claims.accounts\"] }
        - name: adjusting
          operations: [adjust]
          require: { scopes: { all: [\"accounts:write\"] } }
          any_of:
            - { roles: { all: [manager] } }
            - { objects: [\"path.accountId in principal.claims.accounts\", \"body.owner == principal.subject\"] }
        - { name: admins, operations: [admin], require: { roles: { all: [admin] } } }
";

fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": NOW + 600, "scope": "accounts:read transfers:write",
        "tenant": "acme", "accounts": [7, 8], "roles": [], "groups": [],
    });
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().shift_remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

fn signer() -> Signer {
    Signer::ed25519(1)
}

fn token(claims: &Value) -> String {
    signer().sign(&json!({ "alg": "EdDSA", "kid": "one" }), claims)
}

pub(super) fn call(method: &str, target: &str) -> Call {
    Call { method: method.into(), ..Call::get(target) }
}

/// A call of who has the usual claims with `changes`.
pub(super) fn of(method: &str, target: &str, changes: Value) -> Call {
    call(method, target).with("authorization", format!("Bearer {}", token(&claims(changes))))
}

fn posted(call: Call, content_type: &str, body: &'static str) -> Call {
    let call = call.with("content-type", content_type).with("content-length", body.len().to_string());
    Call { body: Some(body), ..call }
}

pub(super) fn desk(policies: &str) -> Desk {
    let desk = Desk::with_policies(&format!("policies:{CALLERS}{policies}"));
    desk.publish(&[signer().named("one")]);
    desk
}

type Row = (&'static str, Call, Option<&'static str>);

pub(super) fn same() -> Value {
    json!({})
}

/// Function level.
fn functions() -> Vec<Row> {
    let teller = || json!({ "roles": ["teller"], "groups": ["branch-7"] });
    vec![
        ("a reader with the scope", of("GET", "/accounts/me", same()), None),
        ("a reader whose account it is", of("GET", "/accounts/7", same()), None),
        ("the same, asked for its head", of("HEAD", "/accounts/7", same()), None),
        ("a teller of the branch", of("DELETE", "/accounts/9", teller()), None),
        ("a manager of it", of("DELETE", "/accounts/9", json!({ "roles": "x manager", "groups": "branch-7" })), None),
        ("an administrator", of("PATCH", "/admin/users/1", json!({ "roles": ["admin"] })), None),
        ("nobody, where nobody may", call("GET", "/prices"), None),
        ("somebody, where nobody may", of("GET", "/prices", json!({ "scope": "x" })), None),
        ("a scope is missing", of("GET", "/accounts/me", json!({ "scope": "accounts" })), Some("ACC-301")),
        ("a scope in another case", of("GET", "/accounts/me", json!({ "scope": "Accounts:Read" })), Some("ACC-301")),
        (
            "a scope as part of another",
            of("GET", "/accounts/me", json!({ "scope": "accounts:read:x" })),
            Some("ACC-301"),
        ),
        ("no scopes at all", of("GET", "/accounts/me", json!({ "scope": null })), Some("ACC-301")),
        ("a role is missing", of("DELETE", "/accounts/7", json!({ "groups": ["branch-7"] })), Some("ACC-304")),
        ("a role in another case", of("GET", "/admin", json!({ "roles": ["Admin"] })), Some("ACC-304")),
        (
            "a role as a claim of another kind",
            of("GET", "/admin", json!({ "roles": { "admin": true } })),
            Some("ACC-304"),
        ),
        ("a group is missing", of("DELETE", "/accounts/7", json!({ "roles": ["teller"] })), Some("ACC-304")),
        (
            "groups that are no list of words",
            of("DELETE", "/accounts/7", json!({ "roles": ["teller"], "groups": [7] })),
            Some("ACC-304"),
        ),
        (
            "a claim with another value",
            of("DELETE", "/accounts/7", json!({ "roles": ["teller"], "groups": ["branch-7"], "tenant": "evil" })),
            Some("ACC-305"),
        ),
        (
            "a claim is missing",
            of("DELETE", "/accounts/7", json!({ "roles": ["teller"], "groups": ["branch-7"], "tenant": null })),
            Some("ACC-305"),
        ),
        ("nobody, where somebody must be", call("GET", "/accounts/me"), Some("ACC-302")),
        ("nobody, at an object", call("GET", "/accounts/7"), Some("ACC-302")),
        ("an operation that nobody named", of("GET", "/elsewhere", same()), Some("ACC-303")),
        ("a method that nobody named", of("PUT", "/accounts/7", same()), Some("ACC-303")),
        ("an operation without a rule", of("GET", "/forgotten", same()), Some("ACC-303")),
        // spellings that servers may take for the operation
        ("an encoded letter", of("GET", "/%61dmin/users", same()), Some("ACC-304")),
        ("another case", of("GET", "/ADMIN/users", same()), Some("ACC-304")),
        ("a dot segment", of("GET", "/prices/../admin/users", same()), Some("ACC-304")),
        (
            "an encoded dot segment",
            of("GET", "/prices/%2e%2e/admin/users", json!({ "roles": ["admin"] })),
            Some("ACC-303"),
        ),
        ("a parameter of a segment", of("GET", "/admin;x=1/users", same()), Some("ACC-304")),
        ("two slashes", of("GET", "//admin/users", same()), Some("ACC-304")),
        ("a slash at the end", of("GET", "/accounts/me/", json!({ "scope": "x" })), Some("ACC-301")),
        ("a method in lower case", of("delete", "/accounts/7", same()), Some("ACC-304")),
    ]
}

/// Object level.
fn objects() -> Vec<Row> {
    let search = |target: &str| {
        of("GET", target, json!({ "accounts": ["7", "8"] })).with("x-tenant", "acme").with("cookie", "account=7")
    };
    vec![
        ("an encoded digit of its own", of("GET", "/accounts/%37", same()), None),
        ("accounts as text", of("GET", "/accounts/7", json!({ "accounts": ["7"] })), None),
        ("one account alone", of("GET", "/accounts/7", json!({ "accounts": 7 })), None),
        ("one account alone, as text", of("GET", "/accounts/7", json!({ "accounts": "7" })), None),
        ("its own search", search("/search?user=ann"), None),
        ("its own search, twice", search("/search?user=ann&user=%61nn"), None),
        ("another account", of("GET", "/accounts/9", same()), Some("ACC-306")),
        ("an account with a zero before", of("GET", "/accounts/07", same()), Some("ACC-306")),
        ("an account with a sign", of("GET", "/accounts/+7", same()), Some("ACC-306")),
        ("an account with a point", of("GET", "/accounts/7.0", same()), Some("ACC-306")),
        ("an account with a space", of("GET", "/accounts/7%20", same()), Some("ACC-306")),
        ("an account with a zero byte", of("GET", "/accounts/7%00", same()), Some("ACC-306")),
        ("an account encoded twice", of("GET", "/accounts/%2537", same()), Some("ACC-306")),
        ("an account with a parameter", of("GET", "/accounts/7;id=9", same()), Some("ACC-306")),
        ("a path that some servers resolve", of("GET", "/accounts/9/../7", same()), Some("ACC-303")),
        ("another account, in other letters", of("GET", "/ACCOUNTS/9", same()), Some("ACC-306")),
        ("text in another case", of("GET", "/accounts/A", json!({ "accounts": ["a"] })), Some("ACC-306")),
        ("no claim", of("GET", "/accounts/7", json!({ "accounts": null })), Some("ACC-306")),
        ("an empty claim", of("GET", "/accounts/7", json!({ "accounts": [] })), Some("ACC-306")),
        ("a claim that is an object", of("GET", "/accounts/7", json!({ "accounts": { "7": true } })), Some("ACC-306")),
        ("a claim that is mixed", of("GET", "/accounts/7", json!({ "accounts": [7, "8"] })), Some("ACC-306")),
        ("a claim that is a fraction", of("GET", "/accounts/7", json!({ "accounts": 7.5 })), Some("ACC-306")),
        ("a claim that is true", of("GET", "/accounts/true", json!({ "accounts": true })), Some("ACC-306")),
        ("somebody else's search", search("/search?user=bob"), Some("ACC-306")),
        ("its own and somebody else's", search("/search?user=ann&user=bob"), Some("ACC-306")),
        ("somebody else's, as a list", search("/search?user=ann&user[]=bob"), Some("ACC-306")),
        ("somebody else's, in capitals", search("/search?user=ann&USER=bob"), Some("ACC-306")),
        ("somebody else's, encoded", search("/search?user=ann&%75ser=bob"), Some("ACC-306")),
        ("somebody else's, encoded twice", search("/search?user=ann&%2575ser=bob"), Some("ACC-306")),
        ("no parameter", search("/search"), Some("ACC-306")),
        ("an empty parameter", search("/search?user"), Some("ACC-306")),
        ("a parameter behind a semicolon", search("/search?user=ann;user=bob"), Some("ACC-306")),
        (
            "another tenant",
            of("GET", "/search?user=ann", same()).with("x-tenant", "evil").with("cookie", "account=7"),
            Some("ACC-306"),
        ),
        ("two tenants", search("/search?user=ann").with("X_Tenant", "evil"), Some("ACC-306")),
        (
            "two tenants in one field",
            of("GET", "/search?user=ann", same()).with("x-tenant", "acme, evil").with("cookie", "account=7"),
            Some("ACC-306"),
        ),
        ("two cookies", search("/search?user=ann").with("cookie", "a=b; account=9"), Some("ACC-306")),
        ("no cookie", of("GET", "/search?user=ann", same()).with("x-tenant", "acme"), Some("ACC-306")),
    ]
}

/// Objects in bodies.
fn bodies() -> Vec<Row> {
    let json = "application/json";
    let transfer = |body| posted(of("POST", "/transfers", same()), json, body);
    let adjust = |changes: Value, body| {
        let mut changes = changes;
        changes["scope"] = "accounts:write".into();
        posted(of("POST", "/accounts/7/adjustments", changes), json, body)
    };
    vec![
        ("from its own account", transfer(r#"{"from": {"account": 7}, "to": 9}"#), None),
        (
            "from its own account, as a form",
            posted(of("POST", "/transfers", same()), "application/x-www-form-urlencoded", "from.account=7"),
            None,
        ),
        ("a manager adjusts", Call { body: None, ..adjust(json!({ "roles": ["manager"] }), "{}") }, None),
        ("an owner adjusts", adjust(same(), r#"{"owner": "ann"}"#), None),
        ("from another account", transfer(r#"{"from": {"account": 9}}"#), Some("ACC-306")),
        ("from two accounts", transfer(r#"{"from": {"account": 7, "account": 9}}"#), Some("ACC-306")),
        ("from an account as text", transfer(r#"{"from": {"account": "7"}}"#), Some("ACC-306")),
        ("from nowhere", transfer("{}"), Some("ACC-306")),
        ("from an empty body", transfer(""), Some("ACC-306")),
        ("from a body cut off", transfer(r#"{"from": {"account": 7}"#), Some("ACC-309")),
        (
            "from a body of another kind",
            posted(of("POST", "/transfers", same()), "text/csv", "from.account\n7"),
            Some("ACC-309"),
        ),
        (
            "from a body that is called two things",
            transfer(r#"{"from": {"account": 7}}"#).with("content-type", "application/x-www-form-urlencoded"),
            Some("ACC-309"),
        ),
        (
            "from JSON that is called a form",
            posted(
                of("POST", "/transfers", same()),
                "application/x-www-form-urlencoded",
                r#"{"n":"&from.account=7&","from":{"account":9}}"#,
            ),
            Some("ACC-309"),
        ),
        (
            "from a body packed unheard-of",
            transfer(r#"{"from": {"account": 7}}"#).with("content-encoding", "rot13"),
            Some("ACC-309"),
        ),
        ("somebody else's owner", adjust(same(), r#"{"owner": "bob"}"#), Some("ACC-306")),
        (
            "an owner of another account, refused before the body",
            Call { body: None, ..adjust(json!({ "accounts": [9] }), r#"{"owner": "ann"}"#) },
            Some("ACC-306"),
        ),
    ]
}

const CONDITIONS: &str = "
  - name: circumstances
    mode: enforce
    authorize:
      operations:
        - { id: pay, methods: [POST], path: \"/pay/{account}\" }
        - { id: night, path: /night }
        - { id: office, path: /office }
        - { id: odd, path: /odd }
        - { id: public, path: /public }
      rules:
        - name: strong
          operations: [pay]
          require:
            when: 'principal.strength == \"bearer\" && parameters.path.account in principal.claims.names && !has(parameters.query.force)'
        - { name: day, operations: [night], require: { when: 'request.hour >= 8 && request.hour < 18 && request.weekday <= 5' } }
        - { name: here, operations: [office], require: { when: 'inNetwork(client.address, \"192.0.2.0/24\") && principal.scopes.exists(s, s.startsWith(\"office:\"))' } }
        - { name: odd, operations: [odd], require: { when: 'principal.claims.level > 3' } }
        - { name: anybody, operations: [public], anonymous: true, require: { when: 'principal == null || principal.subject != \"mallory\"' } }
";

fn conditions() -> Vec<Row> {
    let at = |call: Call, after_secs| Call { after_secs, ..call };
    let day = 10 * 3600; // NOW is a Thursday at 00:00
    let later = |exp: i64| json!({ "exp": NOW + exp });
    vec![
        ("all of it holds", of("POST", "/pay/a", json!({ "names": ["a"] })), None),
        ("another account", of("POST", "/pay/b", json!({ "names": ["a"] })), Some("ACC-307")),
        (
            "a parameter that must not be there",
            of("POST", "/pay/a?force=1", json!({ "names": ["a"] })),
            Some("ACC-307"),
        ),
        ("no claim", of("POST", "/pay/a", same()), Some("ACC-309")),
        ("by day", at(of("GET", "/night", later(99_999)), day), None),
        ("by night", of("GET", "/night", same()), Some("ACC-307")),
        ("on a Saturday", at(of("GET", "/night", later(999_999)), day + 2 * 86_400), Some("ACC-307")),
        ("in the network", of("GET", "/office", json!({ "scope": "a office:enter" })), None),
        ("without the scope", of("GET", "/office", same()), Some("ACC-307")),
        ("a level that is enough", of("GET", "/odd", json!({ "level": 4 })), None),
        ("a level that is not", of("GET", "/odd", json!({ "level": 3 })), Some("ACC-307")),
        ("a level that is text", of("GET", "/odd", json!({ "level": "4" })), Some("ACC-309")),
        ("a level that is missing", of("GET", "/odd", same()), Some("ACC-309")),
        ("anybody", call("GET", "/public"), None),
        ("somebody", of("GET", "/public", same()), None),
        ("but her", of("GET", "/public", json!({ "sub": "mallory" })), Some("ACC-307")),
    ]
}

const CEDAR: &str = "
  - name: bank
    mode: enforce
    authorize:
      operations:
        - { id: readAccount, methods: [GET], path: \"/accounts/{accountId}\", query: [currency] }
        - { id: close-account, methods: [DELETE], path: \"/accounts/{accountId}\" }
        - { id: admin, path: /admin/** }
      cedar:
        files: [bank.cedar]
        claims:
          - { name: accounts, type: strings }
          - { name: level, type: long }
          - { name: suspended, type: boolean }
";

const POLICIES: &str = r#"
@id("owners")
permit (principal, action == Action::"readAccount", resource)
when { principal.claims has accounts && principal.claims.accounts.contains(resource.path.accountId) };

permit (principal in Role::"teller", action in [Action::"readAccount", Action::"close-account"], resource)
when { principal in Group::"branch-7" && context.address.isInRange(ip("192.0.2.0/24")) };

@id("no-foreign-currency")
forbid (principal, action == Action::"readAccount", resource)
when { resource.query has currency && !(["EUR"].containsAll(resource.query.currency)) };

@id("suspended")
forbid (principal, action, resource) when { principal.claims has suspended && principal.claims.suspended };

@id("levels")
forbid (principal, action == Action::"admin", resource)
unless { principal.claims has level && principal.claims.level + 9223372036854775800 > 0 };

permit (principal, action == Action::"admin", resource) when { context.strength != "shared" && context.hour < 1 };
"#;

/// The plans for the Cedar policies of `policies`, which must be valid.
pub(super) fn plans(policies: &str, text: &str) -> Result<CedarPlans, Vec<Diagnostic>> {
    let config = crate::document::config(&format!("policies:{CALLERS}{policies}"));
    let mut plans = CedarPlans::new();
    for policy in &config.policies {
        let PolicyRule::Authorize(authorize) = &policy.rule else { continue };
        let file = CedarFile { name: "policies/bank.cedar".into(), text: text.to_owned() };
        let (plan, warnings) = CedarPlan::compile(authorize, &[file])?;
        assert_eq!(warnings, []);
        plans.insert(policy.name.clone(), Arc::new(plan));
    }
    Ok(plans)
}

fn cedar_desk() -> Desk {
    let mut desk = desk(CEDAR);
    let plans = plans(CEDAR, POLICIES).unwrap_or_else(|faults| panic!("{faults:#?}"));
    desk.snapshot = Arc::new(desk.snapshot.with_endpoints(3, &[]).with_cedar(Arc::new(plans)));
    desk
}

fn cedar() -> Vec<Row> {
    let teller = || json!({ "roles": ["teller"], "groups": ["branch-7"], "accounts": ["1"] });
    let owner = || json!({ "accounts": ["7"] });
    vec![
        ("an owner", of("GET", "/accounts/7", owner()), None),
        ("an owner of one account, without a list", of("GET", "/accounts/7", json!({ "accounts": "7" })), None),
        ("in the right currency", of("GET", "/accounts/7?currency=EUR&currency=EUR", owner()), None),
        ("a teller", of("GET", "/accounts/9", teller()), None),
        ("a teller closes", of("DELETE", "/accounts/9", teller()), None),
        ("an administrator", of("GET", "/admin/x", json!({ "level": 1, "accounts": null })), None),
        ("somebody else", of("GET", "/accounts/9", owner()), Some("ACC-308")),
        ("an owner may not close", of("DELETE", "/accounts/7", owner()), Some("ACC-308")),
        (
            "a teller of another branch",
            of("DELETE", "/accounts/7", json!({ "roles": ["teller"], "accounts": null })),
            Some("ACC-308"),
        ),
        ("a foreign currency", of("GET", "/accounts/7?currency=EUR&Currency=USD", owner()), Some("ACC-308")),
        ("suspended", of("GET", "/accounts/7", json!({ "accounts": ["7"], "suspended": true })), Some("ACC-308")),
        ("in two readings", of("GET", "/accounts/%2537", owner()), Some("ACC-308")),
        ("nobody", call("GET", "/accounts/7"), Some("ACC-302")),
        ("no operation", of("GET", "/other", owner()), Some("ACC-303")),
        (
            "a forbidding policy that cannot be computed",
            of("GET", "/admin/x", json!({ "level": 100, "accounts": null })),
            Some("ACC-309"),
        ),
        (
            "a claim of another type",
            of("GET", "/accounts/7", json!({ "accounts": ["7"], "suspended": "yes" })),
            Some("ACC-309"),
        ),
        ("claims of numbers where text is declared", of("GET", "/accounts/7", same()), Some("ACC-309")),
    ]
}

pub fn tally() -> Vec<(&'static str, bool)> {
    let tables = [functions(), objects(), bodies(), conditions(), cedar()];
    let rows = |rows: Vec<Row>| super::rows(&rows.iter().map(|(_, _, check)| *check).collect::<Vec<_>>());
    tables.into_iter().flat_map(rows).collect()
}

/// Each row is let in or refused by its check, and nobody's token is told of.
fn check(desk: &Desk, rows: &[Row]) {
    for (name, call, check) in rows {
        let served = desk.serve(call);
        assert_eq!(served.check().as_deref(), *check, "{name}: {:?}", served.event.findings);
        let told = format!("{:?}{:?}{:?}", served.event, served.answer.headers, served.answer.body);
        let tokens = call.headers.iter().filter(|(field, _)| field == "authorization");
        for (_, value) in tokens {
            assert!(!told.contains(value.trim_start_matches("Bearer ")), "{name}: the token is told of");
        }
    }
}

#[test]
fn functions_are_for_who_has_the_right() {
    check(&desk(BANK), &functions());
}

#[test]
fn objects_are_for_whom_they_belong_to() {
    check(&desk(BANK), &objects());
}

#[test]
fn objects_in_bodies_are_for_whom_they_belong_to() {
    check(&desk(BANK), &bodies());
}

#[test]
fn conditions_must_hold() {
    check(&desk(CONDITIONS), &conditions());
}

#[test]
fn cedar_policies_must_permit_it() {
    check(&cedar_desk(), &cedar());
}

#[test]
fn policies_that_are_not_loaded_permit_nothing() {
    desk(CEDAR).check("without a plan", &of("GET", "/accounts/7", json!({ "accounts": ["7"] })), Some("ACC-309"));
}

#[test]
fn the_event_says_what_was_missing_and_the_client_learns_only_which_scopes_would_do() {
    let desk = desk(BANK);
    let evidence = |call: &Call| {
        let served = desk.serve(call);
        let finding = served.event.findings.last().unwrap();
        let answer = String::from_utf8(served.answer.body.to_vec()).unwrap();
        assert!(!answer.contains("accounts") && !answer.contains("teller"), "{answer}");
        (format!("{} {}", finding.location, finding.evidence), served.challenges().join("; "))
    };
    let scope = evidence(&of("GET", "/accounts/me", json!({ "scope": "x" })));
    assert_eq!(scope.0, "header operation `ownAccounts`, rule `readers`: scope `accounts:read` is missing");
    assert_eq!(scope.1, "Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"accounts:read\"");
    let role = evidence(&of("DELETE", "/accounts/7", same()));
    assert_eq!(role.0, "header operation `closeAccount`, rule `closing`: role `teller` or another of 2 is missing");
    assert_eq!(role.1, "Bearer realm=\"api\", error=\"insufficient_scope\"");
    let object = evidence(&of("GET", "/accounts/9", same()));
    assert_eq!(
        object.0,
        "path.accountId operation `readAccount`, rule `own`: 1 of 1 values is not in `principal.claims.accounts`"
    );
    let nobody = evidence(&call("GET", "/accounts/me"));
    assert_eq!(nobody.1, "Bearer realm=\"api\"");
}

#[test]
fn a_token_that_is_bound_to_a_key_is_told_in_its_own_scheme() {
    let key = Signer::p256();
    let token = token(&claims(json!({ "scope": "x", "cnf": { "jkt": thumbprint(&key.public()) } })));
    let proof = key.sign(
        &json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": key.public() }),
        &json!({ "htm": "GET", "htu": "https://api.example/accounts/me", "iat": NOW, "jti": "a", "ath": super::desk::sha256(token.as_bytes()) }),
    );
    let methods = CALLERS.replace("jwks_file: keys.jwks", "jwks_file: keys.jwks, algorithms: [EdDSA, ES256]");
    let desk = Desk::with_policies(&format!("policies:{methods}{BANK}"));
    desk.publish(&[signer().named("one")]);
    let served =
        desk.serve(&call("GET", "/accounts/me").with("authorization", format!("DPoP {token}")).with("dpop", proof));
    assert_eq!(served.check().as_deref(), Some("ACC-301"), "{:?}", served.event.findings);
    assert_eq!(served.challenges(), ["DPoP realm=\"api\", error=\"insufficient_scope\", scope=\"accounts:read\""]);
}

#[test]
fn a_policy_that_observes_says_so_and_one_that_is_off_says_nothing() {
    for (mode, findings) in [("observe", 1), ("off", 0)] {
        let (callers, bank) = (CALLERS, BANK.replacen("mode: enforce", &format!("mode: {mode}"), 1));
        let desk = Desk::with_policies(&format!("policies:{callers}{bank}"));
        desk.publish(&[signer().named("one")]);
        let served = desk.serve(&of("GET", "/accounts/9", same()));
        assert_eq!(served.check(), None, "{mode}");
        assert_eq!(served.event.findings.len(), findings, "{mode}");
    }
}

#[test]
fn what_is_unmatched_passes_where_somebody_says_so() {
    let open = BANK.replacen("      rules:", "      unmatched: allow\n      rules:", 1);
    let desk = desk(&open);
    desk.check("an operation that nobody named", &call("GET", "/elsewhere"), None);
    desk.check("a rule still holds", &of("GET", "/accounts/9", same()), Some("ACC-306"));
}

#[test]
fn rules_without_operations_hold_for_the_whole_scope() {
    let desk = desk(
        "
  - name: admins
    mode: enforce
    scope: { paths: [/admin/**] }
    authorize: { rules: [{ name: admins, require: { roles: { all: [admin] } } }] }
",
    );
    desk.check("an administrator", &of("GET", "/admin/x", json!({ "roles": ["admin"] })), None);
    desk.check("a user", &of("GET", "/admin/x", same()), Some("ACC-304"));
    desk.check("nobody", &call("GET", "/%61dmin/x"), Some("ACC-302"));
    desk.check("elsewhere", &call("GET", "/x"), None);
}

#[test]
fn groups_can_stand_in_a_claim_within_another() {
    let other = BANK.replacen("authorize:\n", "authorize:\n      groups_claim: org.groups\n", 1);
    let changes = |groups: Value| json!({ "roles": ["teller"], "org": { "groups": groups } });
    let desk = desk(&other);
    desk.check("a group within", &of("DELETE", "/accounts/7", changes(json!(["branch-7"]))), None);
    desk.check("another group", &of("DELETE", "/accounts/7", changes(json!(["branch-8"]))), Some("ACC-304"));
}

#[test]
fn no_value_is_a_group() {
    let desk = desk(
        "
  - name: teams
    mode: enforce
    authorize: { rules: [{ name: own, require: { objects: [query.team in principal.groups] } }] }
",
    );
    let search = |groups: &str, team: &str| of("GET", &format!("/search?team={team}"), json!({ "groups": groups }));
    desk.check("a group among several", &search("a  b", "b"), None);
    desk.check("another group", &search("a  b", "c"), Some("ACC-306"));
    for groups in ["a  b", " a", "a ", " ", ""] {
        desk.check(groups, &search(groups, ""), Some("ACC-306"));
    }
}

#[test]
fn a_body_beyond_what_is_looked_into_is_refused() {
    let small = BANK.replacen("authorize:\n", "authorize:\n      body_bytes_max: 1KiB\n", 1);
    let body: &'static str =
        Box::leak(format!("{{\"from\": {{\"account\": 7}}, \"pad\": \"{}\"}}", "x".repeat(1024)).into());
    let call = posted(of("POST", "/transfers", same()), "application/json", body);
    desk(&small).check("too large", &call, Some("ACC-309"));
    desk(BANK).check("not too large", &call, None);
}

#[test]
fn faults_of_cedar_policies_have_their_line() {
    let faults = |text: &str| {
        let faults = plans(CEDAR, text).unwrap_err();
        assert!(faults.iter().any(|fault| fault.severity == DiagnosticSeverity::Error));
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let syntax = faults("permit (principal, action, resource);\n\npermit principal, action, resource);\n");
    assert!(syntax.starts_with("policies/bank.cedar:3:8: error[CFG-117]"), "{syntax}");
    let attribute = faults("permit (principal, action, resource)\nwhen { principal.clams == 1 };");
    assert!(
        attribute.contains("policies/bank.cedar:2:8: error[CFG-117]") && attribute.contains("clams"),
        "{attribute}"
    );
    let optional = faults("permit (principal, action, resource)\nwhen { principal.claims.level > 1 };");
    assert!(optional.contains("policies/bank.cedar:2:") && optional.contains("level"), "{optional}");
    let action = faults("permit (principal, action == Action::\"reedAccount\", resource);");
    assert!(action.contains("reedAccount"), "{action}");
    let template = faults("permit (principal == ?principal, action, resource);");
    assert!(template.contains("template"), "{template}");
    let twice =
        faults("@id(\"a\") permit (principal, action, resource);\n@id(\"a\") permit (principal, action, resource);");
    assert!(twice.contains("two policies have the id `a`"), "{twice}");
}

#[test]
fn the_schema_follows_from_operations_and_claims() {
    let config = crate::document::config(&format!("policies:{CALLERS}{CEDAR}"));
    let PolicyRule::Authorize(authorize) = &config.policies[1].rule else { panic!("the second policy authorizes") };
    let text = schema_text(&authorize.operations, authorize.cedar.as_ref().unwrap());
    assert!(
        text.contains(
            "entity readAccount = { path: { \"accountId\": String }, query: { \"currency\"?: Set<String> } };"
        ),
        "{text}"
    );
    assert!(text.contains("entity close_account = "), "{text}");
    assert!(text.contains("\"accounts\"?: Set<String>,"), "{text}");
}

#[test]
fn the_example_policies_are_valid() {
    let text = include_str!("../../../../../docs/examples/bartizan.yaml");
    let config = crate::document::config(text);
    let rules = config.policies.iter().find_map(|policy| match &policy.rule {
        PolicyRule::Authorize(authorize) => Some(authorize),
        _ => None,
    });
    let file = CedarFile {
        name: "orders.cedar".into(),
        text: include_str!("../../../../../docs/examples/policies/orders.cedar").into(),
    };
    let (plan, warnings) = CedarPlan::compile(rules.unwrap(), &[file]).unwrap();
    assert_eq!((plan.policy_count(), warnings), (6, vec![]));
}

/// `text`, its letters percent-encoded where a coin says so, once or twice, or in other case.
fn spelled(text: &str, coins: &mut impl Iterator<Item = u8>) -> String {
    let mut sent = String::new();
    for letter in text.bytes() {
        match coins.next().unwrap_or_default() % 8 {
            1 => sent.push_str(&format!("%{letter:02x}")),
            2 => sent.push_str(&format!("%{letter:02X}")),
            3 => sent.push_str(&format!("%25{letter:02x}")),
            4 => sent.push(letter.to_ascii_uppercase().into()),
            _ => sent.push(letter.into()),
        }
    }
    sent
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(512))]

    #[test]
    fn no_spelling_of_somebody_elses_object_passes(
        coins in proptest::collection::vec(proptest::prelude::any::<u8>(), 40),
        noise in proptest::sample::select(vec![
            "", "/.", "/x/..", "/", "/x/%2e%2e", "/x/..;", "//..", "/x%23/..%2f", "/;a/..%2f", "/x/;a/..%2f..", "/x%3f/..%2f",
            "/accounts/7/..%2f..", "/x\\y/..%2f", "/accounts/7/../..", "/accounts/7;",
        ]),
        after in proptest::sample::select(vec!["", "/", "/.", ";a=1", "%00", "%20", "?x=1", "#", "%23", "/..%2f9", "%3b", ".json", "/cards/.."]),
        at in 0..3_usize,
    ) {
        let mut coins = coins.into_iter();
        let parts = [spelled("accounts", &mut coins), spelled("9", &mut coins)];
        let mut target = String::new();
        for (number, part) in parts.iter().enumerate() {
            if number == at { target.push_str(noise); }
            target.push('/');
            target.push_str(part);
        }
        target.push_str(after);
        let desk = desk(BANK);
        let served = desk.serve(&of("GET", &target, same()));
        proptest::prop_assert!(served.check().is_some(), "{target} passes");
    }

    #[test]
    fn no_spelling_of_somebody_elses_parameter_passes(
        coins in proptest::collection::vec(proptest::prelude::any::<u8>(), 40),
        suffix in proptest::sample::select(vec!["", "[]", "[0]", "%5B%5D", "%00", "+", "%20"]),
        is_first in proptest::prelude::any::<bool>(),
    ) {
        let mut coins = coins.into_iter();
        let other = format!("{}{suffix}=bob", spelled("user", &mut coins));
        let target = if is_first { format!("/search?{other}&user=ann") } else { format!("/search?user=ann&{other}") };
        let call = of("GET", &target, json!({ "accounts": ["7"] })).with("x-tenant", "acme").with("cookie", "account=7");
        let served = desk(BANK).serve(&call);
        let check = served.check();
        proptest::prop_assert_eq!(check.as_deref(), Some("ACC-306"), "{}", target);
    }
}
