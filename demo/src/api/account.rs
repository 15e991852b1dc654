//! Accounts, their transactions and statements, cards, and what the bank tells everyone.

use serde_json::{Value, json};

use super::call::{Call, Reply, problem, text};
use super::state::State;
use crate::world::{User, account_owner};

/// Transactions of each account.
const TRANSACTIONS: u64 = 45;
/// The last month with a statement is December.
const MONTHS: u64 = 12;

pub(super) fn list(state: &State, call: &Call) -> Result<Reply, Reply> {
    let items: Vec<Value> = state.caller(call)?.accounts().into_iter().map(summary).collect();
    Ok(Reply::json(200, call.page(&items)))
}

pub(super) fn one(state: &State, call: &Call) -> Result<Reply, Reply> {
    own_account(state, call).map(|account| Reply::json(200, detail(account)))
}

pub(super) fn change(state: &State, call: &Call) -> Result<Reply, Reply> {
    let account = own_account(state, call)?;
    let body = call.json()?;
    let mut changed = detail(account);
    changed["nickname"] = text(&body, "nickname")?.into();
    Ok(Reply::json(200, changed))
}

pub(super) fn balance(state: &State, call: &Call) -> Result<Reply, Reply> {
    let account = own_account(state, call)?;
    Ok(Reply::json(200, json!({"account": account, "balance": cents(account), "currency": "EUR"})))
}

pub(super) fn transactions(state: &State, call: &Call) -> Result<Reply, Reply> {
    let account = own_account(state, call)?;
    let items: Vec<Value> = (0..TRANSACTIONS).map(|nth| entry(account, nth)).collect();
    Ok(Reply::json(200, call.page(&items)))
}

pub(super) fn transaction(state: &State, call: &Call) -> Result<Reply, Reply> {
    let account = own_account(state, call)?;
    let nth = call.number("transactionId")?.checked_sub(account * 100).filter(|nth| *nth < TRANSACTIONS);
    let nth = nth.ok_or_else(|| problem(404, "no such transaction"))?;
    Ok(Reply::json(200, entry(account, nth)))
}

pub(super) fn statements(state: &State, call: &Call) -> Result<Reply, Reply> {
    own_account(state, call)?;
    let items: Vec<Value> = (1..=MONTHS).map(|month| json!({"month": format!("2025-{month:02}")})).collect();
    Ok(Reply::json(200, call.page(&items)))
}

pub(super) fn statement(state: &State, call: &Call) -> Result<Reply, Reply> {
    let account = own_account(state, call)?;
    let month = call.param("month");
    let number: u64 = month.strip_prefix("2025-").and_then(|number| number.parse().ok()).unwrap_or(0);
    if !(1..=MONTHS).contains(&number) {
        return Err(problem(404, "no statement for this month"));
    }
    let text = format!("date;text;amount\n{month}-01;opening balance;{}\n", cents(account));
    Ok(Reply::bytes("text/csv", text.into_bytes()))
}

pub(super) fn cards(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = state.caller(call)?;
    let masked = format!("5412 75** **** {:04}", user.0 % 10_000);
    Ok(Reply::json(200, json!({"items": [{"id": user.card(), "number": masked, "is_locked": false}], "total": 1})))
}

pub(super) fn lock_card(state: &State, call: &Call) -> Result<Reply, Reply> {
    let user = state.caller(call)?;
    if call.param("cardId") == user.card() { Ok(Reply::empty(204)) } else { Err(problem(404, "no such card")) }
}

/// Weak: the version before the last, still there, and asks nobody who they are (OWASP API9:2023).
pub(super) fn old(call: &Call) -> Result<Reply, Reply> {
    let account = call.number("accountId")?;
    let owner = account_owner(account).ok_or_else(|| problem(404, "no such account"))?;
    let mut value = detail(account);
    value["owner"] = json!({"name": owner.name(), "email": owner.email(), "birth_date": owner.birth_date()});
    Ok(Reply::json(200, value))
}

pub(super) fn exchange_rates(call: &Call) -> Reply {
    let base = call.query("base").unwrap_or("EUR");
    Reply::json(200, json!({"base": base, "rates": {"USD": 1.0831, "GBP": 0.8412, "SEK": 11.27, "JPY": 163.2}}))
}

pub(super) fn branches(call: &Call) -> Reply {
    let near = call.query("near").unwrap_or("Bremen");
    let items: Vec<Value> =
        (1..=5).map(|number| json!({"id": number, "city": near, "street": format!("Am Markt {number}")})).collect();
    Reply::json(200, call.page(&items))
}

/// The account in the path, which must be the caller's.
fn own_account(state: &State, call: &Call) -> Result<u64, Reply> {
    let user = state.caller(call)?;
    let account = call.number("accountId")?;
    match account_owner(account) {
        Some(owner) if owner == user => Ok(account),
        Some(_) => Err(problem(403, "this is not your account")),
        None => Err(problem(404, "no such account")),
    }
}

/// An account in a list.
fn summary(account: u64) -> Value {
    let kind = if account.is_multiple_of(3) { "savings" } else { "current" };
    json!({"id": account, "kind": kind, "balance": cents(account), "currency": "EUR"})
}

/// An account with everything.
pub(super) fn detail(account: u64) -> Value {
    let mut value = summary(account);
    value["iban"] = format!("DE89370400440{account:09}").into();
    value["bic"] = "COBADEFFXXX".into();
    value["nickname"] = format!("account {account}").into();
    value["opened_on"] = "2019-05-14".into();
    value["owner_id"] = account_owner(account).map(|User(id)| id).into();
    value
}

fn cents(account: u64) -> u64 {
    account * 7919 % 900_000
}

fn entry(account: u64, nth: u64) -> Value {
    let day = 1 + nth % 28;
    let amount = i64::try_from(account * (nth + 3) % 40_000).unwrap_or(0) - 20_000;
    json!({"id": account * 100 + nth, "booked_on": format!("2025-12-{day:02}"), "amount": amount, "text": format!("payment {nth}")})
}
