//! What handlers take from a request, checked: the body, ids in the path, the query, the caller, the idempotency key.
//!
//! Everything unknown is refused by name (`details.field`). An id that is none is absent, not malformed: both are 404.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use parlour_protocol::error::ErrorCode;
use parlour_protocol::id::ClientId;
use parlour_protocol::scan;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::auth::Authenticated;
use crate::commands::failure::Failure;
use crate::domain::principal::{Actor, Principal};
use crate::http::Api;
use crate::http::client::ClientAddress;
use crate::http::envelope::Problem;

const MESSAGE_CHARS_MAX: usize = 200;

/// A JSON body; required.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

/// A JSON body; without one, everything by default.
#[derive(Debug)]
pub struct OptionalBody<T>(pub T);

/// An id in the path.
#[derive(Debug)]
pub struct Id<T>(pub T);

/// The query.
#[derive(Debug)]
pub struct Query<T>(pub T);

/// Who calls, by the bearer credential, with the rights of now.
#[derive(Clone, Debug)]
pub struct Caller(pub Arc<Principal>);

/// The same with the end of the credential.
#[derive(Clone, Debug)]
pub struct Admitted(pub Authenticated);

/// The same where a caller is not required; a wrong credential counts as none.
#[derive(Clone, Debug)]
pub struct MaybeCaller(pub Option<Arc<Principal>>);

/// The `Idempotency-Key`, if there is one.
#[derive(Clone, Copy, Debug)]
pub struct GivenKey(pub Option<ClientId>);

/// The `Idempotency-Key`, or a new one that protects nothing.
#[derive(Clone, Copy, Debug)]
pub struct IdempotencyKey(pub ClientId);

impl<T: DeserializeOwned> FromRequest<Arc<Api>> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Problem> {
        match read_body(request, api).await? {
            Some(bytes) => body(&bytes).map(Self),
            None => Err(Problem::new(ErrorCode::Malformed, "a JSON body is required")),
        }
    }
}

impl<T: DeserializeOwned + Default> FromRequest<Arc<Api>> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Problem> {
        match read_body(request, api).await? {
            Some(bytes) => body(&bytes).map(Self),
            None => Ok(Self(T::default())),
        }
    }
}

async fn read_body(request: Request, api: &Arc<Api>) -> Result<Option<Bytes>, Problem> {
    let headers = request.headers().clone();
    let bytes = Bytes::from_request(request, api).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(ErrorCode::TooLarge, "a body has at most 256 KiB"),
        _ => Problem::new(ErrorCode::Malformed, "the body could not be read"),
    })?;
    if bytes.is_empty() {
        return Ok(None);
    }
    check_media_type(&headers)?;
    Ok(Some(bytes))
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let unsupported = |what: &str| {
        Err(Problem::with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorCode::Malformed, format!("{what} expected")))
    };
    if headers.contains_key(header::CONTENT_ENCODING) {
        return unsupported("a body without Content-Encoding");
    }
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") { Ok(()) } else { unsupported("application/json") }
}

/// Reads a body.
///
/// # Errors
/// `MALFORMED`, naming a field that is missing or unknown.
pub fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    scan::json(bytes).map_err(|broken| Problem::new(ErrorCode::Malformed, broken.to_string()))?;
    // By way of a value: of a key given twice the last counts (SPEC §1), which a struct alone would refuse.
    let value: Value = serde_json::from_slice(bytes).map_err(|error| unreadable(&error))?;
    if !value.is_object() {
        // serde would take a list for a struct, by the order of its fields.
        return Err(Problem::new(ErrorCode::Malformed, "the body must be a JSON object"));
    }
    serde_json::from_value(value).map_err(|error| unreadable(&error))
}

/// serde names a missing or an unknown field in back-quotes; what else it quotes are values.
fn unreadable(error: &dyn Display) -> Problem {
    let text: String = error.to_string().chars().take(MESSAGE_CHARS_MAX).collect();
    let after = ["missing field `", "unknown field `"].iter().find_map(|words| text.split_once(words));
    match after.and_then(|(_, rest)| rest.split('`').next()) {
        Some(field) => Problem::malformed(field, text.as_str()),
        None => Problem::new(ErrorCode::Malformed, text),
    }
}

impl<T: FromStr + Send> FromRequestParts<Arc<Api>> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, api).await.map_err(|_| Failure::not_found())?;
        text.parse().map(Self).map_err(|_| Failure::not_found().into())
    }
}

impl<T: DeserializeOwned> FromRequestParts<Arc<Api>> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Self, Problem> {
        query(&parts.uri).map(Self)
    }
}

/// Reads a query.
///
/// # Errors
/// `MALFORMED`, naming a field that is unknown.
pub fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    let query = axum::extract::Query::<T>::try_from_uri(uri);
    query.map(|query| query.0).map_err(|error| unreadable(&error))
}

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let Admitted(admitted) = Admitted::from_request_parts(parts, api).await?;
        Ok(Self(admitted.principal))
    }
}

impl FromRequestParts<Arc<Api>> for Admitted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let credential = bearer(&parts.headers).ok_or_else(Failure::unauthenticated)?;
        let admitted = api.auth.authenticate(credential).await.map_err(Failure::from)?;
        if let Actor::Service { lineage, .. } = admitted.principal.actor {
            // Of a key and its successors: a rotation is no second helping.
            api.keys.charge(&lineage, Instant::now()).map_err(Failure::from)?;
        }
        Ok(Self(admitted))
    }
}

impl FromRequestParts<Arc<Api>> for MaybeCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        Ok(Self(Caller::from_request_parts(parts, api).await.ok().map(|caller| caller.0)))
    }
}

/// The one bearer credential of a request (RFC 6750 §2.1); none when there is none, or more than one.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (scheme, credential) = values.next()?.to_str().ok()?.split_once(' ')?;
    let is_only = values.next().is_none() && scheme.eq_ignore_ascii_case("bearer");
    Some(credential.trim()).filter(|credential| is_only && !credential.is_empty())
}

impl FromRequestParts<Arc<Api>> for GivenKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get("idempotency-key") else { return Ok(Self(None)) };
        let key = value.to_str().ok().and_then(|text| text.trim().parse().ok());
        let key = key.ok_or_else(|| Problem::malformed("Idempotency-Key", "the Idempotency-Key must be a UUID"))?;
        Ok(Self(Some(key)))
    }
}

impl FromRequestParts<Arc<Api>> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let GivenKey(key) = GivenKey::from_request_parts(parts, api).await?;
        Ok(Self(key.unwrap_or_else(ClientId::generate)))
    }
}

impl FromRequestParts<Arc<Api>> for ClientAddress {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Self, Problem> {
        let address = parts.extensions.get::<Self>().copied();
        address.ok_or_else(|| Problem::internal("a request without the caller's address"))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[serde(rename = "title")]
        _title: String,
    }

    fn refusal(json: &str) -> String {
        format!("{:?}", body::<Body>(json.as_bytes()).unwrap_err())
    }

    #[test]
    fn unknown_and_missing_fields_are_named() {
        assert!(body::<Body>(br#"{"title":"x"}"#).is_ok());
        assert!(refusal(r#"{"title":"x","organization_id":"y"}"#).contains("\"field\": String(\"organization_id\")"));
        assert!(refusal("{}").contains("\"field\": String(\"title\")"));
        assert!(!refusal(r#"{"title":1}"#).contains("\"field\""), "a value is no field's name");
        for broken in ["", "{", "[]", "{\"title\":1}", &format!("{}{}", "[".repeat(40), "]".repeat(40))] {
            assert!(refusal(broken).contains("Malformed"), "{broken}");
        }
    }

    #[test]
    fn only_plain_json_is_read() {
        let with = |name: header::HeaderName, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, "application/json; charset=utf-8".parse().unwrap());
            headers.insert(name, value.parse().unwrap());
            check_media_type(&headers).is_ok()
        };
        assert!(with(header::ACCEPT, "*/*"));
        assert!(!with(header::CONTENT_TYPE, "text/plain") && !with(header::CONTENT_TYPE, "application/jsonx"));
        assert!(!with(header::CONTENT_ENCODING, "gzip"));
        assert!(check_media_type(&HeaderMap::new()).is_err());
    }

    #[test]
    fn one_bearer_credential_counts() {
        let headers = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            headers
        };
        assert_eq!(bearer(&headers(&["Bearer abc"])), Some("abc"));
        assert_eq!(bearer(&headers(&["bearer  abc "])), Some("abc"));
        for broken in [&[][..], &["abc"], &["Basic abc"], &["Bearer "], &["Bearer a", "Bearer b"]] {
            assert_eq!(bearer(&headers(broken)), None, "{broken:?}");
        }
    }
}
