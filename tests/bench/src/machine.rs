//! The machine of every count on plain QEMU, ours and the peer's: a microvm, without a PC's
//! firmware. It has no way to turn itself off that our kernel knows, so it is ended when the guest
//! has said its last word.
//!
//! Without ERMS, because each iteration of `rep` counts as an instruction: with it Linux would clear
//! a page in 4,096 of them, not in 512.

use std::{
    ffi::OsString,
    fs, io,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tessera_matrix::{
    hosted::CONSOLE,
    outcome::Exit,
    qemu::{Line, Typed},
};

/// MiB of memory.
pub const MEMORY: u64 = 512;
const POLL: Duration = Duration::from_millis(5);
const MACHINE: &str = "-machine microvm,x-option-roms=off,isa-serial=on,rtc=on -accel tcg,thread=single \
    -cpu max,-erms -icount shift=0,sleep=off -seed 1 -rtc base=2026-01-01T00:00:00,clock=vm -nodefaults \
    -display none -no-reboot -monitor none -m 512M";

/// What is booted by the PVH entry.
#[derive(Debug, Clone, Copy)]
pub struct Guest<'a> {
    /// An ELF file.
    pub kernel: &'a Path,
    /// What goes beside it.
    pub initrd: &'a Path,
    /// Its command line.
    pub append: &'a str,
    /// What the console says last.
    pub last_word: &'a str,
}

/// QEMU for the boot; the console goes to `folder`.
pub fn line(qemu: &Path, guest: &Guest<'_>, folder: &Path) -> Line {
    let mut args: Vec<OsString> = MACHINE.split_whitespace().map(Into::into).collect();
    args.extend(["-kernel".into(), guest.kernel.into()]);
    args.extend(["-initrd".into(), guest.initrd.into()]);
    if !guest.append.is_empty() {
        args.extend(["-append".into(), guest.append.into()]);
    }
    let console = format!("file:{}", folder.join(CONSOLE).display());
    args.extend(["-serial".into(), console.into()]);
    Line {
        program: qemu.to_owned(),
        args,
        typed: Typed::Nothing,
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

/// Runs until the last word, which counts as status 0, or to the limit.
pub fn run(line: &Line, last_word: &str, folder: &Path, limit: Duration) -> io::Result<Exit> {
    let child = Command::new(&line.program)
        .args(&line.args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut running = Running(child);
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(status) = running.0.try_wait()? {
            return Ok(status.code().map_or(Exit::Signal, Exit::Status));
        }
        let console = fs::read(folder.join(CONSOLE)).unwrap_or_default();
        if String::from_utf8_lossy(&console).contains(last_word) {
            return Ok(Exit::Status(0));
        }
        thread::sleep(POLL);
    }
    Ok(Exit::TimedOut)
}
