//! What the console refuses: other sites, other hosts, absurd requests; and what it never tells.

use serde_json::json;
use std::sync::atomic::Ordering;

use crate::client::DOCUMENT;
use crate::world::World;

#[test]
fn a_change_needs_the_csrf_token_of_the_session() {
    let world = World::new(0);
    let admin = world.admin();
    let mut without = admin.clone();
    without.csrf = None;
    assert!(without.post("/config/reload", &json!({})).expect(403).detail().contains("x-bartizan-csrf"));
    without.csrf = Some("guess".to_owned());
    without.post("/config/reload", &json!({})).expect(403);
    without.delete("/session").expect(403);
    assert!(world.levers.reloaded_by.lock().unwrap().is_empty());
    admin.post("/config/reload", &json!({})).expect(200);
    assert_eq!(*world.levers.reloaded_by.lock().unwrap(), ["ann"]);
}

#[test]
fn a_change_from_another_site_is_refused_even_with_the_token() {
    let world = World::new(0);
    let admin = world.admin();
    for (name, value) in [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let refused = admin.call("POST", "/config/reload", &[(name, value)], None).expect(403);
        assert!(refused.detail().contains("another site"), "{name}: {value}");
    }
    let own = format!("http://{}", world.address);
    admin.call("POST", "/config/reload", &[("origin", &own), ("sec-fetch-site", "same-origin")], None).expect(200);
    let login = json!({"name": "ann", "password": "wrong horse battery"});
    let from_evil = [("origin", "http://evil.example")];
    world.stranger().call("POST", "/session", &from_evil, Some(&login)).expect(403);
}

#[test]
fn a_host_that_is_not_ours_is_refused_before_anything_else() {
    let world = World::new(0);
    let client = world.stranger();
    for host in ["evil.example", "evil.example:8600", "127.0.0.1.evil.example", "192.0.2.1", "[2001:db8::1]", ""] {
        for path in ["/api/v1/session", "/", "/assets/app.js"] {
            client.raw("GET", path, &[("host", host)], None).expect(421);
        }
    }
    let port = world.address.port();
    for host in
        [format!("localhost:{port}"), format!("127.0.0.1:{port}"), "[::1]".to_owned(), "Console.Example".to_owned()]
    {
        client.raw("GET", "/api/v1/session", &[("host", &host)], None).expect(401);
    }
}

#[test]
fn every_answer_carries_the_security_headers() {
    let world = World::new(0);
    let admin = world.admin();
    let answers = [
        admin.raw("GET", "/", &[], None),
        admin.raw("GET", "/apis/some/page", &[], None),
        admin.raw("GET", "/assets/gone.js", &[], None),
        admin.raw("GET", "/api/v1/status", &[], None),
        admin.raw("GET", "/api/v1/nothing", &[], None),
        admin.raw("GET", "/", &[("host", "evil.example")], None),
    ];
    for answer in &answers {
        let csp = answer.header("content-security-policy");
        for directive in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(csp.split("; ").any(|part| part == directive), "{csp}");
        }
        assert!(!csp.contains("unsafe-eval") && !csp.contains("script-src 'self' 'unsafe-inline'"), "{csp}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert!(!answer.header("permissions-policy").is_empty());
        assert!(!answer.header("cache-control").is_empty() || answer.status == 421);
    }
    for answer in &answers[3..5] {
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[test]
fn a_page_of_the_application_is_served_at_every_path_that_is_no_file() {
    let world = World::new(0);
    let client = world.stranger();
    let root = client.raw("GET", "/", &[], None).expect(200);
    assert!(root.header("content-type").starts_with("text/html"));
    assert!(root.text.contains("cargo xtask ui") || root.text.contains("<script"), "{}", root.text);
    assert_eq!(client.raw("GET", "/events?q=x", &[], None).expect(200).text, root.text);
    client.raw("GET", "/assets/no-such-file.js", &[], None).expect(404);
    client.raw("POST", "/", &[], None).expect(405);
}

#[test]
fn absurd_requests_get_a_clear_answer() {
    let world = World::new(0);
    let admin = world.admin();
    let json_type = [("content-type", "application/json")];
    let big = format!("{{\"yaml\":\"{}\"}}", "x".repeat(1024 * 1024));
    admin.raw("POST", "/api/v1/config/check", &json_type, Some(big)).expect(413);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let not_json = admin.raw("POST", "/api/v1/sql", &form, Some("sql=SELECT".to_owned())).expect(400);
    assert!(not_json.detail().contains("application/json"));
    let broken = admin.raw("POST", "/api/v1/sql", &json_type, Some("{\"sql\":".to_owned())).expect(400);
    assert!(broken.detail().contains("line 1"), "{}", broken.detail());
    let unknown = admin.post("/sql", &json!({"sql": "SELECT 1", "limits": 3})).expect(400);
    assert!(unknown.detail().contains("limits"), "{}", unknown.detail());
    assert_eq!(
        admin.raw("GET", "/api/v1/nothing", &[], None).expect(404).header("content-type"),
        "application/problem+json"
    );
    admin.raw("GET", "/api/v2/status", &[], None).expect(404);
    admin.raw("GET", "/api", &[], None).expect(404);
    admin.raw("PUT", "/api/v1/status", &[], None).expect(405);
    admin.get("/events?from=yesterday").expect(400);
    admin.get("/events?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z").expect(400);
}

#[test]
fn a_handler_that_panics_is_a_problem_and_is_counted() {
    let world = World::new(0);
    let admin = world.admin();
    assert_eq!(admin.get("/status").expect(200).json["console_faults"], 0);
    world.levers.broken.store(true, Ordering::SeqCst);
    let fault = admin.get("/status").expect(500);
    assert!(!fault.text.contains("on purpose"), "{}", fault.text);
    world.levers.broken.store(false, Ordering::SeqCst);
    assert_eq!(admin.get("/status").expect(200).json["console_faults"], 1);
}

#[test]
fn every_documented_route_refuses_whom_it_must() {
    let world = World::new(0);
    let admin = world.admin();
    let viewer = world.viewer(&admin);
    let stranger = world.stranger();
    let mut routes = 0;
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        let concrete = path.replace("{id}", "0123456789abcdef").replace("{revision}", "1").replace("{name}", "vic");
        let local = concrete.strip_prefix("/api/v1").unwrap();
        for (method, operation) in item.as_object().unwrap() {
            routes += 1;
            let method = method.to_uppercase();
            let is_open = operation["security"].as_array().unwrap().is_empty();
            let is_about_oneself = operation["tags"][0] == "session";
            let needs_admin = operation["responses"].get("403").is_some() && !is_about_oneself;
            if !is_open {
                assert_eq!(stranger.call(&method, local, &[], None).status, 401, "{method} {path}");
            }
            if needs_admin {
                assert_eq!(viewer.call(&method, local, &[], None).status, 403, "{method} {path}");
            }
        }
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            if item.get(method.to_lowercase()).is_none() {
                let answer = admin.raw(method, &concrete, &[], None);
                assert_eq!(answer.status, 405, "{method} {path} answers, but is not documented");
            }
        }
    }
    assert_eq!(routes, 34, "a route came or went");
}

#[test]
fn a_stop_ends_idle_connections_and_live_tails_at_once() {
    let mut world = World::new(0);
    let admin = world.admin();
    let (status, mut tail) = admin.stream("/events/live");
    assert_eq!(status.as_u16(), 200);
    let begun = std::time::Instant::now();
    world.stop();
    assert!(begun.elapsed().as_secs() < 4, "{:?}", begun.elapsed());
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut tail, &mut rest).unwrap();
}
