//! The one error type of the `tessera` command: what failed, who is at fault, what to do.

use std::{fmt, io, path::Path};

/// Who has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// The person at the command line: an argument, a recipe, a file that they named.
    User,
    /// This machine: a missing program, a full disk, no permission.
    Machine,
    /// The image, or the sources that it is built from.
    Image,
    /// The host that runs the image, real or simulated.
    Host,
    /// The program inside the image.
    Guest,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Party::User => "your input",
            Party::Machine => "this machine",
            Party::Image => "the image",
            Party::Host => "the host",
            Party::Guest => "the guest",
        })
    }
}

/// A failure that prints as one line: `cause (at fault: party); remedy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Who is at fault.
    pub party: Party,
    /// What happened, without a full stop.
    pub cause: String,
    /// What the reader can do about it, without a full stop.
    pub remedy: String,
}

/// What every fallible function of this library returns.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure of `party`. Line breaks in either text are flattened when it is printed.
    pub fn new(party: Party, cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            party,
            cause: cause.into(),
            remedy: remedy.into(),
        }
    }

    /// Blames the user's input.
    pub fn user(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Party::User, cause, remedy)
    }

    /// Blames this machine.
    pub fn machine(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Party::Machine, cause, remedy)
    }

    /// Blames the image or its sources.
    pub fn image(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Party::Image, cause, remedy)
    }

    /// An input or output error at `path`, with the remedy that fits its kind.
    pub fn io(doing: &str, path: &Path, error: &io::Error) -> Self {
        let cause = format!("cannot {doing} {}: {}", path.display(), reason(error));
        match error.kind() {
            io::ErrorKind::NotFound => Self::user(cause, "check the name"),
            io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => {
                Self::user(cause, "name a path of the right kind")
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::machine(
                cause,
                "free some space (`tessera clean` drops caches) and try again",
            ),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::machine(
                cause,
                "choose a place that you may write to, or fix its permissions",
            ),
            _ => Self::machine(cause, "check the disk and its permissions"),
        }
    }
}

/// The plain words of an operating system error, without its number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        write!(
            f,
            "{} (at fault: {}); {}",
            flat(&self.cause),
            self.party,
            flat(&self.remedy)
        )
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_one_line() {
        let failure = Failure::user("bad\nthing", "do\n  this");
        assert_eq!(
            failure.to_string(),
            "bad thing (at fault: your input); do this"
        );
    }

    #[test]
    fn a_full_disk_is_named_without_a_number() {
        let error = io::Error::from_raw_os_error(28);
        let failure = Failure::io("write", Path::new("out/tessera.igvm"), &error);
        assert_eq!(failure.party, Party::Machine);
        assert_eq!(
            failure.cause,
            "cannot write out/tessera.igvm: no space left on device"
        );
        assert!(failure.remedy.contains("free some space"));
    }
}
