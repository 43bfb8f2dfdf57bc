//! `/api/v1/auth/…`: log-in, refresh, log-out, tickets for sockets. A browser keeps its refresh token in a cookie that scripts cannot read and
//! that travels to these routes only; programs keep it themselves.
//!
//! The cookie alone changes nothing but itself, and not on the word of another site.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::auth::login::Tokens;
use crate::commands::failure::Failure;
use crate::http::Api;
use crate::http::client::ClientAddress;
use crate::http::envelope::{Problem, Success};
use crate::http::extract::{Admitted, JsonBody, OptionalBody};

const COOKIE: &str = "parlour_refresh";
const COOKIE_PATH: &str = "/api/v1/auth";
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A person and their password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    email: String,
    password: String,
    /// Who keeps the refresh token; `body` when absent.
    #[serde(default)]
    refresh: Option<Keeper>,
}

/// A refresh token; without one the cookie counts.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Refresh {
    /// Works once.
    #[serde(default)]
    refresh_token: Option<String>,
}

/// Who keeps the refresh token.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Keeper {
    /// The caller.
    #[default]
    Body,
    /// The browser.
    Cookie,
}

/// What a log-in gives.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Tokens")]
pub(super) struct Reply {
    /// For `Authorization: Bearer` and for `hello`.
    access_token: String,
    /// `null` when the cookie holds it.
    refresh_token: Option<String>,
    /// Life of the access token, in seconds.
    expires_in: u64,
}

pub(super) async fn login(
    State(api): State<Arc<Api>>,
    address: ClientAddress,
    JsonBody(body): JsonBody<Login>,
) -> Result<Response, Problem> {
    let auth = Arc::clone(&api.auth);
    let password = SecretString::from(body.password);
    let work = async move { auth.login(address.0, &body.email, password).await.map_err(Failure::from) };
    Ok(reply(&api, &api.complete(work).await?, body.refresh.unwrap_or_default()))
}

pub(super) async fn refresh(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    OptionalBody(body): OptionalBody<Refresh>,
) -> Result<Response, Problem> {
    let (token, keeper) = presented(&headers, body)?.ok_or_else(Failure::unauthenticated)?;
    let auth = Arc::clone(&api.auth);
    let work = async move { auth.refresh(&token).await.map_err(Failure::from) };
    Ok(reply(&api, &api.complete(work).await?, keeper))
}

pub(super) async fn logout(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    OptionalBody(body): OptionalBody<Refresh>,
) -> Result<Response, Problem> {
    if let Some((token, _)) = presented(&headers, body)? {
        let auth = Arc::clone(&api.auth);
        api.complete(async move { auth.logout(&token).await.map_err(Failure::from) }).await?;
    }
    let mut response = Success::ok(Value::Null).into_response();
    if !is_of_another_site(&headers) {
        set_cookie(&api, &mut response, "", 0);
    }
    Ok(response)
}

/// What a page says `hello` with.
#[derive(Serialize, JsonSchema)]
pub(super) struct Ticket {
    /// Works once.
    ticket: String,
    /// Life of the ticket, in seconds.
    expires_in: u64,
}

/// A ticket for a socket of the page that asks.
pub(super) async fn ticket(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Admitted(admitted): Admitted,
) -> Result<Success<Ticket>, Problem> {
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()).map(str::to_ascii_lowercase);
    let ticket = api.auth.issue_ticket(&admitted, origin).await.map_err(Failure::from)?;
    Ok(Success::ok(Ticket { ticket: ticket.secret.expose().to_owned(), expires_in: ticket.expires_in.as_secs() }))
}

/// The refresh token of a request: the body's, else the cookie's.
fn presented(headers: &HeaderMap, body: Refresh) -> Result<Option<(String, Keeper)>, Problem> {
    if let Some(token) = body.refresh_token {
        return Ok(Some((token, Keeper::Body)));
    }
    let Some(token) = cookie(headers) else { return Ok(None) };
    if is_of_another_site(headers) {
        return Err(Failure::unauthenticated().into());
    }
    Ok(Some((token, Keeper::Cookie)))
}

/// Whether a browser says that a page of another site asks (Fetch Metadata). Such a page neither uses the cookie nor clears it.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    headers.get(FETCH_SITE).is_some_and(|site| site != "same-origin" && site != "none")
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, value)| *name == COOKIE && !value.is_empty()).map(|(_, value)| value.to_owned())
}

fn reply(api: &Api, tokens: &Tokens, keeper: Keeper) -> Response {
    let refresh_token = tokens.refresh_token.expose();
    let body = Reply {
        access_token: tokens.access_token.expose_secret().to_owned(),
        refresh_token: match keeper {
            Keeper::Body => Some(refresh_token.to_owned()),
            Keeper::Cookie => None,
        },
        expires_in: tokens.expires_in.as_secs(),
    };
    let mut response = Success::ok(body).into_response();
    if let Keeper::Cookie = keeper {
        set_cookie(api, &mut response, refresh_token, tokens.refresh_expires_in.as_secs());
    }
    response
}

fn set_cookie(api: &Api, response: &mut Response, value: &str, max_age: u64) {
    let secure = if api.config.public_url.starts_with("https://") { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={value}; Path={COOKIE_PATH}; Max-Age={max_age}; HttpOnly; SameSite=Strict{secure}");
    if let Ok(mut cookie) = HeaderValue::from_str(&cookie) {
        cookie.set_sensitive(true);
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let found = |text: &str| cookie(&headers(&[(header::COOKIE, text)]));
        assert_eq!(found("a=b; parlour_refresh=x; c=d").as_deref(), Some("x"));
        assert_eq!(found("parlour_refresh2=x"), None);
        assert_eq!(found("parlour_refresh="), None);
    }

    #[test]
    fn a_cookie_does_not_count_on_the_word_of_another_site() {
        let from = |site: &str| {
            presented(&headers(&[(header::COOKIE, "parlour_refresh=x"), (FETCH_SITE, site)]), Refresh::default())
                .is_ok()
        };
        assert!(from("same-origin") && from("none"));
        assert!(!from("cross-site") && !from("same-site"));
    }
}
