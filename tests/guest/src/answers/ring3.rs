//! One instruction in ring 3, and the exception that ends the excursion.
#![allow(unsafe_code)] // reason: goes to ring 3 and comes back by an exception

use crate::processors::{Machine, machine};
use core::arch::naked_asm;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use tessera_defs::x86::{MSR_GS_BASE, MSR_KERNEL_GS_BASE};
use tessera_handoff::layout::DIRECT_MAP;
use tessera_hw::gdt::{KERNEL_CODE, KERNEL_DATA, USER_CODE, USER_DATA};
use tessera_hw::instr;
use tessera_hw::trap::TrapFrame;
use tessera_hw::user::KERNEL_RSP;

/// Place of the window in which ring 3 runs.
const PLACE: usize = 40;
/// What the entry from ring 3 finds behind GS: the stack it goes to.
#[repr(C, align(64))]
struct Local([AtomicU64; 16]);
static LOCAL: Local = Local([const { AtomicU64::new(0) }; 16]);
/// Where to go on, and with which stack.
static BACK: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
static CAME: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Vector and error code of the exception that `code` raises in ring 3, from `page`, a private one that nothing
/// uses.
pub fn run(machine: &mut Machine, page: u64, code: &[u8]) -> (u64, u64) {
    let mut word = [0x90; 8];
    word[..code.len()].copy_from_slice(code);
    crate::window::put(DIRECT_MAP + page, u64::from_le_bytes(word));
    let rip = machine.guest.user_at(PLACE, page);
    let stack = machine::stack(machine::MOST - 1);
    LOCAL.0[KERNEL_RSP / 8].store(stack, SeqCst);
    instr::without_interrupts(|| {
        // SAFETY: the entry from ring 3 swaps these two, finds its stack behind the second, and `end` comes back
        // here with both as they were. Nothing else uses processor 7's stack.
        unsafe {
            instr::wrmsr(MSR_KERNEL_GS_BASE, &raw const LOCAL as u64);
            excursion(rip, rip + 4096, &raw const BACK as u64);
            instr::wrmsr(MSR_GS_BASE, 0);
        }
    });
    (CAME[0].load(SeqCst), CAME[1].load(SeqCst))
}

/// An exception of ring 3: goes on behind `excursion`'s way there.
pub fn end(frame: &mut TrapFrame) {
    CAME[0].store(frame.vector, SeqCst);
    CAME[1].store(frame.error, SeqCst);
    frame.rip = BACK[0].load(SeqCst);
    frame.rsp = BACK[1].load(SeqCst);
    (frame.cs, frame.ss) = (KERNEL_CODE.into(), KERNEL_DATA.into());
    frame.rflags = 2;
}

/// Goes to `rip` in ring 3 with a stack; notes at `back` where to come back, and the stack there.
#[unsafe(naked)]
unsafe extern "sysv64" fn excursion(rip: u64, rsp: u64, back: u64) {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "lea rax, [rip + 2f]",
        "mov [rdx], rax",
        "mov [rdx + 8], rsp",
        "push {data}",
        "push rsi",
        "push 2",
        "push {code}",
        "push rdi",
        "iretq",
        "2: pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
        data = const USER_DATA,
        code = const USER_CODE,
    )
}
