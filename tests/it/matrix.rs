//! Every route against everybody: who gets through, who is forbidden, and to whom a thing does not even exist, while the
//! organization is active and while it is suspended. The table below is written by hand, not derived from the policy.
//!
//! A route that is not in the table fails the test. The same for the socket's commands is `policy_golden` and `walls`.

use std::collections::BTreeSet;

use axum::http::{Method, header};
use parlour_protocol::id::ConversationId;
use serde_json::{Value, json};

use parlour_testkit::api::{Answer, Edge};
use parlour_testkit::seeder::PASSWORD;

/// What only this organization knows.
const CANARY: &str = "canary of lagon";

/// Who asks, in the order of the table's letters.
const WHO: &str = "A VRS XE oamtpg dz krwcbh0 xe FKG";

// A nobody; V guest who may view, R and respond, S and select; X guest of a revoked link, E of an expired one;
// o owner, a admin, m manager, t dmc_staff, p support, g guide; d disabled member, z member logged out everywhere;
// keys: k everything, r conversations:read, w conversations:write, c both, b read and bookings:write, h read and
// shares:create, 0 nothing; x revoked key, e expired key; of another organization: F owner, K key for everything, G guest.
//
// . success   u UNAUTHENTICATED   f FORBIDDEN   n NOT_FOUND   s ORGANIZATION_SUSPENDED
const TABLE: &[(&str, &str, &str)] = &[
    // route                                     active                               suspended
    ("POST /api/v1/auth/ticket", "u ... uu ...... uu ....... uu ...", "u uuu uu ...... uu ....... uu ..."),
    ("GET /api/v1/me", "u fff uu ...... uu fffffff uu .ff", "u uuu uu ...... uu fffffff uu .ff"),
    ("POST /api/v1/conversations", "u fff uu ....ff uu .f..fff uu ..f", "u uuu uu ssssff uu sfssfff uu ..f"),
    ("GET /api/v1/conversations", "u fff uu .....f uu ..f...f uu ..f", "u uuu uu .....f uu ..f...f uu ..f"),
    ("GET /api/v1/conversations/{id}", "u fff uu .....n uu ..n...n uu nnn", "u uuu uu .....n uu ..n...n uu nnn"),
    (
        "GET /api/v1/conversations/{id}/entries",
        "u ... uu .....n uu ..n...n uu nnn",
        "u uuu uu .....n uu ..n...n uu nnn",
    ),
    (
        "POST /api/v1/conversations/{id}/entries",
        "u f.f uu .....n uu .fn.ffn uu nnn",
        "u uuu uu sssssn uu sfnsffn uu nnn",
    ),
    (
        "EDIT /api/v1/conversations/{id}/entries",
        "u fnf uu nnnnnn uu nfnnffn uu nnn",
        "u uuu uu sssssn uu sfnsffn uu nnn",
    ),
    (
        "NOTE /api/v1/conversations/{id}/entries",
        "u fff uu .....n uu .fn.ffn uu nnn",
        "u uuu uu sssssn uu sfnsffn uu nnn",
    ),
    ("POST /api/v1/conversations/{id}/cards", "u fff uu ....fn uu .fnf.fn uu nnn", "u uuu uu ssssfn uu sfnfsfn uu nnn"),
    ("POST /api/v1/conversations/{id}/share", "u fff uu ....fn uu .fnff.n uu nnn", "u uuu uu ssssfn uu sfnffsn uu nnn"),
    ("GET /api/v1/conversations/{id}/shares", "u fff uu ....fn uu .fnff.n uu nnn", "u uuu uu ssssfn uu sfnffsn uu nnn"),
    ("PATCH /api/v1/shares/{id}", "u fff uu ....fn uu .fnff.n uu nnn", "u uuu uu ssssfn uu sfnffsn uu nnn"),
    ("DELETE /api/v1/shares/{id}", "u fff uu ....fn uu .fnff.n uu nnn", "u uuu uu ssssfn uu sfnffsn uu nnn"),
];

/// Routes that take no bearer credential; `edge`, `admission` and `links` look at them.
const PUBLIC: &[&str] = &[
    "GET /livez",
    "GET /readyz",
    "GET /",
    "GET /console",
    "GET /console/{*rest}",
    "GET /s/{token}",
    "GET /docs",
    "GET /docs/docs.js",
    "GET /docs/parts.js",
    "GET /docs/icon.svg",
    "GET /docs/docs.css",
    "GET /docs/tokens.css",
    "GET /openapi.json",
    "GET /asyncapi.yaml",
    "GET /schema/socket.json",
    "GET /schema/errors.json",
    "POST /api/v1/auth/login",
    "POST /api/v1/auth/refresh",
    "POST /api/v1/auth/logout",
    "POST /api/v1/shares/claim",
    "POST /api/v1/shares/open",
];

fn body_of(verb: &str, route: &str) -> Option<Value> {
    let option = json!([{ "id": "a", "label": "A" }]);
    Some(match (verb, route.rsplit('/').next()?) {
        ("POST", "conversations") => json!({ "title": "x" }),
        ("POST", "entries") => json!({ "kind": "message", "text": "x" }),
        // Of an entry that is not there, so that only who may ask learns that.
        ("EDIT", "entries") => json!({ "kind": "edit", "entry_id": ConversationId::generate(), "seq": 1, "text": "x" }),
        ("NOTE", "entries") => json!({ "kind": "note", "text": "x" }),
        ("POST", "cards") => json!({ "kind": "choice", "title": "x", "options": option }),
        ("POST", "share") => json!({}),
        ("PATCH", _) => json!({ "seats": 7 }),
        _ => return None,
    })
}

struct Stage {
    edge: Edge,
    conversation: String,
    share: String,
    /// In the order of [`WHO`], without its spaces.
    people: Vec<(char, Option<String>)>,
}

impl Stage {
    async fn set() -> Self {
        let edge = Edge::start().await;
        let lagon = edge.organization("lagon").await;
        let owner = edge.staff(lagon, "owner").await;
        let made = edge.post("/api/v1/conversations").bearer(&owner).json(&json!({ "title": CANARY })).send().await;
        let conversation = made.data()["id"].as_str().expect("an id").to_owned();
        let guest = async |permissions: &[&str]| {
            let (secret, share) = edge.share(&owner, &conversation, &json!({ "permissions": permissions })).await;
            let claimed = edge.claim(&secret, &json!({ "name": "Maria" })).await.data();
            (claimed["guest_token"].as_str().expect("a token").to_owned(), share)
        };
        // Those whose time is over come first: they are found by being alone yet.
        let expired_guest = guest(&["respond", "select_options"]).await.0;
        edge.arrange("update shares set expires_at = now(), version = version + 1").await;
        let (revoked_guest, revoked) = guest(&["respond", "select_options"]).await;
        let path = format!("/api/v1/shares/{}", revoked["id"].as_str().expect("an id"));
        edge.call(Method::DELETE, &path).bearer(&owner).send().await.data();
        let expired_key = edge.service(lagon, &["*"]).await.1;
        edge.arrange("update api_keys set expires_at = now(), version = version + 1").await;
        let (id, revoked_key) = edge.service(lagon, &["*"]).await;
        edge.revoke_key(lagon, id).await;
        let disabled = edge.staff(lagon, "dmc_admin").await;
        edge.arrange("update memberships set status = 'disabled', version = 2 where role = 'dmc_admin'").await;
        let logged_out = edge.staff(lagon, "dmc_manager").await;
        edge.arrange("update persons set session_version = 2 where id in (select person_id from memberships where role = 'dmc_manager')").await;

        let mut people = vec![('A', None), ('X', Some(revoked_guest)), ('E', Some(expired_guest))];
        people.extend([('d', disabled), ('z', logged_out), ('x', revoked_key), ('e', expired_key)].map(some));
        for (letter, permissions) in [('V', &["view"][..]), ('R', &["respond"]), ('S', &["select_options"])] {
            people.push((letter, Some(guest(permissions).await.0)));
        }
        for (letter, role) in [
            ('o', "owner"),
            ('a', "dmc_admin"),
            ('m', "dmc_manager"),
            ('t', "dmc_staff"),
            ('p', "support"),
            ('g', "guide"),
        ] {
            people.push((letter, Some(edge.staff(lagon, role).await)));
        }
        let read = "conversations:read";
        for (letter, scopes) in [
            ('k', &["*"][..]),
            ('r', &[read]),
            ('w', &["conversations:write"]),
            ('c', &[read, "conversations:write"]),
            ('b', &[read, "bookings:write"]),
            ('h', &[read, "shares:create"]),
            ('0', &[]),
        ] {
            people.push((letter, Some(edge.service(lagon, scopes).await.1)));
        }
        people.extend(strangers(&edge).await.map(some));
        people.sort_by_key(|(letter, _)| WHO.find(*letter));
        let (_, share) = edge.share(&owner, &conversation, &json!({ "label": CANARY })).await;
        let share = share["id"].as_str().expect("an id").to_owned();
        Self { edge, conversation, share, people }
    }

    /// One cell: what it came to, and the same asked of nothing.
    async fn ask(&self, route: &str, who: Option<&str>, is_absent: bool) -> Answer {
        let (verb, path) = route.split_once(' ').expect("a method and a path");
        let absent = ConversationId::generate().to_string();
        let id = if path.contains("/shares/{id}") { &self.share } else { &self.conversation };
        let path = path.replace("{id}", if is_absent { &absent } else { id });
        let method = if matches!(verb, "NOTE" | "EDIT") { Method::POST } else { verb.parse().expect("a method") };
        let mut call = self.edge.call(method, &path);
        if let Some(credential) = who {
            call = call.bearer(credential);
        }
        if let Some(body) = body_of(verb, route) {
            call = call.json(&body);
        }
        call.header("x-request-id", "matrix").send().await
    }

    /// The column of one route, as the table writes it.
    async fn row(&self, route: &str) -> String {
        let mut row = String::new();
        for (letter, who) in &self.people {
            let answer = self.ask(route, who.as_deref(), false).await;
            assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store", "{route} as {letter}");
            let result = if answer.status.is_success() { '.' } else { initial(&answer.code()) };
            let is_outside = result != '.' || "FKG".contains(*letter);
            assert!(!(is_outside && answer.text.contains(CANARY)), "{route} as {letter} leaks: {}", answer.text);
            if result == 'n' {
                let nothing = self.ask(route, who.as_deref(), true).await;
                assert_eq!((nothing.status, nothing.text), (answer.status, answer.text), "{route} as {letter}");
            }
            row.push(result);
        }
        row
    }
}

fn some((letter, credential): (char, String)) -> (char, Option<String>) {
    (letter, Some(credential))
}

fn initial(code: &str) -> char {
    match code {
        "UNAUTHENTICATED" => 'u',
        "FORBIDDEN" => 'f',
        "NOT_FOUND" => 'n',
        "ORGANIZATION_SUSPENDED" => 's',
        other => panic!("nobody expects {other}"),
    }
}

async fn strangers(edge: &Edge) -> [(char, String); 3] {
    let savane = edge.organization("savane").await;
    let owner = edge.staff(savane, "owner").await;
    let conversation = edge.conversation(&owner).await;
    let permissions = json!({ "permissions": ["respond", "select_options"] });
    let (secret, _) = edge.share(&owner, &conversation, &permissions).await;
    let guest = edge.claim(&secret, &json!({})).await.data()["guest_token"].as_str().expect("a token").to_owned();
    [('F', owner), ('K', edge.service(savane, &["*"]).await.1), ('G', guest)]
}

fn spaced(row: &str) -> String {
    let mut letters = row.chars();
    WHO.chars().map(|c| if c == ' ' { ' ' } else { letters.next().unwrap_or('?') }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_on_every_route_gets_what_the_table_says() {
    let stage = Stage::set().await;
    let mut wrong = Vec::new();
    for (suspended, sql) in [
        (false, "select 1"),
        (true, "update organizations set status = 'suspended', version = version + 1 where slug = 'lagon'"),
    ] {
        stage.edge.arrange(sql).await;
        for (route, active, frozen) in TABLE {
            let wanted = if suspended { frozen } else { active };
            let found = spaced(&stage.row(route).await);
            if found != *wanted {
                wrong.push(format!(
                    "{route} suspended: {suspended}\n  who    {WHO}\n  wanted {wanted}\n  found  {found}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_route_is_missing_from_the_table() {
    let source = include_str!("../../src/http/routes.rs");
    let mut served = BTreeSet::new();
    for line in source.lines().filter_map(|line| line.trim().strip_prefix(".route(\"")) {
        let (path, handlers) = line.split_once("\", ").expect("a path and its handlers");
        for method in ["get", "post", "put", "patch", "delete", "any"] {
            if handlers.starts_with(&format!("{method}(")) || handlers.contains(&format!(").{method}(")) {
                served.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    let known = TABLE.iter().map(|(route, ..)| *route).chain(PUBLIC.iter().copied());
    let known: BTreeSet<String> =
        known.filter(|route| !route.starts_with("NOTE") && !route.starts_with("EDIT")).map(str::to_owned).collect();
    assert_eq!(served, known);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_reads_its_own_view_from_any_side_and_no_number_betrays_the_rest() {
    let edge = Edge::start().await;
    let lagon = edge.organization("lagon").await;
    let owner = edge.staff(lagon, "owner").await;
    let conversation = edge.conversation(&owner).await;
    let entries = format!("/api/v1/conversations/{conversation}/entries");
    for n in 0..12 {
        let kind = if n % 3 == 0 { "message" } else { "note" };
        let body = json!({ "kind": kind, "text": format!("{kind} {n}") });
        edge.post(&entries).bearer(&owner).json(&body).send().await.data();
    }
    let (secret, _) = edge.share(&owner, &conversation, &json!({})).await;
    let guest = edge.claim(&secret, &json!({})).await.data()["guest_token"].as_str().expect("a token").to_owned();
    let ranges = (0..=15).flat_map(|seq| ["before", "after", "around"].map(|side| format!("?{side}={seq}&limit=2")));
    for range in ranges.chain([String::new(), "?limit=200".to_owned()]) {
        let page = edge.get(&format!("{entries}{range}")).bearer(&guest).send().await;
        assert_eq!(page.json()["meta"]["head"], 4, "{range}: four are for everyone");
        for entry in page.data().as_array().expect("a list") {
            assert_eq!((&entry["entry"]["audience"], &entry["entry"]["kind"]), (&json!("everyone"), &json!("message")));
            let n = entry["seq"].as_i64().expect("a number");
            assert_eq!(entry["entry"]["body"]["text"], format!("message {}", (n - 1) * 3), "numbered densely");
        }
    }
    let sent = edge.post(&entries).bearer(&guest).json(&json!({ "kind": "message", "text": "x" })).send().await;
    assert_eq!(sent.data()["seq"], 5, "the author's own numbering");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_body_takes_a_field_it_does_not_know() {
    let edge = Edge::start().await;
    let lagon = edge.organization("lagon").await;
    let owner = edge.staff(lagon, "owner").await;
    let conversation = edge.conversation(&owner).await;
    let (secret, share) = edge.share(&owner, &conversation, &json!({})).await;
    let of = |rest: &str| format!("/api/v1/conversations/{conversation}{rest}");
    let share = format!("/api/v1/shares/{}", share["id"].as_str().expect("an id"));
    let email = edge.person(lagon, "owner").await;
    let options = json!([{ "id": "a", "label": "A" }]);
    for (method, path, body) in [
        (Method::POST, "/api/v1/conversations".to_owned(), json!({ "title": "x" })),
        (Method::POST, of("/entries"), json!({ "kind": "message", "text": "x" })),
        (Method::POST, of("/cards"), json!({ "kind": "choice", "title": "x", "options": options })),
        (Method::POST, of("/share"), json!({})),
        (Method::PATCH, share, json!({ "seats": 2 })),
        (Method::POST, "/api/v1/shares/claim".to_owned(), json!({ "token": secret })),
        (Method::POST, "/api/v1/shares/open".to_owned(), json!({ "token": secret })),
        (Method::POST, "/api/v1/auth/login".to_owned(), json!({ "email": email, "password": PASSWORD })),
        (Method::POST, "/api/v1/auth/refresh".to_owned(), json!({ "refresh_token": "x" })),
        (Method::POST, "/api/v1/auth/logout".to_owned(), json!({ "refresh_token": "x" })),
    ] {
        for extra in ["organization_id", "role", "audience", "seq", "created_by", "id", "version", "state", "__proto__"]
        {
            let mut body = body.clone();
            body[extra] = json!("x");
            let answer = edge.call(method.clone(), &path).bearer(&owner).json(&body).send().await;
            let field = answer.json()["error"]["details"]["field"].clone();
            assert_eq!((answer.status.as_u16(), field), (400, json!(extra)), "{method} {path}: {}", answer.text);
        }
    }
    let option = json!([{ "id": "a", "label": "A", "state": "decided" }]);
    let card = json!({ "kind": "choice", "title": "x", "options": option });
    let nested = edge.post(&of("/cards")).bearer(&owner).json(&card).send().await;
    assert_eq!(nested.json()["error"]["details"]["field"], "state");
    let list = edge.get(&of("/entries")).bearer(&owner).send().await.data();
    assert_eq!(list.as_array().expect("a list").len(), 1, "nothing but the share's own entry was stored");
}
