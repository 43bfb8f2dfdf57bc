//! The scratch copy of the sources in which mutants are built: what building the server needs, and one patch.
//!
//! Nothing outside its directory is ever written. Only files that differ are, so that from one mutant to the next the
//! compiler has little to do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

/// What building the server needs, besides what is found missing by the build itself. The rig and its kit are members of the
/// workspace, which cargo reads whole.
const NEEDED: [&str; 11] = [
    "Cargo.toml",
    "Cargo.lock",
    "build.rs",
    ".cargo",
    ".sqlx",
    "migrations",
    "protocol",
    "src",
    "tests/kit",
    "tests/rig",
    "web",
];
/// Directories that hold what is made, not what it is made of.
const MADE: [&str; 4] = ["node_modules", "target", "e2e", ".git"];

/// The scratch copy.
#[derive(Debug)]
pub struct Scratch {
    root: PathBuf,
    directory: PathBuf,
}

impl Scratch {
    /// Of the sources at `root`, below a directory that holds nothing else.
    pub fn new(root: &Path, directory: &Path) -> Self {
        Self { root: root.to_owned(), directory: directory.to_owned() }
    }

    /// Where everything about mutants is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes the copy equal to the sources but for these files.
    ///
    /// # Errors
    /// When something cannot be read or written.
    pub fn set(&self, changed: &BTreeMap<PathBuf, String>) -> std::io::Result<()> {
        let copy = self.directory.join("src");
        let wanted = files(&self.root)?;
        for path in files(&copy)?.difference(&wanted) {
            std::fs::remove_file(copy.join(path))?;
        }
        for path in &wanted {
            let bytes = match changed.get(path) {
                Some(text) => text.clone().into_bytes(),
                None => std::fs::read(self.root.join(path))?,
            };
            let to = copy.join(path);
            if std::fs::read(&to).is_ok_and(|there| there == bytes) {
                continue;
            }
            std::fs::create_dir_all(to.parent().unwrap_or(&copy))?;
            std::fs::write(to, bytes)?;
        }
        Ok(())
    }

    /// Builds the server from the copy; the program. It stays until the next build.
    ///
    /// # Errors
    /// When it does not build; what the compiler said is in the file named.
    pub async fn build(&self, name: &str) -> std::io::Result<PathBuf> {
        let target = self.directory.join("target");
        let said = self.directory.join(format!("{name}.build.log"));
        let log = std::fs::File::create(&said)?;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["build", "--quiet", "--package", "parlour", "--bin", "parlour"])
            .current_dir(self.directory.join("src"))
            .env("CARGO_TARGET_DIR", &target)
            .env("SQLX_OFFLINE", "true")
            .stdin(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .status()
            .await?;
        if !status.success() {
            return Err(std::io::Error::other(format!("{name} does not build: {}", said.display())));
        }
        Ok(target.join("debug/parlour"))
    }
}

/// The paths of the files needed under a root, those there are.
fn files(root: &Path) -> std::io::Result<std::collections::BTreeSet<PathBuf>> {
    let mut found = std::collections::BTreeSet::new();
    let mut open: Vec<PathBuf> = NEEDED.iter().map(PathBuf::from).collect();
    while let Some(path) = open.pop() {
        let Ok(about) = std::fs::symlink_metadata(root.join(&path)) else { continue };
        if about.is_file() {
            found.insert(path);
        } else if about.is_dir() && !path.file_name().is_some_and(|name| MADE.iter().any(|made| name == *made)) {
            for entry in std::fs::read_dir(root.join(&path))? {
                open.push(path.join(entry?.file_name()));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_follows_the_sources_and_touches_only_what_differs() {
        let root = std::env::temp_dir().join(format!("parlour-rig-sources-{}", std::process::id()));
        for (path, text) in [("src/a.rs", "a"), ("src/b.rs", "b"), ("web/node_modules/x.js", "x"), ("docs/d.md", "d")] {
            std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            std::fs::write(root.join(path), text).unwrap();
        }
        let scratch = Scratch::new(&root, &root.join("target/mutants"));
        let copy = scratch.directory().join("src");
        let read = |path: &str| std::fs::read_to_string(copy.join(path)).ok();
        scratch.set(&BTreeMap::from([(PathBuf::from("src/b.rs"), "bug".to_owned())])).unwrap();
        assert_eq!([read("src/a.rs"), read("src/b.rs")], [Some("a".to_owned()), Some("bug".to_owned())]);
        assert_eq!([read("web/node_modules/x.js"), read("docs/d.md")], [None, None]);
        let written = || std::fs::metadata(copy.join("src/a.rs")).unwrap().modified().unwrap();
        let before = written();
        std::fs::remove_file(root.join("src/b.rs")).unwrap();
        scratch.set(&BTreeMap::new()).unwrap();
        assert_eq!((read("src/b.rs"), written()), (None, before));
        std::fs::remove_dir_all(root).unwrap();
    }
}
