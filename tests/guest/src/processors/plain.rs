//! A plain machine: INIT and startup IPIs into real mode; or Hyper-V's start call, all registers at once.
#![allow(unsafe_code)] // reason: code below 1 MiB, and the call

use super::{Machine, calls, work};
use crate::window;
use core::arch::global_asm;
use core::sync::atomic::{AtomicU64, Ordering};
use tessera_defs::hyperv::HVCALL_START_VP;
use tessera_defs::mode::Mode;
use tessera_defs::start_vp::{InitialVpContext, SegmentRegister, StartVpInput};
use tessera_defs::x86::efer;
use tessera_handoff::layout::{DIRECT_MAP, EXCHANGE_PAGE, KERNEL_BASE, KERNEL_VIRT};
use tessera_hw::{instr, isolation};

/// The page of the code.
const PAGE: u64 = 0x8000;
/// Offset of the words.
const WORDS: u64 = 8;
/// Offset of the GDT, behind four words.
const GDT: u64 = WORDS + 32;
/// ET, NE, WP, PE, PG.
const CR0: u64 = 0x8001_0031;

// Position: PAGE. First a jump over the words: CR3, stack, entry, argument; and a GDT.
global_asm!(
    ".section .rodata.trampoline, \"a\"",
    ".balign 16",
    ".global ap_code, ap_code_end",
    "ap_code:",
    // 16-bit code, byte by byte: jmp ap_real.
    ".byte 0xEB, ap_real - ap_code - 2",
    ".balign 8",
    ".quad 0, 0, 0, 0",
    ".quad 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF, 0x00AF9B000000FFFF",
    ".word 31",
    ".long {page} + {gdt}",
    // cli; mov ax, cs; mov ds, ax.
    "ap_real: .byte 0xFA, 0x8C, 0xC8, 0x8E, 0xD8",
    // Exits of real mode, a leaf, and a port with eight and with sixteen bits: xor eax, eax; cpuid;
    // mov dx, 0x80; out dx, al; out dx, ax.
    ".byte 0x66, 0x31, 0xC0, 0x0F, 0xA2, 0xBA, 0x80, 0x00, 0xEE, 0xEF",
    // lgdt with 32 bits of base.
    ".byte 0x66, 0x0F, 0x01, 0x16",
    ".word {gdtr}",
    // mov eax, cr0; or al, 1; mov cr0, eax; a far jump with 32 bits of offset.
    ".byte 0x0F, 0x20, 0xC0, 0x0C, 0x01, 0x0F, 0x22, 0xC0",
    ".byte 0x66, 0xEA",
    ".long {page} + ap_protected - ap_code",
    ".word 8",
    ".code32",
    "ap_protected:",
    "mov eax, 16",
    "mov ds, eax",
    "mov es, eax",
    "mov ss, eax",
    "mov eax, 0x620", // PAE, OSFXSR, OSXMMEXCPT
    "mov cr4, eax",
    "mov eax, [{page} + {words}]",
    "mov cr3, eax",
    "mov ecx, 0xC0000080",
    "rdmsr",
    "or eax, 0x901", // SCE, LME, NXE; what else is set stays: in SNP it is SVME
    "wrmsr",
    "mov eax, {cr0}",
    "mov cr0, eax",
    ".byte 0xEA",
    ".long {page} + ap_long - ap_code",
    ".word 24",
    ".code64",
    "ap_long:",
    "mov ebx, {page} + {words}",
    "mov rsp, [rbx + 8]",
    "mov rcx, [rbx + 16]",
    "mov rdi, [rbx + 24]",
    "jmp rcx",
    "ap_code_end:",
    ".text",
    page = const PAGE,
    words = const WORDS,
    gdt = const GDT,
    gdtr = const GDT + 32,
    cr0 = const CR0,
);

unsafe extern "C" {
    static ap_code: u8;
    static ap_code_end: u8;
}

#[repr(C, align(4096))]
struct Table([AtomicU64; 512]);
static TABLES: [Table; 4] = [const { Table([const { AtomicU64::new(0) }; 512]) }; 4];

fn physical(table: &Table) -> u64 {
    &raw const *table as u64 - KERNEL_VIRT + KERNEL_BASE
}

/// The kernel's tables, with the page of the code at its own address.
fn tables() -> u64 {
    let [top, second, third, last] = &TABLES;
    let old = DIRECT_MAP + (instr::cr3() & 0x000F_FFFF_FFFF_F000);
    for (n, entry) in top.0.iter().enumerate() {
        entry.store(window::touch(old + n as u64 * 8), Ordering::Relaxed);
    }
    for (table, next) in [(top, second), (second, third), (third, last)] {
        table.0[0].store(physical(next) | 3, Ordering::Relaxed);
    }
    last.0[8].store(PAGE | 3, Ordering::Relaxed);
    physical(top)
}

/// Starts processor `index`: the last one by the call, where there is one.
pub fn start(machine: &mut Machine, index: usize) -> bool {
    if machine.hyperv && index + 1 == machine.count {
        return call(machine, index);
    }
    let entry = work::begin as *const () as u64;
    let words = [
        tables(),
        super::machine::stack(index) - 8,
        entry,
        index as u64,
    ];
    let at = machine.guest.private(PAGE);
    // SAFETY: the symbols enclose read-only bytes.
    let code = unsafe {
        let len = &raw const ap_code_end as usize - &raw const ap_code as usize;
        core::slice::from_raw_parts(&raw const ap_code, len)
    };
    for (n, chunk) in code.chunks(8).enumerate() {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        window::put(at + n as u64 * 8, u64::from_le_bytes(word));
    }
    for (n, word) in words.into_iter().enumerate() {
        window::put(at + WORDS + n as u64 * 8, word);
    }
    let to = (index as u64) << 32;
    calls::send(to | 0x4500);
    calls::send(to | 0x4600 | PAGE >> 12);
    calls::send(to | 0x4600 | PAGE >> 12);
    true
}

/// INIT.
pub fn stop(index: usize) -> bool {
    calls::send((index as u64) << 32 | 0x4500);
    true
}

fn call(machine: &Machine, index: usize) -> bool {
    let segment = |selector, attributes| SegmentRegister {
        base: 0,
        limit: u32::MAX,
        selector,
        attributes,
    };
    let data = segment(16, 0xC093);
    let context = InitialVpContext {
        rip: argument as *const () as u64,
        rsp: super::machine::stack(index) - 16,
        rflags: 2,
        cs: segment(8, 0xA09B),
        ds: data,
        es: data,
        fs: data,
        gs: data,
        ss: data,
        tr: segment(0, 0x8B),
        ldtr: segment(0, 0x82),
        efer: efer::SCE | efer::LME | efer::LMA | efer::NXE,
        cr0: CR0,
        cr3: instr::cr3(),
        cr4: 0x620,
        pat: 0x0007_0406_0007_0406,
        ..InitialVpContext::default()
    };
    window::put(super::machine::stack(index) - 16, index as u64);
    let input = StartVpInput {
        partition: u64::MAX,
        vp_index: index as u32,
        target_vtl: 0,
        reserved: [0; 3],
        context,
    };
    let start = |vp: u32| {
        let input = StartVpInput {
            vp_index: vp,
            ..input
        };
        for (n, word) in zerocopy::IntoBytes::as_bytes(&input).chunks(8).enumerate() {
            let bytes = word.try_into().unwrap_or([0; 8]);
            window::put(
                DIRECT_MAP + EXCHANGE_PAGE + n as u64 * 8,
                u64::from_le_bytes(bytes),
            );
        }
        let control = HVCALL_START_VP.into();
        // SAFETY: the processor starts on its own stack.
        unsafe {
            match machine.mode {
                Mode::TdxParavisor => isolation::vmcall(control, EXCHANGE_PAGE, 0),
                _ => isolation::vmmcall(control, EXCHANGE_PAGE, 0),
            }
        }
    };
    // One that does not exist, the one that asks, the right one, and that one again.
    [
        (99, 0xE),
        (0, 0x15),
        (index as u32, 0),
        (index as u32, 0x15),
    ]
    .into_iter()
    .all(|(vp, status)| start(vp) == status)
}

/// The call sets no general register but RSP: the number stands on the stack.
#[unsafe(naked)]
unsafe extern "C" fn argument() -> ! {
    core::arch::naked_asm!("pop rdi", "jmp {begin}", begin = sym work::begin)
}
