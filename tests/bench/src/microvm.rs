//! The machine of the peer's boot: QEMU's microvm, without a PC's firmware. It has no way to turn
//! itself off, so it is ended when the guest has said its last word.

use std::{
    fs, io,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tessera_matrix::{
    bench::{Bench, Prepared},
    hosted::CONSOLE,
    outcome::Exit,
    qemu::{Line, Typed},
};

const LAST_WORD: &str = "tessera: shutdown";
const POLL: Duration = Duration::from_millis(5);
const MACHINE: &str = "-machine microvm,x-option-roms=off,isa-serial=on,rtc=on -accel tcg,thread=single \
    -cpu max -icount shift=0,sleep=off -seed 1 -rtc base=2026-01-01T00:00:00,clock=vm -nodefaults \
    -display none -no-reboot -monitor none";

/// QEMU for the boot with `memory` MiB; the console goes to `folder`.
pub fn line(bench: &Bench, image: &Prepared, memory: u32, folder: &Path) -> Line {
    let mut args: Vec<_> = MACHINE.split_whitespace().map(Into::into).collect();
    args.extend(["-m".into(), format!("{memory}M").into()]);
    args.extend(["-kernel".into(), bench.stub.clone().into_os_string()]);
    args.extend(["-initrd".into(), image.igvm.clone().into_os_string()]);
    let console = format!("file:{}", folder.join(CONSOLE).display());
    args.extend(["-serial".into(), console.into()]);
    Line {
        program: bench.qemu.clone(),
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
pub fn run(line: &Line, folder: &Path, limit: Duration) -> io::Result<Exit> {
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
        let console = fs::read_to_string(folder.join(CONSOLE)).unwrap_or_default();
        if console.contains(LAST_WORD) {
            return Ok(Exit::Status(0));
        }
        thread::sleep(POLL);
    }
    Ok(Exit::TimedOut)
}
