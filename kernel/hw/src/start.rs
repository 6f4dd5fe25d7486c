//! Where further processors begin, and the way there from real mode.
#![allow(unsafe_code)] // reason: the entry of a processor without a stack; privileged instructions

use core::arch::naked_asm;
use core::sync::atomic::{AtomicU64, Ordering};

/// CR3, stack, function, its argument: for the one processor that starts now.
static NEXT: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];

/// Says how the processor that is started next goes on: on these tables and this stack, with a call of
/// `run`. One at a time: the one before must have called its function, or be given up for good.
///
/// # Safety
/// The tables are the kernel's; the stack, 16-byte aligned, is mapped there and nothing else's.
pub unsafe fn prepare(cr3: u64, stack: u64, run: extern "sysv64" fn(u64) -> !, argument: u64) {
    let run = run as *const () as u64;
    for (word, value) in NEXT.iter().zip([cr3, stack, run, argument]) {
        word.store(value, Ordering::Release);
    }
}

/// The kernel's entry of a further processor: 64-bit, interrupts off, on tables with the kernel's
/// half. No register and no stack is expected.
///
/// # Safety
/// Reached by a processor for which `prepare` was called.
#[unsafe(naked)]
pub unsafe extern "C" fn entry() {
    naked_asm!(
        "cld",
        "lea rax, [rip + {next}]",
        "mov rcx, [rax]",
        "mov cr3, rcx",
        "mov rsp, [rax + 8]",
        "mov rdi, [rax + 24]",
        "xor ebp, ebp",
        "call [rax + 16]",
        "ud2",
        next = sym NEXT,
    )
}

/// Bytes of `from_real_mode`.
pub const CODE: usize = 0x70;
const GDT: u32 = 0x50;
const GDTR: u32 = 0x60;
const SIXTY_FOUR: u32 = 0x3F;

/// Code for a page below 1 MiB, at `page`, which leads a processor that begins there in real mode (a
/// start-up IPI, SDM vol. 3, 9.4) to `rip` with CR3 `cr3`, below 4 GiB, in which the page is mapped
/// at its own address, executable. CR0, CR4 and EFER have what 64-bit paging with NX needs.
pub fn from_real_mode(page: u32, cr3: u32, rip: u64) -> [u8; CODE] {
    let mut code = [0; CODE];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        code[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    let word = u32::to_le_bytes;
    put(&[0xFA, 0xFC, 0x8C, 0xC8, 0x8E, 0xD8]); // cli; cld; mov ax, cs; mov ds, ax
    put(&[0x66, 0x0F, 0x01, 0x16, GDTR as u8, 0]); // lgdt [GDTR], 32-bit base
    put(&[0x66, 0xB8, 0x20, 0, 0, 0, 0x0F, 0x22, 0xE0]); // mov eax, PAE; mov cr4, eax
    put(&[0x66, 0xB8]); // mov eax, cr3
    put(&word(cr3));
    put(&[0x0F, 0x22, 0xD8]); // mov cr3, eax
    put(&[0x66, 0xB9, 0x80, 0, 0, 0xC0, 0x0F, 0x32]); // mov ecx, EFER; rdmsr
    put(&[0x66, 0x0D, 0, 0x09, 0, 0, 0x0F, 0x30]); // or eax, LME | NXE; wrmsr
    put(&[0x66, 0xB8, 0x31, 0, 1, 0x80]); // mov eax, PG | WP | NE | ET | PE
    put(&[0x0F, 0x22, 0xC0]); // mov cr0, eax
    put(&[0x66, 0xEA]); // jmp 8:SIXTY_FOUR
    put(&word(page + SIXTY_FOUR));
    put(&[8, 0]);
    assert!(
        at == SIXTY_FOUR as usize,
        "the code is not where it jumps to"
    );
    let code64 = 0x0020_9B00_0000_0000u64.to_le_bytes();
    let tail = &mut code[SIXTY_FOUR as usize..];
    tail[..2].copy_from_slice(&[0x48, 0xB8]); // mov rax, rip
    tail[2..10].copy_from_slice(&rip.to_le_bytes());
    tail[10..12].copy_from_slice(&[0xFF, 0xE0]); // jmp rax
    code[GDT as usize + 8..][..8].copy_from_slice(&code64);
    code[GDTR as usize..][..2].copy_from_slice(&15u16.to_le_bytes());
    code[GDTR as usize + 2..][..4].copy_from_slice(&word(page + GDT));
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stand_where_the_code_reads_them() {
        let code = from_real_mode(0x8000, 0x19_1000, 0xFFFF_FFFF_8012_3456);
        assert_eq!(code[0x17..0x1B], 0x19_1000u32.to_le_bytes());
        assert_eq!(code[0x39..0x3D], (0x8000 + SIXTY_FOUR).to_le_bytes());
        assert_eq!(code[0x41..0x49], 0xFFFF_FFFF_8012_3456u64.to_le_bytes());
        assert_eq!(code[0x62..0x66], (0x8000 + GDT).to_le_bytes());
    }
}
