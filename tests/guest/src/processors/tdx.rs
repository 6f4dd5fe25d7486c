//! TDX: every processor is there from the launch on, and waits in the reset page for its word
//! (`layout::WAKE`).
#![allow(unsafe_code)] // reason: the first instructions have no stack

use super::{Machine, machine, work};
use crate::window::{put, touch};
use tessera_handoff::layout::{DIRECT_MAP, RESET_TABLES, WAKE};
use tessera_hw::instr;

/// Wakes processor `index`, on tables that show it the kernel.
pub fn start(machine: &mut Machine, index: usize) -> bool {
    let mine = DIRECT_MAP + (instr::cr3() & 0x000F_FFFF_FFFF_F000);
    let tables = machine.guest.private(RESET_TABLES);
    for entry in 256..512 {
        put(tables + entry * 8, touch(mine + entry * 8));
    }
    let words = machine.guest.private(WAKE & !0xFFF) + (WAKE & 0xFFF);
    put(words + index as u64 * 8, entry as *const () as u64);
    true
}

/// ESI is the index, and there is no stack.
#[unsafe(naked)]
unsafe extern "C" fn entry() -> ! {
    core::arch::naked_asm!(
        "mov edi, esi",
        "lea rax, [rsi + 1]",
        "imul rax, rax, {size}",
        "lea rsp, [rip + {stacks}]",
        "lea rsp, [rsp + rax - 8]",
        "jmp {begin}",
        size = const machine::STACK,
        stacks = sym machine::STACKS,
        begin = sym work::begin,
    )
}
