//! Peers: which other nodes there are, and whether they can be heard.
//!
//! Two sources, because each alone can lie: the `nodes` table says who is registered and was alive by the database's clock, the
//! bus lets their beacons be heard, and our own. From both follows when the bus cannot be trusted (then the heads of all rooms
//! are compared with the log), and what a silent peer is: out of hearing, or gone. Pure books; time is passed in.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::node::NodeId;
use crate::hub::locked;

/// The times of silence.
#[derive(Clone, Copy, Debug)]
pub struct PeersConfig {
    /// A beacon of ours or of a registered peer that is late by this puts the bus in doubt.
    pub doubt_after: Duration,
    /// A peer that is silent for so long cannot be heard: whoever it holds is `unknown`.
    pub unheard_after: Duration,
    /// A peer that is silent for so long and not registered any more is gone.
    pub gone_after: Duration,
    /// A peer whose registration is older than this is not alive by the database's clock.
    pub registration_max: Duration,
}

impl Default for PeersConfig {
    fn default() -> Self {
        Self {
            doubt_after: Duration::from_millis(1_500),
            unheard_after: Duration::from_secs(5),
            gone_after: Duration::from_secs(10),
            registration_max: Duration::from_secs(9),
        }
    }
}

/// Who else is there.
#[derive(Debug)]
pub struct Peers {
    config: PeersConfig,
    books: Mutex<Books>,
}

#[derive(Debug)]
struct Books {
    /// When our own last beacon came back.
    echo_at: Instant,
    /// Since when our beacons have come back without a long break: silence before says nothing about others.
    hearing_since: Instant,
    was_deaf: bool,
    peers: HashMap<NodeId, Peer>,
}

#[derive(Debug)]
struct Peer {
    /// The last sign of life on the bus, or when we learned of it.
    heard_at: Instant,
    is_registered: bool,
    is_heard: bool,
    /// It has spoken since we know of it.
    is_met: bool,
}

/// What became of a peer, or of our own hearing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Our own beacons do not come back any more: nobody can be heard.
    Deaf,
    /// They come back again.
    Hearing,
    /// It can be heard again.
    Heard(NodeId),
    /// It cannot be heard; it may be alive.
    Unheard(NodeId),
    /// It is gone.
    Gone(NodeId),
}

impl Peers {
    /// No peers yet, and full confidence.
    pub fn new(config: PeersConfig, now: Instant) -> Self {
        let books = Books { echo_at: now, hearing_since: now, was_deaf: false, peers: HashMap::new() };
        Self { config, books: Mutex::new(books) }
    }

    /// Our own beacon came back.
    pub fn echo(&self, now: Instant) {
        let mut books = locked(&self.books);
        if now.duration_since(books.echo_at) >= self.config.unheard_after {
            books.hearing_since = now;
        }
        books.echo_at = now;
    }

    /// A peer gave a sign of life; whether it is the first word of it.
    pub fn heard(&self, node: NodeId, now: Instant) -> bool {
        let mut books = locked(&self.books);
        let peer = books.peers.entry(node).or_insert(Peer::new(now));
        peer.heard_at = now;
        !std::mem::replace(&mut peer.is_met, true)
    }

    /// A peer said something else, which is no sign of life where those are expected; whether it is the first word of it.
    pub fn met(&self, node: NodeId, now: Instant) -> bool {
        let mut books = locked(&self.books);
        let peer = books.peers.entry(node).or_insert(Peer::new(now));
        !std::mem::replace(&mut peer.is_met, true)
    }

    /// A peer has said farewell.
    pub fn left(&self, node: NodeId) {
        locked(&self.books).peers.remove(&node);
    }

    /// Who else is registered, and how long ago by the database's clock each was alive.
    pub fn registered(&self, nodes: &[(NodeId, Duration)], now: Instant) {
        let mut books = locked(&self.books);
        books.peers.values_mut().for_each(|peer| peer.is_registered = false);
        for (node, _) in nodes.iter().filter(|(_, age)| *age <= self.config.registration_max) {
            books.peers.entry(*node).or_insert(Peer::new(now)).is_registered = true;
        }
    }

    /// Whether something that peers published may not have been heard: our own beacon, or that of a peer that is alive by one
    /// source or the other, is late.
    pub fn in_doubt(&self, now: Instant) -> bool {
        let books = locked(&self.books);
        let late = |at: Instant| now.duration_since(at) >= self.config.doubt_after;
        late(books.echo_at) || books.peers.values().any(|peer| late(peer.heard_at))
    }

    /// Whether our own beacons have not come back for so long that nobody counts as heard.
    pub fn is_deaf(&self, now: Instant) -> bool {
        now.duration_since(locked(&self.books).echo_at) >= self.config.unheard_after
    }

    /// How many peers can be heard.
    pub fn heard_count(&self) -> usize {
        locked(&self.books).peers.values().filter(|peer| peer.is_heard).count()
    }

    /// What has become of peers since the last look.
    pub fn turns(&self, now: Instant) -> Vec<Turn> {
        let mut books = locked(&self.books);
        let is_deaf = now.duration_since(books.echo_at) >= self.config.unheard_after;
        let hearing_since = books.hearing_since;
        let mut turns = Vec::new();
        if is_deaf != books.was_deaf {
            books.was_deaf = is_deaf;
            turns.push(if is_deaf { Turn::Deaf } else { Turn::Hearing });
        }
        for (node, peer) in &mut books.peers {
            // While we are deaf, or were until just now, silence says nothing about the peer.
            let silent = now.duration_since(peer.heard_at.max(hearing_since));
            let can_be_heard = !is_deaf && now.duration_since(peer.heard_at) < self.config.unheard_after;
            if !is_deaf && !peer.is_registered && silent >= self.config.gone_after {
                turns.push(Turn::Gone(*node));
            } else if can_be_heard != peer.is_heard {
                peer.is_heard = can_be_heard;
                turns.push(if can_be_heard { Turn::Heard(*node) } else { Turn::Unheard(*node) });
            }
        }
        books.peers.retain(|node, _| !turns.contains(&Turn::Gone(*node)));
        turns
    }
}

impl Peer {
    /// Heard means counted among the heard by the next look, so that who depends on it is told there, once.
    fn new(now: Instant) -> Self {
        Self { heard_at: now, is_registered: false, is_heard: true, is_met: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn peers() -> (Peers, NodeId, Instant) {
        let now = Instant::now();
        (Peers::new(PeersConfig::default(), now), NodeId::generate(), now)
    }

    /// Our own beacons come back every second until then.
    fn echo_until(peers: &Peers, from: Instant, seconds: u32) {
        (0..=seconds).for_each(|second| peers.echo(from + SECOND * second));
    }

    #[test]
    fn the_times_of_silence_are_in_order() {
        let config = PeersConfig::default();
        assert!(config.doubt_after < config.unheard_after && config.unheard_after < config.gone_after);
        // Registered every 3 s, read every 3 s with a deadline of 1 s: fifteen seconds after a kill everybody knows.
        assert!(config.registration_max + 4 * SECOND <= 15 * SECOND && config.gone_after + 4 * SECOND <= 15 * SECOND);
    }

    #[test]
    fn a_lost_echo_or_a_silent_peer_is_doubt() {
        let (peers, node, start) = peers();
        assert!(!peers.in_doubt(start + SECOND));
        assert!(peers.in_doubt(start + 2 * SECOND), "no echo");
        echo_until(&peers, start, 10);
        assert!(!peers.in_doubt(start + 10 * SECOND));
        peers.registered(&[(node, SECOND)], start + 10 * SECOND);
        echo_until(&peers, start + 10 * SECOND, 2);
        assert!(peers.in_doubt(start + 12 * SECOND), "registered, but never heard");
        peers.heard(node, start + 12 * SECOND);
        assert!(!peers.in_doubt(start + 12 * SECOND));
    }

    #[test]
    fn a_dead_peer_is_first_out_of_hearing_and_then_gone_once() {
        let (peers, node, start) = peers();
        assert!(peers.heard(node, start));
        assert!(!peers.heard(node, start));
        peers.registered(&[(node, SECOND)], start);
        let look = |second: u32| {
            peers.echo(start + SECOND * second);
            peers.turns(start + SECOND * second)
        };
        let seen: Vec<(u32, Turn)> = (0..30)
            .flat_map(|second| {
                if second == 11 {
                    peers.registered(&[(node, 10 * SECOND)], start + SECOND * second);
                }
                look(second).into_iter().map(move |turn| (second, turn))
            })
            .collect();
        assert_eq!(seen, [(5, Turn::Unheard(node)), (11, Turn::Gone(node))]);
    }

    #[test]
    fn a_registered_peer_that_is_only_cut_from_the_bus_is_never_gone() {
        let (peers, node, start) = peers();
        peers.heard(node, start);
        for second in 0..60 {
            let now = start + SECOND * second;
            peers.echo(now);
            peers.registered(&[(node, SECOND)], now);
            assert!(!peers.turns(now).contains(&Turn::Gone(node)));
        }
        let now = start + 60 * SECOND;
        peers.echo(now);
        peers.heard(node, now);
        assert_eq!(peers.turns(now), [Turn::Heard(node)]);
    }

    #[test]
    fn while_we_are_deaf_nobody_is_gone_and_everybody_gets_time_to_speak_afterwards() {
        let (peers, node, start) = peers();
        peers.heard(node, start);
        assert_eq!(peers.turns(start + 30 * SECOND), [Turn::Deaf, Turn::Unheard(node)]);
        peers.echo(start + 30 * SECOND);
        assert_eq!(peers.turns(start + 31 * SECOND), [Turn::Hearing], "it has not spoken yet");
        echo_until(&peers, start + 31 * SECOND, 12);
        assert_eq!(peers.turns(start + 41 * SECOND), [Turn::Gone(node)]);
    }
}
