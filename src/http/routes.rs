//! The route table: every path of this server, in one place. The socket's route is merged in by whoever assembles.
//!
//! A route that is not here is 404, a method that is not here 405, both in the envelope.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, patch, post};
use parlour_protocol::documents as contract;
use parlour_protocol::error::ErrorCode;

use crate::commands::failure::Failure;
use crate::http::envelope::Problem;
use crate::http::{Api, around, assets, auth, cards, conversations, documents, entries, health, me, shares, visits};

/// Body of a request.
pub const BODY_BYTES_MAX: usize = 256 * 1024;

/// Everything served over HTTP; `sockets` are the routes of another edge, surrounded like the rest.
pub fn router(api: &Arc<Api>, sockets: Router) -> Router {
    table()
        .with_state(Arc::clone(api))
        .merge(assets::router())
        .merge(sockets)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(Arc::clone(api), around::around))
}

fn table() -> Router<Arc<Api>> {
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/", get(assets::home))
        .route("/console", get(assets::console))
        .route("/console/{*rest}", get(assets::console))
        .route("/s/{token}", get(visits::page))
        .route("/docs", get(documents::page))
        .route("/docs/docs.js", get(documents::serve("text/javascript", documents::SCRIPT)))
        .route("/docs/parts.js", get(documents::serve("text/javascript", documents::PARTS)))
        .route("/docs/icon.svg", get(documents::serve("image/svg+xml", documents::ICON)))
        .route("/docs/docs.css", get(documents::serve("text/css", documents::STYLES)))
        .route("/docs/tokens.css", get(documents::serve("text/css", documents::TOKENS)))
        .route("/openapi.json", get(documents::serve("application/json", contract::OPENAPI)))
        .route("/asyncapi.yaml", get(documents::serve("application/yaml", contract::ASYNCAPI)))
        .route("/schema/socket.json", get(documents::serve("application/schema+json", contract::SOCKET)))
        .route("/schema/errors.json", get(documents::serve("application/json", contract::ERRORS)))
        .route("/api/v1/auth/login", post(auth::login))
        .route("/api/v1/auth/refresh", post(auth::refresh))
        .route("/api/v1/auth/logout", post(auth::logout))
        .route("/api/v1/auth/ticket", post(auth::ticket))
        .route("/api/v1/me", get(me::get))
        .route("/api/v1/conversations", post(conversations::create).get(conversations::list))
        .route("/api/v1/conversations/{id}", get(conversations::get))
        .route("/api/v1/conversations/{id}/entries", get(entries::list).post(entries::create))
        .route("/api/v1/conversations/{id}/cards", post(cards::create))
        .route("/api/v1/conversations/{id}/share", post(shares::create))
        .route("/api/v1/conversations/{id}/shares", get(shares::list))
        .route("/api/v1/shares/{id}", patch(shares::change).delete(shares::revoke))
        .route("/api/v1/shares/claim", post(visits::claim))
        .route("/api/v1/shares/open", post(visits::open))
}

async fn not_found() -> Problem {
    Failure::not_found().into()
}

async fn method_not_allowed() -> Problem {
    Problem::with_status(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Malformed, "this route has no such method")
}
