//! The machine we run on, as data, so that tests can plug in another one.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs,
    io::IsTerminal,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

/// Environment, file system root and privileges. Nothing else is read from the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The environment that every child gets, and where `PATH` is looked up.
    pub env: BTreeMap<OsString, OsString>,
    /// `/` except in tests: where Debian's files are looked for.
    pub root: PathBuf,
    /// True when a person can answer a question.
    pub interactive: bool,
    /// The effective user, 0 for root.
    pub uid: u32,
}

impl Host {
    /// This process's machine.
    pub fn current() -> Self {
        let interactive = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        let uid = fs::metadata("/proc/self").map_or(u32::MAX, |meta| meta.uid());
        Self {
            env: std::env::vars_os().collect(),
            root: "/".into(),
            interactive,
            uid,
        }
    }

    /// An environment variable that is set and not empty.
    pub fn var(&self, name: &str) -> Option<&OsStr> {
        self.env
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// The first executable called `name` on this host's `PATH`.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        let path = self.var("PATH")?;
        std::env::split_paths(path)
            .map(|dir| dir.join(name))
            .find(|file| is_executable(file))
    }

    /// `path`, which is absolute, below this host's root.
    pub fn file(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A command with this host's environment and nothing else.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.env);
        command
    }

    /// What `program args` prints; `None` when it fails or prints something that is not text.
    pub fn ask(&self, program: &Path, args: &[&str]) -> Option<String> {
        let output = self.command(program).args(args).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim_end().to_owned())
    }

    /// The folder that caches survive in: `$XDG_CACHE_HOME/tessera` or `~/.cache/tessera`.
    pub fn cache(&self) -> Option<PathBuf> {
        let xdg = self
            .var("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|dir| dir.is_absolute());
        let base = xdg.or_else(|| self.var("HOME").map(|home| Path::new(home).join(".cache")))?;
        Some(base.join("tessera"))
    }

    /// True on Debian, Ubuntu and what is derived from them, when `apt-get` exists.
    pub fn has_apt(&self) -> bool {
        let release = fs::read_to_string(self.file("/etc/os-release")).unwrap_or_default();
        let ids = release.lines().filter_map(|line| {
            line.strip_prefix("ID=")
                .or_else(|| line.strip_prefix("ID_LIKE="))
        });
        let debian = ids
            .flat_map(|value| value.trim_matches('"').split_whitespace())
            .any(|id| id == "debian" || id == "ubuntu");
        debian && self.find("apt-get").is_some()
    }
}

/// True for a regular file that somebody may execute; links are followed.
pub fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
