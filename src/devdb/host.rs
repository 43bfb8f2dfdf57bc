//! What the private cluster needs to know about the machine and the person in front of it.
//! Collected once, through a lookup handed in by the caller, because only the assembly floor
//! reads the environment; tests build their own [`Host`] and so pretend to be other machines.
//! Look next in `programs.rs` and `account.rs`, which use it.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::devdb::error::DevDbError;
use crate::devdb::programs;

/// The parts of the surroundings that decide which programs run, as whom, and where data lives.
#[derive(Clone, Debug)]
pub struct Host {
    /// Effective user id of this process; 0 means the programs run as somebody else.
    pub user_id: u32,
    /// `SUDO_UID`: whose terminal it is when this process became root through sudo.
    pub sudo_user_id: Option<u32>,
    /// The directories of `PATH`, in order.
    pub search_path: Vec<PathBuf>,
    /// Where packages put PostgreSQL besides `PATH`.
    pub program_dirs: Vec<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `XDG_DATA_HOME`, when it is an absolute path.
    pub data_home: Option<PathBuf>,
}

impl Host {
    /// Observes the machine; `variable` reads one environment variable, usually
    /// `|name| std::env::var_os(name)`.
    pub fn observe(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let directory = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let search_path = variable("PATH").unwrap_or_default();
        Self {
            user_id: rustix::process::geteuid().as_raw(),
            sudo_user_id: variable("SUDO_UID").and_then(|id| id.to_str().and_then(|id| id.parse().ok())),
            search_path: std::env::split_paths(&search_path).collect(),
            program_dirs: programs::package_directories(),
            home: directory("HOME"),
            data_home: directory("XDG_DATA_HOME"),
        }
    }

    /// Whether this process is root, for whom PostgreSQL's programs refuse to run.
    pub fn is_root(&self) -> bool {
        self.user_id == 0
    }

    /// Where the development data lives unless somebody says otherwise: `/var/lib/parlour` for
    /// root (a directory below a private home is closed to the unprivileged programs), else
    /// `$XDG_DATA_HOME/parlour` or `~/.local/share/parlour`.
    pub fn default_data_dir(&self) -> Result<PathBuf, DevDbError> {
        if self.is_root() {
            return Ok(PathBuf::from("/var/lib/parlour"));
        }
        let base = self.data_home.clone();
        base.or_else(|| Some(self.home.as_ref()?.join(".local/share")))
            .map(|base| base.join("parlour"))
            .ok_or(DevDbError::NoHome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(user_id: u32, variables: &[(&str, &str)]) -> Host {
        let mut host = Host::observe(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        });
        host.user_id = user_id;
        host
    }

    #[test]
    fn data_lives_where_the_programs_can_reach_it() {
        let root = host(0, &[("HOME", "/root")]);
        assert_eq!(root.default_data_dir().unwrap(), PathBuf::from("/var/lib/parlour"));
        let xdg = host(7, &[("HOME", "/home/a"), ("XDG_DATA_HOME", "/data")]);
        assert_eq!(xdg.default_data_dir().unwrap(), PathBuf::from("/data/parlour"));
        let relative = host(7, &[("HOME", "/home/a"), ("XDG_DATA_HOME", "data")]);
        assert_eq!(relative.default_data_dir().unwrap(), PathBuf::from("/home/a/.local/share/parlour"));
        assert!(matches!(host(7, &[]).default_data_dir(), Err(DevDbError::NoHome)));
    }
}
