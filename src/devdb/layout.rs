//! Names of the files of a private cluster, and the URLs that lead to it.
//! Everything lies in one data directory (callers keep files of their own beside): `cluster/` is
//! PostgreSQL's, `postgres.log` what it said, `launcher.lock` who started it, `socket/` the way in.
//! It must never make a socket path longer than the kernel allows. Look next in `launch.rs`.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::devdb::error::DevDbError;

/// The port is only a part of the socket's name; fixed, so that PGPORT cannot change it.
pub(super) const PORT: u16 = 5432;

/// One less than the smallest `sun_path` (macOS: 104 bytes with the closing zero).
const SOCKET_PATH_BYTES_MAX: usize = 103;

/// How the directories begin in which initdb works. Each launcher has one of its own: a part of the initdb of a launcher that
/// was killed may still be writing into another.
const UNFINISHED: &str = "cluster.unfinished.";

/// The paths of one cluster, all absolute and without links.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub data_dir: PathBuf,
    pub cluster_dir: PathBuf,
    /// Where initdb works; renamed to `cluster_dir` when complete, so that half a cluster is
    /// never taken for one.
    pub unfinished_dir: PathBuf,
    pub log: PathBuf,
    pub lock: PathBuf,
    pub socket_dir: PathBuf,
}

impl Layout {
    /// Names everything below `data_dir`, which exists; `socket_dir` overrides the usual place.
    pub fn new(data_dir: &Path, socket_dir: Option<&Path>, user_id: u32) -> Result<Self, DevDbError> {
        let data_dir = data_dir.canonicalize().map_err(DevDbError::io("find", data_dir))?;
        let beside = data_dir.join("socket");
        let socket_dir = match socket_dir {
            Some(given) => std::path::absolute(given).map_err(DevDbError::io("find", given))?,
            None if check_socket_dir(&beside).is_ok() => beside,
            None => short_socket_dir(&data_dir, user_id),
        };
        check_socket_dir(&socket_dir)?;
        Ok(Self {
            cluster_dir: data_dir.join("cluster"),
            unfinished_dir: data_dir.join(format!("{UNFINISHED}{}", std::process::id())),
            log: data_dir.join("postgres.log"),
            lock: data_dir.join("launcher.lock"),
            socket_dir,
            data_dir,
        })
    }

    /// What launchers that were interrupted left, this one's own included.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.data_dir).into_iter().flatten().flatten();
        let is_leftover = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with(UNFINISHED);
        entries.filter(is_leftover).map(|entry| entry.path()).collect()
    }

    /// The major version that made the existing data; `None` where there is none.
    pub fn data_major(&self) -> Option<u32> {
        let version = std::fs::read_to_string(self.cluster_dir.join("PG_VERSION")).ok()?;
        version.trim().split('.').next()?.parse().ok()
    }
}

/// The socket of a server in `socket_dir`.
pub(super) fn socket(socket_dir: &Path, port: u16) -> PathBuf {
    socket_dir.join(format!(".s.PGSQL.{port}"))
}

/// A URL for one role and database. TLS is off, because nobody can listen on a private socket.
pub(super) fn url(socket_dir: &Path, port: u16, role: &str, database: &str) -> String {
    format!(
        "postgres:///{}?host={}&port={port}&user={}&sslmode=disable",
        escape(database.as_bytes()),
        escape(socket_dir.as_os_str().as_bytes()),
        escape(role.as_bytes()),
    )
}

/// A URL for a Redis on a socket.
pub(super) fn redis_url(socket: &Path) -> String {
    format!("redis+unix://{}", escape(socket.as_os_str().as_bytes()))
}

/// Refuses a socket whose path is longer than the kernel allows.
pub(super) fn check_socket(socket: &Path) -> Result<(), DevDbError> {
    let length = socket.as_os_str().len();
    if length > SOCKET_PATH_BYTES_MAX {
        return Err(DevDbError::SocketPathTooLong { socket: socket.to_owned(), length });
    }
    Ok(())
}

fn check_socket_dir(socket_dir: &Path) -> Result<(), DevDbError> {
    check_socket(&socket(socket_dir, PORT))
}

/// A short place for data that lies deep. Another process need not guess it: a running server
/// tells its socket directory in `postmaster.pid`.
fn short_socket_dir(data_dir: &Path, user_id: u32) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    data_dir.hash(&mut hasher);
    PathBuf::from(format!("/tmp/parlour-{user_id}-{:016x}", hasher.finish()))
}

/// Percent-encodes all but the characters that are safe in every part of a URL.
fn escape(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => char::from(*byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_survives_odd_directories() {
        let url = url(Path::new("/tmp/a b&c"), PORT, "parlour_app", "parlour");
        assert_eq!(url, "postgres:///parlour?host=/tmp/a%20b%26c&port=5432&user=parlour_app&sslmode=disable");
        assert_eq!(redis_url(Path::new("/tmp/a b#c/redis.1f")), "redis+unix:///tmp/a%20b%23c/redis.1f");
    }

    #[test]
    fn a_deep_data_directory_gets_a_short_socket() {
        let deep = std::env::temp_dir().join(format!("parlour-deep-{}", std::process::id())).join("d".repeat(110));
        std::fs::create_dir_all(&deep).unwrap();
        let layout = Layout::new(&deep, None, 7).unwrap();
        let given = Layout::new(&deep, Some(&deep), 7);
        std::fs::remove_dir_all(deep.parent().unwrap()).unwrap();
        assert!(layout.socket_dir.starts_with("/tmp"));
        assert!(matches!(given, Err(DevDbError::SocketPathTooLong { .. })));
    }
}
