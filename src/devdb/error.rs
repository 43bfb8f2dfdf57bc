//! Everything that can go wrong with the private servers, each with what to do next.
//! The reader is somebody who typed one command on a fresh machine: a message names the file, the
//! user and the command, and quotes the server's own words instead of "timed out".
//! Look next in `cluster.rs`, where most of them are raised.

use std::path::PathBuf;

use thiserror::Error;

/// Why a private server could not be found, started, reached or stopped.
#[derive(Debug, Error)]
pub enum DevDbError {
    /// Neither `HOME` nor `XDG_DATA_HOME` is set.
    #[error(
        "no place for the development database: neither HOME nor XDG_DATA_HOME is set; set one of them or name a data directory"
    )]
    NoHome,

    /// No pair of `initdb` and `postgres` ran.
    #[error(
        "no working PostgreSQL programs (initdb, postgres) in PATH or where packages put them{rejected}\ninstall them with `bin/dev`, or by hand: `apt-get install postgresql` (Debian, Ubuntu), `brew install postgresql@17` (macOS)"
    )]
    ProgramsMissing {
        /// One line for each program that exists but does not run, each on a new line.
        rejected: String,
    },

    /// The data directory was made by another major version than the programs found.
    #[error(
        "{data_dir} was made by PostgreSQL {data_major}, but only {found} is installed; install PostgreSQL {data_major}, or throw the development data away with `parlour dev --reset`, or move it with pg_dump before"
    )]
    MajorMismatch {
        /// The data directory.
        data_dir: PathBuf,
        /// What its `PG_VERSION` says.
        data_major: u32,
        /// The majors of the programs that run here.
        found: String,
    },

    /// The user the programs would run as is not in the user database.
    #[error(
        "PostgreSQL's programs cannot run as {user}: no such user in the user database; add one (`useradd --system parlour`) or run as another user"
    )]
    UserUnknown {
        /// A name or a number.
        user: String,
    },

    /// Root found nobody to run the programs as.
    #[error("PostgreSQL refuses to run as root, and neither `postgres` nor `nobody` exists; run as a normal user")]
    NobodyToRunAs,

    /// The unprivileged user cannot enter the directory.
    #[error(
        "{directory} cannot be entered by user {user}, as whom PostgreSQL runs (root may not run it); name a directory outside private homes, such as /var/lib/parlour"
    )]
    Unreachable {
        /// The directory that should hold the cluster.
        directory: PathBuf,
        /// Who was refused.
        user: String,
    },

    /// A file or directory exists and belongs to somebody else.
    #[error("{path} belongs to user id {owner}, not to {user}; run as its owner, or name another directory")]
    Foreign {
        /// What is in the way.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who would have to own it.
        user: String,
    },

    /// The kernel allows about a hundred bytes for the name of a Unix socket.
    #[error(
        "the socket path {socket} is {length} bytes long and a Unix socket allows 103; name a shorter socket directory"
    )]
    SocketPathTooLong {
        /// The path that would be needed.
        socket: PathBuf,
        /// Its length.
        length: usize,
    },

    /// `initdb` failed.
    #[error("initdb failed ({status}); the end of {log}:\n{tail}")]
    Initdb {
        /// How it ended.
        status: String,
        /// The whole story.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },

    /// No `redis-server` ran.
    #[error(
        "redis-server is missing: no working one of version 6 or newer in PATH or where packages put it{rejected}\n`bin/dev --nodes 2` installs it, or by hand: `apt-get install redis-server` (Debian, Ubuntu), `brew install redis` (macOS)"
    )]
    RedisMissing {
        /// One line for each program that exists but does not do, each on a new line.
        rejected: String,
    },

    /// Another process has a private Redis here.
    #[error("{data_dir} has a private Redis of another process; stop that process, or name another directory")]
    RedisHeld {
        /// The data directory.
        data_dir: PathBuf,
    },

    /// A server ended before it was ready.
    #[error("{program} ended while starting ({status}); the end of {log}:\n{tail}")]
    EndedEarly {
        /// Which.
        program: &'static str,
        /// How it ended.
        status: String,
        /// The whole story.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },

    /// A server runs but does not answer.
    #[error(
        "{program} was not ready after {waited_s} s; it may still be at work, so try again; the end of {log}:\n{tail}"
    )]
    NotReady {
        /// Which.
        program: &'static str,
        /// How long we waited.
        waited_s: u64,
        /// The whole story.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },

    /// Another process starts or stops this cluster and never finishes.
    #[error(
        "{data_dir} is held by another process{holder} whose database does not answer; stop that process and try again"
    )]
    Held {
        /// The data directory.
        data_dir: PathBuf,
        /// " (postgres is process N)" when known.
        holder: String,
    },

    /// A running cluster forgets commits on a crash, and a durable one was asked for.
    #[error(
        "{data_dir} is running with relaxed durability (fsync off), and a durable cluster was asked for; stop its owner first"
    )]
    RelaxedRunning {
        /// The data directory.
        data_dir: PathBuf,
    },

    /// The postmaster outlived its stop.
    #[error("postgres (process {pid}) did not stop; end it with `kill -QUIT {pid}`")]
    DidNotStop {
        /// The postmaster.
        pid: u32,
    },

    /// The operating system refused something.
    #[error("could not {doing} {path}: {source}; check that it exists and its permissions")]
    Io {
        /// A verb, such as "create".
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl DevDbError {
    /// Adds what was being done, and to what, to an operating-system error.
    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}
