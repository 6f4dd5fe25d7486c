//! MSRs that the processor virtualises for a TD. Source: 348549, "MSR Virtualization", and
//! virtualised x2APIC registers (Intel SDM vol. 3, 30.5). Checked against KVM's
//! `tdx_has_emulated_msr`, which refuses TDVMCALLs for them: the host has no access to the
//! virtual-APIC page.

/// Whether a TD reads and writes this x2APIC register by RDMSR and WRMSR without a #VE: TPR,
/// PPR, EOI, ISR, TMR, IRR. No host can serve them.
pub const fn virtual_apic(msr: u32) -> bool {
    matches!(msr, 0x808 | 0x80A | 0x80B | 0x810..=0x827)
}
