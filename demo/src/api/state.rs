//! Everything that changes while the API runs, behind one lock, and who is calling.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::call::{Call, Reply, problem};
use super::shelf::Shelf;
use crate::world::{FIRST_USER, GATEWAY, MONITOR, PARTNER_KEYS, Product, STAFF_USER, USERS, User};

/// LIMIT: open sessions; beyond it all are ended, as a restart would.
const SESSIONS_MAX: usize = 100_000;
/// The same data at every start.
const SEED: u64 = 20_260_101;

/// The state of the API.
pub(super) struct State(Mutex<Tables>);

/// What is behind the lock.
pub(super) struct Tables {
    pub(super) sessions: HashMap<String, u64>,
    pub(super) transfers: Shelf,
    pub(super) payees: Shelf,
    pub(super) deposits: Shelf,
    pub(super) carts: Shelf,
    pub(super) orders: Shelf,
    pub(super) reviews: Shelf,
    pub(super) sign_ups: Shelf,
    next_number: u64,
    random: fastrand::Rng,
}

impl State {
    pub(super) fn new() -> Self {
        let mut tables = Tables {
            sessions: HashMap::new(),
            transfers: Shelf::default(),
            payees: Shelf::default(),
            deposits: Shelf::default(),
            carts: Shelf::default(),
            orders: Shelf::default(),
            reviews: Shelf::default(),
            sign_ups: Shelf::default(),
            next_number: 1,
            random: fastrand::Rng::with_seed(SEED),
        };
        for id in FIRST_USER..FIRST_USER + USERS {
            tables.furnish(User(id));
        }
        Self(Mutex::new(tables))
    }

    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who calls: by bearer token, or by the session cookie of the shop.
    pub(super) fn caller(&self, call: &Call) -> Result<User, Reply> {
        let bearer = call.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let cookie = call
            .header("cookie")
            .and_then(|value| value.split("; ").find_map(|pair| pair.strip_prefix("shop_session=")));
        let user = bearer.or(cookie).and_then(|token| self.tables().sessions.get(token).copied()).map(User);
        user.ok_or_else(|| problem(401, "sign in first").with_header("www-authenticate", "Bearer".to_owned()))
    }

    /// The caller, who must be staff.
    pub(super) fn staff(&self, call: &Call) -> Result<User, Reply> {
        let user = self.caller(call)?;
        if user.0 == STAFF_USER { Ok(user) } else { Err(problem(403, "this is for members of staff")) }
    }
}

/// The caller must be a partner.
pub(super) fn partner(call: &Call) -> Result<(), Reply> {
    match call.header("x-api-key") {
        Some(key) if PARTNER_KEYS.contains(&key) => Ok(()),
        Some(_) => Err(problem(403, "this key is not known")),
        None => Err(problem(401, "send your key in x-api-key")),
    }
}

/// The caller must be the monitoring.
pub(super) fn monitor(call: &Call) -> Result<(), Reply> {
    basic(call, MONITOR, "this is for the monitoring")
}

/// The caller must be the gateway.
pub(super) fn gateway(call: &Call) -> Result<(), Reply> {
    basic(call, GATEWAY, "this is for the gateway")
}

fn basic(call: &Call, pair: &str, refusal: &str) -> Result<(), Reply> {
    let expected = format!("Basic {}", STANDARD.encode(pair));
    if call.header("authorization") == Some(expected.as_str()) {
        return Ok(());
    }
    Err(problem(401, refusal).with_header("www-authenticate", "Basic".to_owned()))
}

impl Tables {
    /// A new session: an opaque token, or one that looks like a JWT (only the map decides whether it counts).
    pub(super) fn open_session(&mut self, user: User, is_jwt: bool) -> String {
        if self.sessions.len() >= SESSIONS_MAX {
            self.sessions.clear();
        }
        let secret = format!("{:032x}", self.random.u128(..));
        let token = if is_jwt {
            let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let head = part(json!({"alg": "HS256", "typ": "JWT"}));
            let claims = part(json!({"iss": "https://bank.example", "sub": user.0.to_string(), "jti": secret}));
            format!("{head}.{claims}.{}", URL_SAFE_NO_PAD.encode(secret.as_bytes()))
        } else {
            format!("bt_{secret}")
        };
        self.sessions.insert(token.clone(), user.0);
        token
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    pub(super) fn uuid(&mut self) -> String {
        let bits = self.random.u128(..);
        let bits = bits & !(0xf000 << 64) & !(0xc000 << 48) | (0x4000 << 64) | (0x8000 << 48); // version 4 (RFC 9562)
        let hex = format!("{bits:032x}");
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }

    pub(super) fn deposit_id(&mut self) -> String {
        format!("dep_{:016x}", self.random.u64(..))
    }

    pub(super) fn order_id(&mut self) -> String {
        format!("ORD-2026-{:06}", self.number())
    }

    /// What a customer has at the start.
    fn furnish(&mut self, user: User) {
        let account = user.accounts().first().copied().unwrap_or_default();
        for nth in 0..3 {
            let id = self.uuid();
            let transfer =
                json!({"id": id, "from": account, "amount": 1500 + nth * 250, "currency": "EUR", "status": "executed"});
            self.transfers.put(user.0, &id, transfer);
            let payee = (self.number() + 70_000).to_string();
            let iban = format!("DE89 3704 0044 0532 {:04} {nth:02}", user.0);
            self.payees.put(
                user.0,
                &payee,
                json!({"id": payee, "name": User(FIRST_USER + (user.0 + nth + 1) % USERS).name(), "iban": iban}),
            );
            let deposit = self.deposit_id();
            self.deposits.put(
                user.0,
                &deposit,
                json!({"id": deposit, "account": account, "amount": 20_000, "status": "booked"}),
            );
            let order = self.order_id();
            let product = Product((user.0 + nth * 11) % 120);
            let line = json!({"sku": product.sku(), "quantity": 1, "price": product.price_cents()});
            self.orders.put(
                user.0,
                &order,
                json!({"id": order, "status": "delivered", "lines": [line], "total": product.price_cents()}),
            );
        }
    }
}
