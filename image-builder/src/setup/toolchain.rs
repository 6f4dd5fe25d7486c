//! A toolchain that can build for the bare-metal target.

use super::Host;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The target of the kernel, the paravisor, the boot stub, the test host and user processes.
pub const TARGET: &str = "x86_64-unknown-none";

/// Variables of a surrounding cargo or user that would change what a bare-metal build does.
const DISTURBING: [&str; 8] = [
    "CARGO",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "RUSTC",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTFLAGS",
];

/// Which way leads to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The compiler on `PATH` has the target's `core` (rustup, or a distribution that ships it).
    Plain,
    /// Debian's compiler with a `core` that we built from Debian's library sources.
    Debian,
}

/// Everything that a bare-metal cargo call needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// Which way.
    pub kind: Kind,
    /// The cargo to call.
    pub cargo: PathBuf,
    /// The compiler that this cargo uses: for Debian, the wrapper that names our sysroot.
    pub rustc: PathBuf,
    /// The linker, where the compiler's own `rust-lld` is not there.
    pub linker: Option<PathBuf>,
    /// Where the library sources of this compiler are, to be hidden from the result.
    pub library_sources: PathBuf,
    host: Host,
}

impl Toolchain {
    /// The compiler on `PATH`, whose sysroot is `sysroot`.
    pub(super) fn plain(
        host: &Host,
        cargo: PathBuf,
        rustc: PathBuf,
        sysroot: &Path,
        linker: Option<PathBuf>,
    ) -> Self {
        let library_sources = sysroot.join("lib/rustlib/src/rust");
        Self {
            kind: Kind::Plain,
            cargo,
            rustc,
            linker,
            library_sources,
            host: host.clone(),
        }
    }

    /// Debian's cargo with the compiler `wrapper` of a cached sysroot.
    pub(super) fn debian(host: &Host, cargo: PathBuf, wrapper: PathBuf, linker: PathBuf) -> Self {
        let library_sources = host.file("/usr/lib/rustlib/src/rust");
        let linker = Some(linker);
        let host = host.clone();
        Self {
            kind: Kind::Debian,
            cargo,
            rustc: wrapper,
            linker,
            library_sources,
            host,
        }
    }

    /// A cargo command for bare-metal packages. The caller adds arguments and flags.
    pub fn cargo(&self) -> Command {
        let mut command = self.host.command(&self.cargo);
        for name in DISTURBING {
            command.env_remove(name);
        }
        if self.kind == Kind::Debian {
            // A surrounding `cargo run` puts another toolchain's libraries here.
            command
                .env_remove("LD_LIBRARY_PATH")
                .env("RUSTC", &self.rustc);
        }
        command
    }

    /// What `rustc --version` says.
    pub fn rustc_version(&self) -> Option<String> {
        self.host.ask(&self.rustc, &["--version"])
    }

    /// What `rustc -vV` says, for the manifest.
    pub fn rustc_identity(&self) -> Option<String> {
        self.host.ask(&self.rustc, &["-vV"])
    }

    /// What the linker says it is, for the manifest; the compiler's own is named by the compiler.
    pub fn linker_version(&self) -> Option<String> {
        match &self.linker {
            Some(linker) => self.host.ask(linker, &["--version"]),
            None => self
                .rustc_version()
                .map(|version| format!("rust-lld of {version}")),
        }
    }

    /// The machine that it was found on.
    pub fn host(&self) -> &Host {
        &self.host
    }
}
