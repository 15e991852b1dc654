//! API keys: listed for everybody, changed by administrators, their text shown once.

use serde_json::{Value, json};

use crate::client::Client;
use crate::world::{KEY_TEXT, World};

fn made(client: &Client, application: &str) -> Value {
    client.post("/keys", &json!({"application": application})).expect(201).json
}

fn states(client: &Client) -> Vec<(String, String)> {
    let text = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
    let list = client.get("/keys").expect(200).json;
    list.as_array().unwrap().iter().map(|key| (text(key, "id"), text(key, "state"))).collect()
}

fn pairs(states: &[(&str, &str)]) -> Vec<(String, String)> {
    states.iter().map(|(id, state)| ((*id).to_owned(), (*state).to_owned())).collect()
}

#[test]
fn a_key_is_made_with_everything_that_was_asked_for_and_its_text_is_shown_once() {
    let world = World::new(0);
    let admin = world.admin();
    assert_eq!(admin.get("/keys").expect(200).json, json!([]));
    let asked = json!({
        "application": "shop", "owner": "team-shop", "plan": "gold", "scopes": ["orders:read"], "roles": ["partner"],
        "quota": {"requests": 1000, "per_s": 60}, "expires": "2100-01-01T00:00:00Z",
    });
    let answer = admin.post("/keys", &asked).expect(201);
    assert_eq!(answer.json["text"], KEY_TEXT);
    assert_eq!(answer.header("cache-control"), "no-store");
    let listed = admin.get("/keys").expect(200);
    assert!(!listed.text.contains(KEY_TEXT) && !listed.text.contains("digest"), "{}", listed.text);
    let key = &listed.json[0];
    for name in ["application", "owner", "plan", "scopes", "roles", "quota"] {
        assert_eq!(key[name], asked[name], "{name}");
    }
    assert_eq!((&key["expires"], &key["created_by"]), (&json!("2100-01-01T00:00:00.000000Z"), &json!("ann")));
    assert_eq!((&key["state"], &key["last_used"], &key["requests_24h"]), (&json!("live"), &Value::Null, &json!(0)));
}

#[test]
fn a_key_is_rotated_with_a_grace_and_revoked_at_once() {
    let world = World::new(0);
    let admin = world.admin();
    made(&admin, "shop");
    let answer = admin.post("/keys/k0/rotate", &json!({"grace_s": 3600})).expect(201);
    assert_eq!((&answer.json["text"], &answer.json["key"]["id"]), (&json!(KEY_TEXT), &json!("k1")));
    assert_eq!(states(&admin), pairs(&[("k0", "rotating"), ("k1", "live")]));
    world.levers.advance(3600);
    assert_eq!(states(&admin), pairs(&[("k0", "expired"), ("k1", "live")]));
    admin.post("/keys/k1/revoke", &json!({})).expect(204);
    assert_eq!(states(&admin), pairs(&[("k0", "expired"), ("k1", "revoked")]));
    admin.post("/keys/k2/rotate", &json!({})).expect(404);
    admin.post("/keys/k2/revoke", &json!({})).expect(404);
}

#[test]
fn what_cannot_be_done_says_why_and_what_broke_does_not() {
    let world = World::new(0);
    let admin = world.admin();
    let refused = |application: &str, status| {
        admin.post("/keys", &json!({"application": application})).expect(status).detail().to_owned()
    };
    assert_eq!(refused("bad", 400), "a name has letters");
    assert_eq!(refused("full", 409), "the application has two live keys");
    assert!(!refused("broken", 503).contains("fire"), "that is for the log");
    admin.post("/keys", &json!({"application": "shop", "digest": "x"})).expect(400);
}

#[test]
fn a_viewer_sees_keys_and_changes_none() {
    let world = World::new(0);
    let admin = world.admin();
    made(&admin, "shop");
    let viewer = world.viewer(&admin);
    assert_eq!(states(&viewer), pairs(&[("k0", "live")]));
    viewer.post("/keys", &json!({"application": "shop"})).expect(403);
    viewer.post("/keys/k0/rotate", &json!({})).expect(403);
    viewer.post("/keys/k0/revoke", &json!({})).expect(403);
    let mut forged = admin.clone();
    forged.csrf = None;
    forged.post("/keys/k0/revoke", &json!({})).expect(403);
    world.stranger().get("/keys").expect(401);
    assert_eq!(states(&admin), pairs(&[("k0", "live")]), "nothing has changed");
}
