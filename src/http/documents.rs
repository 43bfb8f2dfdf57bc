//! The contract, for programs and for people: OpenAPI, AsyncAPI, the schemas, and `/docs`, a page that reads them.
//!
//! All of it is text built into the binary, the same for everybody: no credential, no state, kept by caches under its ETag.
//! The documents are `protocol/schema/` and `protocol/asyncapi.yaml`, the page is `web/docs/`, which needs no build.

use std::future::{Ready, ready};
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::http::{Api, assets};

const PAGE: &str = include_str!("../../web/docs/docs.html");
/// The script of the page.
pub(super) const SCRIPT: &str = include_str!("../../web/docs/docs.js");
/// What the script is made of.
pub(super) const PARTS: &str = include_str!("../../web/docs/parts.js");
/// Its icon.
pub(super) const ICON: &str = include_str!("../../web/console/src/mark.svg");
/// Its styles.
pub(super) const STYLES: &str = include_str!("../../web/docs/docs.css");
/// The colours and sizes it shares with the other pages.
pub(super) const TOKENS: &str = include_str!("../../web/common/tokens.css");

/// Kept for as long as the ETag is the same, which is asked each time: a new version shows at once.
const CACHE: &str = "public, no-cache";
/// Enough of a SHA-256 to tell two versions of a text apart.
const ETAG_BYTES: usize = 12;

pub(super) async fn page(State(api): State<Arc<Api>>) -> Response {
    assets::page(PAGE.to_owned(), &api.config.public_url)
}

/// A handler that answers with one text.
pub(super) fn serve(
    media_type: &'static str,
    text: &'static str,
) -> impl Fn(HeaderMap) -> Ready<Response> + Clone + Send + Sync + 'static {
    let etag = etag(text);
    move |headers| {
        let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_fresh = known.split(',').any(|one| one.trim().trim_start_matches("W/") == etag);
        let described = [(header::ETAG, etag.as_str()), (header::CACHE_CONTROL, CACHE)];
        ready(match is_fresh {
            true => (StatusCode::NOT_MODIFIED, described).into_response(),
            false => (described, [(header::CONTENT_TYPE, media_type)], text).into_response(),
        })
    }
}

/// A strong entity tag (RFC 9110 §8.8.3).
fn etag(text: &str) -> String {
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(&Sha256::digest(text)[..ETAG_BYTES]))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    async fn asked(if_none_match: &str) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_str(if_none_match).unwrap());
        serve("text/plain", "hello")(headers).await
    }

    #[tokio::test]
    async fn who_has_the_text_is_not_sent_it_again() {
        let first = asked("\"another\"").await;
        assert_eq!(
            (first.status(), &first.headers()[header::CONTENT_TYPE]),
            (StatusCode::OK, &"text/plain".parse().unwrap())
        );
        let etag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        for again in [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}")] {
            assert_eq!(asked(&again).await.status(), StatusCode::NOT_MODIFIED, "{again}");
        }
    }

    #[test]
    fn the_page_runs_nothing_of_its_own_and_loads_nothing_from_elsewhere() {
        assert!(!PAGE.contains("<style") && !PAGE.contains("style=") && !PAGE.contains("://"));
        assert_eq!(PAGE.matches("<script").count(), PAGE.matches("<script src=\"/docs/").count());
    }
}
