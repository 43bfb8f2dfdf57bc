//! Twenty clients, five thousand messages, random cuts; then the same while the server or PostgreSQL is killed outright.
//! Everything acknowledged is stored and was given to every member once, in order, and nothing else was.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use parlour_testkit::app::TestApp;
use parlour_testkit::database::{Database, durable_cluster};
use parlour_testkit::party::{check, party, some_traffic, start_talking, talk};
use parlour_testkit::people::People;
use parlour_testkit::server::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_messages_of_twenty_reconnecting_clients_are_given_once_in_order() {
    let app = TestApp::start().await;
    let (amira, conversation, followers) = party(&app.people, "lagon").await;
    let followers = talk(followers, 250, 7, &Arc::default()).await;
    let resumes: u32 = followers.iter().map(|follower| follower.resumes).sum();
    assert!(resumes > 60, "cuts happened: {resumes}");
    check(&amira, conversation, followers, 5_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_the_server_loses_and_repeats_nothing() {
    let (cluster, data_dir) = durable_cluster().await;
    let database = Database::create_on(&cluster).await;
    let mut server = Server::start(&database).await;
    let people = People::new(server.endpoint(), &database);
    let (amira, conversation, followers) = party(&people, "lagon").await;
    let sent = Arc::new(AtomicUsize::new(0));
    let talking = start_talking(followers, 60, 11, &sent);
    for _ in 0..3 {
        some_traffic(&sent, &talking).await;
        server = server.kill_and_start_again().await;
    }
    check(&amira, conversation, talking.await.expect("no client failed"), 1_200).await;
    drop(server);
    cluster.stop().await.expect("a clean stop");
    std::fs::remove_dir_all(data_dir).expect("the directory goes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_postgresql_loses_and_repeats_nothing() {
    let (mut cluster, data_dir) = durable_cluster().await;
    let database = Database::create_on(&cluster).await;
    let server = Server::start(&database).await;
    let people = People::new(server.endpoint(), &database);
    let (amira, conversation, followers) = party(&people, "lagon").await;
    let sent = Arc::new(AtomicUsize::new(0));
    let talking = start_talking(followers, 60, 13, &sent);
    for _ in 0..3 {
        some_traffic(&sent, &talking).await;
        cluster.kill().await.expect("the kill");
        cluster.restart().await.expect("the restart");
    }
    check(&amira, conversation, talking.await.expect("no client failed"), 1_200).await;
    drop(server);
    cluster.stop().await.expect("a clean stop");
    std::fs::remove_dir_all(data_dir).expect("the directory goes");
}
