//! The bare-metal programs, built by one cargo call of their own.

use super::{Workspace, flags};
use crate::{
    Failure, Result,
    progress::Step,
    setup::{TARGET, Toolchain},
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Paths of the built programs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Programs {
    by_package: BTreeMap<String, BTreeMap<String, PathBuf>>,
}

impl Programs {
    /// The only program of `package`.
    pub fn only(&self, package: &str) -> Result<&Path> {
        let programs = self.of(package);
        match (programs.len(), programs.values().next()) {
            (1, Some(path)) => Ok(path),
            (count, _) => Err(Failure::image(
                format!("package {package} has {count} programs, exactly one is expected"),
                "give the package one [[bin]] target",
            )),
        }
    }

    /// Every program of `package`, by name.
    pub fn of(&self, package: &str) -> BTreeMap<&str, &Path> {
        let programs = self.by_package.get(package).into_iter().flatten();
        programs
            .map(|(name, path)| (name.as_str(), path.as_path()))
            .collect()
    }
}

/// Builds the workspace's bare-metal packages in release into `workspace.target`.
pub fn programs(toolchain: &Toolchain, workspace: &Workspace, offline: bool) -> Result<Programs> {
    let packages = workspace.bare_metal()?;
    fetch(toolchain, workspace, offline)?;
    let mut step = Step::start(format!("building {}", packages.join(", ")));
    let mut command = toolchain.cargo();
    command
        .current_dir(&workspace.root)
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            flags::encoded(toolchain, workspace),
        )
        .args([
            "build",
            "--release",
            "--locked",
            "--offline",
            "--bins",
            "--quiet",
        ])
        .args([
            "--message-format",
            "json-render-diagnostics",
            "--target",
            TARGET,
        ])
        .arg("--target-dir")
        .arg(&workspace.target)
        .args(packages.iter().flat_map(|package| ["--package", package]))
        .stdout(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|error| Failure::io("start", &toolchain.cargo, &error))?;
    let mut programs = Programs::default();
    let messages = child.stdout.take().map(BufReader::new);
    for line in messages
        .into_iter()
        .flat_map(BufRead::lines)
        .map_while(std::io::Result::ok)
    {
        if let Some(artifact) = Artifact::parse(&line) {
            step.advance(&artifact.target.name);
            programs.add(artifact);
        }
    }
    let status = child
        .wait()
        .map_err(|error| Failure::io("run", &toolchain.cargo, &error))?;
    if !status.success() {
        let cause = "the bare-metal programs do not build";
        return Err(Failure::image(cause, "see the compiler's messages above"));
    }
    step.done();
    Ok(programs)
}

/// Downloads what `Cargo.lock` names, so that the build itself needs no network and the folders
/// whose paths are hidden exist.
fn fetch(toolchain: &Toolchain, workspace: &Workspace, offline: bool) -> Result<()> {
    let step = Step::start("fetching crates");
    let mut command: Command = toolchain.cargo();
    command
        .current_dir(&workspace.root)
        .args(["fetch", "--locked", "--quiet"]);
    if offline {
        command.arg("--offline");
    }
    let output = command
        .output()
        .map_err(|error| Failure::io("start", &toolchain.cargo, &error))?;
    if output.status.success() {
        step.done();
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said
        .lines()
        .find(|line| line.starts_with("error"))
        .unwrap_or("no message");
    let remedy = if offline {
        "run once without --offline while the network is there"
    } else {
        "check the network, and that Cargo.lock is as committed"
    };
    Err(Failure::machine(
        format!("cargo cannot fetch the crates: {last}"),
        remedy,
    ))
}

#[derive(Deserialize)]
struct Artifact {
    package_id: String,
    target: Target,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Artifact {
    /// A `compiler-artifact` message; other messages lack its fields.
    fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    /// The package's name out of `path+file:///a/b#name@0.1.0` or `path+file:///a/name#0.1.0`.
    fn package(&self) -> &str {
        let (place, tail) = self
            .package_id
            .rsplit_once('#')
            .unwrap_or(("", &self.package_id));
        match tail.split_once('@') {
            Some((name, _)) => name,
            None => place.rsplit('/').next().unwrap_or(place),
        }
    }
}

impl Programs {
    fn add(&mut self, artifact: Artifact) {
        let package = artifact.package().to_owned();
        if let (Some(path), true) = (artifact.executable, artifact.target.kind == ["bin"]) {
            self.by_package
                .entry(package)
                .or_default()
                .insert(artifact.target.name, path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_found_in_cargos_messages() {
        let mut programs = Programs::default();
        for line in [
            r#"{"reason":"compiler-artifact","package_id":"path+file:///a/kernel#tessera-kernel@0.1.0","target":{"name":"tessera-kernel","kind":["bin"]},"executable":"/t/k"}"#,
            r#"{"reason":"compiler-artifact","package_id":"path+file:///a/tessera-guest#0.1.0","target":{"name":"one","kind":["bin"]},"executable":"/t/one"}"#,
            r#"{"reason":"compiler-artifact","package_id":"registry+x#serde@1.0.0","target":{"name":"build-script-build","kind":["custom-build"]},"executable":"/t/b"}"#,
            r#"{"reason":"build-finished","success":true}"#,
        ] {
            if let Some(artifact) = Artifact::parse(line) {
                programs.add(artifact);
            }
        }
        assert_eq!(programs.only("tessera-kernel").unwrap(), Path::new("/t/k"));
        assert_eq!(programs.of("tessera-guest").len(), 1);
        assert!(programs.only("tessera-stub").is_err());
    }
}
