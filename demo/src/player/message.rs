//! Makes the requests of honest callers: path, query, headers and body for each operation.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::client::Message;
use super::flow::Session;
use crate::operations::{Access, Op, SHOP};
use crate::world::{self, FIRST_USER, MONITOR, PARTNER_KEYS, PRODUCTS, Product, USERS, User};

/// Boundary of the multipart forms.
const BOUNDARY: &str = "----HansaBankFormBoundary7MA4YWxk";

/// The request for a step; nothing when an id that it needs was not found.
pub(super) fn honest(
    session: &Session,
    name: Op,
    is_mistyped: bool,
    random: &mut fastrand::Rng,
) -> Option<Message<'static>> {
    let operation = name.operation();
    let mut path = fill(session, name, operation.template, random)?;
    if let Some(query) = query(name, random) {
        path = format!("{path}?{query}");
    }
    let mut headers = vec![
        ("user-agent", session.person.agent.to_owned()),
        ("accept", "application/json, text/plain, */*".to_owned()),
        ("x-forwarded-for", session.person.ip.clone()),
        ("x-forwarded-proto", "https".to_owned()),
    ];
    headers.extend(credential(session, operation.access, operation.host, name));
    if name == Op::Move {
        headers.push(("sec-fetch-site", "same-origin".to_owned())); // a page of the bank's own
    }
    Some(Message {
        host: operation.host,
        method: operation.method,
        template: Some(operation.template),
        path,
        headers,
        body: body(session, name, is_mistyped, random)?,
        attack: None,
    })
}

fn credential(session: &Session, access: Access, host: &str, name: Op) -> Option<(&'static str, String)> {
    match access {
        Access::Open => None,
        Access::Partner => Some(("x-api-key", PARTNER_KEYS[0].to_owned())),
        Access::Monitor => Some(("authorization", format!("Basic {}", STANDARD.encode(MONITOR)))),
        Access::User | Access::Staff => {
            let token = session.token.as_deref()?;
            if host == SHOP || name == Op::Move {
                return Some(("cookie", format!("theme=dark; shop_session={token}")));
            }
            Some(("authorization", format!("Bearer {token}")))
        }
    }
}

/// The path with every parameter filled in.
fn fill(session: &Session, name: Op, template: &str, random: &mut fastrand::Rng) -> Option<String> {
    let user = session.person.user;
    let mut path = String::new();
    for segment in template.split('/').skip(1) {
        path.push('/');
        let Some(parameter) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            path.push_str(segment);
            continue;
        };
        let value = match (parameter, session.found.get(parameter)) {
            (_, Some(found)) => found.clone(),
            ("accountId", None) if name == Op::AdminAccount => any_user(random).accounts()[0].to_string(),
            ("accountId", None) => user.accounts().first()?.to_string(),
            ("profileId", None) => user.0.to_string(),
            ("userId", None) if name == Op::OldProfile => user.0.to_string(),
            ("cardId", None) => user.card(),
            ("sku", None) => Product(random.u64(..PRODUCTS)).sku(),
            ("month", None) => format!("2025-{:02}", random.u8(1..=12)),
            ("date", None) => format!("2026-{:02}-{:02}", random.u8(1..=9), random.u8(1..=28)),
            _ => return None,
        };
        path.push_str(&value);
    }
    Some(path)
}

fn query(name: Op, random: &mut fastrand::Rng) -> Option<String> {
    let page = random.u8(1..=3);
    match name {
        Op::Transactions => Some(format!("page={page}&limit=20&from=2025-{:02}-01", random.u8(1..=12))),
        Op::Products => {
            let category = world::categories()[random.usize(..6)];
            Some(format!("category={category}&page=1&sort=price"))
        }
        Op::Search => Some(format!("q={}", world::goods()[random.usize(..10)])),
        Op::AdminUsers => Some(format!("page={page}&limit=50")),
        Op::ExchangeRates => Some("base=EUR".to_owned()),
        Op::Branches => Some("near=Bremen".to_owned()),
        Op::PartnerPrices => Some("page=1&limit=100".to_owned()),
        Op::Notifications if random.bool() => Some("limit=10".to_owned()),
        Op::Move => Some(format!("amount={}&to=savings", random.u16(100..5000))),
        _ => None,
    }
}

/// What honest people write, words of SQL, shells and HTML among it: no rule may take them for attacks.
const REVIEWS: [&str; 6] = [
    "does what it should",
    "Select the large one, or 1 of the small ones; drop by the shop & ask from where it ships.",
    "It's \"ok\" -- union of two cheap parts. I'd update the manual, delete page 3 and where it says <5 kg> add 2 = 2.",
    "cat loves it; dog too. echo in the box was ~100% | fine",
    "My son O'Brien typed SELECT * FROM toys WHERE price < 10 into the search, very funny",
    "<b>Great!</b> 5/5, see https://shop.example/products?sort=price&order=asc",
];

/// Media type and content; the outer `None` gives the step up, the inner means that there is no body.
fn body(
    session: &Session,
    name: Op,
    is_mistyped: bool,
    random: &mut fastrand::Rng,
) -> Option<Option<(&'static str, Vec<u8>)>> {
    let user = session.person.user;
    let account = || session.found.get("accountId").and_then(|id| id.parse::<u64>().ok());
    let password = || if is_mistyped { format!("{}x", user.password()) } else { user.password() };
    let value = match name {
        Op::Login | Op::OldLogin => json!({"email": user.email(), "password": password()}),
        Op::Token => {
            let form =
                format!("grant_type=password&username={}&password={}", user.email().replace('@', "%40"), password());
            return Some(Some(("application/x-www-form-urlencoded", form.into_bytes())));
        }
        Op::PasswordReset => json!({"email": user.email()}),
        Op::SignUp => {
            let number = random.u32(..);
            json!({"email": format!("new.{number}@mail.example"), "name": "Nova Neumann", "password": format!("p-{number}")})
        }
        Op::ChangeProfile => json!({"phone": user.phone(), "newsletter": random.bool()}),
        Op::ChangeAddress => {
            json!({"street": format!("Gartenweg {}", random.u8(1..90)), "city": user.city(), "postcode": "28195"})
        }
        Op::ChangeAccount => json!({"nickname": "household"}),
        Op::CreatePayee => {
            json!({"name": any_user(random).name(), "iban": format!("DE02 1203 0000 {:04} {:04} 51", random.u16(1000..9999), random.u16(1000..9999))})
        }
        Op::CreateTransfer => {
            json!({"from": account()?, "payee": session.found.get("payeeId")?, "amount": random.u32(500..90_000), "reference": "rent"})
        }
        Op::CreateChequeDeposit => json!({"account": account()?, "amount": 20_000, "currency": "EUR"}),
        Op::ChequeImage => return Some(Some((image_type(), image(random)))),
        Op::AdminChangeRole => json!({"role": "advisor"}),
        Op::CreateReview => json!({"stars": random.u8(3..=5), "text": REVIEWS[random.usize(..REVIEWS.len())]}),
        Op::AddToCart => {
            let sku = session.found.get("sku").cloned().unwrap_or_else(|| Product(random.u64(..PRODUCTS)).sku());
            json!({"sku": sku, "quantity": random.u8(1..4)})
        }
        Op::ChangeCartItem => json!({"quantity": random.u8(1..6)}),
        Op::CreateOrder => json!({"payment": "invoice", "ship_to": user.city()}),
        Op::PartnerStock => {
            let lines: Vec<Value> = (0..random.u8(10..60))
                .map(|_| json!({"sku": Product(random.u64(..PRODUCTS)).sku(), "stock": random.u8(..200)}))
                .collect();
            json!({"lines": lines})
        }
        _ => return Some(None),
    };
    Some(Some(("application/json", value.to_string().into_bytes())))
}

const fn image_type() -> &'static str {
    "multipart/form-data; boundary=----HansaBankFormBoundary7MA4YWxk"
}

/// A form with a photograph (RFC 7578): the beginning of a JPEG, then noise.
fn image(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut form = format!(
        "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"front\"; filename=\"cheque.jpg\"\r\ncontent-type: image/jpeg\r\n\r\n"
    )
    .into_bytes();
    form.extend([0xff, 0xd8, 0xff, 0xe0]);
    let size = random.usize(8_000..40_000);
    form.extend(std::iter::repeat_with(|| random.u8(..)).take(size));
    form.extend(format!("\r\n--{BOUNDARY}--\r\n").bytes());
    form
}

fn any_user(random: &mut fastrand::Rng) -> User {
    User(FIRST_USER + random.u64(..USERS))
}
