//! Talks with a guest's shell: waits for the prompt, types a command, waits again.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

/// How often the console is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Types each command when the console has one more line that begins with `prompt`. Returns how
/// many were typed: fewer where `over` came first.
pub fn talk(
    console: &Path,
    to: &mut impl Write,
    prompt: &str,
    commands: &[String],
    over: &AtomicBool,
) -> io::Result<usize> {
    for (typed, command) in commands.iter().enumerate() {
        while prompts(&fs::read(console).unwrap_or_default(), prompt) <= typed {
            if over.load(Ordering::Acquire) {
                return Ok(typed);
            }
            thread::sleep(POLL);
        }
        writeln!(to, "{command}")?;
        to.flush()?;
    }
    Ok(commands.len())
}

fn prompts(console: &[u8], prompt: &str) -> usize {
    let text = String::from_utf8_lossy(console);
    text.split('\n')
        .filter(|line| line.trim_start_matches('\r').starts_with(prompt))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_prompt_takes_one_command() {
        let folder = tempfile::tempdir().unwrap();
        let console = folder.path().join("console");
        let commands = ["one".to_owned(), "two".to_owned()];
        let mut typed = Vec::new();
        let mut run = |text: &str| {
            fs::write(&console, text).unwrap();
            let over = AtomicBool::new(true);
            let count = talk(&console, &mut typed, "$ ", &commands, &over).unwrap();
            (
                count,
                String::from_utf8(std::mem::take(&mut typed)).unwrap(),
            )
        };
        assert_eq!(run("booting\n"), (0, String::new()));
        assert_eq!(run("booting\r\n$ "), (1, "one\n".into()));
        assert_eq!(run("$ one\r\n1\r\n$ "), (2, "one\ntwo\n".into()));
    }
}
