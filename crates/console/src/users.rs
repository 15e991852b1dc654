//! Who may sign in: administrators add and remove users. At least one administrator always stays.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use bartizan_model::{Secret, Timestamp};
use bartizan_store::{Role, User};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::Console;
use crate::problem::{Problem, ProblemBody};
use crate::range::Time;
use crate::request::Body;
use crate::session::UserBody;
use crate::{password, schema};

/// LIMIT: users of one console; beyond it people want single sign-on.
const USERS_MAX: usize = 200;
/// LIMIT: characters of a user's name.
const NAME_CHARS_MAX: usize = 64;

/// A user as administrators see it.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserSummary {
    /// Name to sign in with
    name: String,
    #[schema(value_type = schema::Role)]
    role: Role,
    /// When the user was made
    created: Time,
}

/// A user to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    /// 1 to 64 letters, digits, `.`, `_`, `-` or `@`
    name: String,
    /// At least 12 characters
    password: String,
    role: schema::Role,
}

/// Every user.
#[utoipa::path(get, path = "/users", tag = "users", responses((status = 200, body = Vec<UserSummary>)))]
pub(crate) async fn list(State(console): State<Arc<Console>>) -> Result<Json<Vec<UserSummary>>, Problem> {
    let users = console.parts.store.users().await?;
    let summary = |user: User| UserSummary { name: user.name, role: user.role, created: Time(user.created) };
    Ok(Json(users.into_iter().map(summary).collect()))
}

/// Add a user.
#[utoipa::path(post, path = "/users", tag = "users", request_body = NewUser, responses(
    (status = 201, body = UserBody),
    (status = 400, description = "the name or the password is not acceptable", body = ProblemBody),
    (status = 409, description = "the name is taken", body = ProblemBody),
))]
pub(crate) async fn create(
    State(console): State<Arc<Console>>,
    Body(new): Body<NewUser>,
) -> Result<(StatusCode, Json<UserBody>), Problem> {
    if console.parts.store.users().await?.len() >= USERS_MAX {
        return Err(Problem::Conflict(format!("there are {USERS_MAX} users already; remove one first")));
    }
    let user = new_user(new.name, new.password, new.role.into(), console.now()).await?;
    if !console.parts.store.create_user(&user).await? {
        return Err(Problem::Conflict(format!("the name `{}` is taken", user.name)));
    }
    Ok((StatusCode::CREATED, Json(UserBody { name: user.name, role: user.role })))
}

/// Remove a user, with all sessions.
#[utoipa::path(delete, path = "/users/{name}", tag = "users", params(("name" = String, Path)), responses(
    (status = 204, description = "removed"),
    (status = 404, description = "no such user", body = ProblemBody),
    (status = 409, description = "the last administrator stays", body = ProblemBody),
))]
pub(crate) async fn remove(
    State(console): State<Arc<Console>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let _one_at_a_time = console.user_changes.lock().await;
    let users = console.parts.store.users().await?;
    let stays_admin = |user: &User| user.role == Role::Admin && !user.name.eq_ignore_ascii_case(&name);
    if !users.iter().any(|user| user.name.eq_ignore_ascii_case(&name)) {
        return Err(Problem::Missing("there is no such user".to_owned()));
    }
    if !users.iter().any(stays_admin) {
        return Err(Problem::Conflict("this is the last administrator; make another one first".to_owned()));
    }
    console.parts.store.delete_user(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A user with an acceptable name and password, the password hashed.
pub(crate) async fn new_user(name: String, password: String, role: Role, now: Timestamp) -> Result<User, Problem> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-' | '@');
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(fits) {
        return Err(Problem::Bad("a name has 1 to 64 letters, digits, `.`, `_`, `-` or `@`".to_owned()));
    }
    password::is_acceptable(&name, &password)?;
    let password_hash = Secret::new(password::hash(password).await?);
    Ok(User { name, role, password_hash, created: now })
}

/// A name as sent, cut and in lower case: what tries are counted by.
pub(crate) fn limited_name(name: &str) -> String {
    name.chars().take(NAME_CHARS_MAX + 1).collect::<String>().to_ascii_lowercase()
}
