//! What a process loads into DS, ES, FS and GS is nobody else's: the next one finds null selectors, and
//! its own FS base.
#![allow(unsafe_code)] // segment registers; code for another process

use core::arch::{asm, naked_asm};
use core::fmt::Write;
use tessera_abi::error::Error;
use tessera_abi::number::{EXIT, MAP_EXECUTE, MAP_WRITE, SET_TLS, STATUS_EXITED};
use tessera_runtime::console::Console;
use tessera_runtime::handle::Handle;
use tessera_runtime::ipc::{self, Message, Received};
use tessera_runtime::{process, system};

const CODE: u64 = 0x40_0000;
/// Where this process has it while it is copied.
const HERE: u64 = 0x3000_0000_0000;
/// More bytes than it has.
const LEN: usize = 64;
/// The one data segment that ring 3 can load.
const DATA: u32 = 0x1B;
const PATIENCE: u32 = 20_000_000;
static WORD: u64 = 0x5465_7373_6572_6121;

/// Another process' code, which is copied: takes the FS base that it is given, loads every selector, ends.
#[unsafe(naked)]
extern "C" fn loads() {
    naked_asm!(
        "mov eax, {set_tls}",
        "syscall",
        "mov eax, {data}",
        "mov ds, eax",
        "mov es, eax",
        "mov fs, eax",
        "mov gs, eax",
        "xor edi, edi",
        "mov eax, {exit}",
        "syscall",
        set_tls = const SET_TLS,
        data = const DATA,
        exit = const EXIT,
    )
}

/// How many failed.
pub fn run() -> u64 {
    let before = process::usage(Handle::NONE);
    let result = leak();
    let good = result == Ok([0; 4]) && process::usage(Handle::NONE) == before;
    if !good {
        let _unwritable = writeln!(
            Console,
            "init: check failed: selectors of another process: {result:x?}"
        );
    }
    u64::from(!good)
}

/// DS, ES, FS, GS after another process ran; an error where FS has lost its base.
fn leak() -> Result<[u16; 4], Error> {
    let base = &raw const WORD as u64;
    let ended = Handle::notification()?;
    let space = process::create(16, ended, 1, "selectors")?;
    let code = process::region(1, Handle::NONE)?;
    // SAFETY: nothing of this program stands there; a function of it, behind which others follow.
    unsafe {
        process::map(code, HERE, MAP_WRITE)?;
        core::ptr::copy_nonoverlapping(loads as *const () as *const u8, HERE as *mut u8, LEN);
        process::unmap(HERE)?;
        // FS:0 is `WORD`.
        system::set_tls(base)?;
    }
    process::map_into(space, code, CODE, MAP_EXECUTE)?;
    process::start(space, CODE, 0, 5, base).and_then(Handle::close)?;
    let told = ipc::receive(ended, &mut Message::default(), PATIENCE);
    let found = selectors();
    // A base of 0 would end this process.
    let kept = found == [0; 4] && word_by_fs() == WORD;
    let status = process::status(space)?;
    for handle in [space, code, ended] {
        handle.close()?;
    }
    // SAFETY: nobody reads through FS any more.
    unsafe { system::set_tls(0)? }
    match (told?, status, found) {
        (Received::Notified(1), STATUS_EXITED, [0, 0, 0, 0]) if !kept => Err(Error::BadAddress),
        (Received::Notified(1), STATUS_EXITED, found) => Ok(found),
        _ => Err(Error::PeerDied),
    }
}

fn selectors() -> [u16; 4] {
    let (ds, es, fs, gs): (u16, u16, u16, u16);
    // SAFETY: reading them has no effect.
    unsafe {
        asm!("mov {:x}, ds", "mov {:x}, es", "mov {:x}, fs", "mov {:x}, gs", out(reg) ds,
            out(reg) es, out(reg) fs, out(reg) gs, options(nomem, nostack, preserves_flags));
    }
    [ds, es, fs, gs]
}

fn word_by_fs() -> u64 {
    let word;
    // SAFETY: FS:0 is `WORD`, and where it is not, this process ends.
    unsafe { asm!("mov {}, fs:[0]", out(reg) word, options(readonly, nostack, preserves_flags)) }
    word
}
