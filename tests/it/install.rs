//! What `bin/dev` and `bin/test` do on a machine that lacks PostgreSQL or Redis: a made-up machine, whose
//! PATH holds a handful of tools and an `apt-get` that writes down what it is asked.
//! It must never reach the real package manager. Look next in `bin/lib.sh`.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is their report")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The tools of a bare machine that the script may use.
const TOOLS: [&str; 12] =
    ["sh", "env", "sed", "grep", "cat", "chmod", "dirname", "uname", "head", "mkdir", "ln", "readlink"];

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
             *redis-server) readlink {root}/systemd/redis-server.service >{root}/unit-then\n\
             echo \"#!/bin/sh\necho 'Redis server v=7.0.15 sha=0'\" >{bin}/redis-server\n\
             chmod +x {bin}/redis-server;;\n\
             esac"
        );
        self.program("apt-get", &script);
        self
    }

    fn run(&self, command: &str) -> Output {
        let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("bin/lib.sh");
        let script = format!(
            "set -eu; root={0}; . {1}; postgres_dirs=; createcluster_conf={0}/conf\n\
             redis_unit={0}/systemd/redis-server.service; {command}",
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

#[test]
fn redis_is_installed_with_its_service_masked_before_and_only_once() {
    let machine = Machine::new("redis", 0).with_apt_get();
    let done = machine.run("need_redis; need_redis");
    assert!(done.status.success(), "{}", words(&done));
    assert!(done.stdout.is_empty(), "stdout is the command's own");
    assert_eq!(machine.read("asked"), "update -q\ninstall -y -q --no-install-recommends redis-server\n");
    assert_eq!(machine.read("unit-then"), "/dev/null\n", "the service was masked when the package came");
    assert!(words(&done).contains("systemctl unmask redis-server"), "how to undo it is said");
}

#[test]
fn somebodys_own_choice_about_the_redis_service_stands() {
    let machine = Machine::new("redis-unit", 0).with_apt_get();
    let unit = machine.root.join("systemd/redis-server.service");
    std::fs::create_dir(unit.parent().unwrap()).unwrap();
    std::fs::write(&unit, "[Service]\n").unwrap();
    assert!(machine.run("need_redis").status.success());
    assert_eq!(std::fs::read_to_string(&unit).unwrap(), "[Service]\n");
}

#[test]
fn without_rights_the_lines_for_redis_are_printed_and_nothing_is_touched() {
    let machine = Machine::new("redis-user", 1234).with_apt_get();
    let refused = machine.run("need_redis");
    assert_eq!(refused.status.code(), Some(1));
    let said = words(&refused);
    assert!(
        said.contains("sudo ln -s /dev/null ") && said.contains("install -y --no-install-recommends redis-server\n")
    );
    assert_eq!(machine.read("asked"), "");
    assert!(!machine.root.join("systemd").exists());
}

#[test]
fn an_old_redis_does_not_count() {
    let machine = Machine::new("redis-old", 1234);
    machine.program("redis-server", "echo 'Redis server v=5.0.14 sha=0'");
    assert!(!machine.run("redis_works").status.success());
    machine.program("redis-server", "echo 'Valkey server v=8.1.4 sha=0'");
    assert!(machine.run("redis_works").status.success());
    std::fs::remove_file(machine.bin().join("redis-server")).unwrap();
    assert!(!machine.run("redis_works").status.success());
}

#[test]
fn only_several_nodes_need_redis() {
    let machine = Machine::new("nodes", 1234);
    let script = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/bin/dev")).unwrap();
    let (_, rest) = script.split_once("wants_nodes() {").unwrap();
    let (body, _) = rest.split_once("\n}\n").unwrap();
    let asks = |arguments: &str| {
        let asked = machine.run(&format!("wants_nodes() {{{body}\n}}\nwants_nodes {arguments}"));
        asked.status.success()
    };
    for several in ["--nodes 2", "--nodes=2", "--json --nodes 4 --port 0"] {
        assert!(asks(several), "{several}");
    }
    for one in ["", "--json", "--nodes 1", "--nodes=1", "--port 2", "--nodes"] {
        assert!(!asks(one), "{one}");
    }
}
