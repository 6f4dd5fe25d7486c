//! Finds a way to build for bare metal. Nothing here changes the machine.

use super::{Host, host::is_executable, sysroot, toolchain::TARGET, toolchain::Toolchain};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where things stand, best way first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// A toolchain that builds.
    Ready(Toolchain),
    /// rustup is there and may download: `rustup target add` is the next step.
    NeedsTarget {
        /// The executable.
        rustup: PathBuf,
    },
    /// Debian's packages are there, its `core` for bare metal is not built yet.
    NeedsSysroot(Debian),
    /// Debian, but these packages are missing.
    NeedsPackages(Vec<&'static str>),
    /// None of our ways leads anywhere here.
    Unsupported,
}

/// Debian's compiler, cargo, linker and library sources, all present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debian {
    /// The real compiler.
    pub rustc: PathBuf,
    /// Debian's cargo.
    pub cargo: PathBuf,
    /// The linker.
    pub linker: PathBuf,
    /// The folder `library` of the compiler's sources.
    pub library: PathBuf,
}

/// Which ways may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ways {
    /// All of them.
    All,
    /// Not rustup's download: it failed, or we are offline.
    NoDownload,
}

/// The first way that is open on `host`.
pub fn detect(host: &Host, ways: Ways) -> State {
    if let Some(toolchain) = plain(host) {
        return State::Ready(toolchain);
    }
    if ways == Ways::All
        && let Some(rustup) = allowed_rustup(host)
    {
        return State::NeedsTarget { rustup };
    }
    debian(host)
}

/// The compiler on `PATH`, if it is new enough and its sysroot has the target's `core`.
fn plain(host: &Host) -> Option<Toolchain> {
    let rustc = host.find("rustc")?;
    let cargo = host.find("cargo")?;
    if !new_enough(host, &rustc) {
        return None;
    }
    let sysroot = PathBuf::from(host.ask(&rustc, &["--print", "sysroot"])?);
    if !has_core(&sysroot.join("lib/rustlib").join(TARGET).join("lib")) {
        return None;
    }
    let own = ["x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl"]
        .iter()
        .any(|triple| {
            is_executable(
                &sysroot
                    .join("lib/rustlib")
                    .join(triple)
                    .join("bin/rust-lld"),
            )
        });
    let linker = if own { None } else { Some(any_lld(host)?) };
    Some(Toolchain::plain(host, cargo, rustc, &sysroot, linker))
}

/// rustup, if it is there with a compiler that is new enough, and its owner lets it download.
fn allowed_rustup(host: &Host) -> Option<PathBuf> {
    let forbidden = host
        .var("RUSTUP_AUTO_INSTALL")
        .is_some_and(|value| value == "0");
    let usable = host
        .find("rustc")
        .is_some_and(|rustc| new_enough(host, &rustc));
    (usable && !forbidden).then(|| host.find("rustup"))?
}

/// The way over Debian's packages.
fn debian(host: &Host) -> State {
    let rustc = host.file("/usr/bin/rustc");
    let cargo = host.file("/usr/bin/cargo");
    let library = host.file("/usr/lib/rustlib/src/rust/library");
    let linker = any_lld(host);
    let has_rustc = is_executable(&rustc) && new_enough(host, &rustc);
    let present = [
        ("rustc-web", has_rustc),
        (
            "cargo-web",
            is_executable(&cargo) && new_enough(host, &cargo),
        ),
        ("rust-web-src", library.join("Cargo.toml").is_file()),
        ("lld-22", linker.is_some()),
    ];
    let missing: Vec<_> = present
        .iter()
        .filter(|(_, there)| !there)
        .map(|(name, _)| *name)
        .collect();
    match linker {
        Some(linker) if missing.is_empty() => {
            let debian = Debian {
                rustc,
                cargo,
                linker,
                library,
            };
            match sysroot::cached(host, &debian) {
                Some(toolchain) => State::Ready(toolchain),
                None => State::NeedsSysroot(debian),
            }
        }
        _ if host.has_apt() => State::NeedsPackages(missing),
        _ => State::Unsupported,
    }
}

/// The newest LLVM linker for ELF on `PATH`; Debian numbers them.
fn any_lld(host: &Host) -> Option<PathBuf> {
    let numbered = (14..=40).rev().map(|number| format!("ld.lld-{number}"));
    let preferred = std::iter::once("ld.lld-22".to_owned());
    let names = preferred
        .chain(numbered)
        .chain(std::iter::once("ld.lld".to_owned()));
    names.into_iter().find_map(|name| host.find(&name))
}

/// True if `program --version` tells at least the workspace's `rust-version`.
fn new_enough(host: &Host, program: &Path) -> bool {
    let told = host.ask(program, &["--version"]);
    let number = told
        .as_deref()
        .and_then(|text| text.split_whitespace().nth(1))
        .and_then(release);
    number.is_some() && number >= release(env!("CARGO_PKG_RUST_VERSION"))
}

/// Major and minor number of `1.96.0` or `1.90`.
fn release(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// True if the target's compiled `core` is in `folder`.
pub(super) fn has_core(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("libcore-") && name.ends_with(".rlib")
        })
    })
}
