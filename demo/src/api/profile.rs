//! Signing in and up, profiles, notifications.

use serde_json::{Value, json};

use super::call::{Call, Payload, Reply, problem, text};
use super::state::{State, gateway};
use crate::world::{STAFF_USER, User};

pub(super) fn sign_up(state: &State, call: &Call) -> Result<Reply, Reply> {
    let body = call.json()?;
    let (email, name) = (text(&body, "email")?, text(&body, "name")?);
    text(&body, "password")?;
    let mut tables = state.tables();
    if User::find_by_email(email).is_some() || tables.sign_ups.find(email).is_some() {
        return Err(problem(409, "this address has an account already"));
    }
    let id = tables.number() + 50_000;
    // all sign-ups belong to no one, so that the shelf's bound holds for them together
    tables.sign_ups.put(0, email, json!({"id": id, "name": name, "email": email}));
    let place = format!("/v2/profiles/{id}");
    Ok(Reply::json(201, json!({"id": id, "name": name, "email": email})).with_header("location", place))
}

pub(super) fn login(state: &State, call: &Call) -> Result<Reply, Reply> {
    let body = call.json()?;
    let user = sign_in(text(&body, "email")?, text(&body, "password")?)?;
    let token = state.tables().open_session(user, false);
    let cookie = format!("shop_session={token}; Path=/; HttpOnly; SameSite=Lax");
    let answer = json!({"token": token, "user": {"id": user.0, "name": user.name()}, "expires_in": 3600});
    Ok(Reply::json(200, answer).with_header("set-cookie", cookie))
}

/// OAuth 2.0 (RFC 6749 §4.3 in its shape): a form in, a token that looks like a JWT out.
pub(super) fn token(state: &State, call: &Call) -> Result<Reply, Reply> {
    let field = |name: &str| call.form(name).ok_or_else(|| problem(400, &format!("`{name}` is missing")));
    if field("grant_type")? != "password" {
        return Err(problem(400, "unsupported_grant_type"));
    }
    let user = sign_in(&field("username")?, &field("password")?)?;
    let token = state.tables().open_session(user, true);
    Ok(Reply::json(200, json!({"access_token": token, "token_type": "Bearer", "expires_in": 900})))
}

/// What the gateway asks about a token (RFC 7662): whose it is, with the accounts and the role of its holder.
pub(super) fn introspect(state: &State, call: &Call) -> Result<Reply, Reply> {
    gateway(call)?;
    let token = call.form("token").ok_or_else(|| problem(400, "`token` is missing"))?;
    let Some(user) = state.tables().sessions.get(&token).copied().map(User) else {
        return Ok(Reply::json(200, json!({"active": false})));
    };
    let accounts: Vec<String> = user.accounts().iter().map(u64::to_string).collect();
    let role = if user.0 == STAFF_USER { "staff" } else { "customer" };
    Ok(Reply::json(200, json!({"active": true, "sub": user.0.to_string(), "accounts": accounts, "roles": [role]})))
}

fn sign_in(email: &str, password: &str) -> Result<User, Reply> {
    let user = User::find_by_email(email).filter(|user| user.password() == password);
    user.ok_or_else(|| problem(401, "name or password is wrong"))
}

pub(super) fn logout(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = state.caller(call)?;
    let token = call.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let mut tables = state.tables();
    match token {
        Some(token) => drop(tables.sessions.remove(token)),
        None => tables.sessions.retain(|_, owner| *owner != user.0),
    }
    Ok(Reply::empty(204))
}

pub(super) fn password_reset(call: &Call) -> Result<Reply, Reply> {
    text(&call.json()?, "email")?;
    Ok(Reply::json(202, json!({"detail": "if we know this address, a letter is on its way"})))
}

pub(super) fn own(state: &State, call: &Call) -> Result<Reply, Reply> {
    Ok(Reply::json(200, profile(state.caller(call)?)))
}

/// Weak: whoever is signed in reads anyone's (OWASP API1:2023), and more than a screen needs (API3:2023).
pub(super) fn any(state: &State, call: &Call) -> Result<Reply, Reply> {
    state.caller(call)?;
    old(call)
}

/// Weak: no login at all.
pub(super) fn old(call: &Call) -> Result<Reply, Reply> {
    let name = if call.param("profileId").is_empty() { "userId" } else { "profileId" };
    let user = User::find(call.number(name)?).ok_or_else(|| problem(404, "no such profile"))?;
    Ok(Reply::json(200, profile(user)))
}

pub(super) fn change(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = own_profile(state, call)?;
    let body = call.json()?;
    let mut changed = profile(user);
    for name in ["phone", "newsletter"] {
        if let Some(value) = body.get(name) {
            changed[name] = value.clone();
        }
    }
    Ok(Reply::json(200, changed))
}

pub(super) fn change_address(state: &State, call: &Call) -> Result<Reply, Reply> {
    own_profile(state, call)?;
    let body = call.json()?;
    for name in ["street", "city", "postcode"] {
        text(&body, name)?;
    }
    Ok(Reply::empty(204))
}

/// The caller, who must own the profile in the path.
fn own_profile(state: &State, call: &Call) -> Result<User, Reply> {
    let user = state.caller(call)?;
    if call.number("profileId")? == user.0 { Ok(user) } else { Err(problem(403, "this is not your profile")) }
}

pub(super) fn notifications(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = state.caller(call)?;
    let items: Vec<Value> = (0..user.0 % 30)
        .map(|nth| json!({"id": user.0 * 100 + nth, "kind": "payment_received", "is_read": nth > 2}))
        .collect();
    Ok(Reply::json(200, call.page(&items)))
}

pub(super) fn notification_stream(state: &State, call: &Call) -> Result<Reply, Reply> {
    state.caller(call)?;
    Ok(Reply { status: 200, payload: Payload::Events, headers: Vec::new() })
}

/// A profile with everything that the database has.
pub(super) fn profile(user: User) -> Value {
    json!({
        "id": user.0,
        "name": user.name(),
        "email": user.email(),
        "phone": user.phone(),
        "birth_date": user.birth_date(),
        "address": {"street": format!("Hafenstraße {}", 1 + user.0 % 90), "city": user.city(), "postcode": format!("{:05}", 28_000 + user.0 % 700)},
        "customer_since": format!("20{:02}-03-01", 10 + user.0 % 15),
        "accounts": user.accounts(),
        "newsletter": user.0.is_multiple_of(2),
    })
}
