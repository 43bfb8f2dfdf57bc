//! The web pages: the staff console, the page of a link with its facts in it, and their scripts and styles.
//!
//! All of it is built into the binary (`build.rs`); a headless build answers with a plain page that holds the same facts.
//! Pages run only their own scripts and talk only to their own server: no inline code, nothing from elsewhere.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::{Html, IntoResponse, Redirect, Response};

use crate::commands::visits::LinkPage;
use crate::http::Api;

#[cfg(parlour_ui)]
const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/dist/page.html"));
#[cfg(parlour_ui)]
const CONSOLE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/dist/console.html"));

#[cfg(not(parlour_ui))]
const PAGE: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title><!--parlour-title--></title>\
                    </head><body><!--parlour-state--><p>This server was built without its web pages.</p></body></html>";
#[cfg(not(parlour_ui))]
const CONSOLE: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Parlour</title></head>\
                       <body><p>This server was built without its web pages.</p></body></html>";

const STATE_MARK: &str = "<!--parlour-state-->";
const TITLE_MARK: &str = "<!--parlour-title-->";
/// The title of a page that belongs to nobody.
const TITLE_UNKNOWN: &str = "Link not found";

/// Every sensor and power a page could ask for, refused.
const PERMISSIONS_POLICY: &str = "accelerometer=(), ambient-light-sensor=(), autoplay=(), bluetooth=(), camera=(), \
    display-capture=(), encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), hid=(), magnetometer=(), \
    microphone=(), midi=(), payment=(), picture-in-picture=(), publickey-credentials-get=(), screen-wake-lock=(), \
    serial=(), usb=(), web-share=(), xr-spatial-tracking=()";

/// Scripts and styles; their names carry a hash of their content.
#[cfg(parlour_ui)]
pub(super) fn router() -> Router {
    let assets =
        memory_serve::load!("assets").index_file(None).cache_control(memory_serve::CacheControl::Long).into_router();
    Router::new().nest("/assets", assets)
}

/// A headless build has none.
#[cfg(not(parlour_ui))]
pub(super) fn router() -> Router {
    Router::new()
}

pub(super) async fn home() -> Redirect {
    Redirect::temporary("/console")
}

pub(super) async fn console(State(api): State<Arc<Api>>) -> Response {
    page(CONSOLE.to_owned(), &api.config.public_url)
}

/// The page of a link, with its facts.
pub(super) fn link_page(facts: &LinkPage, public_url: &str) -> Response {
    let title = facts.organization.as_ref().map_or(TITLE_UNKNOWN, |organization| organization.name());
    let json = serde_json::to_string(facts).unwrap_or_else(|_| "{}".to_owned());
    page(fill(PAGE, title, &json), public_url)
}

fn fill(html: &str, title: &str, json: &str) -> String {
    let state = format!("<script type=\"application/json\" id=\"parlour-state\">{}</script>", in_script(json));
    // The state goes in last: nothing in it is taken for a mark.
    html.replace(TITLE_MARK, &in_text(title)).replacen(STATE_MARK, &state, 1)
}

/// JSON that cannot end the script element it stands in (HTML Standard §4.12.1.3).
fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

/// Text for HTML content and attributes.
fn in_text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A page of ours, under the policy of all pages.
pub(super) fn page(html: String, public_url: &str) -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, content_security_policy(public_url)),
        (HeaderName::from_static("x-robots-tag"), "noindex".to_owned()),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS_POLICY.to_owned()),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin".to_owned()),
    ];
    (headers, Html(html)).into_response()
}

/// `'self'` covers sockets in newer browsers only, hence the second name.
fn content_security_policy(public_url: &str) -> String {
    let socket = public_url.replacen("http", "ws", 1);
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' {socket}; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_cannot_break_out_of_the_page() {
        let evil = "</script><script>alert(1)</script><!--parlour-title-->";
        let html = fill(PAGE, evil, &serde_json::json!({ "name": evil }).to_string());
        assert!(!html.contains("<script>alert") && !html.contains("</script><script"));
        let state = html.split("id=\"parlour-state\">").nth(1).unwrap().split("</script>").next().unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(state).unwrap()["name"], evil);
        assert!(html.contains("&lt;/script&gt;"));
    }

    #[test]
    fn pages_talk_to_their_own_server_only() {
        let policy = content_security_policy("https://chat.example.com");
        assert!(policy.contains("connect-src 'self' wss://chat.example.com;"));
        assert!(!policy.contains("unsafe") && !policy.contains('*'));
        assert!(content_security_policy("http://127.0.0.1:8080").contains("ws://127.0.0.1:8080"));
    }
}
