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

    /// The packages with bare-metal programs: `bare-metal` in `[workspace.metadata.tessera]` of
    /// the workspace's `Cargo.toml`.
    pub fn bare_metal(&self) -> Result<Vec<String>> {
        let path = self.root.join("Cargo.toml");
        let listed = listed(&path).map_err(|error| Failure::io("read", &path, &error))?;
        listed.ok_or_else(|| {
            let cause = format!("{} does not list the bare-metal packages", path.display());
            Failure::image(cause, "restore Cargo.toml from the repository")
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

    /// The commit that is checked out; its first 34 digits and `-dirty` where tracked files
    /// differ from it, so that it is never longer than 40; `unknown` without git.
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
        match changed {
            Some(text) if text.is_empty() => commit.trim().to_owned(),
            _ => format!("{:.34}-dirty", commit.trim()),
        }
    }
}

/// True for a folder whose `Cargo.toml` lists our bare-metal packages.
fn is_ours(folder: &Path) -> bool {
    listed(&folder.join("Cargo.toml")).is_ok_and(|packages| packages.is_some())
}

/// `bare-metal` in `[workspace.metadata.tessera]`, if the file has it.
fn listed(path: &Path) -> std::io::Result<Option<Vec<String>>> {
    let table = fs::read_to_string(path)?.parse::<toml::Table>().ok();
    Ok(table.and_then(|table| {
        let list = table.get("workspace")?.get("metadata")?.get("tessera")?;
        list.get("bare-metal")?.clone().try_into().ok()
    }))
}
