//! `parlour conformance`: plays the scenarios of `protocol/scenarios` against any running server, from outside, in both codecs.
//!
//! It needs a URL and a token that may create conversations and shares; it makes conversations of its own and touches no other.
//! It knows nothing of this server's inside, so that it proves any server. Look next in `player.rs`.

mod line;
mod matcher;
mod place;
mod player;
mod report;
mod scenario;
mod words;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use futures_util::{FutureExt, StreamExt, stream};
use parlour_protocol::codec::Codec;
use serde_json::{Value, json};

use crate::cli::conformance::line::{Line, WAIT_MAX};
use crate::cli::conformance::place::Place;
use crate::cli::conformance::player::{Player, Stopped};
use crate::cli::conformance::report::{Row, counts};
use crate::cli::conformance::scenario::{Book, Need, Scenario};
use crate::cli::error::{CliError, Exit};
use crate::cli::output;

/// Which server, and what to play.
#[derive(Debug, Args)]
pub struct ConformanceArgs {
    /// Where the server is reached: ws://… or http://…; given twice, two nodes of one server.
    #[arg(long = "url", required = true, value_name = "URL")]
    urls: Vec<String>,
    /// An access token of staff, or an API key, that may create conversations and shares.
    #[arg(long, env = "PARLOUR_TOKEN", hide_env_values = true)]
    token: String,
    /// How many to play at once; the table is in the order in which they end.
    #[arg(long, default_value_t = 8, value_name = "COUNT")]
    jobs: usize,
    /// Play only scenarios whose name holds this.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Play the scenarios of this folder instead of those in the program.
    #[arg(long, value_name = "DIRECTORY")]
    scenarios: Option<PathBuf>,
}

/// Plays everything, prints a table as it goes, and fails if anything did.
pub async fn run(args: ConformanceArgs, json: bool) -> Result<(), CliError> {
    let usage = |error: String| CliError::new(Exit::Usage, error);
    let places = args.urls.iter().map(|url| Place::find(url)).collect::<Result<Vec<_>, _>>().map_err(usage)?;
    let mut book = args.scenarios.map_or_else(Book::embedded, |folder| Book::of_folder(&folder)).map_err(usage)?;
    book.scenarios.retain(|scenario| args.only.as_ref().is_none_or(|only| scenario.name.contains(only)));
    if book.scenarios.is_empty() {
        return Err(usage("there is no such scenario".to_owned()));
    }
    let kind = kind_of(&places, &args.token).await.map_err(|error| CliError::new(Exit::Unavailable, error))?;
    let stage = Stage { book: &book, places: &places, token: &args.token, kind: &kind };
    let colors = std::io::stdout().is_terminal();
    if !json {
        output::print(&Row::head());
    }
    // Every play makes rooms of its own, so that one can go on beside another.
    let plays = book.scenarios.iter().flat_map(|scenario| Codec::ALL.map(|codec| play(scenario, codec, &stage)));
    let mut playing = stream::iter(plays.enumerate().map(|(at, play)| play.map(move |row| (at, row))))
        .buffer_unordered(args.jobs.max(1));
    let mut rows = Vec::new();
    while let Some((at, row)) = playing.next().await {
        if !json {
            output::print(&row.text(colors));
        }
        rows.push((at, row));
    }
    rows.sort_by_key(|(at, _)| *at);
    let rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
    let (passed, failed, skipped) = counts(&rows);
    let summary = format!("{passed} passed, {failed} failed, {skipped} skipped");
    let all: Vec<Value> = rows.iter().map(Row::json).collect();
    let line = json!({ "passed": passed, "failed": failed, "skipped": skipped, "scenarios": all });
    output::print(&if json { line.to_string() } else { format!("\n{summary}") });
    if failed == 0 { Ok(()) } else { Err(CliError::refused(format!("this server is not as SPEC.md says: {summary}"))) }
}

/// What kind of principal the token is, as the server says.
async fn kind_of(places: &[Place], token: &str) -> Result<String, String> {
    let place = places.first().ok_or("no URL")?;
    let mut line = Line::open(place, Codec::Json).await?;
    let id = line.command(json!({ "type": "hello", "token": token }))?;
    let reply = line.take(WAIT_MAX, |inbox| inbox.replies.get(&id).cloned()).await?;
    let kind = reply["ok"]["principal"]["kind"].as_str();
    kind.map(str::to_owned).ok_or_else(|| format!("the token is not accepted: {}", reply["error"]))
}

/// What all scenarios are played with.
struct Stage<'a> {
    book: &'a Book,
    places: &'a [Place],
    token: &'a str,
    kind: &'a str,
}

async fn play(scenario: &Scenario, codec: Codec, stage: &Stage<'_>) -> Row {
    let began = Instant::now();
    let mut player = Player::new(stage.book, stage.places, codec, stage.token);
    let outcome = match lacks(scenario, stage.places, stage.kind) {
        Some(why) => Err(Stopped::Skipped(why.to_owned())),
        None => player.play(scenario).await,
    };
    let Scenario { name, title, spec, .. } = scenario.clone();
    Row { scenario: name, title, spec, codec, steps: player.steps, took: began.elapsed(), notes: player.notes, outcome }
}

/// What a scenario needs and does not have.
fn lacks(scenario: &Scenario, places: &[Place], kind: &str) -> Option<&'static str> {
    scenario.needs.iter().find_map(|need| match need {
        Need::Staff if kind != "staff" => Some("it needs the token of a member of staff"),
        Need::TwoNodes if places.len() < 2 => Some("it needs two nodes: give --url twice"),
        Need::Staff | Need::TwoNodes => None,
    })
}
