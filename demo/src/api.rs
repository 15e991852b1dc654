//! The sample API: a retail bank with a shop, in memory, with the same data at every start.
//!
//! One route for each row of [`OPERATIONS`]; a handler is a plain function from [`Call`] to [`Reply`]. What is weak is
//! marked in the table and at the handler.

mod account;
mod admin;
mod call;
mod profile;
mod shelf;
mod shop;
mod state;
mod transfer;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawPathParams, Request};
use axum::http::{Method, Response, StatusCode, Uri, header};
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use axum::routing::{MethodFilter, on};
use serde_json::json;
use tokio::net::TcpListener;

use crate::operations::{OPERATIONS, Op};
use call::{Call, Payload, Reply, problem};
use state::State;

/// LIMIT: a request body; a photograph of a cheque fits.
const BODY_BYTES_MAX: usize = 4 << 20;
/// Events that a notification stream sends before it ends.
const STREAM_EVENTS: u32 = 4;
/// Time between two of them.
const STREAM_PAUSE: Duration = Duration::from_millis(60);

/// Where the gateway asks about tokens; no operation of the API's.
const INTROSPECTION: &str = "/oauth/introspect";

/// Answers on `listener` until the task is dropped.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener) -> Result<()> {
    axum::serve(listener, router()?).await.map_err(Into::into)
}

/// The routes of every operation over one fresh state.
fn router() -> Result<Router> {
    let state = Arc::new(State::new());
    let mut router = Router::new();
    for operation in OPERATIONS {
        let method: Method = operation.method.parse()?;
        let filter = MethodFilter::try_from(method).map_err(|method| anyhow!("no filter for {method:?}"))?;
        let state = Arc::clone(&state);
        let handler =
            move |params: RawPathParams, request: Request| answer(Arc::clone(&state), operation.name, params, request);
        router = router.route(operation.template, on(filter, handler));
    }
    let introspection = {
        let state = Arc::clone(&state);
        move |params: RawPathParams, request: Request| async move {
            reply(params, request, |call| profile::introspect(&state, call)).await
        }
    };
    router = router.route(INTROSPECTION, on(MethodFilter::POST, introspection));
    Ok(router.fallback(|| async { into_response(problem(404, "there is nothing at this path")) }))
}

async fn answer(state: Arc<State>, name: Op, params: RawPathParams, request: Request) -> Response<Body> {
    reply(params, request, |call| dispatch(&state, name, call)).await
}

async fn reply(
    params: RawPathParams,
    request: Request,
    handle: impl FnOnce(&Call) -> Result<Reply, Reply>,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
        return into_response(problem(413, "the body is too large"));
    };
    let params = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let call = Call { params, query: query(&head.uri), headers: head.headers, body };
    into_response(handle(&call).unwrap_or_else(|refusal| refusal))
}

fn query(uri: &Uri) -> Vec<(String, String)> {
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name.to_owned(), value.replace('+', " "))
    };
    pairs.map(pair).collect()
}

/// The answer of one operation; `Err` is one given early.
fn dispatch(state: &State, name: Op, call: &Call) -> Result<Reply, Reply> {
    match name {
        Op::SignUp => profile::sign_up(state, call),
        Op::Login | Op::OldLogin => profile::login(state, call),
        Op::Logout => profile::logout(state, call),
        Op::Token => profile::token(state, call),
        Op::PasswordReset => profile::password_reset(call),
        Op::OwnProfile => profile::own(state, call),
        Op::Profile => profile::any(state, call),
        Op::ChangeProfile => profile::change(state, call),
        Op::ChangeAddress => profile::change_address(state, call),
        Op::Accounts => account::list(state, call),
        Op::Account => account::one(state, call),
        Op::ChangeAccount => account::change(state, call),
        Op::Balance => account::balance(state, call),
        Op::Transactions => account::transactions(state, call),
        Op::Transaction => account::transaction(state, call),
        Op::Statements => account::statements(state, call),
        Op::Statement => account::statement(state, call),
        Op::Cards => account::cards(state, call),
        Op::LockCard => account::lock_card(state, call),
        Op::Transfers => transfer::list(state, call),
        Op::CreateTransfer => transfer::create(state, call),
        Op::Transfer => transfer::one(state, call),
        Op::CancelTransfer => transfer::cancel(state, call),
        Op::Payees => transfer::payees(state, call),
        Op::CreatePayee => transfer::create_payee(state, call),
        Op::DeletePayee => transfer::delete_payee(state, call),
        Op::Move => transfer::move_money(state, call),
        Op::ChequeDeposits => transfer::deposits(state, call),
        Op::CreateChequeDeposit => transfer::create_deposit(state, call),
        Op::ChequeDeposit => transfer::deposit(state, call),
        Op::ChequeImage => transfer::deposit_image(state, call),
        Op::Notifications => profile::notifications(state, call),
        Op::NotificationStream => profile::notification_stream(state, call),
        Op::ExchangeRates => Ok(account::exchange_rates(call)),
        Op::Branches => Ok(account::branches(call)),
        Op::OldAccount => account::old(call),
        Op::OldProfile => profile::old(call),
        Op::AdminUsers => admin::users(state, call),
        Op::AdminUser => admin::user(state, call),
        Op::AdminChangeRole => admin::change_role(state, call),
        Op::AdminDeleteUser => admin::delete_user(state, call),
        Op::AdminAccount => admin::account(state, call),
        Op::AdminDailyReport => admin::daily_report(state, call),
        Op::Health => Ok(Reply::json(200, json!({"status": "ok"}))),
        Op::Metrics => admin::metrics(call),
        Op::Products => Ok(shop::products(call)),
        Op::Product => shop::product(call),
        Op::Reviews => shop::reviews(state, call),
        Op::CreateReview => shop::create_review(state, call),
        Op::Search => shop::search(call),
        Op::Categories => Ok(shop::categories()),
        Op::Cart => shop::cart(state, call),
        Op::AddToCart => shop::add_to_cart(state, call),
        Op::ChangeCartItem => shop::change_cart_item(state, call),
        Op::RemoveFromCart => shop::remove_from_cart(state, call),
        Op::Orders => shop::orders(state, call),
        Op::CreateOrder => shop::create_order(state, call),
        Op::Order => shop::order(state, call),
        Op::CancelOrder => shop::cancel_order(state, call),
        Op::Invoice => shop::invoice(state, call),
        Op::PartnerPrices => shop::partner_prices(call),
        Op::PartnerStock => shop::partner_stock(call),
    }
}

fn into_response(reply: Reply) -> Response<Body> {
    let mut response = match reply.payload {
        Payload::None => Body::empty().into_response(),
        Payload::Json(media_type, value) => {
            ([(header::CONTENT_TYPE, media_type)], Bytes::from(value.to_string())).into_response()
        }
        Payload::Bytes(media_type, bytes) => ([(header::CONTENT_TYPE, media_type)], bytes).into_response(),
        Payload::Events => events().into_response(),
    };
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// A few notifications, each flushed on its own.
fn events() -> impl IntoResponse {
    let stream = futures::stream::unfold(0, |sent| async move {
        if sent >= STREAM_EVENTS {
            return None;
        }
        tokio::time::sleep(STREAM_PAUSE).await;
        let data = json!({"kind": "payment_received", "sequence": sent, "amount": 1250 + 100 * sent});
        let event = Event::default().event("notification").id(sent.to_string()).data(data.to_string());
        Some((Ok::<_, Infallible>(event), sent + 1))
    });
    Sse::new(stream)
}
