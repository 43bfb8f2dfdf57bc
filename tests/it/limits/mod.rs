//! Every limit of the server at one below, at and one above it: below and at it nothing happens, above it what the table says.
//!
//! The table comes first ([`TABLE`]): what is limited, by default to what, what happens over it, which tests prove it, and what
//! is not built yet. Two tests walk it: each number in it is the one a default server serves as a gauge, and none is served
//! that is missing here; each test it names exists. Limits against abuse are tried where they hold, that is not under the
//! profile `test`, which most other tests use.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod http;
mod outbox;
mod rooms;
mod soak;
mod sockets;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use parlour_testkit::database::{Database, durable_cluster};
use parlour_testkit::server::Server;

/// What is known of a limit.
enum Proof {
    /// These tests try it.
    Tests(&'static [&'static str]),
    /// There is no such limit yet; it comes with this.
    NotBuilt(&'static str),
}

/// A limit: what is limited, what happens over it, the gauges that tell it with their defaults, and the proof.
struct Row(&'static str, &'static str, &'static [(&'static str, f64)], Proof);

use Proof::{NotBuilt, Tests};

const KIB: f64 = 1_024.0;

const TABLE: &[Row] = &[
    // HTTP
    Row("size of a request's head", "431", &[("head_bytes", 16.0 * KIB)], Tests(&["a_head_has_at_most_16_kib"])),
    Row("headers of a request", "431", &[("headers", 64.0)], Tests(&["a_request_has_at_most_64_headers"])),
    Row("URL", "414", &[("url_bytes", 2_048.0)], Tests(&["a_url_has_at_most_2_kib"])),
    Row(
        "time to send a head, and between two requests",
        "closed",
        &[("head_seconds", 10.0)],
        Tests(&["a_head_may_take_ten_seconds_and_so_may_the_next_one"]),
    ),
    Row(
        "time to send a body, and to answer",
        "503",
        &[("request_seconds", 10.0)],
        Tests(&["a_body_that_does_not_come_ends_with_the_request"]),
    ),
    Row(
        "HTTP body",
        "413 TOO_LARGE",
        &[("body_bytes", 256.0 * KIB)],
        Tests(&["a_body_has_at_most_256_kib_to_the_byte"]),
    ),
    Row("batch of pushes: 1 MiB, 100 items", "413", &[], NotBuilt("pushing several entries in one request")),
    Row(
        "time without taking a byte of an answer",
        "closed",
        &[("answer_stall_seconds", 30.0)],
        Tests(&["who_asks_and_never_reads_the_answer_does_not_keep_its_place"]),
    ),
    Row(
        "connections of a node",
        "503, Retry-After",
        &[("connections", 16_384.0)],
        Tests(&["beyond_the_cap_a_connection_is_told_and_closed"]),
    ),
    Row(
        "requests of an API key",
        "429 RATE_LIMITED, Retry-After",
        &[("key_requests_per_second", 50.0), ("key_requests_burst", 100.0)],
        Tests(&["a_key_has_a_hundred_requests_at_once", "what_is_allowed_passes_and_the_next_waits_its_turn"]),
    ),
    Row("requests of an organization a minute and a day", "429", &[], NotBuilt("plans and quotas of organizations")),
    Row(
        "failed log-ins of an address and of an e-mail",
        "429 RATE_LIMITED, Retry-After",
        &[("login_failures_address_per_minute", 10.0), ("login_failures_email_per_minute", 5.0)],
        Tests(&[
            "guessing_is_slowed_down_under_every_spelling_and_every_claimed_address",
            "guessing_passwords_is_slowed_down",
        ]),
    ),
    Row(
        "links tried in vain from an address",
        "429 RATE_LIMITED, Retry-After",
        &[("link_probes_per_minute", 10.0)],
        Tests(&["guessing_links_is_slowed_down_per_address"]),
    ),
    // Sockets
    Row(
        "message and frame",
        "1009",
        &[("message_bytes", 64.0 * KIB)],
        Tests(&[
            "a_message_has_at_most_64_kib_in_one_frame_or_in_two",
            "broken_frames_close_with_the_code_that_says_so",
        ]),
    ),
    Row(
        "time to complete a message",
        "1002",
        &[("fragmented_seconds", 10.0)],
        Tests(&["a_message_may_take_ten_seconds", "a_message_that_never_ends_closes_after_ten_seconds"]),
    ),
    Row(
        "first message: time and size, one only",
        "4501",
        &[("hello_seconds", 5.0), ("hello_bytes", 4.0 * KIB)],
        Tests(&[
            "a_hello_has_at_most_4_kib_and_five_seconds",
            "the_first_message_must_be_a_small_valid_hello",
            "who_does_not_say_hello_is_closed_after_five_seconds",
        ]),
    ),
    Row(
        "sockets that have not said hello",
        "503, Retry-After",
        &[("sockets_waiting_address", 64.0), ("sockets_waiting", 2_000.0)],
        Tests(&["of_one_address_64_sockets_may_wait", "of_a_node_2000_sockets_may_wait"]),
    ),
    Row(
        "sockets taken on in a second",
        "503, Retry-After",
        &[("upgrades_per_second", 2_000.0)],
        Tests(&[
            "so_many_sockets_are_taken_on_in_a_second_and_not_one_more",
            "who_comes_too_fast_is_asked_to_come_back_at_a_time_of_its_own",
        ]),
    ),
    Row("silence", "4408", &[("heartbeat_seconds", 35.0)], Tests(&["silence_is_asked_about_and_then_believed"])),
    Row(
        "depth, items and strings of a message, in both codecs",
        "MALFORMED",
        &[("depth", 32.0), ("items", 2_000.0), ("string_bytes", 32.0 * KIB)],
        Tests(&[
            "items_strings_and_depth_of_a_command_are_limited_in_both_codecs",
            "depth_is_limited_whether_the_innermost_is_empty_or_not",
            "items_are_limited_in_arrays_maps_and_over_the_whole_message",
            "strings_and_keys_are_limited_by_their_length_in_utf8",
        ]),
    ),
    Row(
        "malformed messages",
        "4500",
        &[("malformed", 3.0)],
        Tests(&["malformed_commands_are_answered_and_the_third_closes"]),
    ),
    Row(
        "commands",
        "RATE_LIMITED with retry_after_ms; 4429 at the third time in a minute",
        &[("commands_per_second", 10.0), ("commands_burst", 30.0), ("commands_over", 3.0)],
        Tests(&[
            "thirty_commands_pass_at_once",
            "too_many_commands_are_refused_then_end_the_socket",
            "the_burst_is_fine_the_next_is_told_when_and_the_third_time_ends_it",
        ]),
    ),
    Row(
        "control frames",
        "4429; 4501 before hello",
        &[("control_frames_per_second", 10.0)],
        Tests(&["thirty_pings_pass_at_once_and_a_flood_does_not", "a_stranger_may_ping_only_so_often"]),
    ),
    Row(
        "life of a typing sign",
        "it ends; told at most once a second",
        &[("typing_seconds", 6.0)],
        Tests(&["a_typing_sign_ends_by_itself_and_never_reaches_its_typist"]),
    ),
    Row(
        "what waits for a socket",
        "entries dropped, one head, resync",
        &[("outbox_bytes", 256.0 * KIB), ("outbox_frames", 512.0)],
        Tests(&[
            "a_socket_is_kept_256_kib_of_entries_to_the_byte",
            "a_socket_is_kept_512_entries",
            "eighty_readers_miss_nothing_while_twenty_stall_and_resume",
        ]),
    ),
    Row(
        "time without taking a byte of it",
        "4430",
        &[("outbox_stall_seconds", 30.0)],
        Tests(&["a_socket_may_take_nothing_for_thirty_seconds"]),
    ),
    Row(
        "conversations of a socket",
        "LIMIT",
        &[("rooms_staff", 100.0), ("rooms_guest", 1.0)],
        Tests(&[
            "staff_attach_to_a_hundred_conversations",
            "a_guest_has_one_room_and_refused_rooms_leave_nothing_behind",
        ]),
    ),
    Row("conversations of a client with an account: 20", "LIMIT", &[], NotBuilt("accounts of travellers")),
    Row(
        "sockets of a member of staff",
        "the oldest closes with 4511",
        &[("sockets_person", 10.0)],
        Tests(&["of_a_member_of_staff_the_eleventh_socket_ends_the_first"]),
    ),
    Row(
        "sockets of a device of a link",
        "the oldest closes with 4511",
        &[("sockets_device", 3.0)],
        Tests(&["of_a_device_the_fourth_socket_ends_the_first"]),
    ),
    Row("sockets of an organization", "4511", &[], NotBuilt("plans and quotas of organizations")),
    // Rooms
    Row(
        "entries of a room in memory",
        "the oldest dropped, and read from the log",
        &[("room_ring_entries", 256.0), ("room_ring_bytes", 256.0 * KIB)],
        Tests(&["memory_holds_256_entries_of_a_room", "memory_holds_256_kib_of_a_room"]),
    ),
    Row(
        "time an empty room is kept",
        "forgotten",
        &[("room_evict_seconds", 60.0)],
        Tests(&["an_empty_room_is_kept_for_a_while_and_then_forgotten"]),
    ),
    Row("rooms of a node", "1013", &[("rooms", 50_000.0)], Tests(&["a_node_holds_so_many_rooms_and_no_more"])),
    Row(
        "attachments to a conversation",
        "LIMIT",
        &[("room_members", 200.0)],
        Tests(&["two_hundred_may_listen_to_a_conversation"]),
    ),
    Row(
        "entries by everybody on one link",
        "RATE_LIMITED with retry_after_ms",
        &[("link_entries_per_minute", 30.0)],
        Tests(&["a_link_posts_thirty_entries_a_minute", "what_is_allowed_passes_and_the_next_waits_its_turn"]),
    ),
    Row(
        "entries of a conversation",
        "RATE_LIMITED with retry_after_ms",
        &[("room_entries_per_second", 50.0)],
        Tests(&["a_conversation_takes_fifty_entries_a_second", "what_is_allowed_passes_and_the_next_waits_its_turn"]),
    ),
    Row("entries of an organization", "RATE_LIMITED", &[], NotBuilt("plans and quotas of organizations")),
    Row(
        "writes that wait for the database",
        "UNAVAILABLE",
        &[("writes_waiting", 2_048.0)],
        Tests(&["so_many_writes_may_wait"]),
    ),
    Row(
        "text of a message",
        "TOO_LARGE",
        &[("text_chars", 8_000.0)],
        Tests(&["a_text_has_8000_characters_of_any_width", "a_text_is_checked_at_its_limits"]),
    ),
    Row("card", "TOO_LARGE", &[("card_bytes", 32.0 * KIB)], Tests(&["a_card_has_at_most_32_kib_to_the_byte"])),
    Row(
        "time to edit",
        "CONFLICT",
        &[("edit_seconds", 900.0)],
        Tests(&["a_text_may_be_edited_for_a_quarter_of_an_hour"]),
    ),
    Row(
        "page of an attach, and of a history",
        "has_more; INVALID",
        &[("page_entries", 200.0), ("page_bytes", 128.0 * KIB)],
        Tests(&[
            "an_attach_gives_two_hundred_entries_and_says_that_there_are_more",
            "a_transcript_is_asked_for_at_any_number_without_a_fault",
            "the_list_is_bounded_searched_literally_and_counted_even_past_its_end",
        ]),
    ),
    // Admission
    Row(
        "life of a link",
        "INVALID; over, it opens nothing",
        &[("share_hours_default", 48.0), ("share_hours", 720.0)],
        Tests(&[
            "a_link_lives_one_hour_to_thirty_days_and_admits_up_to_25_devices",
            "a_link_made_with_an_empty_body_lives_two_days_and_lets_people_in",
            "a_link_ends_at_the_instant_by_the_databases_clock",
        ]),
    ),
    Row(
        "live links of a conversation",
        "429 LIMIT",
        &[("room_shares", 20.0)],
        Tests(&["a_conversation_has_at_most_twenty_live_links"]),
    ),
    Row(
        "devices of a link",
        "409 SEATS_FULL; INVALID",
        &[("share_seats_default", 5.0), ("share_seats", 25.0)],
        Tests(&[
            "seats_cannot_be_overdrawn_by_devices_that_come_at_once",
            "a_link_lives_one_hour_to_thirty_days_and_admits_up_to_25_devices",
        ]),
    ),
    Row("PIN of a link: 5 tries", "404", &[], NotBuilt("a PIN for links")),
    Row(
        "life of an access token",
        "401; 4401 on the socket",
        &[("staff_token_seconds", 900.0), ("guest_token_seconds", 600.0)],
        Tests(&["a_token_ends_after_its_life_and_a_small_leeway", "credentials_end_when_they_end"]),
    ),
    Row("life of a platform's own token: 60 min", "401; 4401", &[], NotBuilt("tokens of a customer's own platform")),
    Row(
        "life of a ticket, and its uses",
        "4501",
        &[("ticket_seconds", 30.0)],
        Tests(&[
            "a_late_made_up_or_foreign_ticket_admits_nobody",
            "of_a_hundred_sockets_with_one_ticket_one_is_admitted",
        ]),
    ),
    Row("webhooks that wait: 10,000, 4 at once", "paused", &[], NotBuilt("webhooks")),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_limit_of_the_table_is_a_gauge_and_every_gauge_is_in_the_table() {
    let (cluster, data_dir) = durable_cluster().await;
    let database = Database::create_on(&cluster).await;
    let server = Server::start_with(&database, &[("LIMITS_PROFILE", "standard")]).await;
    let served = gauges(&server, "parlour_limit{name=\"").await;
    let expected: BTreeMap<String, f64> =
        TABLE.iter().flat_map(|row| row.2).map(|(name, value)| ((*name).to_owned(), *value)).collect();
    assert_eq!(served, expected);
    server.terminate().await;
    cluster.stop().await.unwrap();
    std::fs::remove_dir_all(data_dir).unwrap();
}

#[test]
fn every_test_that_the_table_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = BTreeSet::new();
    for directory in ["tests/it", "src", "protocol/tests"] {
        names(&root.join(directory), &mut tests);
    }
    for Row(limit, over, gauges, proof) in TABLE {
        match proof {
            Tests(proofs) => {
                assert!(!proofs.is_empty() && !gauges.is_empty() && !over.is_empty(), "{limit} is tried and told");
                for proof in *proofs {
                    assert!(tests.contains(*proof), "{limit}: there is no test {proof}");
                }
            }
            NotBuilt(subject) => assert!(gauges.is_empty() && !subject.is_empty(), "{limit}"),
        }
    }
}

/// The functions of every Rust file below a directory.
fn names(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let functions = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
            found.extend(functions.map(str::to_owned));
        }
    }
}

/// What the server's operator sees of the gauges that begin so: what follows that, up to a quote, with its value.
async fn gauges(server: &Server, begin: &str) -> BTreeMap<String, f64> {
    let text = reqwest::get(format!("{}/metrics", server.admin().http)).await.unwrap().text().await.unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix(begin));
    lines
        .map(|line| {
            let (name, value) = line.split_once("\"}").or_else(|| line.split_once(' ')).unwrap();
            (name.to_owned(), value.trim().parse().unwrap())
        })
        .collect()
}
