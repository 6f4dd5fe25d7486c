//! A pretended machine: scripts on PATH, a root folder, and a log of what was called.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tempfile::TempDir;
use tessera_image_builder::setup::Host;

/// Held by the machine that exists: a script that is being written while another thread forks
/// could not be started ("text file busy").
static ONE: Mutex<()> = Mutex::new(());

/// The machine; its files go when it is dropped.
pub struct Machine {
    folder: TempDir,
    /// What the library sees.
    pub host: Host,
    _one: MutexGuard<'static, ()>,
}

impl Machine {
    /// Nothing installed, user 0, nobody to ask.
    pub fn bare() -> Self {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        for name in ["bin", "root", "home"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let at = |name: &str| folder.path().join(name).into_os_string();
        let host = Host {
            env: BTreeMap::from([
                ("PATH".into(), at("bin")),
                ("HOME".into(), at("home")),
                ("BASE".into(), folder.path().into()),
            ]),
            root: folder.path().join("root"),
            interactive: false,
            uid: 0,
        };
        Self {
            folder,
            host,
            _one: one,
        }
    }

    /// Adds a rustup user's Rust `version` and a good QEMU.
    pub fn with_rust(version: &str) -> Self {
        let machine = Self::bare();
        machine.script("cargo", &format!("echo 'cargo {version}'"));
        let rustc = "case \"$*\" in '--print sysroot') echo $BASE/sys;;";
        machine.script(
            "rustc",
            &format!("{rustc} *) echo 'rustc {version}';; esac"),
        );
        machine.script("qemu-system-x86_64", "echo 'QEMU emulator version 7.2.22'");
        let lld = "sys/lib/rustlib/x86_64-unknown-linux-gnu/bin";
        fs::create_dir_all(machine.path(lld)).unwrap();
        machine.executable(&format!("{lld}/rust-lld"), "#!/bin/sh\n");
        machine
    }

    /// Makes it a Debian whose `apt-get` runs `body`.
    pub fn debian(self, body: &str) -> Self {
        fs::create_dir_all(self.path("root/etc")).unwrap();
        fs::write(self.path("root/etc/os-release"), "ID=debian\n").unwrap();
        self.script("apt-get", body);
        self
    }

    /// Adds a `rustup` that runs `body`.
    pub fn rustup(self, body: &str) -> Self {
        self.script("rustup", body);
        self
    }

    /// Sets a variable.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.host.env.insert(name.into(), value.into());
        self
    }

    /// A program on PATH; `rustup`, `apt-get` and `sudo` log their calls.
    pub fn script(&self, name: &str, body: &str) {
        let log = "echo \"${0##*/} $*\" >> $BASE/log\n";
        let acts = ["rustup", "apt-get", "sudo"].contains(&name);
        let head = if acts { log } else { "" };
        self.executable(
            &format!("bin/{name}"),
            &format!("#!/bin/sh\n{head}{body}\n"),
        );
    }

    /// What was called, one call a line.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn executable(&self, name: &str, text: &str) {
        let path: &Path = &self.path(name);
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}
