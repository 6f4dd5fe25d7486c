//! The terminal's settings, which QEMU changes while the guest has it and cannot give back where it is
//! killed.

use std::{
    io::{IsTerminal, stdin},
    path::PathBuf,
    process::{Command, Stdio},
};
use tessera_image_builder::setup::Host;

/// Settings as they were; dropping it brings them back.
pub struct Terminal(Option<(PathBuf, String)>);

impl Terminal {
    /// Remembers them, where standard input is a terminal.
    pub fn remember(host: &Host) -> Self {
        let settings = || {
            let stty = host.find("stty").filter(|_| stdin().is_terminal())?;
            let said = on_terminal(&stty, "-g").output().ok()?;
            let text = String::from_utf8(said.stdout).ok()?;
            Some((stty, text.trim().to_owned()))
        };
        Self(settings())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some((stty, settings)) = &self.0 {
            // A terminal that is gone needs nothing.
            let _gone = on_terminal(stty, settings).status();
        }
    }
}

fn on_terminal(stty: &PathBuf, word: &str) -> Command {
    let mut command = Command::new(stty);
    command.arg(word).stdin(Stdio::inherit());
    command
}
