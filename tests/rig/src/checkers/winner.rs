//! C6, one winner: of those who choose on one version of a card at most one is accepted; nobody is told CONFLICT before
//! there can be a winner; and every reading holds that one choice.
//!
//! A card is a register that is written once. Such a history has a linear order exactly if there is at most one winner and
//! no refusal was answered before the winner's try was begun: no search is needed.

use std::collections::HashMap;

use super::Verdict;
use super::index::Index;
use crate::history::{Act, Given, Op, OpId, Outcome, Room, View};

/// What was tried on one card.
#[derive(Default)]
struct Race<'a> {
    accepted: Vec<&'a Op>,
    conflicts: Vec<&'a Op>,
    unknown: Vec<&'a Op>,
}

/// See the module.
pub fn check(index: &Index) -> Verdict {
    let mut verdict = Verdict::new("C6", "of those who choose on a card one wins, and all others are told so");
    let mut races: HashMap<OpId, Race> = HashMap::new();
    for op in &index.history.ops {
        let Act::Select(card, _) = op.act else { continue };
        let race = races.entry(card).or_default();
        match &op.outcome {
            Outcome::Ok { .. } => race.accepted.push(op),
            Outcome::Refused(code) if code == "CONFLICT" => race.conflicts.push(op),
            Outcome::Unknown => race.unknown.push(op),
            Outcome::Refused(_) => {}
        }
    }
    let stored = stored(index, &mut verdict);
    let (mut won, mut contested) = (0_u32, 0_u32);
    for (card, race) in &races {
        verdict.looked();
        judge(*card, race, stored.get(card), &mut verdict);
        won += u32::from(!race.accepted.is_empty() || stored.contains_key(card));
        contested += u32::from(!race.conflicts.is_empty());
    }
    verdict.figures.insert("cards", races.len() as f64);
    verdict.figures.insert("winners", f64::from(won));
    verdict.figures.insert("contested", f64::from(contested));
    verdict
}

fn choice<'a>(index: &Index<'a>, given: &Given) -> Option<(OpId, &'a Op)> {
    let op = index.op(given.op?)?;
    match op.act {
        Act::Select(card, _) => Some((card, op)),
        _ => None,
    }
}

/// The choice of each card as the log has it; every reading must have one and the same.
fn stored<'a>(index: &Index<'a>, verdict: &mut Verdict) -> HashMap<OpId, &'a Op> {
    let mut winners: HashMap<OpId, &Op> = HashMap::new();
    for room in index.rooms() {
        for reading in [View::Staff, View::Guest].into_iter().flat_map(|view| index.readings(room, view)) {
            let mut here: HashMap<OpId, &Op> = HashMap::new();
            for (card, op) in reading.entries.iter().filter_map(|given| choice(index, given)) {
                if let Some(other) = here.insert(card, op) {
                    verdict.violated("two", || two(card, room, [other, op], &format!("as read by {}", reading.by)));
                }
                let first = winners.entry(card).or_insert(op);
                if first.id != op.id && here.len() == 1 {
                    let (one, other) = (first.id.0, op.id.0);
                    verdict.violated("state", || {
                        format!("card {}: op {one} won, and op {other} by {} in room {}", card.0, reading.by, room.0)
                    });
                }
            }
        }
    }
    winners
}

fn judge(card: OpId, race: &Race, stored: Option<&&Op>, verdict: &mut Verdict) {
    if let [one, other, ..] = race.accepted[..] {
        verdict.violated("two", || two(card, one.room, [one, other], "both acknowledged"));
    }
    let winner = race.accepted.first().or(stored);
    if let (Some(acked), Some(stored)) = (race.accepted.first(), stored)
        && acked.id != stored.id
    {
        let room = acked.room.0;
        verdict.violated("state", || {
            format!("card {} in room {room}: op {} was accepted and op {} is stored", card.0, acked.id.0, stored.id.0)
        });
    }
    for conflict in &race.conflicts {
        let (op, room) = (conflict.id.0, conflict.room.0);
        match winner {
            None if race.unknown.is_empty() => verdict.violated("nobody", || {
                format!("card {} in room {room}: op {op} was told CONFLICT, and nobody has won", card.0)
            }),
            Some(winner) if conflict.completed.is_some_and(|at| at < winner.invoked) => {
                verdict.violated("early", || {
                    let winner = winner.id.0;
                    format!(
                        "card {} in room {room}: op {op} was told CONFLICT before op {winner}, which won, was begun",
                        card.0
                    )
                });
            }
            _ => {}
        }
    }
}

fn two(card: OpId, room: Room, [one, other]: [&Op; 2], how: &str) -> String {
    format!("card {} in room {} has two winners, ops {} and {}, {how}", card.0, room.0, one.id.0, other.id.0)
}

#[cfg(test)]
mod tests {
    use crate::checkers::fixture::{Story, assert_told, entry};
    use crate::checkers::index::Index;
    use crate::checkers::winner::check;
    use crate::history::{Act, History, OpId, Outcome, Person};

    /// Op 0 is a card, op 1 the winner, op 2 the loser.
    fn race() -> History {
        let mut story = Story::new();
        let card = story.act(Person(2), Act::Card);
        story.act(Person(1), Act::Select(card, 'a'));
        story.act(Person(4), Act::Select(card, 'b'));
        story.end()
    }

    #[test]
    fn one_wins_and_the_other_is_told() {
        let verdict = check(&Index::new(&race()));
        assert!(verdict.is_kept(), "{verdict:?}");
        assert_eq!((verdict.figures["winners"], verdict.figures["contested"]), (1.0, 1.0));
    }

    #[test]
    fn two_that_are_accepted_are_told() {
        let mut history = race();
        history.ops[2].outcome = Outcome::Ok { entry: entry(77), seq: 3, duplicate: false };
        assert_told(check, &history, "two", &["card 0 in room 0 has two winners, ops 1 and 2, both acknowledged"]);
    }

    #[test]
    fn two_that_are_stored_are_told() {
        let mut history = race();
        for reading in history.readings.iter_mut().filter(|reading| reading.room.0 == 0) {
            let mut again = reading.entries.last().unwrap().clone();
            (again.seq, again.entry, again.op) = (again.seq + 1, entry(77), Some(OpId(2)));
            reading.entries.push(again);
        }
        assert_told(check, &history, "two", &["ops 1 and 2, as read by sql"]);
    }

    #[test]
    fn a_node_that_has_another_winner_is_told() {
        let mut history = race();
        history.readings[1].entries.last_mut().unwrap().op = Some(OpId(2));
        assert_told(check, &history, "state", &["card 0: op 1 won, and op 2 by"]);
    }

    #[test]
    fn an_accepted_choice_that_is_not_the_stored_one_is_told() {
        let mut history = race();
        let swapped = history.ops[1].outcome.clone();
        history.ops[1].outcome = history.ops[2].outcome.clone();
        history.ops[2].outcome = swapped;
        assert_told(check, &history, "state", &["op 2 was accepted and op 1 is stored"]);
    }

    #[test]
    fn nobody_loses_before_somebody_can_have_won() {
        let mut history = race();
        history.ops[2].completed = Some(history.ops[1].invoked - 1);
        assert_told(check, &history, "early", &["op 2 was told CONFLICT before op 1"]);
        let mut history = race();
        history.ops[1].outcome = Outcome::Refused("CONFLICT".to_owned());
        history.readings.iter_mut().for_each(|reading| reading.entries.truncate(1));
        assert_told(check, &history, "nobody", &["and nobody has won"]);
    }
}
