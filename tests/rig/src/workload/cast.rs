//! The cast of a run: three tenants, what their rooms are for, who writes there and who reads.
//!
//! In every room somebody reads at each of three nodes, staff and guests, in both codecs. Look next in `troupe.rs` (how people
//! are made) and `faults.rs` (whose rights end).

use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

use parlour_protocol::codec::Codec;
use tokio::sync::mpsc::UnboundedSender;

use crate::history::Room;
use crate::workload::choices::races;
use crate::workload::pusher::push;
use crate::workload::reader::{Door, Habit};
use crate::workload::stage::Player;
use crate::workload::troupe::{Link, Troupe};
use crate::workload::writer::{Order, Rhythm};

/// What rooms the tenants have: busy, quiet, for choices, for rights that end, for lazy readers.
const ROOMS: [[usize; 5]; 3] = [[2, 1, 1, 1, 0], [1, 1, 1, 1, 0], [1, 1, 0, 0, 1]];
/// Those who write to a busy room over sockets: one of staff, two guests; and lanes of a service.
const SOCKETS: u64 = 3;
const LANES: u64 = 1;
/// Commands in flight on a busy writer's socket.
const WINDOW: usize = 24;
/// Guests who choose on the same cards.
const CHOOSERS: usize = 5;
/// People whose rights may end, per room.
const MORTALS: usize = 2;
/// Between two messages of theirs, in milliseconds.
const MORTAL_GAP_MS: u64 = 150;

/// Somebody whose rights may end.
pub struct Mortal {
    /// Who.
    pub player: Arc<Player>,
    /// Where they are.
    pub room: Room,
    /// Their link; none for staff.
    pub link: Option<Link>,
}

/// A room in which readers are lazy at times.
pub struct LazyRoom {
    /// Which.
    pub room: Room,
    /// Its lazy readers.
    pub doors: Vec<Arc<Door>>,
    /// Who floods it.
    pub flooder: UnboundedSender<Order>,
}

/// Those who are in a room to the end: for looking at it afterwards.
pub struct Witnesses {
    /// Which room.
    pub room: Room,
    /// One of staff.
    pub staff: Arc<Player>,
    /// A guest.
    pub guest: Arc<Player>,
}

/// Everybody who has a part of their own in a fault or after the run.
#[derive(Default)]
pub struct Parts {
    /// Whose rights may end.
    pub mortals: Mutex<Vec<Mortal>>,
    /// Where readers are lazy.
    pub lazy: Vec<LazyRoom>,
    /// Who looks afterwards, by room.
    pub witnesses: Vec<Witnesses>,
}

/// What is to be done in a room.
struct Scene<'a> {
    troupe: &'a Troupe,
    admin: &'a Arc<Player>,
    service: &'a Arc<Player>,
    room: Room,
    link: Link,
}

/// Makes everybody and everything, before anything is broken. They wait for the beginning.
pub async fn cast(troupe: &Troupe) -> Parts {
    let mut parts = Parts::default();
    let busy_writers = ROOMS.iter().map(|rooms| rooms[0] as u64).sum::<u64>() * (SOCKETS + LANES);
    for (number, rooms) in (0..).zip(ROOMS) {
        let tenant = troupe.tenant(number).await;
        let admin = made(troupe.staff(tenant, "dmc_admin", Codec::Json).await);
        let service = made(troupe.service(tenant, Codec::MessagePack).await);
        let what = ["busy", "quiet", "choices", "ends", "lazy"];
        for (kind, name) in what.iter().enumerate() {
            for _ in 0..rooms[kind] {
                let room = troupe.room(&admin, name, *name == "quiet").await;
                let link = made(troupe.link(&admin, room).await);
                let scene = Scene { troupe, admin: &admin, service: &service, room, link };
                let guest = scene.audience().await;
                parts.witnesses.push(Witnesses { room, staff: Arc::clone(&admin), guest: Arc::clone(&guest) });
                match *name {
                    "busy" => scene.busy(busy_writers).await,
                    "quiet" => scene.quiet(&guest).await,
                    "choices" => scene.choices().await,
                    "ends" => scene.ends(&mut parts).await,
                    _ => parts.lazy.push(scene.lazy().await),
                }
            }
        }
    }
    parts
}

fn made<T>(somebody: Option<T>) -> T {
    somebody.expect("nothing is broken yet, so whoever is wanted is made")
}

impl Scene<'_> {
    /// Three who read to the end, each at another node; the guest among them.
    async fn audience(&self) -> Arc<Player> {
        let guest = made(self.troupe.guest(&self.link, Codec::MessagePack).await);
        let first = self.room.0 as usize;
        self.troupe.reader(self.admin, self.room, Habit::Steady, first);
        self.troupe.reader(&guest, self.room, Habit::Steady, first + 1);
        self.troupe.reader(self.service, self.room, Habit::Steady, first + 2);
        guest
    }

    async fn busy(&self, writers: u64) {
        let rhythm = Rhythm::Busy { writers, window: WINDOW };
        let staff = made(self.troupe.staff(self.admin.tenant, "dmc_manager", Codec::MessagePack).await);
        self.troupe.writer(&staff, self.room, rhythm);
        for codec in Codec::ALL {
            let guest = made(self.troupe.guest(&self.link, codec).await);
            self.troupe.writer(&guest, self.room, rhythm);
        }
        for lane in 0..LANES {
            let (stage, service) = (Arc::clone(&self.troupe.stage), Arc::clone(self.service));
            self.troupe.work(push(stage, service, self.room, writers, lane));
        }
    }

    /// Two who write every few seconds, and three who come and go.
    async fn quiet(&self, guest: &Arc<Player>) {
        self.troupe.writer(self.admin, self.room, Rhythm::Every(2_500));
        self.troupe.writer(guest, self.room, Rhythm::Every(3_500));
        for turn in 0..3 {
            let codec = if turn == 1 { Codec::Json } else { Codec::MessagePack };
            let flighty = made(self.troupe.guest(&self.link, codec).await);
            self.troupe.reader(&flighty, self.room, Habit::Flighty, turn);
        }
    }

    async fn choices(&self) {
        let mut choosers = Vec::new();
        for n in 0..CHOOSERS {
            let codec = if n % 2 == 0 { Codec::Json } else { Codec::MessagePack };
            let guest = made(self.troupe.guest(&self.link, codec).await);
            choosers.push(self.troupe.writer(&guest, self.room, Rhythm::Told));
        }
        let (stage, host) = (Arc::clone(&self.troupe.stage), Arc::clone(self.admin));
        self.troupe.work(races(stage, host, self.room, choosers));
    }

    async fn ends(&self, parts: &mut Parts) {
        for n in 0..MORTALS {
            let codec = if n % 2 == 0 { Codec::Json } else { Codec::MessagePack };
            let guest = made(mortal_guest(self.troupe, self.admin, self.room, codec).await);
            let staff = made(mortal_staff(self.troupe, self.admin, self.room, codec).await);
            let mortals = parts.mortals.get_mut().unwrap_or_else(PoisonError::into_inner);
            mortals.extend([guest, staff]);
        }
    }

    async fn lazy(&self) -> LazyRoom {
        let mut doors = Vec::new();
        for turn in 0..2 {
            let lazy = made(self.troupe.guest(&self.link, Codec::ALL[turn]).await);
            doors.push(self.troupe.reader(&lazy, self.room, Habit::Lazy, turn));
        }
        self.troupe.writer(self.admin, self.room, Rhythm::Every(1_000));
        let staff = made(self.troupe.staff(self.admin.tenant, "dmc_manager", Codec::MessagePack).await);
        LazyRoom { room: self.room, doors, flooder: self.troupe.writer(&staff, self.room, Rhythm::Told) }
    }
}

/// Somebody on a link of their own, who reads and writes.
pub async fn mortal_guest(troupe: &Troupe, by: &Player, room: Room, codec: Codec) -> Option<Mortal> {
    let link = troupe.link(by, room).await?;
    let player = troupe.guest(&link, codec).await?;
    set_to_work(troupe, &player, room);
    Some(Mortal { player, room, link: Some(link) })
}

/// Somebody of staff, who reads and writes.
pub async fn mortal_staff(troupe: &Troupe, by: &Player, room: Room, codec: Codec) -> Option<Mortal> {
    let player = troupe.staff(by.tenant, "dmc_manager", codec).await?;
    set_to_work(troupe, &player, room);
    Some(Mortal { player, room, link: None })
}

fn set_to_work(troupe: &Troupe, player: &Arc<Player>, room: Room) {
    troupe.writer(player, room, Rhythm::Every(MORTAL_GAP_MS));
    troupe.reader(player, room, Habit::Steady, player.person.0 as usize);
    troupe.reader(player, room, Habit::Steady, player.person.0 as usize + 1);
}
