//! Faults in words: what each is called in a report, and what it hits. The numbers are those of docs/rig.md.

use crate::plan::{Kind, Link, Way};

/// What a fault is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its kind: `F1 kill node`.
    pub kind: &'static str,
    /// What it hits: `node 1`; empty where there is only one.
    pub target: String,
}

/// In words.
pub fn label(kind: &Kind) -> Label {
    let node = |number: &crate::history::Node| format!("node {}", number.0);
    let (kind, target) = match kind {
        Kind::KillNode(number) => ("F1 kill node", node(number)),
        Kind::StopNode(number) => ("F2 freeze node", node(number)),
        Kind::RestartNode(number) => ("F3 restart node", node(number)),
        Kind::KillPostgres => ("F4 kill PostgreSQL", String::new()),
        Kind::KillBackend => ("F5 kill backend", String::new()),
        Kind::StopPostgres => ("F6 freeze PostgreSQL", String::new()),
        Kind::KillRedis => ("F7 kill Redis", String::new()),
        Kind::StopRedis => ("F8 freeze Redis", String::new()),
        Kind::FlushRedis => ("F9 empty Redis", String::new()),
        Kind::Blackhole(link, Way::Out) => ("F10 black hole", format!("{}, out", between(*link))),
        Kind::Blackhole(link, Way::Back) => ("F10 black hole", format!("{}, back", between(*link))),
        Kind::Stall(link) => ("F11 stalled link", between(*link)),
        Kind::Reset(link) => ("F12 reset link", between(*link)),
        Kind::Slice(link) => ("F13 sliced link", between(*link)),
        Kind::Slow(link) => ("F14 slow link", between(*link)),
        Kind::Skew(number, seconds) => ("F16 wrong clock", format!("node {}, {seconds:+} s", number.0)),
        Kind::LazyClients => ("F17 lazy clients", String::new()),
        Kind::LockTables => ("F18 locked tables", String::new()),
        Kind::EndRights => ("F21 rights end", String::new()),
        Kind::LyingBus(number) => ("F23 lying bus", node(number)),
    };
    Label { kind, target }
}

fn between(link: Link) -> String {
    match link {
        Link::Clients(node) => format!("clients–node {}", node.0),
        Link::Redis(node) => format!("node {}–Redis", node.0),
        Link::Postgres(node) => format!("node {}–PostgreSQL", node.0),
    }
}

#[cfg(test)]
mod tests {
    use super::label;
    use crate::history::Node;
    use crate::plan::{Kind, Link, Way};

    #[test]
    fn a_fault_is_told_by_kind_and_target() {
        let told = |kind: Kind| {
            let label = label(&kind);
            format!("{}: {}", label.kind, label.target)
        };
        assert_eq!(told(Kind::KillNode(Node(1))), "F1 kill node: node 1");
        assert_eq!(told(Kind::Blackhole(Link::Redis(Node(2)), Way::Back)), "F10 black hole: node 2–Redis, back");
        assert_eq!(told(Kind::Skew(Node(0), -600)), "F16 wrong clock: node 0, -600 s");
    }
}
