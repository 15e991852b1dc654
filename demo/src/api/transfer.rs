//! Moving money: transfers, payees, cheques.

use serde_json::json;

use super::call::{Call, Reply, amount, problem, text};
use super::state::State;
use crate::world::{User, account_owner};

pub(super) fn list(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = state.caller(call)?;
    let items = state.tables().transfers.of(user.0);
    Ok(Reply::json(200, call.page(&items)))
}

pub(super) fn create(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = state.caller(call)?;
    let body = call.json()?;
    let (from, sum) = (amount(&body, "from")?, amount(&body, "amount")?);
    let payee = text(&body, "payee")?.to_owned();
    own_account(user, from)?;
    let mut tables = state.tables();
    if !matches!(tables.payees.find(&payee), Some((owner, _)) if owner == user.0) {
        return Err(problem(404, "no such payee"));
    }
    if sum > 1_000_000 {
        return Err(problem(409, "the balance is too low"));
    }
    let id = tables.uuid();
    let transfer =
        json!({"id": id, "from": from, "payee": payee, "amount": sum, "currency": "EUR", "status": "pending"});
    tables.transfers.put(user.0, &id, transfer.clone());
    Ok(Reply::json(201, transfer).with_header("location", format!("/v2/transfers/{id}")))
}

pub(super) fn one(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = state.caller(call)?;
    match state.tables().transfers.find(call.param("transferId")) {
        Some((owner, transfer)) if owner == user.0 => Ok(Reply::json(200, transfer.clone())),
        _ => Err(problem(404, "no such transfer")),
    }
}

pub(super) fn cancel(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = state.caller(call)?;
    let id = call.param("transferId");
    let mut tables = state.tables();
    match tables.transfers.find(id) {
        Some((owner, _)) if owner != user.0 => Err(problem(404, "no such transfer")),
        None => Err(problem(404, "no such transfer")),
        Some((_, transfer)) if transfer["status"] != "pending" => Err(problem(409, "it has been executed")),
        Some(_) => {
            tables.transfers.remove(id);
            Ok(Reply::empty(204))
        }
    }
}

/// Weak: changes something by GET, and a cookie is enough (CWE-352).
pub(super) fn move_money(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = state.caller(call)?;
    let sum: u64 = call.query("amount").and_then(|text| text.parse().ok()).ok_or_else(|| problem(400, "how much?"))?;
    let to = call.query("to").unwrap_or("unknown").to_owned();
    let mut tables = state.tables();
    let id = tables.uuid();
    let transfer = json!({"id": id, "to": to, "amount": sum, "currency": "EUR", "status": "executed"});
    tables.transfers.put(user.0, &id, transfer.clone());
    Ok(Reply::json(200, transfer))
}

pub(super) fn payees(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = state.caller(call)?;
    let items = state.tables().payees.of(user.0);
    Ok(Reply::json(200, call.page(&items)))
}

pub(super) fn create_payee(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = state.caller(call)?;
    let body = call.json()?;
    let (name, iban) = (text(&body, "name")?.to_owned(), text(&body, "iban")?.to_owned());
    let mut tables = state.tables();
    if tables.payees.of(user.0).iter().any(|payee| payee["iban"] == iban.as_str()) {
        return Err(problem(409, "you have this payee already"));
    }
    let id = (tables.number() + 70_000).to_string();
    let payee = json!({"id": id, "name": name, "iban": iban});
    tables.payees.put(user.0, &id, payee.clone());
    Ok(Reply::json(201, payee).with_header("location", format!("/v2/payees/{id}")))
}

pub(super) fn delete_payee(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = state.caller(call)?;
    let id = call.param("payeeId");
    let mut tables = state.tables();
    match tables.payees.find(id) {
        Some((owner, _)) if owner == user.0 => {
            tables.payees.remove(id);
            Ok(Reply::empty(204))
        }
        _ => Err(problem(404, "no such payee")),
    }
}

pub(super) fn deposits(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = state.caller(call)?;
    let items = state.tables().deposits.of(user.0);
    Ok(Reply::json(200, call.page(&items)))
}

pub(super) fn create_deposit(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = state.caller(call)?;
    let body = call.json()?;
    let (account, sum) = (amount(&body, "account")?, amount(&body, "amount")?);
    own_account(user, account)?;
    let mut tables = state.tables();
    let id = tables.deposit_id();
    let deposit = json!({"id": id, "account": account, "amount": sum, "status": "waiting_for_image"});
    tables.deposits.put(user.0, &id, deposit.clone());
    Ok(Reply::json(201, deposit).with_header("location", format!("/v2/cheque-deposits/{id}")))
}

pub(super) fn deposit(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = state.caller(call)?;
    match state.tables().deposits.find(call.param("depositId")) {
        Some((owner, deposit)) if owner == user.0 => Ok(Reply::json(200, deposit.clone())),
        _ => Err(problem(404, "no such deposit")),
    }
}

/// A photograph in `multipart/form-data` (RFC 7578).
pub(super) fn deposit_image(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = state.caller(call)?;
    let kind = call.header("content-type").unwrap_or_default();
    let Some(boundary) = kind.strip_prefix("multipart/form-data; boundary=") else {
        return Err(problem(415, "send multipart/form-data"));
    };
    if !call.body.starts_with(format!("--{boundary}").as_bytes()) || !call.body.ends_with(b"--\r\n") {
        return Err(problem(400, "the form is cut off"));
    }
    let id = call.param("depositId");
    let mut tables = state.tables();
    let found = tables.deposits.find(id).filter(|(owner, _)| *owner == user.0);
    let mut deposit = found.map(|(_, deposit)| deposit.clone()).ok_or_else(|| problem(404, "no such deposit"))?;
    deposit["status"] = "in_review".into();
    deposit["image_bytes"] = call.body.len().into();
    tables.deposits.put(user.0, id, deposit.clone());
    Ok(Reply::json(201, deposit))
}

fn own_account(user: User, account: u64) -> Result<(), Reply> {
    match account_owner(account) {
        Some(owner) if owner == user => Ok(()),
        Some(_) => Err(problem(403, "this is not your account")),
        None => Err(problem(404, "no such account")),
    }
}
