//! The stacks that the processor switches to by itself. Every vector has one: a host can inject
//! any of them, an interrupt against the interrupt flag included, and between SYSCALL and the
//! kernel's stack switch RSP is still ring 3's choice.

use tessera_defs::x86::vector;

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

/// Tops, IST 1 first.
pub fn tops() -> [u64; 7] {
    core::array::from_fn(|n| match n {
        COUNT.. => 0,
        n => address(n) + (GUARD + SIZE) as u64,
    })
}

/// Virtual addresses of the guard pages, which `memory::install` takes out of the tables.
pub fn guards() -> impl Iterator<Item = u64> {
    (0..COUNT).map(address)
}

fn address(n: usize) -> u64 {
    &raw const STACKS as u64 + (n * size_of::<Guarded>()) as u64
}
