//! The troupe: makes tenants, rooms, people and readers, before the run and while it goes on, and sets them to work.
//!
//! Whoever is made is noted in the cast first. During the run things are broken, so making somebody may take a while and may
//! fail: then nobody was made. Look next in `cast.rs` (who is made).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use parlour::auth::Auth;
use parlour::domain::limits::LimitsProfile;
use parlour::store::Store;
use parlour_protocol::codec::Codec;
use parlour_testkit::actors::Endpoint;
use parlour_testkit::seeder::{Seeder, auth_config};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::history::{Person, PersonInfo, Reader, ReaderInfo, Room, RoomInfo, Tenant, TenantInfo, View};
use crate::workload::reader::{Door, Follower, Habit};
use crate::workload::stage::{Credential, Player, SharedStage, log_in};
use crate::workload::wire::{Listener, Wire};
use crate::workload::words::canary;
use crate::workload::writer::{Order, Rhythm, Writer};

/// How long somebody new is waited for while things are broken.
const ADMISSION_MAX: Duration = Duration::from_secs(20);

/// A reader at work.
#[derive(Clone)]
pub struct Seat {
    /// Who reads.
    pub player: Arc<Player>,
    /// Where.
    pub room: Room,
    /// What is known of it.
    pub door: Arc<Door>,
    /// What it is like.
    pub habit: Habit,
}

/// A link that people come in by.
#[derive(Clone, Debug)]
pub struct Link {
    /// Its id.
    pub share: String,
    /// Its secret.
    pub secret: String,
    /// What it opens.
    pub room: Room,
    /// Whose.
    pub tenant: Tenant,
}

/// Makes everybody.
pub struct Troupe {
    /// What they share.
    pub stage: SharedStage,
    seeder: Seeder,
    seats: Mutex<Vec<Seat>>,
    writing: Mutex<Vec<JoinHandle<()>>>,
    reading: Mutex<Vec<JoinHandle<()>>>,
}

impl Troupe {
    /// A troupe without anybody.
    pub fn new(stage: SharedStage) -> Self {
        let store = Store::new(&stage.database.app_url, 4).expect("a store");
        let auth = Auth::new(store.clone(), auth_config(LimitsProfile::Test)).expect("the tests' keys");
        let seeder = Seeder::new(store, Arc::new(auth));
        Self { stage, seeder, seats: Mutex::default(), writing: Mutex::default(), reading: Mutex::default() }
    }

    /// Readers at work, and those that were.
    pub fn seats(&self) -> Vec<Seat> {
        lock(&self.seats).clone()
    }

    /// Tasks that write, taken away.
    pub fn take_writing(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut *lock(&self.writing))
    }

    /// Tasks that read, taken away.
    pub fn take_reading(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut *lock(&self.reading))
    }

    /// A tenant.
    pub async fn tenant(&self, number: u8) -> Tenant {
        let tenant = Tenant(number);
        let organization = self.seeder.organization(&format!("rig-{number}")).await;
        let seed = self.stage.recorder().seed();
        let (canary, staff_canary) = (canary(seed, tenant, false), canary(seed, tenant, true));
        let info = TenantInfo { organization, canary, staff_canary };
        self.stage.recorder().with(|history| history.cast.tenants.push(info));
        tenant
    }

    /// A room.
    pub async fn room(&self, admin: &Player, title: &str, is_quiet: bool) -> Room {
        let title = format!("{title} {}", self.info(admin.tenant).canary);
        let made = self.insist(Method::POST, "/api/v1/conversations", Some(admin), &json!({ "title": title })).await;
        let made = made.expect("a room: nothing is broken yet");
        let conversation = made["id"].as_str().and_then(|id| id.parse().ok()).expect("a room has an id");
        let info = RoomInfo { tenant: admin.tenant, conversation, is_quiet };
        self.stage.recorder().with(|history| {
            history.cast.rooms.push(info);
            Room(u32::try_from(history.cast.rooms.len() - 1).expect("a handful"))
        })
    }

    /// A member of staff, logged in.
    pub async fn staff(&self, tenant: Tenant, role: &str, codec: Codec) -> Option<Arc<Player>> {
        let info = self.info(tenant);
        let email = self.seeder.person(info.organization, role, &format!("Amira {}", info.canary)).await;
        let deadline = Instant::now() + ADMISSION_MAX;
        for turn in 0.. {
            let endpoint = self.stage.at(self.stage.node(turn));
            if let Some(token) = log_in(&self.stage.web, endpoint, &email).await {
                return self.admit(tenant, View::Staff, codec, Credential::Staff { email, token }).await;
            }
            if Instant::now() > deadline {
                return None;
            }
            sleep(Duration::from_millis(200)).await;
        }
        None
    }

    /// A service.
    pub async fn service(&self, tenant: Tenant, codec: Codec) -> Option<Arc<Player>> {
        let (_, key) = self.seeder.api_key(self.info(tenant).organization, &["conversations:*"]).await;
        self.admit(tenant, View::Staff, codec, Credential::Service { key }).await
    }

    /// A link to a room.
    pub async fn link(&self, by: &Player, room: Room) -> Option<Link> {
        let body = json!({
            "permissions": ["view", "respond", "select_options"],
            "label": self.info(by.tenant).staff_canary,
            "seats": 25,
        });
        let path = format!("/api/v1/conversations/{}/share", self.stage.conversation(room));
        let made = self.insist(Method::POST, &path, Some(by), &body).await?;
        let share = made["share"]["id"].as_str()?.to_owned();
        Some(Link { share, secret: made["session_token"].as_str()?.to_owned(), room, tenant: by.tenant })
    }

    /// Somebody on a link.
    pub async fn guest(&self, link: &Link, codec: Codec) -> Option<Arc<Player>> {
        let name = format!("Maria {}", self.info(link.tenant).canary);
        let body = json!({ "token": link.secret, "name": name });
        let data = self.insist(Method::POST, "/api/v1/shares/claim", None, &body).await?;
        let text = |field: &str| data[field].as_str().map(str::to_owned);
        let (token, device_key) = (text("guest_token")?, text("device_key")?);
        let (share, secret) = (link.share.clone(), link.secret.clone());
        self.admit(link.tenant, View::Guest, codec, Credential::Guest { share, secret, device_key, token }).await
    }

    /// Sets a writer to work.
    pub fn writer(&self, player: &Arc<Player>, room: Room, rhythm: Rhythm) -> UnboundedSender<Order> {
        let (writer, tell) = Writer::new(&self.stage, player, room, rhythm);
        self.work(writer.run());
        tell
    }

    /// Sets anything that writes to work.
    pub fn work(&self, task: impl Future<Output = ()> + Send + 'static) {
        lock(&self.writing).push(tokio::spawn(task));
    }

    /// Sets a reader to work, which begins at a node.
    pub fn reader(&self, player: &Arc<Player>, room: Room, habit: Habit, turn: usize) -> Arc<Door> {
        let info = ReaderInfo { person: player.person, room, stalls: habit == Habit::Lazy };
        let reader = self.stage.recorder().with(|history| {
            history.cast.readers.push(info);
            Reader(u32::try_from(history.cast.readers.len() - 1).expect("some hundreds"))
        });
        let follower = Follower::new(&self.stage, player, (reader, room), habit, turn);
        let door = follower.door();
        lock(&self.seats).push(Seat { player: Arc::clone(player), room, door: Arc::clone(&door), habit });
        lock(&self.reading).push(tokio::spawn(follower.run()));
        door
    }

    /// What is noted of a tenant.
    pub fn info(&self, tenant: Tenant) -> TenantInfo {
        self.stage.recorder().with(|history| history.cast.tenants[usize::from(tenant.0)].clone())
    }

    /// Asks for something over HTTP until it is done or refused for good, for some time.
    pub async fn insist(&self, method: Method, path: &str, by: Option<&Player>, body: &Value) -> Option<Value> {
        let deadline = Instant::now() + ADMISSION_MAX;
        for turn in 0.. {
            let endpoint: &Endpoint = self.stage.at(self.stage.node(turn));
            let token = by.map(Player::token);
            let body = (!body.is_null()).then_some(body);
            match self.stage.web.json(endpoint, method.clone(), path, token.as_deref(), body).await {
                Ok(data) => return Some(data),
                Err(failed) => match (failed.for_good(), by) {
                    (Some("UNAUTHENTICATED"), Some(by)) => by.renew(&self.stage, endpoint).await,
                    (Some(code), _) => {
                        self.stage.ledger.violated("arrangements", format!("{method} {path}: {code}"));
                        return None;
                    }
                    (None, _) => {}
                },
            }
            if Instant::now() > deadline {
                return None;
            }
            sleep(Duration::from_millis(200)).await;
        }
        None
    }

    /// Asks a node who this is, and notes them.
    async fn admit(&self, tenant: Tenant, view: View, codec: Codec, credential: Credential) -> Option<Arc<Player>> {
        let deadline = Instant::now() + ADMISSION_MAX;
        for turn in 0.. {
            let listener = Listener { recorder: self.stage.recorder().clone(), tenant, view };
            let ws = &self.stage.at(self.stage.node(turn)).ws;
            if let Ok((_, done)) = Wire::open(ws, codec, credential.token(), listener, None).await {
                let id = done.principal?.id;
                let info = PersonInfo { tenant, view, id: id.clone() };
                let person = self.stage.recorder().with(|history| {
                    history.cast.people.push(info);
                    Person(u32::try_from(history.cast.people.len() - 1).expect("some hundreds"))
                });
                return Some(Arc::new(Player::new(person, tenant, view, id, codec, credential)));
            }
            if Instant::now() > deadline {
                return None;
            }
            sleep(Duration::from_millis(200)).await;
        }
        None
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
