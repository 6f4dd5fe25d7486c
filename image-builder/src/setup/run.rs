//! `tessera setup`: says what is there, what is missing, and brings it.

use super::{Action, Host, Qemu, State, Toolchain, Ways, detect, install, plan, sysroot};
use crate::{Failure, Result};
use std::path::PathBuf;

/// How far setup may go.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Only say what is missing.
    pub check: bool,
    /// Print the commands and stop.
    pub no_install: bool,
    /// Never use the network.
    pub offline: bool,
}

/// A machine that can build and run everything.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Builds for bare metal.
    pub toolchain: Toolchain,
    /// The emulator.
    pub qemu: PathBuf,
}

/// Brings the machine to where it can build and run everything, as far as `options` allow.
pub fn run(host: &Host, options: Options) -> Result<Ready> {
    let ways = if options.offline {
        Ways::NoDownload
    } else {
        Ways::All
    };
    match attempt(host, options, ways) {
        Err(Attempt::RustupFailed(failure)) => {
            eprintln!("rustup did not bring the target: {}", failure.cause);
            attempt(host, options, Ways::NoDownload).map_err(Attempt::into_failure)
        }
        other => other.map_err(Attempt::into_failure),
    }
}

enum Attempt {
    RustupFailed(Failure),
    Failed(Failure),
}

impl Attempt {
    fn into_failure(self) -> Failure {
        match self {
            Attempt::RustupFailed(failure) | Attempt::Failed(failure) => failure,
        }
    }
}

impl From<Failure> for Attempt {
    fn from(failure: Failure) -> Self {
        Attempt::Failed(failure)
    }
}

fn attempt(host: &Host, options: Options, ways: Ways) -> std::result::Result<Ready, Attempt> {
    // Each round may reveal the next step: packages first, then the sysroot made from them.
    for _ in 0..3 {
        let state = detect(host, ways);
        let qemu = Qemu::detect(host);
        let actions = plan(host, &state, &qemu);
        if let (State::Ready(toolchain), true) = (&state, actions.is_empty()) {
            return Ok(Ready {
                toolchain: toolchain.clone(),
                qemu: qemu.require()?,
            });
        }
        announce(host, &actions);
        may_act(host, options, &actions)?;
        for action in &actions {
            install::execute(host, action).map_err(|failure| match action {
                Action::RustupTarget { .. } => Attempt::RustupFailed(failure),
                _ => Attempt::Failed(failure),
            })?;
        }
    }
    let cause = "the installed packages do not provide what was expected of them";
    Err(Failure::machine(
        cause,
        "run `tessera setup --check` and install what it names",
    )
    .into())
}

fn announce(host: &Host, actions: &[Action]) {
    eprintln!("Missing on this machine:");
    for action in actions {
        eprintln!("  - {action}");
        for words in action.commands(host) {
            eprintln!("      {}", words.join(" "));
        }
    }
}

fn may_act(host: &Host, options: Options, actions: &[Action]) -> Result<()> {
    if options.check || options.no_install {
        return Err(Failure::machine(
            "something is missing on this machine",
            "run the commands above, or `tessera setup` to have them run",
        ));
    }
    let by_hand = actions.iter().find_map(|action| match action {
        Action::ByHand(words) => Some(words.clone()),
        _ => None,
    });
    if let Some(words) = by_hand {
        return Err(Failure::machine(
            "a prerequisite has to be installed by hand",
            words,
        ));
    }
    let online = |action: &Action| action.needs_consent();
    if options.offline && actions.iter().any(online) {
        return Err(Failure::machine(
            "packages are missing, and --offline forbids downloading them",
            "run the commands above while online, or drop --offline",
        ));
    }
    install::consent(host, actions)
}

/// A toolchain without asking and without installing, for `build` and for tests: what is there,
/// or a sysroot made from Debian packages that are there.
pub fn toolchain(host: &Host) -> Result<Toolchain> {
    match detect(host, Ways::NoDownload) {
        State::Ready(toolchain) => Ok(toolchain),
        State::NeedsSysroot(debian) => sysroot::build(host, &debian),
        state => {
            let mut names = plan(host, &state, &Qemu::Missing);
            names.retain(|action| !matches!(action, Action::RustupTarget { .. }));
            let names: Vec<_> = names.iter().map(Action::to_string).collect();
            let cause = format!(
                "no way to build for bare metal here; missing {}",
                names.join(", ")
            );
            Err(Failure::machine(cause, "run `cargo run -- setup`"))
        }
    }
}
