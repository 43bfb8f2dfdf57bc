//! What `bin/dev` and `bin/test` do on a machine that lacks PostgreSQL: a made-up machine, whose
//! PATH holds a handful of tools and an `apt-get` that writes down what it is asked.
//! It must never reach the real package manager. Look next in `bin/lib.sh`.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is their report")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The tools of a bare machine that the script may use.
const TOOLS: [&str; 9] = ["sh", "env", "sed", "grep", "cat", "chmod", "dirname", "uname", "head"];

struct Machine {
    root: PathBuf,
}

impl Machine {
    /// `user_id` is what `id -u` answers: 0 may install, others have no sudo.
    fn new(name: &str, user_id: u32) -> Self {
        let root = std::env::temp_dir().join(format!("parlour-install-{name}-{}", std::process::id()));
        let machine = Self { root };
        std::fs::create_dir_all(machine.bin()).unwrap();
        for tool in TOOLS {
            let real = ["/bin", "/usr/bin"].map(|dir| Path::new(dir).join(tool));
            let real = real.iter().find(|path| path.exists()).unwrap();
            std::os::unix::fs::symlink(real, machine.bin().join(tool)).unwrap();
        }
        machine.program("id", &format!("[ \"$1\" = -un ] && echo somebody || echo {user_id}"));
        machine
    }

    fn bin(&self) -> PathBuf {
        self.root.join("bin")
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.bin().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// An apt-get that notes its words, the setting as it stands then, and installs the programs.
    fn with_apt_get(self) -> Self {
        let (bin, root) = (self.bin(), self.root.clone());
        let (bin, root) = (bin.display(), root.display());
        let script = format!(
            "echo \"$*\" >>{root}/asked; echo chatter of apt-get\n\
             case \"$*\" in\n\
             *postgresql) cat {root}/conf >{root}/conf-then\n\
             for p in initdb postgres; do\n\
             echo \"#!/bin/sh\necho '$p (PostgreSQL) 15.9'\" >{bin}/$p; chmod +x {bin}/$p; done;;\n\
             esac"
        );
        self.program("apt-get", &script);
        self
    }

    fn run(&self, command: &str) -> Output {
        let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("bin/lib.sh");
        let script = format!(
            "set -eu; root={0}; . {1}; postgres_dirs=; createcluster_conf={0}/conf; {command}",
            self.root.display(),
            lib.display()
        );
        Command::new("/bin/sh").args(["-c", &script]).env_clear().env("PATH", self.bin()).output().unwrap()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.root.join(name)).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn postgres_is_installed_without_a_cluster_of_debians_and_only_once() {
    let machine = Machine::new("root", 0).with_apt_get();
    std::fs::write(machine.root.join("conf"), "#create_main_cluster = true\n").unwrap();
    let first = machine.run("need_postgres; need_postgres; postgres_bin");
    assert!(first.status.success(), "{}", words(&first));
    let asked: Vec<String> = machine.read("asked").lines().map(str::to_owned).collect();
    let install = "install -y -q --no-install-recommends";
    assert_eq!(
        asked,
        ["update -q".to_owned(), format!("{install} postgresql-common"), format!("{install} postgresql")]
    );
    let then = machine.read("conf-then");
    assert!(then.lines().any(|line| line == "create_main_cluster = false"), "{then}");
    // stdout is the command's own, for `bin/dev --json`.
    assert_eq!(String::from_utf8_lossy(&first.stdout).trim(), machine.bin().to_string_lossy());
    assert!(words(&first).contains("chatter of apt-get"));
}

#[test]
fn without_rights_the_line_to_run_is_printed_and_nothing_is_touched() {
    let machine = Machine::new("user", 1234).with_apt_get();
    let refused = machine.run("need_postgres");
    assert_eq!(refused.status.code(), Some(1));
    let said = words(&refused);
    assert!(said.contains("sudo apt-get install -y --no-install-recommends postgresql\n"), "{said}");
    assert!(said.contains("create_main_cluster = false"), "{said}");
    assert_eq!(machine.read("asked"), "");
}

#[test]
fn programs_that_do_not_run_do_not_count() {
    let machine = Machine::new("dangling", 1234);
    std::os::unix::fs::symlink("/nonexistent/initdb", machine.bin().join("initdb")).unwrap();
    machine.program("postgres", "echo 'postgres (PostgreSQL) 15.9'");
    assert!(!machine.run("postgres_bin").status.success());
    std::fs::remove_file(machine.bin().join("initdb")).unwrap();
    machine.program("initdb", "echo 'initdb (PostgreSQL) 15.9'");
    assert!(machine.run("postgres_bin").status.success());
    let without_package_manager = Machine::new("bare", 0).run("need_postgres");
    assert_eq!(without_package_manager.status.code(), Some(1));
}

#[test]
fn a_missing_compiler_is_installed_with_apt_get() {
    let machine = Machine::new("cc", 0).with_apt_get();
    let done = machine.run("need_c_compiler");
    assert!(done.status.success(), "{}", words(&done));
    assert!(machine.read("asked").contains("build-essential"));
}
