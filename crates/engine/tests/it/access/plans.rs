//! What API keys bring along: plans of the configuration, for whom they count, and policies that go by plans.

use std::sync::Arc;

use bartizan_engine::{
    API_KEY_RANDOM_BYTES, AccessState, ApiKey, ApiKeyGrant, ApiKeyQuota, ApiKeys, Counters, Inputs, NewApiKey, Plans,
    Snapshot, Step,
};

use super::desk::{AUDIENCE, Call, Desk, ISSUER, NOW, Signer, at};
use crate::document;
use serde_json::json;

const PEPPER: [u8; 32] = [5; 32];
const CALLERS: &str = "{ name: callers, mode: enforce, authenticate: { methods: [{ api_key: {} }] } }";

fn key(application: &str, plan: Option<&str>, random: u8) -> NewApiKey {
    let grant = ApiKeyGrant {
        application: application.into(),
        owner: None,
        plan: plan.map(Into::into),
        quota: None,
        scopes: Vec::new(),
        roles: Vec::new(),
        expires_at: None,
    };
    ApiKeys::new(PEPPER, []).create(grant, &[random; API_KEY_RANDOM_BYTES], at(0)).unwrap()
}

fn call(made: &NewApiKey, after_secs: i64) -> Call {
    Call { after_secs, ..Call::get("/").with("x-api-key", made.text.expose().as_str()) }
}

/// Plans and policies, and the keys that there are.
fn desk(plans: &str, policies: &str, keys: &[&NewApiKey]) -> Desk {
    let desk = Desk::with_policies(&format!("plans: [{plans}]\npolicies: [{policies}]"));
    desk.access.publish_api_keys(ApiKeys::new(PEPPER, keys.iter().map(|made| made.key.clone())));
    desk
}

#[test]
fn an_application_may_use_what_its_plan_allows_and_is_told_so() {
    let (gold, free) = (key("shop", Some("gold"), 1), key("bank", Some("free"), 2));
    let plans = "{ name: gold, quota: { requests: 3, per: 10s } }, { name: free, quota: { requests: 1, per: 10s } }";
    let desk = desk(plans, CALLERS, &[&gold, &free]);
    for _ in 0..3 {
        desk.check("within", &call(&gold, 0), None);
    }
    let refused = desk.serve(&call(&gold, 0));
    assert_eq!(refused.check().as_deref(), Some("LIM-202"));
    let field = |name: &str| refused.answer.headers.iter().find(|(field, _)| *field == name).map(|(_, value)| &**value);
    assert_eq!(field("retry-after"), Some("10"));
    assert_eq!(field("ratelimit-policy"), Some("\"plan:gold\";q=3;w=10"));
    assert_eq!(field("ratelimit"), Some("\"plan:gold\";r=0;t=10"));
    let evidence = &refused.event.findings[0].evidence;
    assert_eq!(**evidence, *format!("more than 3 requests in 10s under the plan `gold` with key `{}`", gold.key.id));
    assert_eq!(refused.event.decision.policy.as_deref(), Some("callers"), "who let the key in answers for it");
    desk.check("another plan", &call(&free, 0), None);
    desk.check("and its number", &call(&free, 0), Some("LIM-202"));
    desk.check("a window later", &call(&gold, 11), None);
}

#[test]
fn keys_of_one_application_count_together_and_applications_of_one_plan_do_not() {
    let (one, two, other) = (key("shop", Some("gold"), 1), key("shop", Some("gold"), 2), key("bank", Some("gold"), 3));
    let desk = desk("{ name: gold, quota: { requests: 2, per: 1h } }", CALLERS, &[&one, &two, &other]);
    desk.check("the old key", &call(&one, 0), None);
    desk.check("the new one", &call(&two, 0), None);
    desk.check("one too many", &call(&one, 0), Some("LIM-202"));
    desk.check("somebody else", &call(&other, 0), None);
}

#[test]
fn every_limit_of_a_plan_holds_beside_the_quota_of_a_key() {
    let mut made = key("shop", Some("gold"), 1);
    made.key.quota = ApiKeyQuota::new(2, 3600);
    let plan = "{ name: gold, spike_arrest: { requests: 1, per: 10s, burst: 1 }, quota: { requests: 9, per: 1h } }";
    let desk = desk(plan, CALLERS, &[&made]);
    desk.check("first", &call(&made, 0), None);
    desk.check("too fast for the plan", &call(&made, 1), Some("LIM-201"));
    desk.check("what the plan refused used up nothing", &call(&made, 11), None);
    let refused = desk.serve(&call(&made, 22));
    assert_eq!(refused.check().as_deref(), Some("LIM-202"), "the key's own quota");
    let told = refused.answer.headers.iter().find(|(name, _)| *name == "ratelimit-policy").unwrap();
    assert_eq!(
        told.1,
        "\"key:api-key\";q=2;w=3600, \"plan:gold.spike_arrest\";q=1;w=10, \"plan:gold.quota\";q=9;w=3600"
    );
}

/// Plans of the configuration, the plan of a key, and the check that must notice.
const PLANS: [(&str, Option<&str>, Option<&str>); 6] = [
    ("", Some("gold"), Some("ACC-221")),
    ("{ name: gold, quota: { requests: 2, per: 1h } }", Some("silver"), Some("ACC-221")),
    ("{ name: gold }", Some("Gold"), Some("ACC-221")),
    ("{ name: gold }", Some("gold"), None),
    ("{ name: gold }", None, None),
    ("", None, None),
];

pub fn tally() -> Vec<(&'static str, bool)> {
    super::rows(&PLANS.map(|(_, _, check)| check))
}

#[test]
fn a_key_of_a_plan_that_there_is_not_is_let_in_nowhere() {
    for (plans, plan, check) in PLANS {
        let made = key("shop", plan, 1);
        let served = desk(plans, CALLERS, &[&made]).serve(&call(&made, 0));
        assert_eq!(served.check().as_deref(), check, "plans [{plans}], key of {plan:?}");
        if check.is_some() {
            assert!(matches!(served.step, Step::Stop(decision) if decision.status == 503));
            assert_eq!(served.event.principal, None, "nobody is known");
        }
    }
    let made = key("shop", Some("silver"), 1);
    let (plan, unlimited) = ("{ name: gold, quota: { requests: 2, per: 1h } }", "{ name: silver }");
    let observed = desk(plan, &CALLERS.replace("enforce", "observe"), &[&made]).serve(&call(&made, 0));
    assert_eq!(observed.step, Step::Continue);
    assert_eq!(observed.event.findings[0].check.to_string(), "ACC-221");
    let desk = desk(unlimited, CALLERS, &[&made]);
    for _ in 0..20 {
        desk.check("a plan without limits", &call(&made, 0), None);
    }
    let config = document::config(&format!("plans: [{plan}]"));
    assert_eq!(desk.access.unknown_plans(&config, at(0)), ["silver".into()]);
    let revoked = ApiKey { revoked_at: Some(at(0)), ..made.key };
    desk.access.publish_api_keys(ApiKeys::new(PEPPER, [revoked]));
    assert_eq!(desk.access.unknown_plans(&config, at(1)), [], "a key that has ended is refused anyway");
}

#[test]
fn a_reload_changes_what_a_plan_means_for_all_its_keys() {
    let made = key("shop", Some("gold"), 1);
    let (counters, access, plans) = (Counters::default(), Arc::new(AccessState::default()), Plans::new());
    access.publish_api_keys(ApiKeys::new(PEPPER, [made.key.clone()]));
    let with_quota = |requests: u32| {
        let text =
            format!("plans: [{{ name: gold, quota: {{ requests: {requests}, per: 1h }} }}]\npolicies: [{CALLERS}]");
        let inputs = Inputs { generation: 1, endpoints: &[], plans: &plans, counters: &counters, key: [7; 32] };
        let snapshot = Snapshot::compile(&document::config(&text), inputs).with_access(Arc::clone(&access));
        Desk { snapshot: Arc::new(snapshot), access: Arc::clone(&access) }
    };
    let before = with_quota(2);
    before.check("first", &call(&made, 0), None);
    before.check("second", &call(&made, 0), None);
    let same = with_quota(2);
    same.check("the same plan goes on counting", &call(&made, 0), Some("LIM-202"));
    let outcomes = counters.limit_outcomes();
    assert_eq!((&*outcomes[0].policy, outcomes[0].allowed, outcomes[0].limited), ("plan:gold", 2, 1));
    let larger = with_quota(4);
    for _ in 0..4 {
        larger.check("another number is another limit", &call(&made, 0), None);
    }
    larger.check("which holds", &call(&made, 0), Some("LIM-202"));
}

#[test]
fn a_place_in_flight_of_a_plan_is_let_go_when_the_exchange_ends() {
    let made = key("shop", Some("gold"), 1);
    let desk = desk("{ name: gold, concurrency: 1 }", CALLERS, &[&made]);
    for _ in 0..3 {
        desk.check("one after the other", &call(&made, 0), None);
    }
}

#[test]
fn a_policy_may_hold_for_keys_of_some_plans_only() {
    let (gold, free, none) = (key("shop", Some("gold"), 1), key("bank", Some("free"), 2), key("lab", None, 3));
    let policy = "{ name: product, mode: enforce, rate: { plans: [free], key: [application], quota: { requests: 1, per: 1h } } }";
    let desk = desk("{ name: gold }, { name: free }", &format!("{CALLERS}, {policy}"), &[&gold, &free, &none]);
    desk.check("within", &call(&free, 0), None);
    desk.check("one too many", &call(&free, 0), Some("LIM-202"));
    for _ in 0..3 {
        desk.check("another plan", &call(&gold, 0), None);
        desk.check("no plan", &call(&none, 0), None);
    }
}

#[test]
fn a_policy_may_count_by_plan_and_by_application() {
    let (shop, bank, free) = (key("shop", Some("gold"), 1), key("bank", Some("gold"), 2), key("lab", Some("free"), 3));
    let policies = |part: &str| {
        let rate =
            format!("{{ name: count, mode: enforce, rate: {{ key: [{part}], quota: {{ requests: 1, per: 1h }} }} }}");
        desk("{ name: gold }, { name: free }", &format!("{CALLERS}, {rate}"), &[&shop, &bank, &free])
    };
    let by_plan = policies("plan");
    by_plan.check("one of a plan", &call(&shop, 0), None);
    by_plan.check("another application of it", &call(&bank, 0), Some("LIM-202"));
    by_plan.check("another plan", &call(&free, 0), None);
    let by_application = policies("application");
    by_application.check("one", &call(&shop, 0), None);
    by_application.check("another", &call(&bank, 0), None);
    by_application.check("the first again", &call(&shop, 0), Some("LIM-202"));
}

#[test]
fn who_lacks_the_claim_of_a_key_is_counted_by_network() {
    let jwt = format!("{{ jwt: {{ issuer: \"{ISSUER}\", audiences: [\"{AUDIENCE}\"], jwks_file: keys.jwks }} }}");
    let text = format!(
        "policies: [{{ name: people, mode: enforce, authenticate: {{ methods: [{jwt}] }} }}, \
         {{ name: tenants, mode: enforce, rate: {{ key: [{{ claim: tenant }}], quota: {{ requests: 2, per: 1h }} }} }}]"
    );
    let desk = Desk::with_policies(&text);
    let signer = Signer::ed25519(1);
    desk.publish(&[signer.named("one")]);
    let of = |subject: &str, tenant: serde_json::Value| {
        let mut claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": NOW + 600 });
        if !tenant.is_null() {
            claims["tenant"] = tenant;
        }
        Call::bearer(&signer.sign(&json!({ "alg": "EdDSA", "kid": "one" }), &claims))
    };
    desk.check("ann of acme", &of("ann", json!("acme")), None);
    desk.check("bob of acme", &of("bob", json!("acme")), None);
    desk.check("cyd of acme", &of("cyd", json!("acme")), Some("LIM-202"));
    desk.check("another tenant", &of("dan", json!("bolt")), None);
    desk.check("a number", &of("eve", json!(7)), None);
    desk.check("a list", &of("eve", json!(["acme", "bolt"])), None);
    desk.check("no claim", &of("fay", json!(null)), None);
    desk.check("an empty one is none", &of("gil", json!("")), None);
    desk.check("and whoever else lacks it from there", &of("hal", json!(null)), Some("LIM-202"));
}

#[test]
fn programs_are_told_apart_by_their_look_and_not_by_what_they_ask_for() {
    let text =
        "policies: [{ name: look, mode: enforce, rate: { key: [fingerprint], quota: { requests: 2, per: 1h } } }]";
    let desk = Desk::with_policies(text);
    let bot = |path: &str| Call::get(path).with("user-agent", "curl/8").with("accept-encoding", "gzip");
    desk.check("one", &bot("/a").with("accept", "text/html"), None);
    desk.check("another thing", &bot("/b").with("x-trace", "7"), None);
    desk.check("the same program", &bot("/c"), Some("LIM-202"));
    let turned = Call::get("/").with("accept-encoding", "gzip").with("user-agent", "curl/8");
    desk.check("another order is another program", &turned, None);
    desk.check("another version", &Call::get("/").with("user-agent", "curl/9").with("accept-encoding", "gzip"), None);
    desk.check("no TLS", &Call { is_tls: false, ..bot("/a") }, None);
    let bare = Call::get("/");
    desk.check("nothing shown", &bare, None);
    desk.check("is a look, too", &bare, None);
    desk.check("and has its limit", &bare, Some("LIM-202"));
}
