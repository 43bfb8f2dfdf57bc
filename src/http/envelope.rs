//! The envelope of every JSON reply: `{"success":true,"data":…}` or `{"success":false,"error":{…}}` (SPEC §5, §8).
//!
//! A refusal leaves its handler as a [`Problem`], which is turned into bytes in one place ([`render`]), where the request's
//! id is known. Inner detail stays in the log.

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use parlour_protocol::error::{ErrorBody, ErrorCode};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::commands::failure::Failure;

/// A successful reply.
#[derive(Clone, Debug)]
pub struct Success<T> {
    status: StatusCode,
    data: T,
    meta: Option<Value>,
}

impl<T> Success<T> {
    /// 200.
    pub fn ok(data: T) -> Self {
        Self { status: StatusCode::OK, data, meta: None }
    }

    /// 201: something was made.
    pub fn created(data: T) -> Self {
        Self { status: StatusCode::CREATED, data, meta: None }
    }

    /// 201 at first, 200 on a repeat.
    pub fn once(data: T, duplicate: bool) -> Self {
        if duplicate { Self::ok(data) } else { Self::created(data) }
    }

    /// The same with facts about the list.
    #[must_use]
    pub fn with_meta(self, meta: impl Serialize) -> Self {
        Self { meta: Some(json!(meta)), ..self }
    }
}

#[derive(Serialize)]
struct Envelope<T> {
    success: bool,
    data: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<Value>,
}

impl<T: Serialize> IntoResponse for Success<T> {
    fn into_response(self) -> Response {
        let Self { status, data, meta } = self;
        (status, Json(Envelope { success: true, data, meta })).into_response()
    }
}

/// A refusal, as it is written.
#[derive(Serialize, JsonSchema)]
pub(super) struct Refusal {
    #[schemars(extend("const" = false))]
    success: bool,
    error: RefusalBody,
}

/// What went wrong.
#[derive(Serialize, JsonSchema)]
struct RefusalBody {
    code: ErrorCode,
    /// A sentence for people.
    message: String,
    /// Facts for programs; an object, possibly empty.
    details: Map<String, Value>,
    /// Finds the request in the server's log.
    request_id: String,
    /// Whether the same request can succeed later.
    retryable: bool,
}

/// A refusal on its way out.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    body: ErrorBody,
    /// What the log must know and the caller must not.
    cause: Option<String>,
}

impl Problem {
    /// A refusal under the status of its code.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        ErrorBody::new(code, message).into()
    }

    /// A refusal under another status than its code's, where HTTP has a finer one.
    pub fn with_status(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self { status, ..Self::new(code, message) }
    }

    /// A request that cannot be parsed, because of that field.
    pub fn malformed(field: &str, message: impl Into<String>) -> Self {
        ErrorBody::new(ErrorCode::Malformed, message).with("field", field).into()
    }

    /// A defect on our side.
    pub fn internal(cause: impl Into<String>) -> Self {
        Failure::Internal(cause.into()).into()
    }

    /// What the log must know.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        self.body.code
    }
}

impl From<ErrorBody> for Problem {
    fn from(body: ErrorBody) -> Self {
        let status = StatusCode::from_u16(body.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, body, cause: None }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let cause = match &failure {
            Failure::Refused(_) => None,
            Failure::Store(_) | Failure::Internal(_) => Some(failure.to_string()),
        };
        Self { cause, ..ErrorBody::from(&failure).into() }
    }
}

impl IntoResponse for Problem {
    /// Status and the problem itself; [`render`] writes the body.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the body of a refusal under the request's id; other replies pass as they are.
pub fn render(response: Response, request_id: &str) -> Response {
    let Some(problem) = response.extensions().get::<Problem>().cloned() else { return response };
    let ErrorBody { code, message, retryable, details } = problem.body;
    let retry_after_ms = details.get("retry_after_ms").and_then(Value::as_u64);
    let error = RefusalBody { code, message, details, request_id: request_id.to_owned(), retryable };
    let (mut parts, _) = response.into_parts();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    parts.headers.remove(header::CONTENT_LENGTH);
    if let Some(wait) = retry_after_ms {
        parts.headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.div_ceil(1_000).max(1)));
    }
    if problem.status == StatusCode::UNAUTHORIZED {
        parts.headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    Response::from_parts(parts, Body::from(json!(Refusal { success: false, error }).to_string()))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn body(response: Response) -> Value {
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    #[tokio::test]
    async fn a_refusal_carries_code_and_request_id_and_nothing_inner() {
        let problem = Problem::from(Failure::Internal("relation \"x\" does not exist".into()));
        assert_eq!(problem.cause(), Some("relation \"x\" does not exist"));
        let response = render(problem.into_response(), "req-1");
        assert_eq!(response.status(), 500);
        let body = body(response).await;
        assert_eq!(body["error"]["code"], "INTERNAL");
        assert_eq!(body["error"]["request_id"], "req-1");
        assert!(!body.to_string().contains("relation"));
    }

    #[tokio::test]
    async fn waiting_times_are_seconds_rounded_up() {
        let response = render(Problem::from(Failure::rate_limited(1_200)).into_response(), "r");
        assert_eq!(
            (response.status().as_u16(), &response.headers()[header::RETRY_AFTER]),
            (429, &"2".parse().unwrap())
        );
    }

    #[tokio::test]
    async fn a_success_is_left_alone() {
        let response = render(Success::created(json!({"id": 1})).with_meta(json!({"page": 1})).into_response(), "r");
        assert_eq!(response.status(), 201);
        assert_eq!(body(response).await, json!({"success": true, "data": {"id": 1}, "meta": {"page": 1}}));
    }
}
