//! Stories in which the adversary is a customer, a victim's browser or a partner: each plays beside what the same people do
//! honestly, and the gateway must tell the two apart.

use super::attack::{login, of, send, token_of};
use super::client::{Client, Message};
use crate::operations::Op;
use crate::world::{FIRST_USER, PARTNER_KEYS, User};

/// What the attacks of this file are called in the ledger; the demo looks for what the gateway says of each.
pub(super) const CHANGED_NUMBER: &str = "changed-number";
const FORGED_PAYMENT: &str = "forged-payment";
const GREEDY_PARTNER: &str = "greedy-partner";

/// Somebody at home with a browser.
const HOME: &str = "198.18.1.77";
const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0";
/// Calls of the greedy partner in a row.
const GREED: usize = 30;

/// How far each story has come.
pub(super) struct Stories {
    curious: Signed,
    victim: Signed,
    turn: u64,
}

/// A customer who signs in once.
struct Signed {
    user: User,
    token: Option<String>,
}

impl Signed {
    /// The token; signs in when there is none.
    fn token(&mut self, client: &mut Client) -> Option<String> {
        if self.token.is_none() {
            self.token = token_of(send(client, HOME, BROWSER, login(self.user)));
        }
        self.token.clone()
    }
}

impl Stories {
    /// Each thread has people of its own.
    pub(super) fn new(thread: u64) -> Self {
        let signed = |nth| Signed { user: User(FIRST_USER + 40 + 2 * thread + nth), token: None };
        Self { curious: signed(0), victim: signed(1), turn: 0 }
    }

    /// A customer looks at the own account, then changes one number, then asks as the staff would.
    pub(super) fn change_number(&mut self, client: &mut Client) {
        let Some(token) = self.curious.token(client) else { return };
        let own = self.curious.user.accounts()[0];
        self.turn += 1;
        let other = User(self.curious.user.0 + self.turn % 20 + 1).accounts()[0];
        for (name, account, attack) in [
            (Op::Account, own, None),
            (Op::Account, other, Some(CHANGED_NUMBER)),
            (Op::AdminAccount, other, Some(CHANGED_NUMBER)),
        ] {
            let message = of(CHANGED_NUMBER, name);
            let path = message.path.replace("{accountId}", &account.to_string());
            let headers = vec![("authorization", format!("Bearer {token}"))];
            send(client, HOME, BROWSER, Message { path, headers, attack, ..message });
        }
    }

    /// The victim pays on the bank's page, and then looks at a page with an image that pays (CWE-352).
    pub(super) fn forge_payment(&mut self, client: &mut Client) {
        let Some(token) = self.victim.token(client) else { return };
        let cookie = ("cookie", format!("theme=dark; shop_session={token}"));
        let own = vec![cookie.clone(), ("sec-fetch-site", "same-origin".to_owned())];
        let forged = vec![
            cookie,
            ("sec-fetch-site", "cross-site".to_owned()),
            ("sec-fetch-mode", "no-cors".to_owned()),
            ("sec-fetch-dest", "image".to_owned()),
            ("referer", "https://kittens.example/".to_owned()),
        ];
        for (query, headers, attack) in
            [("amount=120&to=savings", own, None), ("amount=5000&to=mallory", forged, Some(FORGED_PAYMENT))]
        {
            let message = of(FORGED_PAYMENT, Op::Move);
            let path = format!("{}?{query}", message.path);
            send(client, HOME, BROWSER, Message { path, headers, attack, ..message });
        }
    }

    /// A partner's job in a loop that never waits.
    pub(super) fn call_without_end(&mut self, client: &mut Client) {
        for page in 1..=GREED {
            let message = of(GREEDY_PARTNER, Op::PartnerPrices);
            let path = format!("{}?page={page}&limit=100", message.path);
            let headers = vec![("x-api-key", PARTNER_KEYS[1].to_owned())];
            send(client, "192.0.2.11", "python-requests/2.32.3", Message { path, headers, ..message });
        }
    }
}
