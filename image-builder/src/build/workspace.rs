//! Where the sources are, and where bare-metal results go.

use crate::{Failure, Result, setup::Host};
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The project's own source tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// The folder with the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// Cargo's folder for bare-metal packages.
    pub target: PathBuf,
}

impl Workspace {
    /// The tree around the current folder, or else the one that this program was built from.
    pub fn find(host: &Host) -> Result<Self> {
        let here = std::env::current_dir().ok();
        let around = here.as_deref().into_iter().flat_map(Path::ancestors);
        let origin = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
        let root = around
            .chain(origin)
            .find(|folder| is_ours(folder))
            .ok_or_else(|| {
                let cause =
                    "the sources of Tessera are neither here nor where this program was built";
                Failure::user(cause, "run `tessera` inside a clone of the repository")
            })?;
        let base = match host.var("CARGO_TARGET_DIR") {
            Some(folder) => std::path::absolute(folder).unwrap_or_else(|_| folder.into()),
            None => root.join("target"),
        };
        Ok(Self {
            root: root.to_owned(),
            target: base.join("bare"),
        })
    }

    /// SHA-256 of `Cargo.lock` in hexadecimal, for the manifest.
    pub fn lock_sha256(&self) -> Result<String> {
        let path = self.root.join("Cargo.lock");
        let bytes = fs::read(&path).map_err(|error| Failure::io("read", &path, &error))?;
        Ok(Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect())
    }

    /// The commit that is checked out, with `-dirty` where tracked files differ from it;
    /// `unknown` without git.
    pub fn commit(&self, host: &Host) -> String {
        let git = |args: &[&str]| {
            let mut command = host.command(host.find("git")?);
            let output = command.current_dir(&self.root).args(args).output().ok()?;
            output
                .status
                .success()
                .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let Some(commit) = git(&["rev-parse", "HEAD"]) else {
            return "unknown".to_owned();
        };
        let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
        let mark = if changed.is_some_and(|text| !text.is_empty()) {
            "-dirty"
        } else {
            ""
        };
        format!("{}{mark}", commit.trim())
    }
}

fn is_ours(folder: &Path) -> bool {
    folder.join("Cargo.toml").is_file()
        && folder.join("image-builder/Cargo.toml").is_file()
        && folder.join("kernel/paravisor").is_dir()
}
