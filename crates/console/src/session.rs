//! Signing in and out: sessions, the one-time set-up, a changed password.
//!
//! A session is a random token in a cookie and its hash in the store. It ends after 8 idle hours or 7 days; signing in
//! makes a new one and ends the one presented; a new password ends them all.
//! Source: OWASP Session Management Cheat Sheet.

use std::sync::{Arc, PoisonError};

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bartizan_model::{Secret, Timestamp};
use bartizan_store::{Role, Session, User};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::Console;
use crate::login::Tried;
use crate::problem::{Problem, ProblemBody};
use crate::request::Body;
use crate::security::{self, COOKIE, Caller, Ends, Via};
use crate::token::{TokenHash, new_token};
use crate::{password, schema, users};

/// A session ends when it has not been used for so long: 8 hours.
const IDLE_US: i64 = 8 * 3600 * 1_000_000;
/// A session ends so long after it began: 7 days.
const ABSOLUTE_US: i64 = 7 * 86_400 * 1_000_000;
/// How stale the note of a session's last use may be: a write a minute, not one a request.
const TOUCH_US: u64 = 60 * 1_000_000;

/// Who is signed in.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionBody {
    user: UserBody,
    /// Send this as `x-bartizan-csrf` with everything but GET; empty for the admin token, which needs none
    csrf: String,
}

/// A user as everybody may know it.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserBody {
    /// Name to sign in with
    pub(crate) name: String,
    #[schema(value_type = schema::Role)]
    pub(crate) role: Role,
}

/// A name and a password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    name: String,
    password: String,
}

/// The first user, made with the token of the one-time link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setup {
    /// What stands after `#token=` in the link
    token: String,
    /// 1 to 64 letters, digits, `.`, `_`, `-` or `@`
    name: String,
    /// At least 12 characters
    password: String,
}

/// A new password for who is signed in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordChange {
    /// The password as it is now
    current: String,
    /// At least 12 characters
    password: String,
}

/// Who is signed in.
#[utoipa::path(get, path = "/session", tag = "session", responses(
    (status = 200, body = SessionBody),
    (status = 401, description = "nobody; `setup_needed` says whether a first user must be made", body = ProblemBody),
))]
pub(crate) async fn show(
    State(console): State<Arc<Console>>,
    headers: HeaderMap,
) -> Result<Json<SessionBody>, Problem> {
    let caller = security::caller(&console, &headers).await?;
    let csrf = match &caller.via {
        Via::Session(token) => security::csrf_of(token),
        Via::AdminToken => String::new(),
    };
    Ok(Json(SessionBody { user: UserBody { name: caller.name, role: caller.role }, csrf }))
}

/// Sign in.
#[utoipa::path(post, path = "/session", tag = "session", request_body = Credentials, responses(
    (status = 200, body = SessionBody, headers(("set-cookie" = String, description = "`bartizan_session`"))),
    (status = 401, description = "the name or the password is wrong", body = ProblemBody),
    (status = 429, description = "too many tries", body = ProblemBody,
        headers(("retry-after" = u64, description = "seconds to wait"))),
))]
pub(crate) async fn sign_in(
    State(console): State<Arc<Console>>,
    Extension(ends): Extension<Ends>,
    headers: HeaderMap,
    Body(credentials): Body<Credentials>,
) -> Result<Response, Problem> {
    let now = console.now();
    let name = users::limited_name(&credentials.name);
    let tried = Tried::Password(name.clone());
    console.logins.take(&tried, ends.remote.ip(), now)?;
    let user = console.parts.store.user(&name).await?;
    let stored = user.as_ref().map(|user| user.password_hash.expose().clone());
    let fits = password::verify(credentials.password, stored).await?;
    let (Some(user), true) = (user, fits) else {
        tracing::warn!(address = %ends.remote.ip(), "a sign-in to the console was refused");
        let setup_needed = console.is_setup_needed();
        return Err(Problem::SignedOut { detail: "the name or the password is wrong", setup_needed });
    };
    console.logins.forgive(&tried, ends.remote.ip());
    if let Some(old) = security::session_token(&headers) {
        console.parts.store.delete_session(TokenHash::of(old).as_bytes()).await?;
    }
    begin(&console, &user, now).await
}

/// Sign out.
#[utoipa::path(delete, path = "/session", tag = "session", responses(
    (status = 204, description = "signed out", headers(("set-cookie" = String, description = "cleared"))),
))]
pub(crate) async fn sign_out(
    State(console): State<Arc<Console>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    if let Via::Session(token) = &caller.via {
        console.parts.store.delete_session(TokenHash::of(token).as_bytes()).await?;
    }
    let cleared = cookie(&console, "", 0)?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cleared)]).into_response())
}

/// Make the first user, an administrator, with the one-time link that the first start prints.
#[utoipa::path(post, path = "/setup", tag = "session", request_body = Setup, responses(
    (status = 200, body = SessionBody, headers(("set-cookie" = String, description = "`bartizan_session`"))),
    (status = 400, description = "the name or the password is not acceptable", body = ProblemBody),
    (status = 403, description = "the link has been used, is older than a day, or was never one", body = ProblemBody),
    (status = 409, description = "a user exists already", body = ProblemBody),
    (status = 429, description = "too many tries", body = ProblemBody),
))]
pub(crate) async fn set_up(
    State(console): State<Arc<Console>>,
    Extension(ends): Extension<Ends>,
    Body(setup): Body<Setup>,
) -> Result<Response, Problem> {
    let now = console.now();
    console.logins.take(&Tried::SetUpLink, ends.remote.ip(), now)?;
    let is_valid = {
        let token = console.setup.lock().unwrap_or_else(PoisonError::into_inner);
        token.as_ref().is_some_and(|kept| kept.is_valid(&setup.token, now))
    };
    if !is_valid {
        return Err(Problem::Forbidden(
            "this set-up link has been used or has expired; restart the gateway for a new one",
        ));
    }
    let user = users::new_user(setup.name, setup.password, Role::Admin, now).await?;
    if !console.parts.store.create_first_user(&user).await? {
        return Err(Problem::Conflict("a user exists already; sign in".to_owned()));
    }
    *console.setup.lock().unwrap_or_else(PoisonError::into_inner) = None;
    tracing::info!(name = %user.name, "the first console user was made");
    begin(&console, &user, now).await
}

/// Change the password of who is signed in; ends every session of that user but gives a new one here.
#[utoipa::path(put, path = "/session/password", tag = "session", request_body = PasswordChange, responses(
    (status = 200, body = SessionBody, headers(("set-cookie" = String, description = "`bartizan_session`"))),
    (status = 400, description = "the new password is not acceptable", body = ProblemBody),
    (status = 403, description = "the current password is wrong", body = ProblemBody),
    (status = 429, description = "too many tries", body = ProblemBody),
))]
pub(crate) async fn change_password(
    State(console): State<Arc<Console>>,
    Extension(ends): Extension<Ends>,
    Extension(caller): Extension<Caller>,
    Body(change): Body<PasswordChange>,
) -> Result<Response, Problem> {
    let now = console.now();
    let store = &console.parts.store;
    let name = users::limited_name(&caller.name);
    let tried = Tried::Password(name.clone());
    console.logins.take(&tried, ends.remote.ip(), now)?;
    let user = store.user(&name).await?.ok_or(Problem::Forbidden("the admin token has no password"))?;
    if !password::verify(change.current, Some(user.password_hash.expose().clone())).await? {
        return Err(Problem::Forbidden("the current password is wrong"));
    }
    console.logins.forgive(&tried, ends.remote.ip());
    password::is_acceptable(&user.name, &change.password)?;
    let hash = password::hash(change.password).await?;
    store.set_password(&user.name, &Secret::new(hash)).await?;
    begin(&console, &user, now).await
}

/// The caller behind a session token, if the session lives; notes that it was used.
pub(crate) async fn resume(console: &Console, token: &str) -> Result<Option<Caller>, Problem> {
    let now = console.now();
    let hash = TokenHash::of(token);
    let Some((session, user)) = console.parts.store.session(hash.as_bytes(), now).await? else { return Ok(None) };
    if now >= end_of(session.created, session.last_seen) {
        return Ok(None);
    }
    if now.micros_since(session.last_seen) >= TOUCH_US {
        let end = end_of(session.created, now);
        // a full disk must not sign everybody out
        if let Err(error) = console.parts.store.touch_session(hash.as_bytes(), now, end).await {
            tracing::warn!(%error, "the use of a console session could not be noted");
        }
    }
    Ok(Some(Caller { name: user.name, role: user.role, via: Via::Session(token.to_owned()) }))
}

/// Starts a session and answers with its cookie.
async fn begin(console: &Console, user: &User, now: Timestamp) -> Result<Response, Problem> {
    let token = new_token().map_err(|_| Problem::Fault)?;
    let token_hash = *TokenHash::of(token.expose()).as_bytes();
    let expires = end_of(now, now);
    let session = Session { token_hash, user: user.name.clone(), created: now, last_seen: now, expires };
    console.parts.store.create_session(&session).await?;
    console.parts.store.delete_expired_sessions(now).await?;
    let body = SessionBody {
        user: UserBody { name: user.name.clone(), role: user.role },
        csrf: security::csrf_of(token.expose()),
    };
    let cookie = cookie(console, token.expose(), ABSOLUTE_US / 1_000_000)?;
    Ok(([(header::SET_COOKIE, cookie)], Json(body)).into_response())
}

fn end_of(created: Timestamp, last_seen: Timestamp) -> Timestamp {
    last_seen.plus_micros(IDLE_US).min(created.plus_micros(ABSOLUTE_US))
}

fn cookie(console: &Console, value: &str, age_s: i64) -> Result<HeaderValue, Problem> {
    let secure = if console.parts.options.secure_cookies { "; Secure" } else { "" };
    let text = format!("{COOKIE}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={age_s}{secure}");
    HeaderValue::try_from(text).map_err(|_| Problem::Fault)
}
