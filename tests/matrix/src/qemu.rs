//! One QEMU process: started, watched, and never left behind.

use crate::{interrupt, outcome::Exit};
use std::{
    ffi::OsString,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How often the process is looked at.
const POLL: Duration = Duration::from_millis(5);

/// A command line that is not run yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// The process; dropping it kills it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a process that is gone already.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

impl Line {
    /// Runs to the end or to the time limit. What QEMU itself prints goes to `messages`.
    /// Errors: it cannot be started, or a signal asked this program to stop (`Interrupted`).
    pub fn run(&self, messages: &Path, limit: Duration) -> io::Result<Exit> {
        let file = File::create(messages)?;
        let child = Command::new(&self.program)
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        let mut running = Running(child);
        let start = Instant::now();
        loop {
            // First: a Ctrl-C ends QEMU too, and that is no end of a boot.
            if interrupt::asked() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if let Some(status) = running.0.try_wait()? {
                return Ok(status.code().map_or(Exit::Signal, Exit::Status));
            }
            if start.elapsed() >= limit {
                return Ok(Exit::TimedOut);
            }
            thread::sleep(POLL);
        }
    }

    /// One line that a shell understands.
    pub fn shell(&self) -> String {
        let program = self.program.as_os_str().to_owned();
        let words = std::iter::once(&program).chain(&self.args);
        words
            .map(|word| quote(&word.to_string_lossy()))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=,./:+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A path inside a QEMU option, where a comma ends a value unless doubled.
pub fn option_path(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Line {
        Line {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
        }
    }

    #[test]
    fn status_signal_and_time_limit_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let messages = folder.path().join("qemu.txt");
        let run = |script, ms| {
            shell(script)
                .run(&messages, Duration::from_millis(ms))
                .unwrap()
        };
        assert_eq!(run("echo said; exit 3", 20_000), Exit::Status(3));
        assert_eq!(std::fs::read_to_string(&messages).unwrap(), "said\n");
        assert_eq!(run("kill -9 $$", 20_000), Exit::Signal);
        assert_eq!(run("exec sleep 60", 50), Exit::TimedOut);
    }

    #[test]
    fn a_process_over_its_time_is_gone_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let messages = folder.path().join("qemu.txt");
        let exit = shell("echo $$; exec sleep 60").run(&messages, Duration::from_millis(300));
        assert_eq!(exit.unwrap(), Exit::TimedOut);
        let pid = std::fs::read_to_string(&messages).unwrap();
        assert!(!Path::new("/proc").join(pid.trim()).exists());
    }

    #[test]
    fn shell_lines_are_quoted() {
        assert_eq!(shell("echo 'a'").shell(), r"/bin/sh -c 'echo '\''a'\'''");
        assert_eq!(option_path(Path::new("/a,b")), "/a,,b");
    }
}
