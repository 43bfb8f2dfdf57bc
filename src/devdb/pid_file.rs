//! Reads `postmaster.pid`, where a running server says who and where it is and whether it is
//! ready. It must never be believed alone: a killed server leaves its last words behind.
//! Look next in `cluster.rs`, which asks the process table and the socket as well.

use std::path::{Path, PathBuf};

/// What the server wrote about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PidFile {
    pub pid: u32,
    pub port: Option<u16>,
    pub socket_dir: Option<PathBuf>,
    pub ready: bool,
}

impl PidFile {
    /// The file of the cluster in `cluster_dir`; `None` when there is none, or only its beginning.
    pub fn read(cluster_dir: &Path) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(Self::path(cluster_dir)).ok()?)
    }

    /// Where the file lies.
    pub fn path(cluster_dir: &Path) -> PathBuf {
        cluster_dir.join("postmaster.pid")
    }

    /// Lines: pid, data directory, start time, port, socket directory, TCP address, shared memory
    /// key, status. The later ones appear while the server starts.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        // A server in single-user mode writes its number negative.
        let pid: i64 = lines.next()?.trim().parse().ok()?;
        let mut rest = lines.skip(2);
        let port = rest.next().and_then(|line| line.trim().parse().ok());
        let socket_dir = rest.next().map(str::trim).filter(|line| !line.is_empty());
        let status = rest.nth(2);
        Some(Self {
            pid: u32::try_from(pid.unsigned_abs()).ok()?,
            port,
            socket_dir: socket_dir.map(PathBuf::from),
            ready: status.is_some_and(|line| line.trim() == "ready"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_file_and_each_of_its_beginnings_are_understood() {
        let whole = "31\n/d/cluster\n1700000000\n5432\n/d/socket\n\n  1047  7\nready   \n";
        let read = PidFile::parse(whole).unwrap();
        assert_eq!(read.pid, 31);
        assert_eq!(read.port, Some(5432));
        assert_eq!(read.socket_dir, Some(PathBuf::from("/d/socket")));
        assert!(read.ready);
        for end in 0..whole.len() - "y   \n".len() {
            if let Some(part) = PidFile::parse(&whole[..end]) {
                assert!(!part.ready, "{:?} is not ready", &whole[..end]);
            }
        }
        assert_eq!(PidFile::parse("-77\n").unwrap().pid, 77);
        assert_eq!(PidFile::parse("gibberish"), None);
    }
}
