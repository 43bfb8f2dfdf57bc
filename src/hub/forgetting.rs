//! Claims about redactions: once one has its number, nobody is given the text it ends, whichever way they come to read it.
//!
//! Over the same stage as [`crate::hub::tests`]; the log here blanks as the real one does, memory must not know more than it.

use std::sync::Arc;

use parlour_protocol::entry::{Content, Edit, Entry, Position, Redaction, Text};
use parlour_protocol::id::EntryId;
use parlour_protocol::reply::ConversationRef;
use parlour_protocol::share::Right;

use crate::domain::revision::{blanked, concerns};
use crate::domain::room::Committed;
use crate::hub::catch_up::Welcome;
use crate::hub::fixture::{Actress, Stage, committed};
use crate::hub::locked;

fn message() -> Content {
    Content::Message(Text::new("canary".to_owned()))
}

fn edit(target: &Committed) -> Content {
    Content::Edit(Edit { entry_id: target.entry.id, text: "canary, too".to_owned(), redacted: false })
}

fn redaction(target: &Committed) -> Content {
    Content::Redaction(Redaction { entry_id: target.entry.id })
}

/// Commits an entry that everybody may see; a redaction blanks what it concerns, as the append function does.
fn commit(stage: &Stage, content: Content) -> Committed {
    let mut entries = locked(&stage.log.entries);
    if let Content::Redaction(Redaction { entry_id }) = &content {
        blank(&mut entries, *entry_id);
    }
    let seq = entries.len() as i64 + 1;
    let mut next = committed(stage.key, seq, Some(seq));
    next.entry = Arc::new(Entry { content, ..Entry::clone(&next.entry) });
    entries.push(next.clone());
    next
}

fn blank(entries: &mut [Committed], target: EntryId) {
    for kept in entries.iter_mut().filter(|kept| concerns(target, &kept.entry)) {
        kept.entry = Arc::new(Entry { content: blanked(&kept.entry.content), ..Entry::clone(&kept.entry) });
    }
}

async fn said(stage: &Stage, content: Content) -> Committed {
    let entry = commit(stage, content);
    stage.hub.deliver(vec![entry.clone()]).await;
    entry
}

/// Attaches; `meanwhile` happens after the log was read and before the answer.
async fn attach_while(stage: &Stage, actress: &Actress, since: Option<i64>, meanwhile: impl Future<Output = ()>) {
    let welcome = async {
        meanwhile.await;
        let conversation =
            ConversationRef { id: stage.key.conversation, title: "Lisbon".to_owned(), status: None, stage: None };
        Ok(Welcome { conversation, rights: vec![Right::Read], receipts: Vec::new(), seen: None })
    };
    let since = since.map(|seq| Position { epoch: 1, seq });
    stage.hub.attach(&actress.session, 1, stage.grant(actress), since, welcome).await.unwrap();
}

/// The numbers an actress heard, none of which says what was redacted.
fn heard_clean(actress: &Actress) -> Vec<i64> {
    let heard = actress.heard();
    assert!(heard.iter().all(|message| !message.to_string().contains("canary")), "{heard:?}");
    Actress::seqs(&heard)
}

#[tokio::test(start_paused = true)]
async fn a_node_that_missed_a_redaction_gives_nobody_the_text_from_memory() {
    let stage = Stage::new(0);
    let early = stage.staff();
    stage.attach(&early, None).await;
    let target = said(&stage, message()).await;
    said(&stage, edit(&target)).await;
    let _missed = commit(&stage, redaction(&target));
    for actress in [stage.staff(), stage.guest()] {
        stage.attach(&actress, Some(0)).await;
        assert_eq!(heard_clean(&actress), [1, 2, 3]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_arrives_after_its_redaction_arrives_without_its_text() {
    let stage = Stage::new(0);
    let (anna, guest) = (stage.staff(), stage.guest());
    stage.attach(&anna, None).await;
    stage.attach(&guest, None).await;
    let target = commit(&stage, message());
    let changed = commit(&stage, edit(&target));
    let gone = commit(&stage, redaction(&target));
    for late in [gone.clone(), changed.clone(), target, changed, gone] {
        stage.hub.deliver(vec![late]).await;
    }
    assert_eq!((heard_clean(&anna), heard_clean(&guest)), (vec![1, 2, 3], vec![1, 2, 3]));
}

#[tokio::test(start_paused = true)]
async fn an_attach_under_way_does_not_answer_with_what_was_redacted_meanwhile() {
    let stage = Stage::new(0);
    let early = stage.staff();
    stage.attach(&early, None).await;
    let target = said(&stage, message()).await;
    said(&stage, edit(&target)).await;
    for (actress, since) in [(stage.staff(), None), (stage.guest(), Some(0))] {
        let head = stage.log.head().seq;
        // Of what was read, and of what came while it was.
        attach_while(&stage, &actress, since, async {
            let late = said(&stage, message()).await;
            said(&stage, edit(&late)).await;
            said(&stage, redaction(&late)).await;
            said(&stage, redaction(&target)).await;
        })
        .await;
        assert_eq!(heard_clean(&actress), (1..=head + 4).collect::<Vec<_>>());
        assert!(stage.session_is_attached(&actress));
    }
}
