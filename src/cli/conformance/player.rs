//! Plays a scenario: one step after the other, each with its own limit of time, until the end or the first that fails.
//!
//! It never sleeps: it waits for what must come, and for nothing else. What must *not* come is checked after something later has.
//! The steps are described in `protocol/README.md`.

use std::collections::HashMap;
use std::pin::Pin;
use std::time::{Duration, Instant};

use parlour_protocol::codec::Codec;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::cli::conformance::line::{Line, WAIT_MAX};
use crate::cli::conformance::matcher::{check, matches, shortened};
use crate::cli::conformance::place::{Call, Place};
use crate::cli::conformance::scenario::{Book, Scenario, Step};
use crate::cli::conformance::words::Words;

/// Of HTTP (RFC 6585 §4).
const TOO_MANY_REQUESTS: u16 = 429;
/// Fields that are filled in when they are compared or played, because what they name is bound only then.
const LATER: [&str; 4] = ["expect", "reply", "steps", "until"];

/// Why a scenario did not come to its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The server did something else.
    Failed(String),
    /// It does not apply to this server.
    Skipped(String),
}

impl From<String> for Stopped {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

type Played<'a> = Pin<Box<dyn Future<Output = Result<(), Stopped>> + Send + 'a>>;

/// What goes on in one scenario.
pub(super) struct Player<'a> {
    book: &'a Book,
    places: &'a [Place],
    codec: Codec,
    words: Words,
    lines: HashMap<String, Line>,
    tags: HashMap<String, (String, u64)>,
    /// Steps that were begun.
    pub steps: usize,
    /// What is worth telling of a scenario that passed.
    pub notes: Vec<String>,
}

impl<'a> Player<'a> {
    /// A player at these servers, with a credential that may create conversations and shares.
    pub fn new(book: &'a Book, places: &'a [Place], codec: Codec, token: &str) -> Self {
        let mut words = Words::default();
        words.set("token", json!(token));
        Self { book, places, codec, words, lines: HashMap::new(), tags: HashMap::new(), steps: 0, notes: Vec::new() }
    }

    /// Plays a scenario to its end.
    pub async fn play(&mut self, scenario: &Scenario) -> Result<(), Stopped> {
        self.words.set("scenario", json!(scenario.name));
        self.all(scenario.steps.clone()).await
    }

    fn all(&mut self, steps: Vec<Value>) -> Played<'_> {
        Box::pin(async move {
            for step in steps {
                self.steps += 1;
                let number = self.steps;
                self.one(&step).await.map_err(|stopped| match stopped {
                    // The innermost step is the one to look at.
                    Stopped::Failed(why) if !why.starts_with("step ") => {
                        Stopped::Failed(format!("step {number}: {}\n{why}", shown(&step)))
                    }
                    other => other,
                })?;
            }
            Ok(())
        })
    }

    async fn one(&mut self, step: &Value) -> Result<(), Stopped> {
        let step: Step = serde_json::from_value(self.fill(step)?).map_err(|error| error.to_string())?;
        match step {
            Step::Play { part: name, with } => return self.play_part(&name, with).await,
            Step::Repeat { times, counter, until, steps } => return self.repeat(times, counter, until, steps).await,
            Step::Require { tags, expect, reason } => return self.require(&tags, &expect, reason).await,
            Step::Let { vars } => vars.into_iter().for_each(|(name, value)| _ = self.words.set(name, value)),
            Step::Http { request, token, key, node, body, status, expect } => {
                let call = (token.as_deref(), key.as_deref(), body.as_ref());
                let (got, answer) = self.http(&request, node, call).await?;
                if let Some(status) = status.filter(|status| *status != got) {
                    return Err(format!("  expected  status {status}\n  got       {got} {}", shown(&answer)).into());
                }
                self.compare(&expect.unwrap_or(json!({})), &answer)?;
            }
            Step::Open { socket, node } => {
                let line = Line::open(self.place(node)?, self.codec).await?;
                self.lines.insert(socket, line);
            }
            Step::Send { socket, command, tag, reply } => self.send(socket, command, tag, reply).await?,
            Step::Raw { socket, data, wrong_frame: false } => self.line(&socket)?.frame(data.into_bytes(), self.codec),
            Step::Raw { socket, data, wrong_frame: true } => self.line(&socket)?.wrong_frame(data.into_bytes()),
            Step::Replies { tags, expect } => self.replies(&tags, expect).await?,
            Step::Unnumbered { socket, expect } => {
                let reply = self.line(&socket)?.take(WAIT_MAX, |inbox| inbox.unnumbered.pop_front()).await?;
                self.compare(&expect, &reply)?;
            }
            Step::Push { socket, expect, among, within } => {
                let wait = within.map_or(WAIT_MAX, Duration::from_secs);
                self.push(&socket, &expect, among, wait).await?;
            }
            Step::Never { socket, expect } => self.never(&socket, &expect)?,
            Step::Entries { socket, after, bind } => self.entries(&socket, after, bind)?,
            Step::Closed { socket, code, report } => {
                let since = Instant::now();
                let got = self.line(&socket)?.take(WAIT_MAX, |inbox| inbox.closed).await?;
                self.compare(&json!({ "code": code }), &json!({ "code": got }))?;
                self.notes.extend(report.map(|what| format!("{what} after {} ms", since.elapsed().as_millis())));
            }
            Step::Cut { socket } => drop(self.lines.remove(&socket)),
            Step::Stall { socket } => self.line(&socket)?.read(false),
            Step::Resume { socket } => self.line(&socket)?.read(true),
        }
        Ok(())
    }

    fn fill(&self, step: &Value) -> Result<Value, String> {
        let Value::Object(fields) = step else { return Err("a step is an object".to_owned()) };
        let filled = fields.iter().map(|(name, value)| {
            let value = if LATER.contains(&name.as_str()) { value.clone() } else { self.words.fill(value)? };
            Ok((name.clone(), value))
        });
        filled.collect::<Result<Map<_, _>, String>>().map(Value::Object)
    }

    fn place(&self, node: usize) -> Result<&Place, String> {
        self.places.get(node).ok_or_else(|| format!("there is no node {node}"))
    }

    fn line(&self, socket: &str) -> Result<&Line, String> {
        self.lines.get(socket).ok_or_else(|| format!("no socket `{socket}` is open"))
    }

    fn compare(&mut self, expected: &Value, got: &Value) -> Result<(), String> {
        check(expected, got, &mut self.words).map_err(|differ| differ.to_string())
    }

    async fn play_part(&mut self, name: &str, with: Map<String, Value>) -> Result<(), Stopped> {
        let outer: Vec<_> = with.into_iter().map(|(name, value)| (name.clone(), self.words.set(name, value))).collect();
        self.all(self.book.part(name)?).await?;
        for (name, before) in outer {
            match before {
                Some(before) => _ = self.words.set(name, before),
                None => self.words.remove(&name),
            }
        }
        Ok(())
    }

    async fn repeat(
        &mut self,
        times: u64,
        counter: Option<String>,
        until: Option<Value>,
        steps: Vec<Value>,
    ) -> Result<(), Stopped> {
        for round in 1..=times {
            if let Some(counter) = &counter {
                self.words.set(counter, json!(round));
            }
            self.all(steps.clone()).await?;
            if until.as_ref().is_some_and(|until| matches(until, &self.words.as_value(), &self.words)) {
                return Ok(());
            }
        }
        until.map_or(Ok(()), |until| Err(format!("  after {times} rounds not yet {until}").into()))
    }

    async fn http(
        &self,
        request: &str,
        node: usize,
        (token, key, body): (Option<&str>, Option<&str>, Option<&Value>),
    ) -> Result<(u16, Value), String> {
        let (method, path) = request.split_once(' ').ok_or("a request is a method and a path")?;
        let call = Call { method, path, token, key, body };
        let place = self.place(node)?;
        let answered = timeout(WAIT_MAX, async {
            loop {
                match place.call(&call).await {
                    // Whoever asks too fast for the server's limits comes back when it is told to.
                    Ok((TOO_MANY_REQUESTS, refused)) => {
                        let wait = refused["error"]["details"]["retry_after_ms"].as_u64().unwrap_or(100);
                        tokio::time::sleep(Duration::from_millis(wait)).await;
                    }
                    answer => return answer,
                }
            }
        });
        answered.await.map_err(|_| format!("no answer over HTTP within {WAIT_MAX:?}"))?
    }

    async fn send(
        &mut self,
        socket: String,
        command: Value,
        tag: Option<String>,
        reply: Option<Value>,
    ) -> Result<(), String> {
        let line = self.lines.get_mut(&socket).ok_or_else(|| format!("no socket `{socket}` is open"))?;
        let id = line.command(command)?;
        if let Some(tag) = tag {
            self.tags.insert(tag, (socket.clone(), id));
        }
        let Some(expected) = reply else { return Ok(()) };
        let got = self.reply(&socket, id).await?;
        self.compare(&expected, &got)
    }

    async fn reply(&self, socket: &str, id: u64) -> Result<Value, String> {
        self.line(socket)?.take(WAIT_MAX, |inbox| inbox.replies.get(&id).cloned()).await
    }

    async fn tagged(&self, tags: &[String]) -> Result<Vec<Value>, String> {
        let mut replies = Vec::new();
        for tag in tags {
            let (socket, id) = self.tags.get(tag).ok_or_else(|| format!("no command is tagged `{tag}`"))?;
            replies.push(self.reply(socket, *id).await?);
        }
        Ok(replies)
    }

    async fn replies(&mut self, tags: &[String], expect: Vec<Value>) -> Result<(), String> {
        let mut left = self.tagged(tags).await?;
        for expected in expect {
            let at = left.iter().position(|reply| matches(&expected, reply, &self.words));
            let at = at.ok_or_else(|| format!("  expected  {expected}\n  got       {}", shown(&json!(left))))?;
            self.compare(&expected, &left.remove(at))?;
        }
        Ok(())
    }

    async fn require(&mut self, tags: &[String], expect: &Value, reason: String) -> Result<(), Stopped> {
        let replies = self.tagged(tags).await?;
        let found = replies.iter().any(|reply| check(expect, reply, &mut self.words).is_ok());
        if found { Ok(()) } else { Err(Stopped::Skipped(reason)) }
    }

    /// The next push of the expected type that nobody took yet; `among`: the next that matches.
    async fn push(&mut self, socket: &str, expect: &Value, among: bool, wait: Duration) -> Result<(), String> {
        let words = self.words.clone();
        let is_it = |push: &Value| push["type"] == expect["type"] && (!among || matches(expect, push, &words));
        let line = self.line(socket)?;
        let taken = line.take(wait, |inbox| {
            let (push, taken) = inbox.pushes.iter_mut().find(|(push, taken)| !*taken && is_it(push))?;
            *taken = true;
            Some(push.clone())
        });
        let push = match taken.await {
            Ok(push) => push,
            Err(why) => {
                let left = |(push, taken): &(Value, bool)| (!taken).then(|| push.clone());
                let left: Vec<_> = line.heard(|inbox| inbox.pushes.iter().filter_map(left).collect());
                return Err(format!(
                    "  expected  {expect}\n  got       {why}; heard, but not it: {}",
                    shown(&json!(left))
                ));
            }
        };
        self.compare(expect, &push)
    }

    fn never(&self, socket: &str, expect: &Value) -> Result<(), String> {
        let like = |(push, _): &&(Value, bool)| matches(expect, push, &self.words);
        let found = self.line(socket)?.heard(|inbox| inbox.pushes.iter().find(like).cloned());
        found
            .map_or(Ok(()), |(push, _)| Err(format!("  expected  no push like {expect}\n  got       {}", shown(&push))))
    }

    fn entries(&mut self, socket: &str, after: i64, bind: String) -> Result<(), String> {
        let seqs: Vec<i64> = self.line(socket)?.heard(|inbox| {
            let entries = inbox.pushes.iter().filter(|(push, _)| push["type"] == "entry");
            entries.filter_map(|(push, _)| push["seq"].as_i64()).filter(|seq| *seq > after).collect()
        });
        if (after + 1..).zip(&seqs).any(|(expected, got)| expected != *got) {
            return Err(format!(
                "  expected  entries numbered {} and so on\n  got       {}",
                after + 1,
                shown(&json!(seqs))
            ));
        }
        self.words.set(bind, json!(seqs.last().copied().unwrap_or(after)));
        Ok(())
    }
}

/// A value on one line, not too long.
fn shown(value: &Value) -> String {
    shortened(&value.to_string())
}
