//! Single privileged instructions.
#![allow(unsafe_code)] // reason: inline assembly is the only way to name these instructions

use core::arch::asm;

/// Result of CPUID: EAX, EBX, ECX, EDX. A claim by whoever answers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct CpuidResult {
    pub eax: u32,
    pub ebx: u32,
    pub ecx: u32,
    pub edx: u32,
}

/// CPUID `leaf`, `subleaf`. Raises #VC or #VE where the processor says so.
pub fn cpuid(leaf: u32, subleaf: u32) -> CpuidResult {
    let (eax, ebx, ecx, edx);
    // SAFETY: CPUID reads and writes only these registers; RBX, which LLVM reserves, is kept.
    unsafe {
        asm!("mov {saved:r}, rbx", "cpuid", "xchg {saved:r}, rbx", saved = out(reg) ebx,
            inout("eax") leaf => eax, inout("ecx") subleaf => ecx, out("edx") edx,
            options(nostack, preserves_flags));
    }
    let ebx: u64 = ebx;
    CpuidResult {
        eax,
        ebx: ebx as u32,
        ecx,
        edx,
    }
}

/// RDMSR.
///
/// # Safety
/// The register exists, and reading it has no effect on memory.
/// For registers that may be missing: `probe::rdmsr`.
pub unsafe fn rdmsr(msr: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: RDMSR writes EAX and EDX only; existence is the caller's promise.
    unsafe {
        asm!("rdmsr", in("ecx") msr, out("eax") low, out("edx") high,
            options(nostack, preserves_flags));
    }
    u64::from(low) | u64::from(high) << 32
}

/// WRMSR.
///
/// # Safety
/// The register exists, the value is legal, and what it changes (paging,
/// segment bases, entry points) leaves all live Rust memory as it is.
pub unsafe fn wrmsr(msr: u32, value: u64) {
    // SAFETY: the effect is the caller's promise.
    unsafe {
        asm!("wrmsr", in("ecx") msr, in("eax") value as u32, in("edx") (value >> 32) as u32,
            options(nostack, preserves_flags));
    }
}

// IN and OUT of 1, 2 and 4 bytes. In a guest every value read is the host's.
macro_rules! port_io {
    ($input:ident $output:ident $t:ty, $reg:tt, $in:literal, $out:literal) => {
        /// IN.
        ///
        /// # Safety
        /// The read does not start a transfer into memory that Rust owns.
        pub unsafe fn $input(port: u16) -> $t {
            let value: $t;
            // SAFETY: touches DX and the accumulator; the device is the caller's promise.
            unsafe {
                asm!($in, in("dx") port, out($reg) value, options(nostack, preserves_flags));
            }
            value
        }

        /// OUT.
        ///
        /// # Safety
        /// The write does not start a transfer into memory that Rust owns.
        pub unsafe fn $output(port: u16, value: $t) {
            // SAFETY: touches DX and the accumulator; the device is the caller's promise.
            unsafe {
                asm!($out, in("dx") port, in($reg) value, options(nostack, preserves_flags));
            }
        }
    };
}
port_io!(in8 out8 u8, "al", "in al, dx", "out dx, al");
port_io!(in16 out16 u16, "ax", "in ax, dx", "out dx, ax");
port_io!(in32 out32 u32, "eax", "in eax, dx", "out dx, eax");

/// HLT once; returns after the next interrupt (for ever where interrupts are off).
/// Raises #VC or #VE where the processor says so. Ring 0 only.
pub fn hlt() {
    // SAFETY: HLT changes no memory.
    unsafe { asm!("hlt", options(nostack, preserves_flags)) }
}

/// STI; HLT without a window between them, then CLI.
pub fn wait_for_interrupt() {
    // SAFETY: handlers are installed by `trap`; they restore every register.
    unsafe { asm!("sti", "hlt", "cli", options(nostack)) }
}

/// Stops for ever with interrupts off.
pub fn halt_forever() -> ! {
    loop {
        // SAFETY: changes no memory.
        unsafe { asm!("cli", "hlt", options(nostack)) }
    }
}

/// Runs `f` with interrupts off, and restores the interrupt flag.
pub fn without_interrupts<R>(f: impl FnOnce() -> R) -> R {
    x86_64::instructions::interrupts::without_interrupts(f)
}

/// INVLPG for the page of `virt`.
pub fn invlpg(virt: u64) {
    // SAFETY: forgetting a translation is always allowed.
    unsafe { asm!("invlpg [{}]", in(reg) virt, options(nostack, preserves_flags)) }
}

/// Zeroes a page by words: REP counts each.
///
/// # Safety
/// A mapped, writable page at `virt` that nobody else uses.
pub unsafe fn clear_page(virt: u64) {
    // SAFETY: the caller's promise; DF is clear in the kernel.
    unsafe {
        asm!("rep stosq", inout("rdi") virt => _, inout("rcx") 512u64 => _, in("rax") 0u64,
            options(nostack, preserves_flags));
    }
}

/// Copies memory by words of 8 bytes: REP counts each.
///
/// # Safety
/// Mapped memory that does not overlap; what is at `to` is writable and nobody else's.
#[inline(always)]
pub unsafe fn copy_words(from: u64, to: u64, words: u64) {
    // SAFETY: the caller's promise; DF is clear in the kernel.
    unsafe {
        asm!("rep movsq", inout("rsi") from => _, inout("rdi") to => _, inout("rcx") words => _,
            options(nostack, preserves_flags));
    }
}

/// Flushes all non-global translations by rewriting CR3.
pub fn flush_tlb() {
    // SAFETY: CR3 is rewritten with the value it has.
    unsafe { asm!("mov {r}, cr3", "mov cr3, {r}", r = out(reg) _, options(nostack)) }
}

macro_rules! read_cr {
    ($name:ident $text:literal) => {
        #[doc = concat!("Reads the register: `", $text, "`.")]
        pub fn $name() -> u64 {
            let value: u64;
            // SAFETY: reading a control register changes nothing.
            unsafe { asm!($text, out(reg) value, options(nomem, nostack, preserves_flags)) }
            value
        }
    };
}
read_cr!(cr0 "mov {}, cr0");
read_cr!(cr2 "mov {}, cr2");
read_cr!(cr3 "mov {}, cr3");
read_cr!(cr4 "mov {}, cr4");

/// Writes CR3.
///
/// # Safety
/// The tables at `value` map all memory that is in use (code, stack,
/// statics, live references) where it is now.
pub unsafe fn set_cr3(value: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("mov cr3, {}", in(reg) value, options(nostack, preserves_flags)) }
}

/// Writes CR0.
///
/// # Safety
/// Long mode, paging and protection stay on.
pub unsafe fn set_cr0(value: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("mov cr0, {}", in(reg) value, options(nostack, preserves_flags)) }
}

/// Writes CR4.
///
/// # Safety
/// PAE stays set, every bit is supported.
pub unsafe fn set_cr4(value: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("mov cr4, {}", in(reg) value, options(nostack, preserves_flags)) }
}

/// RDTSC, an unserialised count.
pub fn rdtsc() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: writes EAX and EDX only.
    unsafe { asm!("rdtsc", out("eax") low, out("edx") high, options(nomem, nostack)) }
    u64::from(low) | u64::from(high) << 32
}

/// Lets pending interrupts in, once: STI, one instruction, CLI.
pub fn take_interrupts() {
    x86_64::instructions::interrupts::enable();
    x86_64::instructions::nop();
    x86_64::instructions::interrupts::disable();
}

/// CLI.
pub fn disable_interrupts() {
    x86_64::instructions::interrupts::disable();
}
