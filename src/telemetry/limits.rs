//! Every limit as a gauge, `parlour_limit{name="…"}`, so that what is measured can be drawn beside what is allowed.
//!
//! It holds no number of its own: each is read where it is enforced, or from the configuration. The unit is in the name; a
//! limit that is lifted is `+Inf`. A test walks the whole table (`tests/it/limits`).

use std::time::Duration;

use parlour_protocol::limits as wire;

use crate::app::AppConfig;
use crate::auth::rates::Rate;
use crate::auth::{LOGIN_FAILURES_OF_ADDRESS, LOGIN_FAILURES_OF_EMAIL};
use crate::commands::pace::{ENTRIES_OF_LINK, ENTRIES_OF_ROOM};
use crate::domain::limits::LimitsProfile;
use crate::domain::share;
use crate::http::around::URL_BYTES_MAX;
use crate::http::routes::BODY_BYTES_MAX;
use crate::http::{PROBES_OF_ADDRESS, REQUESTS_OF_KEY};
use crate::hub::room::{TAIL_BYTES_MAX, TAIL_ENTRIES_MAX};
use crate::store::log::QUEUE_MAX;
use crate::ws::throttle::{CONTROL_FRAMES_PER_SECOND, OVER_MAX, WAITING_MAX, WAITING_PER_ADDRESS_MAX};

/// Says what the gauge means.
pub fn describe() {
    metrics::describe_gauge!("parlour_limit", "The limits of this node, by name; +Inf for one that is lifted.");
}

/// Tells the limits of a node with this configuration.
pub fn export(config: &AppConfig) {
    for (name, value) in of_http(config).into_iter().chain(of_sockets(config)).chain(of_rooms(config)) {
        metrics::gauge!("parlour_limit", "name" => name).set(value);
    }
}

type Named = (&'static str, f64);

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

fn millis(time: u64) -> f64 {
    time as f64 / 1_000.0
}

/// A limit that the test profile lifts.
fn abuse(profile: LimitsProfile, value: f64) -> f64 {
    match profile {
        LimitsProfile::Standard => value,
        LimitsProfile::Test => f64::INFINITY,
    }
}

fn count(max: Option<usize>) -> f64 {
    max.map_or(f64::INFINITY, |max| max as f64)
}

fn of_http(config: &AppConfig) -> Vec<Named> {
    let (http, listener, tokens) = (&config.http, &config.listener, &config.auth.tokens);
    let rate = |rate: Rate| abuse(http.limits, f64::from(rate.burst));
    let guess = |rate: Rate| abuse(config.auth.limits, f64::from(rate.burst));
    vec![
        ("connections", listener.connections_max as f64),
        ("head_bytes", listener.head_bytes_max as f64),
        ("headers", listener.headers_max as f64),
        ("head_seconds", seconds(listener.head_timeout)),
        ("url_bytes", URL_BYTES_MAX as f64),
        ("body_bytes", BODY_BYTES_MAX as f64),
        ("request_seconds", seconds(http.request_timeout)),
        ("answer_stall_seconds", seconds(listener.stall_max)),
        ("key_requests_per_second", abuse(http.limits, f64::from(wire::KEY_REQUESTS_PER_SECOND))),
        ("key_requests_burst", rate(REQUESTS_OF_KEY)),
        ("link_probes_per_minute", rate(PROBES_OF_ADDRESS)),
        ("login_failures_address_per_minute", guess(LOGIN_FAILURES_OF_ADDRESS)),
        ("login_failures_email_per_minute", guess(LOGIN_FAILURES_OF_EMAIL)),
        ("staff_token_seconds", seconds(tokens.staff_life)),
        ("guest_token_seconds", seconds(tokens.guest_life)),
        ("ticket_seconds", millis(wire::TICKET_LIFE_MS)),
        ("share_hours_default", share::HOURS_DEFAULT as f64),
        ("share_hours", share::HOURS_MAX as f64),
        ("share_seats_default", f64::from(share::SEATS_DEFAULT)),
        ("share_seats", f64::from(share::SEATS_MAX)),
        ("room_shares", share::LIVE_SHARES_MAX as f64),
    ]
}

fn of_sockets(config: &AppConfig) -> Vec<Named> {
    let (ws, hub) = (&config.ws, &config.hub.limits);
    let lifted = |value: f64| abuse(ws.limits, value);
    vec![
        ("message_bytes", wire::MESSAGE_BYTES_MAX as f64),
        ("fragmented_seconds", millis(wire::FRAGMENTED_MS_MAX)),
        ("hello_bytes", wire::HELLO_BYTES_MAX as f64),
        ("hello_seconds", millis(wire::HELLO_TIMEOUT_MS)),
        ("heartbeat_seconds", millis(wire::HEARTBEAT_DEAD_MS)),
        ("sockets_waiting", lifted(WAITING_MAX as f64)),
        ("sockets_waiting_address", lifted(WAITING_PER_ADDRESS_MAX as f64)),
        ("upgrades_per_second", f64::from(ws.upgrades_per_second.get())),
        ("depth", wire::DEPTH_MAX as f64),
        ("items", wire::ITEMS_MAX as f64),
        ("string_bytes", wire::STRING_BYTES_MAX as f64),
        ("malformed", f64::from(wire::MALFORMED_STRIKES_MAX)),
        ("commands_per_second", lifted(f64::from(wire::COMMANDS_PER_SECOND))),
        ("commands_burst", lifted(f64::from(wire::COMMANDS_BURST))),
        ("commands_over", lifted(OVER_MAX as f64)),
        ("control_frames_per_second", lifted(f64::from(CONTROL_FRAMES_PER_SECOND))),
        ("outbox_bytes", wire::OUTBOX_BYTES_MAX as f64),
        ("outbox_frames", wire::OUTBOX_FRAMES_MAX as f64),
        ("outbox_stall_seconds", seconds(ws.stall_max)),
        ("rooms_staff", wire::ROOMS_STAFF_MAX as f64),
        ("rooms_guest", wire::ROOMS_GUEST_MAX as f64),
        ("sockets_person", count(hub.sockets_of_person)),
        ("sockets_device", count(hub.sockets_of_device)),
    ]
}

fn of_rooms(config: &AppConfig) -> Vec<Named> {
    let (hub, profile) = (&config.hub, config.http.limits);
    vec![
        ("text_chars", wire::TEXT_CHARS_MAX as f64),
        ("card_bytes", wire::CARD_BYTES_MAX as f64),
        ("page_entries", f64::from(wire::PAGE_ENTRIES_MAX)),
        ("page_bytes", wire::PAGE_BYTES_MAX as f64),
        ("edit_seconds", millis(wire::EDIT_WINDOW_MS)),
        ("typing_seconds", millis(wire::TYPING_EXPIRES_MS)),
        ("rooms", hub.limits.rooms as f64),
        ("room_members", hub.limits.members as f64),
        ("room_ring_entries", TAIL_ENTRIES_MAX as f64),
        ("room_ring_bytes", TAIL_BYTES_MAX as f64),
        ("room_evict_seconds", seconds(hub.evict_after)),
        ("room_entries_per_second", abuse(profile, f64::from(ENTRIES_OF_ROOM.burst))),
        ("link_entries_per_minute", abuse(profile, f64::from(ENTRIES_OF_LINK.burst))),
        ("writes_waiting", QUEUE_MAX as f64),
    ]
}
