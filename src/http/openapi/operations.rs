//! Every route with what it takes and what it gives, in the order of the route table ([`crate::http::routes`]).
//!
//! A route that is missing here, or only here, fails `tests/contract.rs`. Words only: nothing is decided or called.

use parlour_protocol::entry::NumberedEntry;
use parlour_protocol::push::ConversationRow;
use parlour_protocol::reply::{Appended, Empty};
use parlour_protocol::share::Share;

use crate::http::openapi::Access::{Bearer, Cookie, Either, Open};
use crate::http::openapi::Document;
use crate::http::{auth, cards, conversations, entries, health, me, shares, visits};

const PUBLIC: &[&str] = &["public"];
const PLATFORM: &[&str] = &["platform"];
const DMC: &[&str] = &["dmc"];
const STAFF_AND_SYSTEMS: &[&str] = &["dmc", "assistant"];
const EVERYBODY: &[&str] = &["dmc", "traveler", "assistant"];
const VISITORS: &[&str] = &["traveler", "public"];
const HTML: &str = "text/html";

pub(super) fn all(document: &mut Document) {
    of_the_node(document);
    pages(document);
    authentication(document);
    conversations(document);
    transcript(document);
    links(document);
    visits(document);
    socket(document);
}

fn of_the_node(document: &mut Document) {
    document.route(("get", "/livez"), PLATFORM, Open, "The process answers").gives::<health::Health>(&[200]).done();
    document
        .route(("get", "/readyz"), PLATFORM, Open, "The node can be sent work")
        .says("503 while it stops, or while its database would lose what it acknowledges.")
        .gives::<health::Health>(&[200])
        .done();
}

fn pages(document: &mut Document) {
    document.route(("get", "/"), PUBLIC, Open, "To the console").shows(307, "", "The console.").done();
    document.route(("get", "/console"), DMC, Open, "The staff console").shows(200, HTML, "The page.").done();
    document
        .route(("get", "/console/{*rest}"), DMC, Open, "The staff console, at one of its places")
        .shows(200, HTML, "The page.")
        .done();
    document
        .route(("get", "/s/{token}"), VISITORS, Open, "The page of a link")
        .says("Changes nothing, counts nothing and names nobody. A page, or its facts with `Accept: application/json`.")
        .gives::<visits::LinkFacts>(&[200])
        .shows(200, HTML, "The page, or the facts.")
        .refuses(&[410, 429])
        .done();
    document.route(("get", "/docs"), PUBLIC, Open, "This description, to read").shows(200, HTML, "The page.").done();
    for (path, media_type, what) in [
        ("/docs/docs.js", "text/javascript", "The script of that page"),
        ("/docs/parts.js", "text/javascript", "What that script is made of"),
        ("/docs/icon.svg", "image/svg+xml", "The icon of that page"),
        ("/docs/docs.css", "text/css", "The styles of that page"),
        ("/docs/tokens.css", "text/css", "The colours and sizes of every page"),
        ("/openapi.json", "application/json", "This description, to parse (OpenAPI 3.1)"),
        ("/asyncapi.yaml", "application/yaml", "The socket (AsyncAPI 3.0)"),
        ("/schema/socket.json", "application/schema+json", "Every message of the socket (JSON Schema 2020-12)"),
        ("/schema/errors.json", "application/json", "Every error code and close code"),
    ] {
        document.route(("get", path), PUBLIC, Open, what).shows(200, media_type, "The document.").done();
    }
}

fn authentication(document: &mut Document) {
    document
        .route(("post", "/api/v1/auth/login"), DMC, Open, "Log in")
        .takes::<auth::Login>(true)
        .gives::<auth::Reply>(&[200])
        .refuses(&[401, 429])
        .done();
    document
        .route(("post", "/api/v1/auth/refresh"), DMC, Cookie, "Renew the tokens")
        .says("A refresh token works once.")
        .takes::<auth::Refresh>(false)
        .gives::<auth::Reply>(&[200])
        .refuses(&[401])
        .done();
    document
        .route(("post", "/api/v1/auth/logout"), DMC, Cookie, "Log out")
        .takes::<auth::Refresh>(false)
        .gives::<()>(&[200])
        .refuses(&[401])
        .done();
    document
        .route(("post", "/api/v1/auth/ticket"), EVERYBODY, Bearer, "A ticket for a socket")
        .says("`hello` takes it instead of a credential: once, within its life, from the same page.")
        .gives::<auth::Ticket>(&[200])
        .done();
    document.route(("get", "/api/v1/me"), DMC, Bearer, "Who I am and what I may do").gives::<me::Me>(&[200]).done();
}

fn conversations(document: &mut Document) {
    document
        .route(("post", "/api/v1/conversations"), STAFF_AND_SYSTEMS, Bearer, "Open a conversation")
        .once()
        .takes::<conversations::Create>(true)
        .gives::<ConversationRow>(&[201, 200])
        .done();
    document
        .route(("get", "/api/v1/conversations"), STAFF_AND_SYSTEMS, Bearer, "List conversations")
        .asks::<conversations::List>()
        .lists::<ConversationRow, conversations::ListMeta>()
        .done();
    document
        .route(("get", "/api/v1/conversations/{id}"), STAFF_AND_SYSTEMS, Bearer, "One conversation")
        .gives::<ConversationRow>(&[200])
        .done();
}

fn transcript(document: &mut Document) {
    document
        .route(("get", "/api/v1/conversations/{id}/entries"), EVERYBODY, Bearer, "The transcript, in pages")
        .says("In the reader's own view and numbering: guests never see, nor count, what is for staff.")
        .asks::<entries::List>()
        .lists::<NumberedEntry, entries::TranscriptMeta>()
        .done();
    document
        .route(("post", "/api/v1/conversations/{id}/entries"), EVERYBODY, Bearer, "Write, edit or redact")
        .once()
        .takes::<entries::Create>(true)
        .gives::<Appended>(&[201, 200])
        .done();
    document
        .route(("post", "/api/v1/conversations/{id}/cards"), STAFF_AND_SYSTEMS, Bearer, "Offer a card")
        .once()
        .takes::<cards::Create>(true)
        .gives::<cards::OfferedCard>(&[201, 200])
        .done();
}

fn links(document: &mut Document) {
    document
        .route(("post", "/api/v1/conversations/{id}/share"), STAFF_AND_SYSTEMS, Bearer, "Make a link")
        .says("The secret is in the first answer and nowhere else.")
        .once()
        .takes::<shares::Create>(false)
        .gives::<shares::Created>(&[201, 200])
        .refuses(&[429])
        .done();
    document
        .route(("get", "/api/v1/conversations/{id}/shares"), STAFF_AND_SYSTEMS, Bearer, "The links of a conversation")
        .gives::<Vec<Share>>(&[200])
        .done();
    document
        .route(("patch", "/api/v1/shares/{id}"), STAFF_AND_SYSTEMS, Bearer, "Change a link")
        .once()
        .takes::<shares::Change>(true)
        .gives::<Share>(&[200])
        .refuses(&[409])
        .done();
    document
        .route(("delete", "/api/v1/shares/{id}"), STAFF_AND_SYSTEMS, Bearer, "Revoke a link")
        .says("Its sessions end at once.")
        .once()
        .gives::<Share>(&[200])
        .done();
}

fn visits(document: &mut Document) {
    document
        .route(("post", "/api/v1/shares/claim"), VISITORS, Open, "Come in by a link")
        .says("Takes a seat, or comes back to it with the `device_key`.")
        .takes::<visits::ClaimBody>(true)
        .once()
        .gives::<visits::ClaimReply>(&[200])
        .refuses(&[403, 404, 409, 410, 429])
        .done();
    document
        .route(("post", "/api/v1/shares/open"), VISITORS, Either, "The page of a link was seen")
        .says("Called by the page once, at its first visible render. Staff and bots do not count.")
        .takes::<visits::OpenBody>(true)
        .gives::<Empty>(&[200])
        .refuses(&[404, 410, 429])
        .done();
}

fn socket(document: &mut Document) {
    document
        .route(("get", "/api/v1/ws"), EVERYBODY, Open, "The socket")
        .says(
            "A WebSocket; `Sec-WebSocket-Protocol` is `parlour.v1+json` or `parlour.v1+msgpack`. The credential comes in the \
             first message, never in the URL. See `/asyncapi.yaml`.",
        )
        .shows(101, "", "From here on the protocol of the socket.")
        .refuses(&[403])
        .done();
}
