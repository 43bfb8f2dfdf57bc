//! Stopping: what was begun is answered, everybody is asked to come back at a time of their own, and nobody new comes in; the
//! door stays open for as long as somebody is left, so that whoever still comes is told.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parlour::bus::message::Message;
use parlour::bus::{BusConfig, Channel};
use parlour::domain::room::RoomKey;
use parlour_protocol::codec::Codec;
use parlour_protocol::id::{ClientId, ConversationId};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use parlour_testkit::actors::{Actor, Endpoint};
use parlour_testkit::app::TestApp;
use parlour_testkit::bus_node::BusNode;
use parlour_testkit::database::{Database, durable_cluster};
use parlour_testkit::people::People;
use parlour_testkit::redis::{Redis, redis_is_installed};
use parlour_testkit::server::Server;
use parlour_testkit::socket::{Answer, Socket};
use parlour_testkit::until::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_server_answers_what_was_begun_and_asks_everybody_to_come_back() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria").await;
    let mut sockets = Vec::new();
    for _ in 0..5 {
        sockets.push(amira.attached(conversation).await);
    }
    let begun: Vec<_> = (0..20)
        .map(|n| {
            let client_id = parlour_protocol::id::ClientId::generate();
            let text = format!("last words {n}");
            let send = json!({ "type": "send", "conversation": conversation, "client_id": client_id, "text": text });
            sockets[n % 5].begin(send)
        })
        .collect();
    let first = sockets[0].wait(begun.into_iter().next().expect("twenty were begun")).await;
    assert!(matches!(first, Answer::Ok(_)), "{first:?}");
    let url = amira.endpoint.ws.clone();
    app.app.shutdown().await;
    for socket in &sockets {
        let advice = socket.push("advice").await;
        assert!(advice["retry_after_ms"].as_u64().is_some_and(|ms| ms <= 20_000), "{advice}");
        assert_eq!(socket.closed().await, 1012);
    }
    assert!(Socket::open(&url, Codec::Json).await.is_err(), "nobody new");
}

/// A request whose body is not all there yet.
async fn begun_request(amira: &Actor, conversation: ConversationId, text: &str) -> (TcpStream, Vec<u8>) {
    let body = json!({ "kind": "message", "text": text }).to_string().into_bytes();
    let host = amira.endpoint.http.trim_start_matches("http://");
    let head = format!(
        "POST /api/v1/conversations/{conversation}/entries HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        amira.token,
        body.len()
    );
    let mut stream = TcpStream::connect(host).await.expect("a connection");
    let (first, rest) = body.split_at(10);
    stream.write_all(head.as_bytes()).await.expect("the head");
    stream.write_all(first).await.expect("a part of the body");
    (stream, rest.to_vec())
}

/// The status, `Connection` and `Retry-After` of an answer, and its body.
async fn asked(endpoint: &Endpoint, path: &str, is_upgrade: bool) -> (StatusCode, String, u64, Value) {
    let mut request = reqwest::Client::new().get(format!("{}{path}", endpoint.http));
    if is_upgrade {
        request = request
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    }
    let answer = request.send().await.expect("an answer while it stops");
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (status, connection, retry_after) = (answer.status(), header("connection"), header("retry-after"));
    let body = answer.json().await.expect("an envelope");
    (status, connection, retry_after.parse().unwrap_or(0), body)
}

/// Sends one message after the other until the socket closes with what a stop closes with; the keys of those that were answered.
async fn talk(socket: Socket, conversation: ConversationId, said: Arc<AtomicUsize>) -> Vec<ClientId> {
    let mut answered = Vec::new();
    loop {
        let client_id = ClientId::generate();
        match socket.say_as(conversation, client_id, "on and on").await {
            Answer::Ok(_) => answered.push(client_id),
            Answer::Closed(1012) => return answered,
            other => panic!("neither answered nor asked to come back: {other:?}"),
        }
        said.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_asked_to_stop_under_traffic_loses_nothing_and_leaves_its_door_open_to_the_last() {
    let (cluster, data_dir) = durable_cluster().await;
    let database = Database::create_on(&cluster).await;
    let server = Server::start(&database).await;
    let amira = People::new(server.endpoint(), &database).tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria").await;
    let said = Arc::new(AtomicUsize::new(0));
    let mut talking = Vec::new();
    for _ in 0..8 {
        talking.push(tokio::spawn(talk(amira.attached(conversation).await, conversation, Arc::clone(&said))));
    }
    let mut listeners = Vec::new();
    for _ in 0..20 {
        listeners.push(amira.attached(conversation).await);
    }
    until("there is traffic", async || (said.load(Ordering::Relaxed) > 100).then_some(())).await;
    let (mut request, rest) = begun_request(&amira, conversation, "begun before").await;
    let endpoint = server.endpoint();
    // The request is under way for certain once one that came later on another connection was answered.
    assert_eq!(asked(&endpoint, "/readyz", false).await.0, StatusCode::OK);
    server.ask_to_stop();
    let stopped_at = Instant::now();

    let mut moments = HashSet::new();
    for listener in &listeners {
        let advice = listener.push("advice").await["retry_after_ms"].as_u64().expect("a time");
        assert!(advice <= 20_000, "{advice}");
        moments.insert(advice);
        assert_eq!(listener.closed().await, 1012);
    }
    assert!(moments.len() > 10, "each a time of its own: {moments:?}");
    let mut answered = Vec::new();
    for talker in talking {
        answered.extend(talker.await.expect("every command was answered"));
    }
    // Somebody is left: the door is open.
    let (status, connection, ..) = asked(&endpoint, "/readyz", false).await;
    assert_eq!((status, connection.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "close"));
    let (status, connection, ..) = asked(&endpoint, "/livez", false).await;
    assert_eq!((status, connection.as_str()), (StatusCode::OK, "close"), "other requests are served");
    let mut moments = HashSet::new();
    for _ in 0..10 {
        let (status, connection, retry_after, body) = asked(&endpoint, "/api/v1/ws", true).await;
        assert_eq!((status, connection.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "close"), "{body}");
        assert!((1..=20).contains(&retry_after), "{retry_after}");
        assert_eq!((&body["error"]["code"], &body["error"]["retryable"]), (&json!("UNAVAILABLE"), &json!(true)));
        moments.insert(body["error"]["details"]["retry_after_ms"].as_u64().expect("a time"));
    }
    assert!(moments.len() > 5, "each a time of its own: {moments:?}");

    request.write_all(&rest).await.expect("the rest of the body");
    let mut answer = String::new();
    request.read_to_string(&mut answer).await.expect("an answer and the end");
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    server.ended().await;
    assert!(stopped_at.elapsed() < Duration::from_secs(15), "nobody was left: {:?}", stopped_at.elapsed());
    let rows: Vec<(uuid::Uuid,)> = sqlx::query_as("select client_id from entries")
        .fetch_all(&mut database.admin().await)
        .await
        .expect("the transcript");
    let stored: HashSet<uuid::Uuid> = rows.into_iter().map(|(id,)| id).collect();
    assert!(answered.iter().all(|id| stored.contains(&id.0)), "what was answered is there");
    cluster.stop().await.expect("a clean stop");
    std::fs::remove_dir_all(data_dir).expect("the directory goes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_does_not_hold_up_a_stop_and_who_never_ends_is_cut() {
    let app = TestApp::start_with(|config| config.drain = Duration::from_secs(4)).await;
    let idle = TcpStream::connect(app.app.address()).await.expect("a connection");
    let began = Instant::now();
    app.app.shutdown().await;
    assert!(began.elapsed() < Duration::from_secs(3), "an idle connection is nobody: {:?}", began.elapsed());
    drop(idle);

    let app = TestApp::start_with(|config| config.drain = Duration::from_secs(4)).await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria").await;
    let (mut endless, _rest) = begun_request(&amira, conversation, "never all said").await;
    assert_eq!(asked(&amira.endpoint, "/livez", false).await.0, StatusCode::OK);
    let began = Instant::now();
    app.app.shutdown().await;
    assert!((3..10).contains(&began.elapsed().as_secs()), "cut in time: {:?}", began.elapsed());
    let mut answer = Vec::new();
    let _ = endless.read_to_end(&mut answer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_committed_while_a_node_stops_is_still_told_to_the_others() {
    if !redis_is_installed().await {
        return;
    }
    let redis = Redis::start().await;
    let app = TestApp::start_with(|config| {
        config.bus = BusConfig::Redis(redis.config());
        config.drain = Duration::from_millis(300);
    })
    .await;
    let tenancy = app.people.tenancy("lagon").await;
    let conversation = tenancy.admin.conversation("Maria").await;
    let socket = tenancy.admin.attached(conversation).await;
    let mut peer = BusNode::on_redis(&redis.config());
    peer.up().await;
    let room = RoomKey { organization: tenancy.organization, conversation };
    let _heard = (peer.hears(Channel::Conversation(room)).await, peer.hears(Channel::Nodes).await);

    let mut holder = app.database.admin().await;
    let lock = format!("begin; select from conversations where id = '{conversation}' for update");
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut holder).await.expect("the lock");
    let client_id = ClientId::generate();
    let _answer = socket
        .begin(json!({ "type": "send", "conversation": conversation, "client_id": client_id, "text": "last words" }));
    let mut watcher = app.database.admin().await;
    let waiting =
        "select exists (select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database())";
    until("the entry waits for its conversation", async || {
        let waits: bool = sqlx::query_scalar(waiting).fetch_one(&mut watcher).await.expect("an answer");
        waits.then_some(())
    })
    .await;
    let stopping = tokio::spawn(app.app.shutdown());
    until("the socket was cut", async || (!socket.is_open()).then_some(())).await;
    sqlx::raw_sql("commit").execute(&mut holder).await.expect("the lock goes");
    let (mut entries, mut farewells) = (0, 0);
    while (entries, farewells) != (1, 1) {
        match peer.next().await.message {
            Message::Entries(_) => entries += 1,
            Message::Farewell => farewells += 1,
            _ => {}
        }
    }
    stopping.await.expect("a stop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_never_ends_asking_the_operators_address_does_not_hold_up_a_stop() {
    let (cluster, data_dir) = durable_cluster().await;
    let database = Database::create_on(&cluster).await;
    let server = Server::start_with(&database, &[("DRAIN_SECONDS", "2")]).await;
    let admin = server.admin().http.trim_start_matches("http://").to_owned();
    let mut halves = Vec::new();
    for half in ["", "G", "GET /metrics HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = TcpStream::connect(&admin).await.expect("a connection");
        stream.write_all(half.as_bytes()).await.expect("half a request");
        halves.push(stream);
    }
    let whole = reqwest::get(format!("http://{admin}/metrics")).await.expect("an answer");
    assert_eq!(whole.status(), StatusCode::OK);
    let began = Instant::now();
    tokio::time::timeout(Duration::from_secs(20), server.terminate()).await.expect("it ends");
    println!("ended after {:?}", began.elapsed());
    cluster.stop().await.expect("a clean stop");
    std::fs::remove_dir_all(data_dir).expect("the directory goes");
}
