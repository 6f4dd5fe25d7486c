//! Does one forbidden thing at each start. Each must end this process, and nothing else.
#![no_std]
#![no_main]
#![allow(unsafe_code)] // that is its purpose

use core::arch::asm;
use core::fmt::Write;
use core::sync::atomic::Ordering;
use tessera_abi::number::{MAP_READ, MAP_WRITE};
use tessera_runtime::console::Console;
use tessera_runtime::handle::Handle;
use tessera_runtime::{process, state, system};

const KERNEL: u64 = 0xFFFF_FFFF_8000_0000;

tessera_runtime::service!(main);

/// A deed, and whether it is one where nothing isolates: there a hypercall of ring 3 is between
/// the process and the host, and the kernel does not hear of it.
type Deed = (&'static str, bool, fn());

static DEEDS: [Deed; 20] = [
    ("reads the kernel", true, read_kernel),
    ("writes its code", true, write_code),
    ("runs its stack", true, run_stack),
    ("jumps to no address", true, jump),
    ("divides by zero", true, divide),
    ("masks interrupts", true, || one("cli")),
    ("writes a port", true, || one("out")),
    ("reads a register", true, || one("rdmsr")),
    ("calls an AMD hypervisor", false, || one("vmmcall")),
    ("calls an Intel hypervisor", false, || one("vmcall")),
    ("reports a fatal error for its guest", true, fatal),
    ("touches a guard", true, guard),
    ("writes what it may read", true, || own(MAP_READ, true)),
    ("runs what it may write", true, run_own),
    ("touches a page without a pager", true, unpaged),
    ("asks where the GDT is", true, || table("sgdt")),
    ("asks where the IDT is", true, || table("sidt")),
    ("asks for the LDT", true, || table("sldt")),
    ("asks for the machine status word", true, || table("smsw")),
    ("asks for the task register", true, || table("str")),
];

fn main(_: u64) -> u64 {
    let (turn, unpunished) = (&state::words(1)[0], &state::words(1)[1]);
    let n = turn.fetch_add(1, Ordering::Relaxed) as usize;
    let Some((name, everywhere, deed)) = DEEDS.get(n) else {
        // Anything but 0 for ever makes the supervisor give this service up.
        return unpunished.load(Ordering::Relaxed);
    };
    let plain = system::info().is_ok_and(|info| info.mode == 0);
    if *everywhere || !plain {
        deed();
        unpunished.fetch_add(1, Ordering::Relaxed);
        let _unwritable = writeln!(Console, "offender: {name}, and lives");
    }
    1
}

fn read_kernel() {
    // SAFETY: none: it must fault.
    unsafe { (KERNEL as *const u64).read_volatile() };
}

fn write_code() {
    // SAFETY: none: it must fault.
    unsafe { (main as *const () as *mut u8).write_volatile(0xC3) };
}

fn run_stack() {
    let code = [0xC3u8; 16];
    // SAFETY: none: it must fault.
    unsafe { asm!("call {}", in(reg) code.as_ptr(), clobber_abi("sysv64")) };
}

fn jump() {
    // SAFETY: none: it must fault.
    unsafe { asm!("jmp {}", in(reg) 1u64 << 63 >> 8) };
}

fn divide() {
    // SAFETY: none: it must fault.
    unsafe {
        asm!("xor edx, edx", "xor ecx, ecx", "mov eax, 1", "div ecx", out("eax") _, out("ecx") _, out("edx") _)
    };
}

/// A place for regions of its own.
const OWN: u64 = 0x10_0000_0000;

fn touch(write: bool) {
    let at = OWN as *mut u64;
    // SAFETY: none: one of both must fault.
    unsafe {
        if write {
            at.write_volatile(0xC3);
        } else {
            at.read_volatile();
        }
    }
}

/// Touches a fresh region of its own that is mapped for `access`.
fn own(access: u64, write: bool) {
    let region = process::region(1, Handle::NONE);
    // SAFETY: nothing else is there.
    let mapped = region.and_then(|region| unsafe { process::map(region, OWN, access) });
    if mapped.is_ok() {
        touch(write);
    }
}

fn guard() {
    if process::guard(Handle::NONE, OWN, 1).is_ok() {
        touch(false);
    }
}

fn run_own() {
    own(MAP_WRITE, true);
    // SAFETY: none: it must fault.
    unsafe { asm!("call {}", in(reg) OWN, clobber_abi("sysv64")) };
}

/// The pager's endpoint is gone.
fn unpaged() {
    let Ok(endpoint) = Handle::endpoint() else {
        return;
    };
    let region = process::region_of(1, Handle::NONE, endpoint);
    let _closed = endpoint.close();
    // SAFETY: nothing else is there.
    let mapped = region.and_then(|region| unsafe { process::map(region, OWN, MAP_WRITE) });
    if mapped.is_ok() {
        touch(true);
    }
}

/// What UMIP forbids ring 3 (Intel SDM vol. 3, 2.5).
fn table(what: &str) {
    let mut room = [0u8; 10];
    let at = room.as_mut_ptr();
    // SAFETY: each must fault; what is stored fits into the room.
    unsafe {
        match what {
            "sgdt" => asm!("sgdt [{}]", in(reg) at),
            "sidt" => asm!("sidt [{}]", in(reg) at),
            "sldt" => asm!("sldt word ptr [{}]", in(reg) at),
            "smsw" => asm!("smsw word ptr [{}]", in(reg) at),
            _ => asm!("str word ptr [{}]", in(reg) at),
        }
    }
}

/// What ends a whole guest, if ring 0 says it (GHCI 348552, ReportFatalError).
fn fatal() {
    // SAFETY: none: it must fault.
    unsafe {
        asm!(".byte 0x66, 0x0f, 0x01, 0xcc", inout("rax") 0u64 => _, in("rcx") 0xFC00u64,
            inout("r10") 0u64 => _, inout("r11") 0x10003u64 => _, in("r12") 0x5445_0069u64,
            in("r13") 0u64, in("r14") 0u64, in("r15") 0u64)
    };
}

fn one(what: &str) {
    // SAFETY: none: each must fault, or do nothing. RCX names an unknown hypercall.
    unsafe {
        match what {
            "cli" => asm!("cli"),
            "out" => asm!("out dx, al", in("dx") 0x80u16, in("al") 0u8),
            "rdmsr" => asm!("rdmsr", in("ecx") 0xC000_0080u32, out("eax") _, out("edx") _),
            "vmmcall" => {
                asm!("vmmcall", inout("rax") 0u64 => _, inout("rcx") 0xFFFFu64 => _, inout("rdx") 0u64 => _, out("r8") _)
            }
            _ => {
                asm!("vmcall", inout("rax") 0u64 => _, inout("rcx") 0xFFFFu64 => _, inout("rdx") 0u64 => _, out("r8") _)
            }
        }
    }
}
