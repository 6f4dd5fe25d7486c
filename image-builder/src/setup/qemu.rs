//! QEMU, which every boot runs under.

use super::Host;
use crate::{Failure, Result};
use std::path::PathBuf;

/// The oldest QEMU that is known to run the test host.
pub const OLDEST: (u32, u32) = (7, 2);

/// What is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Qemu {
    /// Found, and new enough.
    Ready {
        /// The executable.
        path: PathBuf,
        /// Major and minor version.
        version: (u32, u32),
    },
    /// Found, but older than [`OLDEST`].
    TooOld {
        /// The executable.
        path: PathBuf,
        /// Major and minor version.
        version: (u32, u32),
    },
    /// Found, but it does not say its version.
    Broken {
        /// The executable.
        path: PathBuf,
    },
    /// Not on `PATH`.
    Missing,
}

impl Qemu {
    /// Looks for `qemu-system-x86_64` on the host's `PATH` and asks its version.
    pub fn detect(host: &Host) -> Self {
        let Some(path) = host.find("qemu-system-x86_64") else {
            return Qemu::Missing;
        };
        match host
            .ask(&path, &["--version"])
            .as_deref()
            .and_then(parse_version)
        {
            Some(version) if version >= OLDEST => Qemu::Ready { path, version },
            Some(version) => Qemu::TooOld { path, version },
            None => Qemu::Broken { path },
        }
    }

    /// The executable, or why there is none and what to do.
    pub fn require(&self) -> Result<PathBuf> {
        let (major, minor) = OLDEST;
        match self {
            Qemu::Ready { path, .. } => Ok(path.clone()),
            Qemu::TooOld { path, version } => Err(Failure::machine(
                format!(
                    "{} is QEMU {}.{}, too old",
                    path.display(),
                    version.0,
                    version.1
                ),
                format!("install QEMU {major}.{minor} or newer and put it first on PATH"),
            )),
            Qemu::Broken { path } => Err(Failure::machine(
                format!("{} does not tell its version", path.display()),
                format!("reinstall QEMU {major}.{minor} or newer"),
            )),
            Qemu::Missing => Err(Failure::machine(
                "qemu-system-x86_64 is not on PATH",
                format!("run `tessera setup`, or install QEMU {major}.{minor} or newer"),
            )),
        }
    }
}

/// Major and minor number from `QEMU emulator version 7.2.22 (Debian ...)`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let number = text.split_once("version ")?.1.split_whitespace().next()?;
    let mut parts = number.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_numbers() {
        assert_eq!(
            parse_version("QEMU emulator version 7.2.22 (Debian 1:7.2)"),
            Some((7, 2))
        );
        assert_eq!(parse_version("QEMU emulator version 10.0.2"), Some((10, 0)));
        assert_eq!(parse_version("something else"), None);
        assert!((10, 0) >= OLDEST && (7, 1) < OLDEST);
    }
}
