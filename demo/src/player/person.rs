//! Who calls: a customer with an address and a program.

use crate::world::{FIRST_USER, STAFF_USER, USERS, User};

/// Programs of customers.
const BROWSERS: [&str; 6] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
];
const APPS: [&str; 3] = [
    "HansaBank/5.2.1 (iPhone; iOS 18.1; Scale/3.00)",
    "HansaBank/5.1.0 (Android 14; Pixel 8) okhttp/4.12.0",
    "HansaBank/4.0.2 (iPhone; iOS 16.4; Scale/2.00)",
];

/// Somebody with an address.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) user: User,
    pub(super) ip: String,
    pub(super) agent: &'static str,
}

impl Person {
    /// Any customer, at home with the household or on the road behind a carrier's shared address.
    pub(super) fn any(random: &mut fastrand::Rng) -> Self {
        let user = User(FIRST_USER + random.u64(..USERS));
        let household = (user.0 - FIRST_USER) / 3;
        let ip = match random.u8(..10) {
            0..=2 => format!("100.64.{}.{}", user.0 % 4, 1 + user.0 % 5), // RFC 6598: a carrier's twenty addresses
            3..=4 => format!("2001:db8:{household:x}::{:x}", 16 + user.0 % 3),
            _ => format!("198.18.{}.{}", household / 200, 1 + household % 200),
        };
        let agent = BROWSERS[(user.0 % BROWSERS.len() as u64) as usize];
        Self { user, ip, agent }
    }

    /// The same person with the bank's application.
    pub(super) fn with_app(self) -> Self {
        Self { agent: APPS[(self.user.0 % APPS.len() as u64) as usize], ..self }
    }

    pub(super) fn staff() -> Self {
        Self { user: User(STAFF_USER), ip: "192.0.2.77".to_owned(), agent: BROWSERS[3] }
    }

    /// A program without a customer behind it.
    pub(super) fn program(ip: &str, agent: &'static str) -> Self {
        Self { user: User(0), ip: ip.to_owned(), agent }
    }
}
