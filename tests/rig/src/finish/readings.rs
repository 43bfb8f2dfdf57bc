//! Every room, read whole through every node in both views, and by SQL.
//!
//! A reading that could not be made is noted as one without entries, which no checker takes for the truth. Look next in
//! `scans.rs`.

use parlour_protocol::command::{Command, History};
use parlour_protocol::entry::Audience;
use parlour_protocol::id::{ClientId, EntryId};
use sqlx::{Connection, PgConnection, Row};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::history::{Given, Node, Reading, Room, View};
use crate::workload::Workload;
use crate::workload::frame::{Entry, Numbered};
use crate::workload::stage::{Player, SharedStage};
use crate::workload::wire::Ended;

/// Times a reading that broke off is begun anew.
const TRIES: u32 = 4;

/// Reads every room in every way.
pub async fn read(workload: &Workload) {
    let mut tasks = JoinSet::new();
    for number in 0..workload.stage().endpoints.len() {
        let node = workload.stage().node(number);
        for view in [View::Staff, View::Guest] {
            let rooms: Vec<_> = workload
                .witnesses()
                .iter()
                .map(|witnesses| match view {
                    View::Staff => (witnesses.room, witnesses.staff.clone()),
                    View::Guest => (witnesses.room, witnesses.guest.clone()),
                })
                .collect();
            let stage = workload.stage().clone();
            tasks.spawn(async move {
                let mut readings = Vec::new();
                for (room, player) in rooms {
                    readings.push(through(&stage, &player, room, node, view).await);
                }
                readings
            });
        }
    }
    let stage = workload.stage().clone();
    let rooms: Vec<_> = workload.witnesses().iter().map(|witnesses| witnesses.room).collect();
    tasks.spawn(async move { by_sql(&stage, &rooms).await });
    while let Some(ended) = tasks.join_next().await {
        let readings = ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        workload.stage().recorder().with(|history| history.readings.extend(readings));
    }
}

async fn through(stage: &SharedStage, player: &Player, room: Room, node: Node, view: View) -> Reading {
    let by = format!("node {} {view:?}", node.0).to_lowercase();
    let mut reading = Reading { by, room, view, epoch: 0, entries: Vec::new() };
    for _ in 0..TRIES {
        match pages(stage, player, room, node).await {
            Ok((epoch, entries)) => {
                (reading.epoch, reading.entries) = (epoch, entries);
                return reading;
            }
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(300)).await,
        }
    }
    stage.ledger.violated("a final reading", format!("room {} by {} could not be read", room.0, reading.by));
    reading
}

async fn pages(stage: &SharedStage, player: &Player, room: Room, node: Node) -> Result<(i64, Vec<Given>), Ended> {
    let mut wire = player.open(stage, &stage.direct[usize::from(node.0)], None).await?;
    let (conversation, mut given, mut epoch) = (stage.conversation(room), Vec::<Given>::new(), 0);
    loop {
        let after = Some(given.last().map_or(0, |last| last.seq));
        let page = History { conversation, before: None, after, around: None, limit: Some(200) };
        let id = wire.send(Command::History(page)).await?;
        let done = wire.reply(id, |_| {}).await?;
        let entries = done.entries.unwrap_or_default();
        given.extend(stage.ledger.given(&entries));
        epoch = done.epoch.unwrap_or(epoch);
        if done.has_more != Some(true) || entries.is_empty() {
            return Ok((epoch, given));
        }
    }
}

/// Both views of every room, as they are stored.
async fn by_sql(stage: &SharedStage, rooms: &[Room]) -> Vec<Reading> {
    let mut connection = PgConnection::connect(&stage.database.admin_url).await.expect("everything works again");
    let mut readings = Vec::new();
    for room in rooms {
        let conversation = stage.conversation(*room).0;
        let epoch = sqlx::query_scalar("select epoch from conversations where id = $1").bind(conversation);
        let epoch: i64 = epoch.fetch_one(&mut connection).await.expect("the room is there");
        let query = "select seq, guest_seq, id, client_id, kind, audience, body::text as body from entries
                     where conversation_id = $1 order by seq";
        let rows = sqlx::query(query).bind(conversation).fetch_all(&mut connection).await.expect("its entries");
        let staff: Vec<(Option<i64>, Numbered)> = rows.iter().map(|row| (row.get("guest_seq"), entry(row))).collect();
        let (numbers, entries): (Vec<_>, Vec<_>) = staff.into_iter().unzip();
        let staff = stage.ledger.given(&entries);
        let guest = staff.iter().zip(&numbers);
        let guest = guest.filter_map(|(given, number)| Some(Given { seq: (*number)?, ..given.clone() })).collect();
        let by = "sql".to_owned();
        readings.push(Reading { by: by.clone(), room: *room, view: View::Guest, epoch, entries: guest });
        readings.push(Reading { by, room: *room, view: View::Staff, epoch, entries: staff });
    }
    readings
}

fn entry(row: &sqlx::postgres::PgRow) -> Numbered {
    let body: String = row.get("body");
    let audience: String = row.get("audience");
    let entry = Entry {
        id: EntryId(row.get::<Uuid, _>("id")),
        client_id: ClientId(row.get::<Uuid, _>("client_id")),
        kind: row.get("kind"),
        // A body that is none says nothing, which is then not what was said.
        body: serde_json::from_str(&body).unwrap_or_default(),
        audience: Audience::find(&audience).unwrap_or(Audience::Staff),
    };
    Numbered { seq: row.get("seq"), entry }
}
