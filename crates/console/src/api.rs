//! Every route of the admin API, in one list, and the OpenAPI document that is made from it.
//!
//! Three groups: open to all, to whoever is signed in, and to administrators. A new route goes into a group; what the
//! group demands stands in front of it.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::any;
use axum::{Json, Router};
use bartizan_model::Timestamp;
use tokio::sync::{Semaphore, watch};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    Content, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem, Ref, RefOr,
    Response as DocResponse, ResponseBuilder,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::checks::CheckNote;
use crate::login::LoginLimits;
use crate::problem::Problem;
use crate::security::{COOKIE, CSRF_HEADER, authenticate, harden, refuse_strangers, require_admin};
use crate::{Parts, SetupToken};
use crate::{
    assets, cache, checks, config, endpoints, events, keys, limits, live, overview, policies, session, sql, status,
    users,
};

/// Where the API lives; a change that breaks clients gets a new number.
const PREFIX: &str = "/api/v1";

/// What the handlers share.
pub(crate) struct Console {
    pub(crate) parts: Parts,
    pub(crate) logins: LoginLimits,
    pub(crate) setup: Mutex<Option<SetupToken>>,
    /// Held while users are removed, so that two administrators cannot remove each other
    pub(crate) user_changes: tokio::sync::Mutex<()>,
    /// Places for live tails
    pub(crate) tails: Arc<Semaphore>,
    /// Handlers that panicked
    pub(crate) faults: AtomicU64,
    /// Turns true when the server stops
    pub(crate) closing: watch::Receiver<bool>,
}

impl Console {
    pub(crate) fn new(mut parts: Parts, closing: watch::Receiver<bool>) -> Self {
        Self {
            setup: Mutex::new(parts.setup.take()),
            parts,
            logins: LoginLimits::default(),
            user_changes: tokio::sync::Mutex::default(),
            tails: Arc::new(Semaphore::new(live::SUBSCRIBERS_MAX)),
            faults: AtomicU64::new(0),
            closing,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.parts.clock)()
    }

    pub(crate) fn is_setup_needed(&self) -> bool {
        self.setup.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// What is said beside a finding of this check: one of ours, or a rule that runs.
    pub(crate) fn check(&self, id: &str) -> Option<CheckNote> {
        let ours = self.parts.checks.iter().find(|info| info.id == id);
        ours.map(|info| CheckNote::from(*info)).or_else(|| (self.parts.control.rule)(id).map(CheckNote::from))
    }
}

/// Whoever may reach a route.
#[derive(Clone, Copy)]
enum Access {
    All,
    SignedIn,
    Administrators,
}

const NO_SCOPES: [String; 0] = [];

type Routes = OpenApiRouter<Arc<Console>>;

fn open() -> Routes {
    OpenApiRouter::new().routes(routes!(session::show, session::sign_in)).routes(routes!(session::set_up))
}

fn signed_in() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(session::sign_out))
        .routes(routes!(session::change_password))
        .routes(routes!(overview::show))
        .routes(routes!(endpoints::list))
        .routes(routes!(endpoints::show))
        .routes(routes!(endpoints::series))
        .routes(routes!(events::list))
        .routes(routes!(events::histogram))
        .routes(routes!(events::facets))
        .routes(routes!(live::tail))
        .routes(routes!(events::show))
        .routes(routes!(sql::run))
        .routes(routes!(config::show))
        .routes(routes!(config::revisions))
        .routes(routes!(config::revision))
        .routes(routes!(config::check))
        .routes(routes!(policies::list))
        .routes(routes!(limits::list))
        .routes(routes!(checks::list))
        .routes(routes!(keys::list))
        .routes(routes!(status::show))
        .routes(routes!(openapi))
}

fn administrators() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(endpoints::unmerge))
        .routes(routes!(config::reload))
        .routes(routes!(cache::purge))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::remove))
        .routes(routes!(keys::create))
        .routes(routes!(keys::rotate))
        .routes(routes!(keys::revoke))
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "status", responses((status = 200, body = serde_json::Value)))]
async fn openapi() -> Json<OpenApi> {
    Json(document())
}

/// The server's routes, with everything that stands before them.
pub(crate) fn router(console: Arc<Console>) -> Router {
    let authenticated = from_fn_with_state(Arc::clone(&console), authenticate);
    let administrators = administrators().route_layer(from_fn(require_admin));
    let guarded = signed_in().merge(administrators).route_layer(authenticated);
    let api: Router<Arc<Console>> = open().merge(guarded).into();
    let api = api.fallback(unknown).method_not_allowed_fallback(other_method);
    Router::new()
        .nest(PREFIX, api)
        .route("/api", any(unknown))
        .route("/api/{*rest}", any(unknown))
        .fallback(assets::serve)
        .layer(from_fn_with_state(Arc::clone(&console), refuse_strangers))
        .layer(from_fn_with_state(Arc::clone(&console), harden))
        .with_state(console)
}

async fn unknown() -> Problem {
    Problem::Missing("there is no such resource; see /api/v1/openapi.json".to_owned())
}

async fn other_method() -> Problem {
    Problem::Method
}

/// The OpenAPI document, complete: what `GET /api/v1/openapi.json` answers and `docs/api.json` keeps.
pub fn document() -> OpenApi {
    let groups = [(open(), Access::All), (signed_in(), Access::SignedIn), (administrators(), Access::Administrators)];
    let routes = groups.into_iter().fold(OpenApiRouter::new(), |all, (mut group, access)| {
        complete(group.get_openapi_mut(), access);
        all.merge(group) // not nest: it would replace a path that two groups share
    });
    OpenApiRouter::with_openapi(frame()).nest(PREFIX, routes).into_openapi()
}

/// Adds to every operation of a group what stands in front of it.
fn complete(document: &mut OpenApi, access: Access) {
    for PathItem { get, put, post, delete, .. } in document.paths.paths.values_mut() {
        if let Some(reading) = get {
            demand(reading, access, SecurityRequirement::new("session", NO_SCOPES));
        }
        for changing in [put, post, delete].into_iter().flatten() {
            let with_csrf = SecurityRequirement::new("session", NO_SCOPES).add("csrf", NO_SCOPES);
            demand(changing, access, with_csrf);
        }
    }
}

fn demand(operation: &mut Operation, access: Access, session: SecurityRequirement) {
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            say_problem(response);
        }
    }
    let mut refuse = |status: &str, description: &str| {
        let responses = &mut operation.responses.responses;
        responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(description)));
    };
    refuse("default", "refused: see the status and the detail");
    match access {
        Access::All => {
            operation.security = Some(Vec::new());
            return;
        }
        Access::SignedIn => refuse("401", "not signed in"),
        Access::Administrators => {
            refuse("401", "not signed in");
            refuse("403", "needs the role `admin`");
        }
    }
    operation.security = Some(vec![session, SecurityRequirement::new("admin_token", NO_SCOPES)]);
}

/// Refusals are problem+json; the handlers' descriptions need not say so each time.
fn say_problem(response: &mut DocResponse) {
    let is_problem = |content: &RefOr<Content>| match content {
        RefOr::T(Content { schema: Some(RefOr::Ref(schema)), .. }) => schema.ref_location.ends_with("/ProblemBody"),
        RefOr::T(_) | RefOr::Ref(_) => false,
    };
    if response.content.get("application/json").is_some_and(is_problem)
        && let Some(content) = response.content.shift_remove("application/json")
    {
        response.content.insert("application/problem+json".to_owned(), content);
    }
}

fn problem(description: &str) -> DocResponse {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ProblemBody"))).build();
    ResponseBuilder::new().description(description).content("application/problem+json", content).build()
}

/// The document without its paths.
fn frame() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Bartizan admin API")
        .version("1")
        .description(Some(
            "What the console asks of a running Bartizan. Times are RFC 3339 in UTC; names that end in `_us` are \
             microseconds; refusals are problem+json (RFC 9457). Browsers send the session cookie and, with everything \
             but GET, the CSRF token of `GET /session`; scripts send the admin token.",
        ))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    let mut document = OpenApiBuilder::new().info(info).build();
    let components = document.components.get_or_insert_default();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("`<data>/admin-token`")).build();
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(COOKIE))));
    components.add_security_scheme("csrf", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(CSRF_HEADER))));
    components.add_security_scheme("admin_token", SecurityScheme::Http(bearer));
    document
}
