//! The stage: what all clients of a run share, and who they are.
//!
//! Credentials are renewed here when they run out. Nothing here decides what a client does. Look next in `cast.rs`.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use parlour_protocol::codec::Codec;
use parlour_protocol::id::ConversationId;
use parlour_testkit::actors::Endpoint;
use parlour_testkit::database::Database;
use parlour_testkit::seeder::PASSWORD;
use reqwest::Method;
use serde_json::json;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::history::{Node, Person, Recorder, Room, Tenant, View};
use crate::workload::frame::Done;
use crate::workload::lazy::Moods;
use crate::workload::ledger::Ledger;
use crate::workload::web::Web;
use crate::workload::wire::{Ended, Listener, Wire};

/// What clients are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Nothing yet.
    Waiting,
    /// What they do.
    Acting,
    /// Nothing new; what was begun is brought to its end, and everybody reads on.
    Settling,
    /// Nothing.
    Over,
}

/// What all clients share.
pub struct Stage {
    /// What was tried.
    pub ledger: Ledger,
    /// Over HTTP.
    pub web: Web,
    /// The nodes, as clients reach them.
    pub endpoints: Vec<Endpoint>,
    /// The nodes, with nothing between.
    pub direct: Vec<Endpoint>,
    /// For what an operator does.
    pub database: Database,
    /// What clients are to do.
    pub phase: watch::Sender<Phase>,
    /// Messages a second that all writers together aim at.
    pub pace: AtomicU64,
    /// Tries beside the writers' sockets that are under way.
    pub twins: TaskTracker,
    /// People whose rights end or have ended.
    pub ending: Mutex<HashSet<Person>>,
}

/// How somebody proves who they are.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A member of staff.
    Staff {
        /// Whom they log in as.
        email: String,
        /// The token of the last log-in.
        token: String,
    },
    /// Somebody on a link.
    Guest {
        /// The link's id.
        share: String,
        /// The link's secret.
        secret: String,
        /// What the device keeps.
        device_key: String,
        /// The token of the last claim.
        token: String,
    },
    /// A system.
    Service {
        /// Its key.
        key: String,
    },
}

impl Credential {
    /// What `hello` and HTTP take.
    pub fn token(&self) -> &str {
        match self {
            Self::Staff { token, .. } | Self::Guest { token, .. } => token,
            Self::Service { key } => key,
        }
    }
}

/// Somebody who plays.
pub struct Player {
    /// Who.
    pub person: Person,
    /// Of which tenant.
    pub tenant: Tenant,
    /// What they read.
    pub view: View,
    /// `who.id`.
    pub id: String,
    /// How their program speaks.
    pub codec: Codec,
    credential: Mutex<Credential>,
}

impl Player {
    /// Somebody with a credential.
    pub fn new(person: Person, tenant: Tenant, view: View, id: String, codec: Codec, credential: Credential) -> Self {
        Self { person, tenant, view, id, codec, credential: Mutex::new(credential) }
    }

    /// Their credential.
    pub fn credential(&self) -> Credential {
        self.credential.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Their token.
    pub fn token(&self) -> String {
        self.credential.lock().unwrap_or_else(PoisonError::into_inner).token().to_owned()
    }

    /// Opens a socket at a node.
    ///
    /// # Errors
    /// Why not.
    pub async fn open(&self, stage: &Stage, endpoint: &Endpoint, moods: Option<Moods>) -> Result<Wire, Ended> {
        let opened = Wire::open(&endpoint.ws, self.codec, &self.token(), self.listener(stage), moods).await;
        match opened {
            Ok((wire, done)) => {
                self.check(stage, &done);
                Ok(wire)
            }
            Err(ended) => {
                // Not only when it ran out: a node whose clock is wrong gives tokens that others take for nobody's.
                if ended.code == 4401 || ended.refusal.as_deref() == Some("UNAUTHENTICATED") {
                    self.renew(stage, endpoint).await;
                }
                Err(ended)
            }
        }
    }

    fn check(&self, stage: &Stage, done: &Done) {
        let told = done.principal.as_ref().map(|principal| principal.id.as_str());
        if told != Some(&self.id) {
            stage.ledger.violated("hello", format!("{} was taken for {told:?}", self.id));
        }
    }

    fn listener(&self, stage: &Stage) -> Listener {
        Listener { recorder: stage.ledger.recorder.clone(), tenant: self.tenant, view: self.view }
    }

    /// Gets a fresh token, if the node can give one right now.
    pub async fn renew(&self, stage: &Stage, endpoint: &Endpoint) {
        let fresh = match self.credential() {
            Credential::Staff { email, .. } => log_in(&stage.web, endpoint, &email).await,
            Credential::Guest { secret, device_key, .. } => {
                let body = json!({ "token": secret, "device_key": device_key });
                let answer = stage.web.json(endpoint, Method::POST, "/api/v1/shares/claim", None, Some(&body)).await;
                answer.ok().and_then(|data| Some(data["guest_token"].as_str()?.to_owned()))
            }
            Credential::Service { .. } => None,
        };
        let Some(fresh) = fresh else { return };
        match &mut *self.credential.lock().unwrap_or_else(PoisonError::into_inner) {
            Credential::Staff { token, .. } | Credential::Guest { token, .. } => *token = fresh,
            Credential::Service { .. } => {}
        }
    }
}

/// Logs a member of staff in.
pub async fn log_in(web: &Web, endpoint: &Endpoint, email: &str) -> Option<String> {
    let body = json!({ "email": email, "password": PASSWORD });
    let answer = web.json(endpoint, Method::POST, "/api/v1/auth/login", None, Some(&body)).await;
    answer.ok().and_then(|data| Some(data["access_token"].as_str()?.to_owned()))
}

impl Stage {
    /// What clients are to do now.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Waits until clients are to do this, or more.
    pub async fn until(&self, phase: Phase) {
        let mut watched = self.phase.subscribe();
        // The sender lives as long as the stage, which we hold.
        let _ = watched.wait_for(|now| *now >= phase).await;
    }

    /// The node of a number that may have gone round.
    pub fn node(&self, turn: usize) -> Node {
        Node(u8::try_from(turn % self.endpoints.len()).unwrap_or(0))
    }

    /// A node as clients reach it.
    pub fn at(&self, node: Node) -> &Endpoint {
        &self.endpoints[usize::from(node.0)]
    }

    /// Whether somebody's rights end or have ended.
    pub fn is_ending(&self, person: Person) -> bool {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner).contains(&person)
    }

    /// The recorder.
    pub fn recorder(&self) -> &Recorder {
        &self.ledger.recorder
    }

    /// The conversation of a room.
    pub fn conversation(&self, room: Room) -> ConversationId {
        self.recorder().with(|history| history.cast.rooms[room.0 as usize].conversation)
    }

    /// How long a writer that is one of so many waits between two messages.
    pub fn gap(&self, writers: u64) -> Duration {
        Duration::from_micros(1_000_000 * writers.max(1) / self.pace.load(Ordering::Relaxed).max(1))
    }
}

/// A stage that tasks share.
pub type SharedStage = Arc<Stage>;
