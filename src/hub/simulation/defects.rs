//! That the checks can fail: defects planted around the hub, each of which must be caught, by the check meant for it.
//!
//! They are knobs and meddlers of the stage, never of the product.

use std::sync::Arc;
use std::time::Duration;

use parlour_protocol::id::EntryId;
use serde_json::Value;
use uuid::Uuid;

use crate::bus::message::{Message, Sign};
use crate::hub::HubConfig;
use crate::hub::across::peers::PeersConfig;
use crate::hub::simulation::plan::Plan;
use crate::hub::simulation::world::Defect;
use crate::hub::simulation::{outcome, shrunk};

/// Lives within which a defect must show.
const SEEDS: u64 = 150;
/// As good as never.
const NEVER: Duration = Duration::from_secs(100_000);

/// Plays seeds until one goes wrong as expected.
fn caught(defect: &Defect, by: &[&str]) -> Plan {
    for seed in 0..SEEDS {
        let plan = Plan::of(seed);
        if let Some(wrong) = outcome(&plan, defect, false).wrong {
            assert!(by.iter().any(|check| wrong.contains(check)), "seed {seed} was caught by another check: {wrong}");
            return plan;
        }
    }
    panic!("nobody noticed in {SEEDS} lives");
}

fn meddled(meddler: fn(&mut Message)) -> Defect {
    Defect { meddler: Some(meddler), ..Defect::default() }
}

fn deaf(is_lost: fn(&Value) -> bool) -> Defect {
    Defect { deafness: Some(is_lost), ..Defect::default() }
}

#[test]
fn a_reader_that_skips_an_entry_is_caught_and_the_plan_shrinks() {
    let defect = deaf(|message| message["type"] == "entry" && message["seq"] == 4);
    let plan = caught(&defect, &["I2/I4", "I4"]);
    let small = shrunk(&plan, &defect);
    assert!(small.steps.len() <= 6, "{small}");
    assert!(outcome(&small, &defect, false).wrong.is_some());
}

#[test]
fn a_reader_that_loses_its_last_entry_is_caught() {
    caught(&deaf(|message| message["type"] == "entry" && message["seq"].as_i64() > Some(4)), &["I5", "I2/I4", "I4"]);
}

#[test]
fn two_entries_under_one_number_are_caught() {
    let swapped = |message: &mut Message| {
        if let Message::Entries(entries) = message {
            entries.iter_mut().for_each(|committed| Arc::make_mut(&mut committed.entry).id = EntryId(Uuid::max()));
        }
    };
    caught(&meddled(swapped), &["I2"]);
}

#[test]
fn an_entry_that_was_never_committed_is_caught() {
    caught(&Defect { invents: true, ..Defect::default() }, &["I6", "I2"]);
}

#[test]
fn a_note_that_reaches_guests_is_caught() {
    let opened = |message: &mut Message| {
        if let Message::Entries(entries) = message {
            for committed in entries.iter_mut().filter(|committed| committed.guest_seq.is_none()) {
                // The next number of the guest view, as every third entry is a note.
                committed.guest_seq = Some(committed.seq - committed.seq / 3 + 1);
            }
        }
    };
    caught(&meddled(opened), &["I12"]);
}

#[test]
fn nodes_that_neither_beacon_nor_look_are_caught() {
    let config =
        HubConfig { beacon_every: NEVER, heads_every: NEVER, heads_at_rest_every: NEVER, ..HubConfig::default() };
    caught(&Defect { config, ..Defect::default() }, &["I5", "I14"]);
}

#[test]
fn beacons_that_tell_of_no_heads_are_caught() {
    let emptied = |message: &mut Message| {
        if let Message::Beacon(beacon) = message {
            beacon.moved.iter_mut().for_each(|moved| moved.head = None);
        }
    };
    caught(&meddled(emptied), &["I5"]);
}

#[test]
fn peers_that_are_never_given_up_are_caught() {
    let peers = PeersConfig { gone_after: NEVER, ..PeersConfig::default() };
    let config = HubConfig { peers, ..HubConfig::default() };
    caught(&Defect { config, ..Defect::default() }, &["I14"]);
}

#[test]
fn announcements_that_forget_somebody_are_caught() {
    let forgetful = |message: &mut Message| {
        if let Message::Presence(presence) = message {
            presence.rooms.iter_mut().for_each(|held| held.people.truncate(1));
        }
    };
    caught(&meddled(forgetful), &["I14"]);
}

#[test]
fn a_leave_that_is_told_and_not_heard_is_caught() {
    caught(&deaf(|message| message["type"] == "presence" && message["state"] == "offline"), &["I14"]);
}

#[test]
fn typing_that_never_ends_is_caught() {
    caught(&deaf(|message| message["type"] == "typing" && message["active"] == false), &["I15"]);
    let never_ends = |message: &mut Message| {
        if let Message::Sign(Sign::Typing { active, .. }) = message {
            *active = true;
        }
    };
    // Ended by nobody but the clock, it still ends.
    let plan = Plan::of(0);
    assert!(outcome(&plan, &meddled(never_ends), false).wrong.is_none_or(|wrong| !wrong.contains("I15")));
}

#[test]
fn a_log_that_keeps_redacted_texts_is_caught() {
    caught(&Defect { keeps_texts: true, ..Defect::default() }, &["I8"]);
}
