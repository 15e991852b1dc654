//! What only staff and the monitoring should see.

use serde_json::{Value, json};

use super::call::{Call, Reply, problem, text};
use super::state::{State, monitor};
use super::{account, profile};
use crate::world::{FIRST_USER, USERS, User, account_owner};

pub(super) fn users(state: &State, call: &Call) -> Result<Reply, Reply> {
    state.staff(call)?;
    let items: Vec<Value> = (FIRST_USER..FIRST_USER + USERS)
        .map(|id| json!({"id": id, "name": User(id).name(), "role": "customer", "accounts": User(id).accounts().len()}))
        .collect();
    Ok(Reply::json(200, call.page(&items)))
}

pub(super) fn user(state: &State, call: &Call) -> Result<Reply, Reply> {
    state.staff(call)?;
    Ok(Reply::json(200, profile::profile(known_user(call)?)))
}

pub(super) fn change_role(state: &State, call: &Call) -> Result<Reply, Reply> {
    state.staff(call)?;
    let user = known_user(call)?;
    let body = call.json()?;
    match text(&body, "role")? {
        role @ ("customer" | "advisor") => Ok(Reply::json(200, json!({"id": user.0, "role": role}))),
        _ => Err(problem(400, "no such role")),
    }
}

/// Nobody is deleted: customers with accounts cannot be.
pub(super) fn delete_user(state: &State, call: &Call) -> Result<Reply, Reply> {
    state.staff(call)?;
    known_user(call)?;
    Err(problem(409, "this customer still has accounts"))
}

/// Weak: asks for a login but not for staff (OWASP API5:2023).
pub(super) fn account(state: &State, call: &Call) -> Result<Reply, Reply> {
    state.caller(call)?;
    let number = call.number("accountId")?;
    account_owner(number).ok_or_else(|| problem(404, "no such account"))?;
    Ok(Reply::json(200, account::detail(number)))
}

pub(super) fn daily_report(state: &State, call: &Call) -> Result<Reply, Reply> {
    state.staff(call)?;
    Ok(Reply::json(200, json!({"date": call.param("date"), "transfers": 1832, "volume": 48_210_340, "deposits": 41})))
}

pub(super) fn metrics(call: &Call) -> Result<Reply, Reply> {
    monitor(call)?;
    Ok(Reply::bytes("text/plain; version=0.0.4", b"# TYPE bank_up gauge\nbank_up 1\n".to_vec()))
}

fn known_user(call: &Call) -> Result<User, Reply> {
    User::find(call.number("userId")?).ok_or_else(|| problem(404, "no such user"))
}
