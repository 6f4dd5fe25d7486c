//! Carries the steps of a plan out, after asking.

use super::{Action, Host, sysroot};
use crate::{Failure, Result};
use std::{
    io::{self, BufRead, Write},
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

/// How long `rustup target add` may take; it downloads about 30 MiB.
const RUSTUP_LIMIT: Duration = Duration::from_secs(180);
/// How long one `apt-get` may take.
const APT_LIMIT: Duration = Duration::from_secs(1800);

/// Asks `[Y/n]` on a terminal. Elsewhere only root, or who may `sudo -n`, is taken as agreeing.
pub fn consent(host: &Host, actions: &[Action]) -> Result<()> {
    if !actions.iter().any(Action::needs_consent) {
        return Ok(());
    }
    if !host.interactive {
        return unattended(host, actions);
    }
    eprint!("Do this now? [Y/n] ");
    io::stderr().flush().ok();
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).ok();
    match (answer.as_str(), answer.trim().to_lowercase().as_str()) {
        ("", _) => Err(declined()),
        (_, "" | "y" | "yes") => Ok(()),
        _ => Err(declined()),
    }
}

fn declined() -> Failure {
    let remedy = "run the commands above yourself, or `tessera setup` again";
    Failure::user("nothing was installed, as you asked", remedy)
}

fn unattended(host: &Host, actions: &[Action]) -> Result<()> {
    let needs_root = actions
        .iter()
        .any(|action| matches!(action, Action::Packages(_)));
    let sudo = || {
        let found = host.find("sudo")?;
        host.ask(&found, &["-n", "true"])
    };
    if !needs_root || host.uid == 0 || sudo().is_some() {
        return Ok(());
    }
    Err(Failure::machine(
        "packages are missing, and there is neither a terminal to ask on nor a right to install",
        "run the commands above as root, or run `tessera setup` on a terminal",
    ))
}

/// Carries one step out. Its commands' output goes to standard error.
pub fn execute(host: &Host, action: &Action) -> Result<()> {
    match action {
        Action::Sysroot(debian) => return sysroot::build(host, debian).map(drop),
        Action::ByHand(words) => {
            return Err(Failure::machine(
                "a prerequisite cannot be installed here",
                words,
            ));
        }
        Action::RustupTarget { .. } | Action::Packages(_) => {}
    }
    let limit = if matches!(action, Action::Packages(_)) {
        APT_LIMIT
    } else {
        RUSTUP_LIMIT
    };
    for words in action.commands(host) {
        let line = words.join(" ");
        eprintln!("+ {line}");
        let Some((program, arguments)) = words.split_first() else {
            continue;
        };
        let path = host.find(program).ok_or_else(|| {
            Failure::machine(
                format!("{program} is not on PATH"),
                "install it, or become root",
            )
        })?;
        let mut command = host.command(path);
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        command.stdout(io::stderr());
        let status = run_limited(command, limit)
            .map_err(|error| Failure::machine(format!("`{line}`: {error}"), "see above"))?;
        if !status.success() {
            return Err(Failure::machine(
                format!("`{line}` failed"),
                "see its message above; another way is rustup with the target \
                 x86_64-unknown-none, and QEMU 7.2 or newer on PATH",
            ));
        }
    }
    Ok(())
}

/// Runs a command to its end, or ends it when `limit` is over.
fn run_limited(mut command: Command, limit: Duration) -> io::Result<ExitStatus> {
    let mut child: Child = command.spawn()?;
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            let text = format!("not finished after {} seconds", limit.as_secs());
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
