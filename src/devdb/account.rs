//! As whom PostgreSQL's programs run: they refuse root, so root lends them an ordinary user.
//! Only users of the user database count, because initdb looks its own name up. It must never
//! run a program with root's groups: `Command::uid` clears them.
//! Look next in `launch.rs`, which runs everything through [`Account::command`].

use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::devdb::error::DevDbError;
use crate::devdb::host::Host;

/// Variables that would change what `initdb` and `postgres` do behind our back.
const POSTGRES_VARIABLES: [&str; 6] = ["PGDATA", "PGPORT", "PGHOST", "PGUSER", "PGDATABASE", "PGOPTIONS"];

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub name: String,
    pub user_id: u32,
    group_id: u32,
    /// Whether commands must change to this user first; only root can.
    change: bool,
}

impl Account {
    /// Chooses the user: ourselves, or for root the owner of data that exists already, the user
    /// behind sudo, `postgres`, `nobody`.
    pub fn choose(host: &Host, existing_data: &Path) -> Result<Self, DevDbError> {
        let owner = existing_data.metadata().ok().map(|found| found.uid());
        if !host.is_root() {
            let account = Self::look_up(&host.user_id.to_string(), false)?;
            return match owner {
                Some(owner) if owner != host.user_id => {
                    Err(DevDbError::Foreign { path: existing_data.to_owned(), owner, user: account.name })
                }
                _ => Ok(account),
            };
        }
        let chosen = owner.or(host.sudo_user_id).filter(|id| *id != 0);
        if let Some(id) = chosen {
            return Self::look_up(&id.to_string(), true);
        }
        ["postgres", "nobody"].iter().find_map(|name| Self::look_up(name, true).ok()).ok_or(DevDbError::NobodyToRunAs)
    }

    /// Asks `id`, which knows every kind of user database, for a name or a number.
    fn look_up(user: &str, change: bool) -> Result<Self, DevDbError> {
        let ask = |question: &str| -> Option<String> {
            let asked = Command::new("id").args([question, user]).output().ok()?;
            let answer = String::from_utf8(asked.stdout).ok()?;
            asked.status.success().then(|| answer.trim().to_owned()).filter(|answer| !answer.is_empty())
        };
        let find = || {
            Some(Self {
                name: ask("-un")?,
                user_id: ask("-u")?.parse().ok()?,
                group_id: ask("-g")?.parse().ok()?,
                change,
            })
        };
        find().ok_or_else(|| DevDbError::UserUnknown { user: user.to_owned() })
    }

    /// A command that runs as this user, from a directory everybody can enter, in a language and
    /// time zone that do not depend on the caller's.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for variable in POSTGRES_VARIABLES {
            command.env_remove(variable);
        }
        command.current_dir("/").env("LC_ALL", "C").env("TZ", "UTC").stdin(Stdio::null());
        if self.change {
            command.uid(self.user_id).gid(self.group_id);
        }
        command
    }

    /// Makes sure this user can enter `directory`, by trying.
    pub fn check_can_enter(&self, directory: &Path) -> Result<(), DevDbError> {
        let tried = self
            .command("test")
            .arg("-x")
            .arg(directory)
            .status()
            .map_err(DevDbError::io("try to enter", directory))?;
        if tried.success() {
            return Ok(());
        }
        Err(DevDbError::Unreachable { directory: directory.to_owned(), user: self.name.clone() })
    }

    /// Makes `directory` (its parent exists) if need be, for this user alone; refuses one that
    /// belongs to somebody else, which in /tmp could be a trap.
    pub fn own_private_directory(&self, directory: &Path) -> Result<(), DevDbError> {
        match std::fs::create_dir(directory) {
            Ok(()) if self.change => {
                std::os::unix::fs::chown(directory, Some(self.user_id), Some(self.group_id))
                    .map_err(DevDbError::io("give away", directory))?;
            }
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(DevDbError::io("create", directory)(error)),
        }
        let found = std::fs::symlink_metadata(directory).map_err(DevDbError::io("look at", directory))?;
        if !found.is_dir() || found.uid() != self.user_id {
            return Err(DevDbError::Foreign {
                path: directory.to_owned(),
                owner: found.uid(),
                user: self.name.clone(),
            });
        }
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))
            .map_err(DevDbError::io("close to others", directory))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_user_is_named_in_the_error() {
        let error = Account::look_up("parlour-no-such-user", true).unwrap_err();
        assert!(error.to_string().contains("parlour-no-such-user"));
    }

    #[test]
    fn root_lends_an_ordinary_user_and_prefers_the_one_behind_sudo() {
        let mut host = Host::observe(|_| None);
        host.user_id = 0;
        host.sudo_user_id = Some(65_534);
        let nowhere = Path::new("/nonexistent");
        match Account::choose(&host, nowhere) {
            Ok(account) => assert_eq!(account.user_id, 65_534),
            Err(error) => assert!(matches!(error, DevDbError::UserUnknown { .. })),
        }
        host.sudo_user_id = Some(0);
        let account = Account::choose(&host, nowhere).unwrap();
        assert!(["postgres", "nobody"].contains(&account.name.as_str()));
        assert_ne!(account.user_id, 0);
    }

    #[test]
    fn a_directory_of_somebody_else_is_refused() {
        let somebody =
            Account { name: "somebody".to_owned(), user_id: u32::MAX - 7, group_id: u32::MAX - 7, change: false };
        let directory = std::env::temp_dir().join(format!("parlour-own-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let refused = somebody.own_private_directory(&directory);
        std::fs::remove_dir(&directory).unwrap();
        assert!(matches!(refused, Err(DevDbError::Foreign { .. })));
    }
}
