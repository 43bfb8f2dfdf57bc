//! What surrounds every request: its id, its caller's address, a deadline, a net for panics, the headers of every reply, and
//! one line in the access log, which never holds a query, a body or a secret.
//!
//! Routes are inside ([`crate::http::routes`]); nothing here knows them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use parlour_protocol::error::ErrorCode;
use uuid::Uuid;

use crate::http::Api;
use crate::http::client::{ClientAddress, decoded, loggable, looks_secret};
use crate::http::envelope::{Problem, render};

/// Path and query of a request, with the mark between them.
pub const URL_BYTES_MAX: usize = 2_048;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_BYTES_MAX: usize = 64;
/// JSON is no page: nothing may be loaded by it or embed it.
const CSP_NOTHING: &str = "default-src 'none'; frame-ancestors 'none'";

const ALWAYS: [(HeaderName, &str); 4] = [
    (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-site"),
];

/// Surrounds the routes.
pub async fn around(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let (mut parts, body) = request.into_parts();
    let request_id = request_id(&parts.headers);
    let (method, path) = (parts.method.clone(), loggable(parts.uri.path()));
    // Under one id for everybody who reads it further in.
    parts.headers.insert(REQUEST_ID, header_value(&request_id));
    parts.extensions.insert(ClientAddress::of(&parts, &api.config.trusted_proxies));
    let answered = match check_uri(&parts.uri) {
        Err(problem) => problem.into_response(),
        Ok(()) => answer(&api, &method, Request::from_parts(parts, body), next).await,
    };
    log(&answered, &request_id, &method, &path, began);
    let mut response = render(answered, &request_id);
    add_headers(response.headers_mut(), &request_id);
    response
}

async fn answer(api: &Api, method: &Method, request: Request, next: Next) -> Response {
    let guarded = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(api.config.request_timeout, guarded).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => Problem::internal(format!("a handler panicked: {}", panic_text(&*panic))).into_response(),
        // The work itself goes on (see `Api::complete`), so only of a reading it is known that nothing was stored.
        Err(_) if method.is_safe() => Problem::new(ErrorCode::Unavailable, "took too long").into_response(),
        Err(_) => Problem::new(ErrorCode::OutcomeUnknown, "took too long; repeat with the same key").into_response(),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text")
}

/// The caller's own id when it is a plain word, so that logs of both sides meet; else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let is_plain = |id: &&str| {
        (1..=REQUEST_ID_BYTES_MAX).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !looks_secret(id)
    };
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(is_plain);
    given.map_or_else(|| Uuid::now_v7().to_string(), ToOwned::to_owned)
}

fn check_uri(uri: &Uri) -> Result<(), Problem> {
    if uri.path_and_query().map_or(0, |url| url.as_str().len()) > URL_BYTES_MAX {
        return Err(Problem::with_status(StatusCode::URI_TOO_LONG, ErrorCode::TooLarge, "a URL has at most 2 KiB"));
    }
    match uri.query() {
        Some(query) if holds_credential(query) => {
            Err(Problem::new(ErrorCode::TokenInUrl, "credentials never travel in a URL; send them in a header"))
        }
        _ => Ok(()),
    }
}

/// Whether a query names a credential, or holds something that looks like one under any name.
fn holds_credential(query: &str) -> bool {
    const NAMES: &[&str] = &[
        "token",
        "access_token",
        "refresh_token",
        "guest_token",
        "session_token",
        "api_key",
        "apikey",
        "ticket",
        "authorization",
        "password",
        "jwt",
    ];
    query.split('&').any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded(name).to_ascii_lowercase();
        NAMES.contains(&name.as_str()) || looks_secret(value)
    })
}

fn add_headers(headers: &mut HeaderMap, request_id: &str) {
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(CSP_NOTHING));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(REQUEST_ID, header_value(request_id));
}

fn header_value(request_id: &str) -> HeaderValue {
    HeaderValue::from_str(request_id).expect("an id is a UUID or of letters, digits, - and _")
}

fn log(response: &Response, request_id: &str, method: &Method, path: &str, began: Instant) {
    let (status, elapsed_ms) = (response.status().as_u16(), began.elapsed().as_millis());
    let problem = response.extensions().get::<Problem>();
    let code = problem.map_or("", |problem| problem.code().as_str());
    match problem.and_then(Problem::cause) {
        Some(cause) => tracing::error!(
            request.id = request_id,
            status,
            code,
            elapsed_ms,
            cause,
            "request {request_id} failed: {method} {path}"
        ),
        // Asked every few seconds by whoever watches the node, and of interest only when something is wrong.
        None if matches!(path, "/livez" | "/readyz") && response.status().is_success() => {
            tracing::debug!(request.id = request_id, status, elapsed_ms, "request {request_id}: {method} {path}")
        }
        None => {
            tracing::info!(request.id = request_id, status, code, elapsed_ms, "request {request_id}: {method} {path}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_a_query_are_seen_under_any_name() {
        for query in [
            "token=x",
            "a=1&access_token=x",
            "q=parlour_sk_x",
            "q=eyJhbGci",
            "TOKEN=x",
            "token",
            "ticket=",
            "%74oken=x",
            "q=parlour%5Fsk%5Fx",
        ] {
            assert!(holds_credential(query), "{query}");
        }
        for query in ["page=1&limit=50", "q=token", "before=7", "tokens=1", ""] {
            assert!(!holds_credential(query), "{query}");
        }
    }

    #[test]
    fn a_request_id_is_taken_over_only_when_it_is_a_plain_word() {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static("abc-123"));
        assert_eq!(request_id(&headers), "abc-123");
        for odd in ["", "a b", "parlour_sk_x", "my-parlour_sk_x", "eyJhbGci", "<script>"] {
            headers.insert(REQUEST_ID, HeaderValue::from_str(odd).unwrap());
            assert!(request_id(&headers).parse::<Uuid>().is_ok(), "{odd}");
        }
    }

    #[test]
    fn long_urls_are_refused() {
        let uri: Uri = format!("/{}", "x".repeat(URL_BYTES_MAX)).parse().unwrap();
        assert!(check_uri(&uri).is_err());
        let uri: Uri = format!("/{}", "x".repeat(URL_BYTES_MAX - 1)).parse().unwrap();
        assert!(check_uri(&uri).is_ok());
    }
}
