//! What honest callers do: flows of steps, each with the chance that it is taken.

use std::collections::HashMap;

use serde_json::Value;

use super::client::{Answer, Client};
use super::message;
use super::person::Person;
use crate::operations::{Access, Op};

/// Steps in order; the number is the chance in percent.
type Flow = &'static [(Op, u8)];

const BANKING: Flow = &[
    (Op::Login, 100),
    (Op::OwnProfile, 60),
    (Op::Accounts, 100),
    (Op::Account, 90),
    (Op::Balance, 60),
    (Op::Transactions, 80),
    (Op::Transaction, 50),
    (Op::Notifications, 40),
    (Op::NotificationStream, 6),
    (Op::Statements, 25),
    (Op::Statement, 25),
    (Op::Cards, 25),
    (Op::LockCard, 5),
    (Op::ChangeAccount, 5),
    (Op::Logout, 40),
];
const PAYING: Flow = &[
    (Op::Login, 100),
    (Op::Accounts, 100),
    (Op::Payees, 100),
    (Op::CreatePayee, 30),
    (Op::CreateTransfer, 100),
    (Op::Transfer, 80),
    (Op::Transfers, 60),
    (Op::CancelTransfer, 20),
    (Op::DeletePayee, 15),
    (Op::Logout, 50),
];
const MOBILE: Flow = &[
    (Op::Token, 100),
    (Op::Accounts, 100),
    (Op::Balance, 100),
    (Op::Transactions, 60),
    (Op::Notifications, 60),
    (Op::NotificationStream, 6),
    (Op::ExchangeRates, 15),
];
const CHEQUE: Flow = &[
    (Op::Token, 100),
    (Op::Accounts, 100),
    (Op::CreateChequeDeposit, 100),
    (Op::ChequeImage, 100),
    (Op::ChequeDeposit, 90),
    (Op::ChequeDeposits, 60),
];
const PROFILE: Flow = &[
    (Op::PasswordReset, 20),
    (Op::Login, 100),
    (Op::OwnProfile, 100),
    (Op::Profile, 80),
    (Op::ChangeProfile, 60),
    (Op::ChangeAddress, 60),
    (Op::Logout, 60),
];
const VISITING: Flow = &[(Op::Branches, 80), (Op::ExchangeRates, 80), (Op::SignUp, 30)];
const SHOPPING: Flow = &[
    (Op::Categories, 70),
    (Op::Products, 100),
    (Op::Product, 100),
    (Op::Search, 60),
    (Op::Product, 80),
    (Op::Reviews, 50),
    (Op::Login, 100),
    (Op::AddToCart, 100),
    (Op::ChangeCartItem, 30),
    (Op::AddToCart, 40),
    (Op::Cart, 90),
    (Op::RemoveFromCart, 15),
    (Op::CreateOrder, 90),
    (Op::Order, 80),
    (Op::CancelOrder, 10),
    (Op::Invoice, 40),
    (Op::CreateReview, 30),
];
const REORDERING: Flow =
    &[(Op::Login, 100), (Op::Orders, 100), (Op::Order, 90), (Op::Invoice, 40), (Op::CancelOrder, 10)];
/// An application that nobody updated.
const OLD_APP: Flow = &[(Op::OldLogin, 100), (Op::OldAccount, 100), (Op::OldProfile, 80), (Op::Move, 20)];
const STAFF: Flow = &[
    (Op::Login, 100),
    (Op::AdminUsers, 100),
    (Op::AdminUser, 90),
    (Op::AdminAccount, 60),
    (Op::AdminChangeRole, 30),
    (Op::AdminDeleteUser, 15),
    (Op::AdminDailyReport, 80),
];
const PARTNER: Flow = &[(Op::PartnerPrices, 100), (Op::PartnerStock, 100), (Op::PartnerStock, 100)];
const MONITORING: Flow = &[(Op::Health, 100), (Op::Health, 100), (Op::Metrics, 100)];
const CRAWLING: Flow =
    &[(Op::Categories, 100), (Op::Products, 100), (Op::Product, 100), (Op::Product, 100), (Op::Reviews, 50)];

/// Chance in percent that someone mistypes the password.
const MISTYPED: u8 = 6;

/// Somebody on the way through a flow.
pub(super) struct Session {
    pub(super) person: Person,
    /// What earlier answers gave: ids by parameter name
    pub(super) found: HashMap<&'static str, String>,
    pub(super) token: Option<String>,
    flow: Flow,
    next: usize,
}

impl Session {
    pub(super) fn begin(random: &mut fastrand::Rng) -> Self {
        let any = Person::any(random);
        let (person, flow) = match random.u8(..100) {
            0..=17 => (any, BANKING),
            18..=29 => (any, PAYING),
            30..=45 => (any.with_app(), MOBILE),
            46..=51 => (any.with_app(), CHEQUE),
            52..=57 => (any, PROFILE),
            58..=63 => (any, VISITING),
            64..=79 => (any, SHOPPING),
            80..=84 => (any, REORDERING),
            85..=88 => (any.with_app(), OLD_APP),
            89..=90 => (Person::staff(), STAFF),
            91..=93 => (Person::program("192.0.2.10", "partner-sync/2.3 python-requests/2.32.3"), PARTNER),
            94..=96 => (Person::program("192.0.2.200", "Prometheus/2.55.0"), MONITORING),
            _ => {
                let crawler = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
                (Person::program("192.0.2.66", crawler), CRAWLING)
            }
        };
        Self { person, found: HashMap::new(), token: None, flow, next: 0 }
    }

    /// Plays the next step; `false` when the flow has ended.
    pub(super) fn step(&mut self, client: &mut Client, random: &mut fastrand::Rng) -> bool {
        while let Some((name, chance)) = self.flow.get(self.next).copied() {
            self.next += 1;
            let needs_token = matches!(name.operation().access, Access::User | Access::Staff);
            if random.u8(..100) >= chance || (needs_token && self.token.is_none()) {
                continue;
            }
            let is_mistyped = matches!(name, Op::Login | Op::Token) && random.u8(..100) < MISTYPED;
            let Some(message) = message::honest(self, name, is_mistyped, random) else { continue };
            let answer = client.send(message);
            if is_mistyped {
                self.next -= 1; // and once more
            }
            if let Some(answer) = answer.filter(|answer| answer.status < 300) {
                self.learn(name, &answer, random);
            }
            return true;
        }
        false
    }

    /// Keeps what later steps need.
    fn learn(&mut self, name: Op, answer: &Answer, random: &mut fastrand::Rng) {
        let slot = match name {
            Op::Login | Op::OldLogin | Op::Token => "token",
            Op::Logout => {
                self.token = None;
                return;
            }
            Op::Accounts => "accountId",
            Op::Transactions => "transactionId",
            Op::Transfers | Op::CreateTransfer => "transferId",
            Op::Payees | Op::CreatePayee => "payeeId",
            Op::CreateChequeDeposit => "depositId",
            Op::AddToCart => "itemId",
            Op::Orders | Op::CreateOrder => "orderId",
            Op::Products | Op::Search => "sku",
            Op::AdminUsers => "userId",
            _ => return,
        };
        let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else { return };
        if slot == "token" {
            self.token =
                body.get("token").or_else(|| body.get("access_token")).and_then(Value::as_str).map(str::to_owned);
            return;
        }
        let items = body.get("items").and_then(Value::as_array);
        let thing = match items {
            Some(items) if items.is_empty() => return,
            Some(items) => &items[random.usize(..items.len())],
            None => &body,
        };
        let id = if slot == "sku" { &thing["sku"] } else { &thing["id"] };
        match id {
            Value::String(text) => drop(self.found.insert(slot, text.clone())),
            Value::Number(number) => drop(self.found.insert(slot, number.to_string())),
            _ => {}
        }
    }
}
