//! Set-up, signing in and out, users and roles.

use serde_json::json;

use crate::client::Client;
use crate::world::{ADMIN_TOKEN, PASSWORD, World};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

#[test]
fn the_one_time_link_makes_the_first_administrator_once() {
    let world = World::new(0);
    let mut client = world.stranger();
    let nobody = client.get("/session").expect(401);
    assert_eq!(nobody.json["setup_needed"], true);

    let setup = |token: &str, name: &str, password: &str| json!({"token": token, "name": name, "password": password});
    client.post("/setup", &setup("guess", "ann", PASSWORD)).expect(403);
    client.post("/setup", &setup(&world.setup_token, "ann", "short")).expect(400);
    client.post("/setup", &setup(&world.setup_token, "annabel.smith", "Annabel.Smith")).expect(400);
    client.post("/setup", &setup(&world.setup_token, "a b", PASSWORD)).expect(400);
    let made = client.post("/setup", &setup(&world.setup_token, "ann", PASSWORD)).expect(200);
    assert_eq!(made.json["user"], json!({"name": "ann", "role": "admin"}));
    client.sign_in_with(made);
    client.get("/session").expect(200);

    let stranger = world.stranger();
    stranger.post("/setup", &setup(&world.setup_token, "eve", PASSWORD)).expect(403);
    assert_eq!(stranger.get("/session").expect(401).json["setup_needed"], false);
}

#[test]
fn the_one_time_link_expires_after_a_day() {
    let world = World::new(0);
    world.levers.advance(DAY);
    let body = json!({"token": world.setup_token, "name": "ann", "password": PASSWORD});
    assert!(world.stranger().post("/setup", &body).expect(403).detail().contains("expired"));
}

#[test]
fn the_session_cookie_is_out_of_reach_of_scripts_and_other_sites() {
    let world = World::new(0);
    let body = json!({"token": world.setup_token, "name": "ann", "password": PASSWORD});
    let made = world.stranger().post("/setup", &body).expect(200);
    let cookie = made.header("set-cookie");
    let (name, token) = cookie.split(';').next().unwrap().split_once('=').unwrap();
    assert_eq!((name, token.len()), ("bartizan_session", 43), "256 bits in base64url");
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.split("; ").any(|part| part == attribute), "{cookie}");
    }
}

#[test]
fn an_unknown_name_and_a_wrong_password_are_answered_alike() {
    let world = World::new(0);
    world.admin();
    let mut client = world.stranger();
    let wrong = client.sign_in("ann", "wrong horse battery").expect(401);
    let unknown = client.sign_in("bob", "wrong horse battery").expect(401);
    assert_eq!(wrong.text, unknown.text);
    client.sign_in("Ann", PASSWORD).expect(200);
}

#[test]
fn guessing_a_password_is_slowed_down_by_name_and_address_and_a_wait_helps() {
    let world = World::new(0);
    world.admin();
    let mut client = world.stranger();
    for _ in 0..8 {
        client.sign_in("ann", "wrong horse battery").expect(401);
    }
    let refused = client.sign_in("ann", PASSWORD).expect(429);
    let wait: i64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    client.sign_in("bob", "wrong horse battery").expect(401);
    world.levers.advance(wait);
    client.sign_in("ann", PASSWORD).expect(200);
}

#[test]
fn guessing_from_one_address_is_slowed_down_over_all_names() {
    let world = World::new(0);
    let mut client = world.stranger();
    for number in 0..30 {
        client.sign_in(&format!("user{number}"), "wrong horse battery").expect(401);
    }
    client.sign_in("user31", "wrong horse battery").expect(429);
}

#[test]
fn signing_in_makes_a_new_session_and_ends_the_one_presented() {
    let world = World::new(0);
    let first = world.admin();
    let mut second = first.clone();
    second.csrf = None; // a page that has lost it can still sign in
    second.sign_in("ann", PASSWORD).expect(200);
    assert_ne!(first.cookie, second.cookie);
    first.get("/session").expect(401);
    second.get("/session").expect(200);
}

#[test]
fn a_session_ends_after_eight_idle_hours() {
    let world = World::new(0);
    let client = world.admin();
    world.levers.advance(8 * HOUR - 60);
    client.get("/session").expect(200);
    world.levers.advance(8 * HOUR - 1);
    client.get("/session").expect(200);
    world.levers.advance(8 * HOUR);
    client.get("/session").expect(401);
}

#[test]
fn a_session_ends_after_seven_days_however_much_it_is_used() {
    let world = World::new(0);
    let client = world.admin();
    for _ in 0..(7 * 24 / 6 - 1) {
        world.levers.advance(6 * HOUR);
        client.get("/session").expect(200);
    }
    world.levers.advance(6 * HOUR);
    client.get("/session").expect(401);
}

#[test]
fn signing_out_ends_the_session_and_clears_the_cookie() {
    let world = World::new(0);
    let client = world.admin();
    let out = client.delete("/session").expect(204);
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{}", out.header("set-cookie"));
    client.get("/session").expect(401);
}

#[test]
fn a_new_password_ends_every_session_but_the_new_one() {
    let world = World::new(0);
    let mut here = world.admin();
    let mut elsewhere = world.stranger();
    elsewhere.sign_in("ann", PASSWORD).expect(200);

    let change = |current: &str, password: &str| json!({"current": current, "password": password});
    let put = |client: &Client, body| client.call("PUT", "/session/password", &[], Some(&body));
    put(&here, change("wrong horse battery", "a whole new sentence")).expect(403);
    put(&here, change(PASSWORD, "short")).expect(400);
    let changed = put(&here, change(PASSWORD, "a whole new sentence")).expect(200);
    let before = here.clone();
    here.sign_in_with(changed);

    here.get("/session").expect(200);
    before.get("/session").expect(401);
    elsewhere.get("/session").expect(401);
    elsewhere.sign_in("ann", PASSWORD).expect(401);
    elsewhere.sign_in("ann", "a whole new sentence").expect(200);
}

#[test]
fn a_viewer_looks_and_changes_nothing() {
    let world = World::new(50);
    let admin = world.admin();
    let viewer = world.viewer(&admin);
    for path in ["/overview", "/endpoints", "/events", "/config", "/config/revisions", "/checks", "/status"] {
        viewer.get(path).expect(200);
    }
    viewer.post("/sql", &json!({"sql": "SELECT count(*) FROM events"})).expect(200);
    viewer.post("/config/check", &json!({"yaml": "a: b"})).expect(200);
    viewer.post("/config/reload", &json!({})).expect(403);
    viewer.post("/endpoints/0123456789abcdef/unmerge", &json!({"position": 1})).expect(403);
    viewer.post("/cache/purge", &json!({})).expect(403);
    viewer.get("/users").expect(403);
    viewer.post("/users", &json!({"name": "eve", "password": PASSWORD, "role": "admin"})).expect(403);
    viewer.delete("/users/ann").expect(403);
    assert!(world.levers.reloaded_by.lock().unwrap().is_empty());
}

#[test]
fn administrators_add_and_remove_users_but_the_last_of_them_stays() {
    let world = World::new(0);
    let admin = world.admin();
    let viewer = world.viewer(&admin);
    let vic = json!({"name": "Vic", "password": PASSWORD, "role": "viewer"});
    admin.post("/users", &vic).expect(409);
    let users = admin.get("/users").expect(200);
    let names: Vec<&str> = users.json.as_array().unwrap().iter().map(|user| user["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ann", "vic"]);
    assert!(!users.text.contains("argon2"));

    admin.delete("/users/ann").expect(409);
    admin.delete("/users/nobody").expect(404);
    admin.delete("/users/vic").expect(204);
    viewer.get("/session").expect(401);
}

#[test]
fn a_script_with_the_admin_token_needs_neither_session_nor_csrf_token() {
    let world = World::new(0);
    let client = world.stranger();
    let bearer = format!("Bearer {ADMIN_TOKEN}");
    let reloaded = client.call("POST", "/config/reload", &[("authorization", &bearer)], None).expect(200);
    assert_eq!(reloaded.json["outcome"], "unchanged");
    assert_eq!(*world.levers.reloaded_by.lock().unwrap(), ["admin-token"]);
    for wrong in ["Bearer guess", "Bearer ", "Basic dGVzdDp0ZXN0"] {
        client.call("GET", "/status", &[("authorization", wrong)], None).expect(401);
    }
}
