//! The stacks that the processor switches to by itself. Every vector has one: a host can inject
//! any of them, an interrupt against the interrupt flag included, and between SYSCALL and the
//! kernel's stack switch RSP is still ring 3's choice.

use crate::memory::Memory;
use tessera_defs::x86::vector;
use tessera_handoff::layout::{STACK_PAGES, STACK_TOP};
use tessera_hw::gdt::Stacks;

const GUARD: usize = 4096;
const SIZE: usize = 16384;
const COUNT: usize = 6;

/// A stack, and below it a page that is not mapped.
#[repr(C, align(4096))]
struct Guarded {
    guard: [u8; GUARD],
    stack: [u8; SIZE],
}

static mut STACKS: [Guarded; COUNT] = [const {
    Guarded {
        guard: [0; GUARD],
        stack: [0; SIZE],
    }
}; COUNT];

/// The IST of a vector. Vectors that share one never return, or never come while their handler
/// runs: a second one is a host's forgery and ends the guest (`traps::handle`).
pub fn ist(number: u8) -> u8 {
    match number {
        vector::DF => 1,
        vector::NMI => 2,
        vector::MC => 3,
        vector::VC | vector::VE | vector::HV => 4,
        0..32 => 5,
        _ => 6,
    }
}

/// Those of the first processor, whose kernel stack the stub mapped.
pub fn first(ring0: u64) -> Stacks {
    tops(ring0, address)
}

fn tops(ring0: u64, address: impl Fn(usize) -> u64) -> Stacks {
    let ist = core::array::from_fn(|n| match n {
        COUNT.. => 0,
        n => address(n) + (GUARD + SIZE) as u64,
    });
    Stacks { ring0, ist }
}

/// Those of a further processor, in its part of the kernel's half: the kernel stack, then the interrupt
/// stacks, each above a page that is not mapped.
pub fn further(number: u8) -> Stacks {
    tops(part(number) + KERNEL_END, |n| interrupt_stack(number, n))
}

const FURTHER: u64 = STACK_TOP + 0x1000_0000;
/// Bytes of such a part, and of the kernel stack in it with its guard page.
const PART: u64 = 256 * 1024;
const KERNEL_END: u64 = (1 + STACK_PAGES) * 4096;
const _: () = assert!(KERNEL_END + (COUNT * size_of::<Guarded>()) as u64 <= PART);

fn part(number: u8) -> u64 {
    FURTHER + u64::from(number) * PART
}

fn interrupt_stack(number: u8, n: usize) -> u64 {
    part(number) + KERNEL_END + (n * size_of::<Guarded>()) as u64
}

/// Gives a further processor its stacks; the top of the kernel stack. `None` when memory is used up.
pub fn map(memory: &mut Memory, number: u8) -> Option<u64> {
    memory.map_pages(part(number) + GUARD as u64, STACK_PAGES)?;
    for n in 0..COUNT {
        memory.map_pages(
            interrupt_stack(number, n) + GUARD as u64,
            SIZE as u64 / 4096,
        )?;
    }
    Some(part(number) + KERNEL_END)
}

/// Virtual addresses of the guard pages, which `memory::install` takes out of the tables.
pub fn guards() -> impl Iterator<Item = u64> {
    (0..COUNT).map(address)
}

fn address(n: usize) -> u64 {
    &raw const STACKS as u64 + (n * size_of::<Guarded>()) as u64
}
