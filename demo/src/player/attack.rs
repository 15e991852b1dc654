//! The first few attacks, played in turn, a request at a time.

use serde_json::{Value, json};

use super::client::{Client, Message};
use super::exploit;
use super::story::Stories;
use crate::operations::{BANK, Op, SHOP};
use crate::world::{FIRST_ACCOUNT, FIRST_USER, USERS, User};

/// Whose account the walker of ids signs in with.
const WALKER: User = User(FIRST_USER + 3);
const WALKER_AGENT: &str = "python-requests/2.31.0";
const STUFFER_AGENT: &str = "okhttp/3.12.1";
/// What a tool says that does not say what it is.
const EXPLOIT_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
const SCANNER_AGENT: &str = "Mozilla/5.0 zgrab/0.x";
/// Beyond the header limit of `demo/bartizan.yaml`, below the hard limit of the gateway.
const HEADER_PADDING_BYTES: usize = 20 << 10;
/// Beyond the body limit of every API.
const BODY_PADDING_BYTES: usize = 1200 << 10;
/// One stolen password in so many still fits.
const STOLEN_FITS: u64 = 40;

/// What scanners ask for.
const SCANNED: [&str; 14] = [
    "/.env",
    "/wp-login.php",
    "/.git/config",
    "/phpmyadmin/index.php",
    "/actuator/env",
    "/server-status",
    "/admin.php",
    "/backup.sql",
    "/config.json",
    "/.aws/credentials",
    "/xmlrpc.php",
    "/cgi-bin/luci",
    "/solr/admin/info/system",
    "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php",
];

/// One attack; the order is the order of play.
#[derive(Clone, Copy)]
enum Attack {
    WalkIds,
    WalkOldIds,
    StuffCredentials,
    Scan,
    ForbiddenMethod,
    DeniedNetwork,
    LargeHeader,
    LargeBody,
    Exploit,
    ChangeNumber,
    ForgePayment,
    CallWithoutEnd,
}

const ATTACKS: [Attack; 23] = [
    Attack::WalkIds,
    Attack::ChangeNumber,
    Attack::CallWithoutEnd,
    Attack::ForgePayment,
    Attack::StuffCredentials,
    Attack::Exploit,
    Attack::Scan,
    Attack::ChangeNumber,
    Attack::ForgePayment,
    Attack::ForbiddenMethod,
    Attack::StuffCredentials,
    Attack::CallWithoutEnd,
    Attack::DeniedNetwork,
    Attack::WalkOldIds,
    Attack::Exploit,
    Attack::StuffCredentials,
    Attack::Scan,
    Attack::LargeHeader,
    Attack::Exploit,
    Attack::WalkIds,
    Attack::StuffCredentials,
    Attack::LargeBody,
    Attack::CallWithoutEnd,
];

/// How far each attack has come.
pub(super) struct Attacks {
    turn: usize,
    walked: u64,
    scanned: usize,
    forbidden: usize,
    exploited: usize,
    token: Option<String>,
    stories: Stories,
}

impl Attacks {
    /// Each thread begins elsewhere, so that together they play everything soon.
    pub(super) fn new(thread: u64) -> Self {
        let turn = usize::try_from(thread).unwrap_or(0) * 5;
        Self {
            turn,
            walked: thread * 200,
            scanned: turn,
            forbidden: turn,
            exploited: turn,
            token: None,
            stories: Stories::new(thread),
        }
    }

    /// Plays one request.
    pub(super) fn step(&mut self, client: &mut Client, random: &mut fastrand::Rng) {
        let attack = ATTACKS[self.turn % ATTACKS.len()];
        self.turn += 1;
        match attack {
            Attack::WalkIds => self.walk(client),
            Attack::WalkOldIds => {
                self.walked += 1;
                let account = FIRST_ACCOUNT + self.walked;
                let message =
                    Message { path: format!("/v1/accounts/{account}"), ..of("object-enumeration", Op::OldAccount) };
                send(client, "198.51.100.23", WALKER_AGENT, message);
            }
            Attack::StuffCredentials => stuff(client, random),
            Attack::Scan => {
                let path = SCANNED[self.scanned % SCANNED.len()];
                self.scanned += 1;
                let host = if self.scanned.is_multiple_of(2) { BANK } else { SHOP };
                send(client, "198.51.100.66", SCANNER_AGENT, unlisted("scanner", host, "GET", path));
            }
            Attack::ForbiddenMethod => {
                const FORBIDDEN: [(&str, &str, &str); 3] = [
                    (BANK, "TRACE", "/v2/accounts"),
                    (SHOP, "DELETE", "/products/BK-41000"),
                    (SHOP, "TRACE", "/products"),
                ];
                let (host, method, path) = FORBIDDEN[self.forbidden % FORBIDDEN.len()];
                self.forbidden += 1;
                send(client, "198.51.100.80", "curl/8.5.0", unlisted("forbidden-method", host, method, path));
            }
            Attack::DeniedNetwork => {
                let ip = format!("203.0.113.{}", random.u8(1..255));
                send(client, &ip, WALKER_AGENT, of("denied-network", Op::Products));
            }
            Attack::Exploit => {
                let message = exploit::message(self.exploited);
                self.exploited += 1;
                send(client, "198.51.100.77", EXPLOIT_AGENT, message);
            }
            Attack::ChangeNumber => self.stories.change_number(client),
            Attack::ForgePayment => self.stories.forge_payment(client),
            Attack::CallWithoutEnd => self.stories.call_without_end(client),
            Attack::LargeHeader => {
                let mut message = of("large-header", Op::Categories);
                message.headers.push(("x-padding", "a".repeat(HEADER_PADDING_BYTES)));
                send(client, "198.51.100.90", "curl/8.5.0", message);
            }
            Attack::LargeBody => {
                let text = json!({"email": "a@mail.example", "name": "a".repeat(BODY_PADDING_BYTES)}).to_string();
                let message =
                    Message { body: Some(("application/json", text.into_bytes())), ..of("large-body", Op::SignUp) };
                send(client, "198.51.100.91", "curl/8.5.0", message);
            }
        }
    }

    /// Signed in as one customer, asks for one account after the other.
    fn walk(&mut self, client: &mut Client) {
        let Some(token) = self.token.clone() else {
            let message = Message { attack: Some("object-enumeration"), ..login(WALKER) };
            self.token = token_of(send(client, "198.51.100.23", WALKER_AGENT, message));
            return;
        };
        self.walked += 1;
        let path = format!("/v2/accounts/{}", FIRST_ACCOUNT + self.walked);
        let mut message = Message { path, ..of("object-enumeration", Op::Account) };
        message.headers.push(("authorization", format!("Bearer {token}")));
        send(client, "198.51.100.23", WALKER_AGENT, message);
    }
}

/// Somebody signs in, as honest as anybody.
pub(super) fn login(user: User) -> Message<'static> {
    let body = json!({"email": user.email(), "password": user.password()}).to_string().into_bytes();
    Message { body: Some(("application/json", body)), attack: None, ..of("", Op::Login) }
}

/// The token in the answer to a login.
pub(super) fn token_of(answer: Option<Vec<u8>>) -> Option<String> {
    let body: Value = serde_json::from_slice(&answer?).ok()?;
    Some(body.get("token")?.as_str()?.to_owned())
}

/// A stolen name and password, from one of many addresses, few tries each.
fn stuff(client: &mut Client, random: &mut fastrand::Rng) {
    let user = User(FIRST_USER + random.u64(..USERS));
    let fits = random.u64(..STOLEN_FITS) == 0;
    let password = if fits { user.password() } else { format!("Summer{}", random.u16(1990..2026)) };
    let body = json!({"email": user.email(), "password": password}).to_string().into_bytes();
    let message = Message { body: Some(("application/json", body)), ..of("credential-stuffing", Op::Login) };
    let ip = format!("198.19.{}.{}", random.u8(..32), random.u8(1..255));
    send(client, &ip, STUFFER_AGENT, message);
}

/// A request for an operation without parameters.
pub(super) fn of(attack: &'static str, name: Op) -> Message<'static> {
    let operation = name.operation();
    Message {
        host: operation.host,
        method: operation.method,
        template: Some(operation.template),
        path: operation.template.to_owned(),
        headers: Vec::new(),
        body: None,
        attack: Some(attack),
    }
}

/// A request for what the API does not have.
pub(super) fn unlisted(attack: &'static str, host: &'static str, method: &'static str, path: &str) -> Message<'static> {
    Message {
        host,
        method,
        template: None,
        path: path.to_owned(),
        headers: Vec::new(),
        body: None,
        attack: Some(attack),
    }
}

pub(super) fn send(
    client: &mut Client,
    ip: &str,
    agent: &'static str,
    mut message: Message<'static>,
) -> Option<Vec<u8>> {
    message.headers.push(("user-agent", agent.to_owned()));
    message.headers.push(("x-forwarded-for", ip.to_owned()));
    client.send(message).map(|answer| answer.body)
}
