//! The upgrade: from an HTTP request to a socket (RFC 6455 §4.2), or a refusal in the usual envelope.
//!
//! Refused before anything is upgraded: foreign pages (Origin), credentials in the URL, what is no handshake, and a node that
//! is full or leaving. No credential is read here: the first message brings it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{HOST, HeaderMap, HeaderName, ORIGIN, RETRY_AFTER, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use parlour_protocol::codec::Codec;
use parlour_protocol::error::{ErrorBody, ErrorCode};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use uuid::Uuid;

use crate::ws::session::{self, Handshake};
use crate::ws::{Gate, own_moment};

/// Credentials do not belong into a URL, whatever they are called there.
const SECRET_PARAMETERS: [&str; 3] = ["token", "access_token", "ticket"];
/// How long the connection may take to become a socket after the handshake's answer.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);
/// Who comes too fast, or when there is no place, is asked to come back between one second and this much more later.
const COME_BACK_SPREAD: Duration = Duration::from_secs(3);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The address a client is known by where a trusted proxy stands before the node; put into a request's extensions by whoever
/// knows the proxies. Without it the peer of the connection counts.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

/// `GET /api/v1/ws`.
pub async fn upgrade(State(gate): State<Arc<Gate>>, mut request: Request) -> Response {
    let request_id = request_id(request.headers());
    let (response, handshake) = match admit(&gate, &request) {
        Ok(admitted) => admitted,
        Err(refused) => return refusal(&refused, &request_id),
    };
    let slot = request.extensions().get::<Arc<OwnedSemaphorePermit>>().cloned();
    let upgrading = hyper::upgrade::on(&mut request);
    let socket = serve(Arc::clone(&gate), upgrading, handshake);
    let abort = gate.abort.clone();
    gate.tracker.spawn(async move {
        // The place of the connection is kept for as long as the socket lives.
        let _slot = slot;
        // Both branches are cancel-safe: a socket that is cut is over.
        tokio::select! {
            () = socket => {}
            () = abort.cancelled() => {}
        }
    });
    response
}

async fn serve(gate: Arc<Gate>, upgrading: OnUpgrade, handshake: Handshake) {
    let Ok(Ok(upgraded)) = timeout(UPGRADE_TIMEOUT, upgrading).await else { return };
    match socket_of(upgraded) {
        Some((stream, early)) => session::serve(gate, handshake, stream, early).await,
        None => tracing::error!("an upgraded connection is no plain TCP socket; the listener must serve it as one"),
    }
}

/// The raw socket, and the bytes of it that came with the handshake.
fn socket_of(upgraded: Upgraded) -> Option<(TcpStream, Bytes)> {
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
    // A copy: even an empty rest would keep the request's whole read buffer in memory for the life of the socket.
    Some((parts.io.into_inner(), Bytes::copy_from_slice(&parts.read_buf)))
}

fn admit(gate: &Gate, request: &Request) -> Result<(Response, Handshake), ErrorBody> {
    if has_secret(request.uri()) {
        return Err(ErrorBody::new(ErrorCode::TokenInUrl, "send the token in the first message, never in the URL"));
    }
    if !is_origin_allowed(request.headers(), &gate.config.allowed_origins) {
        return Err(ErrorBody::new(ErrorCode::Forbidden, "pages of this origin may not connect"));
    }
    let mut response = create_response_with_body(request, Body::empty)
        .map_err(|error| ErrorBody::new(ErrorCode::Malformed, format!("no WebSocket handshake: {error}")))?;
    let key = request.headers().get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).unwrap_or_default();
    if STANDARD.decode(key).map_or(0, |nonce| nonce.len()) != 16 {
        return Err(ErrorBody::new(ErrorCode::Malformed, "no WebSocket handshake: the key is not 16 bytes in base64"));
    }
    let codec = negotiate(request.headers(), response.headers_mut())?;
    let unavailable = |message: &str, retry_after_ms: u64| {
        Err(ErrorBody::new(ErrorCode::Unavailable, message).with("retry_after_ms", retry_after_ms))
    };
    if gate.drain.is_cancelled() {
        return unavailable("this node is stopping; come back", own_moment(gate.config.drain_spread));
    }
    let moment = 1_000 + own_moment(COME_BACK_SPREAD);
    let Some(place) = gate.waiting.take(address(request)) else {
        return unavailable("no place left on this node; try again", moment);
    };
    if !gate.admission.take(Instant::now()) {
        metrics::counter!("parlour_upgrades_put_off_total").increment(1);
        return unavailable("too many clients at once; try again", moment);
    }
    let origin = origin(request.headers());
    Ok((response, Handshake { codec, origin, place }))
}

fn has_secret(uri: &Uri) -> bool {
    let names = uri.query().unwrap_or_default().split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    names.into_iter().any(|name| SECRET_PARAMETERS.iter().any(|secret| name.eq_ignore_ascii_case(secret)))
}

/// No Origin means no browser, which is fine; a page must be of the same host or on the list, exactly.
fn is_origin_allowed(headers: &HeaderMap, allowed: &[String]) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else { return true };
    let (Ok(origin), None) = (origin.to_str(), origins.next()) else { return false };
    if allowed.iter().any(|one| one.eq_ignore_ascii_case(origin)) {
        return true;
    }
    let (authority, default_port) = match origin.split_once("://") {
        Some((scheme, authority)) if scheme.eq_ignore_ascii_case("https") => (authority, ":443"),
        Some((scheme, authority)) if scheme.eq_ignore_ascii_case("http") => (authority, ":80"),
        _ => return false,
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let bare = |host: &str| host.strip_suffix(default_port).unwrap_or(host).to_ascii_lowercase();
    !host.is_empty() && bare(authority) == bare(host)
}

/// The first sub-protocol of the client's list that is known here; none asked for means JSON.
fn negotiate(asked: &HeaderMap, answer: &mut HeaderMap) -> Result<Codec, ErrorBody> {
    if !asked.contains_key(SEC_WEBSOCKET_PROTOCOL) {
        return Ok(Codec::Json);
    }
    let lists = asked.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|list| list.to_str().ok());
    let known = lists.flat_map(|list| list.split(',')).find_map(|name| Codec::from_subprotocol(name.trim()));
    let codec = known.ok_or_else(|| {
        let [json, message_pack] = Codec::ALL.map(Codec::subprotocol);
        ErrorBody::new(ErrorCode::Malformed, format!("the sub-protocols here are {json} and {message_pack}"))
    })?;
    answer.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(codec.subprotocol()));
    Ok(codec)
}

/// The page's origin, as tickets remember it.
fn origin(headers: &HeaderMap) -> Option<String> {
    headers.get(ORIGIN).and_then(|origin| origin.to_str().ok()).map(str::to_ascii_lowercase)
}

fn address(request: &Request) -> IpAddr {
    let extensions = request.extensions();
    let peer = || extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    let told = extensions.get::<ClientAddress>().map(|client| client.0);
    told.or_else(peer).unwrap_or(IpAddr::from([0, 0, 0, 0]))
}

fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
    given.unwrap_or_else(|| Uuid::now_v7().to_string())
}

/// A refusal in the envelope of SPEC §5.
fn refusal(error: &ErrorBody, request_id: &str) -> Response {
    let ErrorBody { code, message, retryable, details } = error;
    let envelope = json!({
        "success": false,
        "error": { "code": code, "message": message, "details": details, "request_id": request_id, "retryable": retryable },
    });
    let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(envelope)).into_response();
    if let Some(wait) = details.get("retry_after_ms").and_then(Value::as_u64) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.div_ceil(1_000).max(1)));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_the_same_host_or_on_the_list_may_connect_and_no_others() {
        let allowed = ["https://console.meridian.example".to_owned()];
        for (origin, host, expected) in [
            (None, "parlour.example", true),
            (Some("https://parlour.example"), "parlour.example", true),
            (Some("https://PARLOUR.example"), "parlour.example", true),
            (Some("https://parlour.example:443"), "parlour.example", true),
            (Some("https://parlour.example"), "parlour.example:443", true),
            (Some("http://localhost:8080"), "localhost:8080", true),
            (Some("https://console.meridian.example"), "parlour.example", true),
            (Some("http://console.meridian.example"), "parlour.example", false),
            (Some("https://console.meridian.example:8443"), "parlour.example", false),
            (Some("https://parlour.example:8443"), "parlour.example", false),
            (Some("https://parlour.example.evil.example"), "parlour.example", false),
            (Some("https://evilparlour.example"), "parlour.example", false),
            (Some("https://parlour.example@evil.example"), "parlour.example", false),
            (Some("null"), "parlour.example", false),
            (Some("file://"), "", false),
            (Some(""), "parlour.example", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(is_origin_allowed(&headers, &allowed), expected, "{origin:?} at {host}");
        }
    }

    #[test]
    fn a_credential_in_the_url_is_seen_whatever_surrounds_it() {
        for (uri, expected) in [
            ("/api/v1/ws", false),
            ("/api/v1/ws?tokens=1&x=token", false),
            ("/api/v1/ws?token=a", true),
            ("/api/v1/ws?x=1&Access_Token=a", true),
            ("/api/v1/ws?ticket", true),
        ] {
            assert_eq!(has_secret(&uri.parse().unwrap()), expected, "{uri}");
        }
    }

    #[test]
    fn the_first_known_sub_protocol_is_taken() {
        for (asked, expected) in [
            (None, Some(Codec::Json)),
            (Some("parlour.v1+msgpack"), Some(Codec::MessagePack)),
            (Some("parlour.v9, parlour.v1+json,parlour.v1+msgpack"), Some(Codec::Json)),
            (Some("graphql-ws"), None),
        ] {
            let (mut headers, mut answer) = (HeaderMap::new(), HeaderMap::new());
            if let Some(asked) = asked {
                headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(asked));
            }
            assert_eq!(negotiate(&headers, &mut answer).ok(), expected);
            let answered = answer.get(SEC_WEBSOCKET_PROTOCOL).map(|name| name.to_str().unwrap().to_owned());
            assert_eq!(answered, asked.and(expected).map(|codec| codec.subprotocol().to_owned()));
        }
    }
}
