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
    /// What its standard input is.
    pub typed: Typed,
}

/// What is typed at the guest's console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typed {
    /// Nothing.
    Nothing,
    /// This, from the start on.
    Text(&'static str),
    /// An empty line, then whatever comes on standard input.
    Terminal,
}

/// The options of the first serial port, whose output goes to `file`.
pub fn console(file: &Path, typed: Typed) -> Vec<OsString> {
    let file = option_path(file);
    match typed {
        Typed::Nothing => ["-serial".into(), format!("file:{file}").into()].into(),
        _ => [
            "-chardev".into(),
            format!("stdio,id=console,signal=off,logfile={file}").into(),
            "-serial".into(),
            "chardev:console".into(),
        ]
        .into(),
    }
}

/// Types at the console of a running machine.
fn type_into(typed: Typed, mut input: impl io::Write + Send + 'static) {
    let text = match typed {
        Typed::Nothing => return,
        Typed::Text(text) => text,
        Typed::Terminal => "\n",
    };
    // The thread ends with the machine, whose end of the pipe then is closed; or with this program.
    thread::spawn(move || {
        let begun = input
            .write_all(text.as_bytes())
            .and_then(|()| input.flush());
        if begun.is_ok() && typed == Typed::Terminal {
            let _gone = io::copy(&mut io::stdin().lock(), &mut Unbuffered(input));
        }
    });
}

/// Passes every piece on at once.
struct Unbuffered<W>(W);

impl<W: io::Write> io::Write for Unbuffered<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.0.write(bytes)?;
        self.0.flush()?;
        Ok(count)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
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
        self.run_on(None, messages, limit)
    }

    /// The same, with a standard input for the guest's console, which then goes to standard output too.
    pub fn run_on(
        &self,
        input: Option<Stdio>,
        messages: &Path,
        limit: Duration,
    ) -> io::Result<Exit> {
        let file = File::create(messages)?;
        // Standard output would only repeat the console's file.
        let (input, output) = match (self.typed, input) {
            (Typed::Nothing, None) => (Stdio::null(), file.try_clone()?.into()),
            (Typed::Nothing, Some(input)) => (input, Stdio::null()),
            _ => (Stdio::piped(), Stdio::null()),
        };
        let child = Command::new(&self.program)
            .args(&self.args)
            .stdin(input)
            .stdout(output)
            .stderr(file)
            .spawn()?;
        let mut running = Running(child);
        if let Some(input) = running.0.stdin.take() {
            type_into(self.typed, input);
        }
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
        let words: Vec<_> = words.map(|word| quote(&word.to_string_lossy())).collect();
        let typed = match self.typed {
            Typed::Text(text) => format!("printf %s {} | ", quote(text)),
            _ => String::new(),
        };
        typed + &words.join(" ")
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
            typed: Typed::Nothing,
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
    fn what_is_typed_arrives_and_ends() {
        let folder = tempfile::tempdir().unwrap();
        let messages = folder.path().join("qemu.txt");
        let line = Line {
            typed: Typed::Text("one\ntwo\n"),
            ..shell("read a; read b; test $a = one -a $b = two && exec cat")
        };
        let exit = line.run(&messages, Duration::from_secs(20)).unwrap();
        assert_eq!(exit, Exit::Status(0));
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
        let typed = Line {
            typed: Typed::Text("a b\n"),
            ..shell("x")
        };
        assert_eq!(typed.shell(), "printf %s 'a b\n' | /bin/sh -c x");
        assert_eq!(option_path(Path::new("/a,b")), "/a,,b");
    }
}
