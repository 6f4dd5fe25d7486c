//! Access to MSRs and CR4 that may meet #GP: the trap dispatcher turns the fault into a result.
#![allow(unsafe_code)] // reason: the faulting instruction needs a label of its own

use crate::trap::TrapFrame;
use core::arch::global_asm;

// Both return RAX = 0 done, 1 fault. RDI register, RSI pointer to the value.
global_asm!(
    ".global tessera_probe_rdmsr, tessera_probe_rdmsr_at, tessera_probe_wrmsr",
    ".global tessera_probe_wrmsr_at, tessera_probe_failed",
    ".global tessera_probe_cr4, tessera_probe_cr4_at",
    "tessera_probe_rdmsr:",
    "mov ecx, edi",
    "tessera_probe_rdmsr_at: rdmsr",
    "mov [rsi], eax",
    "mov [rsi + 4], edx",
    "xor eax, eax",
    "ret",
    "tessera_probe_wrmsr:",
    "mov ecx, edi",
    "mov eax, [rsi]",
    "mov edx, [rsi + 4]",
    "tessera_probe_wrmsr_at: wrmsr",
    "xor eax, eax",
    "ret",
    "tessera_probe_cr4:",
    "tessera_probe_cr4_at: mov cr4, rdi",
    "xor eax, eax",
    "ret",
    "tessera_probe_failed:",
    "mov eax, 1",
    "ret",
);

unsafe extern "sysv64" {
    fn tessera_probe_rdmsr(msr: u32, value: *mut u64) -> u64;
    fn tessera_probe_wrmsr(msr: u32, value: *const u64) -> u64;
    fn tessera_probe_cr4(value: u64) -> u64;
    static tessera_probe_rdmsr_at: u8;
    static tessera_probe_cr4_at: u8;
    static tessera_probe_wrmsr_at: u8;
    static tessera_probe_failed: u8;
}

/// RDMSR; `None` where it raises #GP. Needs `Idt::install`.
///
/// # Safety
/// Reading the register, if it exists, has no effect on memory.
pub unsafe fn rdmsr(msr: u32) -> Option<u64> {
    let mut value = 0;
    // SAFETY: writes `value` only; a #GP is fixed up.
    let failed = unsafe { tessera_probe_rdmsr(msr, &raw mut value) };
    (failed == 0).then_some(value)
}

/// WRMSR; false where it raises #GP. Needs `Idt::install`.
///
/// # Safety
/// As `instr::wrmsr`, except that the register may be missing.
pub unsafe fn wrmsr(msr: u32, value: u64) -> bool {
    // SAFETY: reads `value` only; a #GP is fixed up; the effect is the caller's promise.
    unsafe { tessera_probe_wrmsr(msr, &raw const value) == 0 }
}

/// MOV to CR4; false where it raises #GP: a bit that this processor does not have. Needs
/// `Idt::install`.
///
/// # Safety
/// As `instr::set_cr4`, except that bits may be unsupported.
pub unsafe fn set_cr4(value: u64) -> bool {
    // SAFETY: a #GP is fixed up and leaves the register; the effect is the caller's promise.
    unsafe { tessera_probe_cr4(value) == 0 }
}

/// Where the frame stands on a probing instruction: makes the probe fail, and says true. The
/// dispatcher does so for #GP; #VC and #VE handlers call it where the host answers with #GP.
pub fn fix_up(frame: &mut TrapFrame) -> bool {
    let at = [
        &raw const tessera_probe_rdmsr_at,
        &raw const tessera_probe_wrmsr_at,
        &raw const tessera_probe_cr4_at,
    ];
    let hit = !frame.from_user() && at.iter().any(|label| *label as u64 == frame.rip);
    if hit {
        frame.rip = &raw const tessera_probe_failed as u64;
    }
    hit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_probing_instruction_is_fixed_up() {
        let rip = &raw const tessera_probe_rdmsr_at as u64;
        let mut frame = TrapFrame {
            rip,
            cs: 8,
            ..Default::default()
        };
        assert!(fix_up(&mut frame));
        assert_eq!(frame.rip, &raw const tessera_probe_failed as u64);
        let mut other = TrapFrame {
            rip: rip + 2,
            cs: 8,
            ..Default::default()
        };
        assert!(!fix_up(&mut other));
        let mut user = TrapFrame {
            rip,
            cs: 0x23,
            ..Default::default()
        };
        assert!(!fix_up(&mut user));
    }
}
