//! Requests of strangers, as far as they are read before anybody asks who it is: queries, bodies, paths, forwarded addresses.
//! An unknown field never passes, a secret never gets into a log line, and only a trusted proxy is believed.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, Uri};
use parlour::http::client::{ClientAddress, decoded, loggable, looks_secret};
use parlour::http::extract::{body, query};
use parlour::http::{conversations, entries};
use parlour_protocol::codec::Codec;
use serde_json::{Map, Value};

use crate::commands::assert_within_limits;
use crate::run::{HEAD, MESSAGE, Target, behaviour};
use crate::vectors;

const QUERY_WORDS: &[&[u8]] = &[
    b"before=",
    b"after=",
    b"around=",
    b"limit=",
    b"page=",
    b"sort=-last_entry_at",
    b"status=",
    b"stage=",
    b"q=",
    b"&",
    b"=",
    b"&&",
    b"%00",
    b"%",
    b"%2",
    b"%ff",
    b"+",
    b"[]",
    b"page%3d1",
    b"token=",
    b";",
];
const PATH_WORDS: &[&[u8]] = &[
    b"/s/",
    b"/",
    b"//",
    b"parlour_sh_",
    b"parlour%5Fsh%5f",
    b"%70arlour_",
    b"eyJ",
    b"%65yJ",
    b"%00",
    b"%",
    b"%25",
    b"%2f",
    b"\xc3\xa9",
    b"?",
    b"..",
];
const HOPS: &[&[u8]] = &[
    b", ",
    b",",
    b"10.0.0.1",
    b"203.0.113.9",
    b"::1",
    b"::ffff:10.0.0.2",
    b"[::1]:80",
    b"fd00::1",
    b"unknown",
    b"\xff",
    b"010.0.0.1",
];

#[test]
fn queries() {
    let examples = [
        "before=41&limit=50",
        "after=0",
        "around=9007199254740991&limit=200",
        "limit=1",
        "page=1&limit=50&sort=-last_entry_at",
        "page=2&status=open&stage=quoted&q=Lagon+Bleu",
        "sort=created_at&q=%C3%A9",
        "before=-1",
        "",
    ];
    let examples = examples.map(|query| query.as_bytes().to_vec()).to_vec();
    Target { name: "queries", examples, dictionary: QUERY_WORDS, bytes_max: HEAD }.run(check_query);
}

fn check_query(bytes: &[u8]) -> u64 {
    let Ok(uri) = format!("/api/v1/conversations?{}", String::from_utf8_lossy(bytes)).parse::<Uri>() else { return 0 };
    let (page, list) = (query::<entries::List>(&uri).is_ok(), query::<conversations::List>(&uri).is_ok());
    let names = |known: &[&str]| {
        let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| decoded(&pair.split('=').next().unwrap_or_default().replace('+', " ")))
            .all(|name| known.contains(&name.as_str()))
    };
    assert!(!page || names(&["before", "after", "around", "limit"]), "an unknown field passed: {uri}");
    assert!(!list || names(&["page", "limit", "sort", "status", "stage", "q"]), "an unknown field passed: {uri}");
    behaviour((page, list, uri.query().map(|query| query.matches(['&', '=', '%']).count().min(12))))
}

#[test]
fn bodies() {
    let examples = [vectors::wire("command-", Codec::Json), vectors::wire("invalid-json", Codec::Json)].concat();
    Target {
        name: "bodies",
        examples,
        dictionary: &[b"{\"a\":", b"[[", b"\"", b"\\u0000", b"1e999"],
        bytes_max: MESSAGE,
    }
    .run(check_body);
}

fn check_body(bytes: &[u8]) -> u64 {
    let read = body::<Map<String, Value>>(bytes);
    if let Ok(map) = &read {
        let text = Value::Object(map.clone()).to_string();
        let again = body::<Map<String, Value>>(text.as_bytes()).ok();
        // A float may come back with another last digit. No field of ours is one.
        let same_keys = again.is_some_and(|again| again.keys().eq(map.keys()));
        assert!(same_keys, "what was read is written so that it reads again: {text}");
        assert_within_limits(&Value::Object(map.clone()));
    }
    behaviour(
        read.map(|map| map.len())
            .map_err(|problem| format!("{problem:?}").split(['`', '"']).step_by(2).collect::<String>()),
    )
}

#[test]
fn paths() {
    let secret = "parlour_sh_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIj";
    let examples = [
        format!("/s/{secret}"),
        format!("/x/{secret}/y"),
        format!("/s/{}", secret.replace('_', "%5F")),
        "/api/v1/conversations".to_owned(),
        "/s/eyJhbGciOiJFZERTQSJ9.e30.AA/qr".to_owned(),
        "/".to_owned(),
    ];
    let examples = examples.map(String::into_bytes).to_vec();
    Target { name: "paths", examples, dictionary: PATH_WORDS, bytes_max: HEAD }.run(check_path);
}

fn check_path(bytes: &[u8]) -> u64 {
    // Only what a URI may hold reaches the log.
    let Ok(uri) = Uri::builder().path_and_query(bytes).build() else { return 0 };
    let logged = loggable(uri.path());
    assert!(logged.chars().count() <= 200 && !logged.chars().any(char::is_control));
    assert!(!logged.split('/').any(looks_secret), "{logged} shows a secret");
    behaviour((
        logged.matches("[token]").count(),
        uri.path().matches('/').count().min(9),
        uri.path().matches('%').count().min(9),
    ))
}

#[test]
fn forwarded() {
    let examples = [
        "203.0.113.9",
        "1.2.3.4, 203.0.113.9, 10.0.0.7",
        "2001:db8::7, fd00::1",
        "unknown, 10.0.0.1",
        "::ffff:203.0.113.9",
    ];
    let examples = examples.map(|value| value.as_bytes().to_vec()).to_vec();
    Target { name: "forwarded", examples, dictionary: HOPS, bytes_max: HEAD }.run(check_forwarded);
}

fn check_forwarded(bytes: &[u8]) -> u64 {
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return 0 };
    let address = |peer: [u8; 4]| {
        let mut request = Request::builder().header("x-forwarded-for", value.clone()).body(()).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from((peer, 80))));
        ClientAddress::of(&request.into_parts().0, &["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]).0
    };
    let stranger = [198, 51, 100, 7];
    assert_eq!(address(stranger), IpAddr::from(stranger), "a stranger is believed");
    let believed = address([10, 0, 0, 1]);
    if let IpAddr::V6(v6) = believed {
        assert_eq!(v6.octets()[8..], [0; 8], "one subscriber has one address");
        assert!(v6.to_ipv4_mapped().is_none(), "one address has one form");
    }
    let hops = bytes.split(|byte| *byte == b',').count();
    behaviour((believed.is_ipv4(), believed == IpAddr::from([10, 0, 0, 1]), hops.min(20)))
}
