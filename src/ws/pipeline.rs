//! The commands of one socket: started in the order sent, durable ones waited for together.
//!
//! A run of `send`, `note` and `select` overlaps its commits (their places in the order are taken one after the other); every
//! other command waits until what came before it has been answered, and is finished before what comes after it starts. The
//! futures run in the session's own task: when it ends, they end.

use std::collections::VecDeque;
use std::pin::Pin;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parlour_protocol::command::{Command, Numbered};

use crate::ws::dispatch::{self, Caller};

/// Durable commands waited for at once.
const IN_FLIGHT_MAX: usize = 32;
/// Commands heard and not yet started.
const QUEUED_MAX: usize = 32;

/// The end of a command: its reply is in the outbox.
pub type Later<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
/// The beginning of a command: when it is over, the next one may start.
pub type First<'a> = Pin<Box<dyn Future<Output = Option<Later<'a>>> + Send + 'a>>;

/// Something to do, in its turn.
pub enum Job {
    /// A command of the client.
    Command(Numbered),
    /// The guest's link is said to be over: look.
    Recheck,
}

/// The commands of one socket.
pub struct Pipeline<'a> {
    caller: &'a Caller<'a>,
    queue: VecDeque<Job>,
    starting: Option<First<'a>>,
    in_flight: FuturesUnordered<Later<'a>>,
}

impl<'a> Pipeline<'a> {
    /// Nothing to do yet.
    pub fn new(caller: &'a Caller<'a>) -> Self {
        Self { caller, queue: VecDeque::new(), starting: None, in_flight: FuturesUnordered::new() }
    }

    /// Takes a job; bounded by [`Self::has_room`], which the caller asks before it reads more.
    pub fn push(&mut self, job: Job) {
        self.queue.push_back(job);
    }

    /// Whether more may be read.
    pub fn has_room(&self) -> bool {
        self.queue.len() < QUEUED_MAX
    }

    /// Whether everything has been answered.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.starting.is_none() && self.in_flight.is_empty()
    }

    /// Works until something has moved; never ends while there is nothing to do. Cancel-safe: work goes on where it stopped.
    pub async fn progress(&mut self) {
        self.start_next();
        let Self { starting, in_flight, .. } = self;
        if starting.is_none() && in_flight.is_empty() {
            return std::future::pending().await;
        }
        let first = async {
            match starting.as_mut() {
                Some(first) => first.await,
                None => std::future::pending().await,
            }
        };
        // Both branches are cancel-safe: the futures stay where they are until they are over.
        tokio::select! {
            later = first => {
                *starting = None;
                if let Some(later) = later {
                    in_flight.push(later);
                }
            }
            Some(()) = in_flight.next(), if !in_flight.is_empty() => {}
        }
    }

    fn start_next(&mut self) {
        if self.starting.is_some() {
            return;
        }
        let may_start = match self.queue.front() {
            Some(job) if overlaps(job) => self.in_flight.len() < IN_FLIGHT_MAX,
            Some(_) => self.in_flight.is_empty(),
            None => false,
        };
        if may_start && let Some(job) = self.queue.pop_front() {
            self.starting = Some(dispatch::start(self.caller, job));
        }
    }
}

/// Whether a job may be in flight together with others of its kind.
fn overlaps(job: &Job) -> bool {
    match job {
        Job::Command(numbered) => match &numbered.command {
            Command::Send(_) | Command::Edit(_) | Command::Redact(_) | Command::Note(_) | Command::Select(_) => true,
            Command::Hello(_)
            | Command::Refresh(_)
            | Command::Attach(_)
            | Command::Detach(_)
            | Command::Subscribe(_)
            | Command::Seen(_)
            | Command::Typing(_)
            | Command::Presence(_)
            | Command::Read(_)
            | Command::History(_)
            | Command::Ping(_) => false,
        },
        Job::Recheck => false,
    }
}
