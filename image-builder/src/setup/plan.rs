//! What is missing, and the steps that would bring it.

use super::{Debian, Host, Qemu, State};
use std::{fmt, path::PathBuf};

/// One step towards a machine that can build and run everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `rustup target add x86_64-unknown-none`.
    RustupTarget {
        /// The executable.
        rustup: PathBuf,
    },
    /// `apt-get install` of these packages.
    Packages(Vec<&'static str>),
    /// Build our own sysroot from Debian's sources: no root, no network.
    Sysroot(Debian),
    /// Something only the machine's owner can do, in words.
    ByHand(String),
}

/// What to do for a toolchain in `state` and that QEMU.
pub fn plan(host: &Host, state: &State, qemu: &Qemu) -> Vec<Action> {
    let mut packages = Vec::new();
    let mut actions = Vec::new();
    match qemu {
        Qemu::Ready { .. } => {}
        Qemu::Missing if host.has_apt() => packages.push("qemu-system-x86"),
        other => actions.extend(other.require().err().map(|f| Action::ByHand(f.remedy))),
    }
    match state {
        State::Ready(_) => {}
        State::NeedsTarget { rustup } => {
            actions.push(Action::RustupTarget {
                rustup: rustup.clone(),
            });
        }
        State::NeedsPackages(missing) => packages.extend(missing),
        State::NeedsSysroot(debian) => actions.push(Action::Sysroot(debian.clone())),
        State::Unsupported => actions.push(Action::ByHand(
            concat!(
                "install Rust ",
                env!("CARGO_PKG_RUST_VERSION"),
                " or newer with its target x86_64-unknown-none (`rustup update`, then `rustup \
                 target add x86_64-unknown-none`) and an LLVM linker (`ld.lld`)",
            )
            .to_owned(),
        )),
    }
    if !packages.is_empty() {
        actions.insert(0, Action::Packages(packages));
    }
    actions
}

impl Action {
    /// True for steps that change the system and therefore need a yes.
    pub fn needs_consent(&self) -> bool {
        matches!(self, Action::RustupTarget { .. } | Action::Packages(_))
    }

    /// The command lines, each as words.
    pub fn commands(&self, host: &Host) -> Vec<Vec<String>> {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        match self {
            Action::RustupTarget { .. } => vec![words("rustup target add x86_64-unknown-none")],
            Action::Packages(packages) => {
                let sudo: &[&str] = match (host.uid, host.interactive) {
                    (0, _) => &[],
                    (_, true) => &["sudo"],
                    (_, false) => &["sudo", "-n"],
                };
                let prefixed = |rest: &str| {
                    let prefix = sudo.iter().map(|word| (*word).to_owned());
                    prefix.chain(words(rest)).collect::<Vec<_>>()
                };
                let install = prefixed("apt-get install --no-install-recommends -y");
                let names = packages.iter().map(|name| (*name).to_owned());
                vec![
                    prefixed("apt-get update"),
                    install.into_iter().chain(names).collect(),
                ]
            }
            Action::Sysroot(_) | Action::ByHand(_) => Vec::new(),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::RustupTarget { .. } => {
                write!(f, "Rust's library for bare metal, through rustup")
            }
            Action::Packages(names) => write!(f, "Debian packages: {}", names.join(" ")),
            Action::Sysroot(_) => {
                write!(
                    f,
                    "Rust's library for bare metal, built from Debian's sources into a cache"
                )
            }
            Action::ByHand(words) => write!(f, "by hand: {words}"),
        }
    }
}
