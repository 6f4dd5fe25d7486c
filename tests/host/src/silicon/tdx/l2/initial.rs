//! What stands in an L2 VMCS before L1 writes it. Source: 348551, tables of the L2 VMCS; 348549,
//! "Initial State of TD VCPUs".

use tessera_defs::vmx::{control, vmcs::*};

/// Writable data, 4 GiB.
const DATA: u64 = 0xC093;
const FLAT: u64 = 0xFFFF_FFFF;

/// Fields that are not 0.
pub const VALUES: &[(u32, u64)] = &[
    (0x0002, 0xFFFF),
    (0x2000, u64::MAX),
    (0x2002, u64::MAX),
    (VIRTUAL_APIC_PAGE, u64::MAX),
    (0x2016, u64::MAX),
    (0x202A, u64::MAX),
    (0x202E, u64::MAX),
    (0x2036, u64::MAX),
    (GUEST_PAT, 0x0007_0406_0007_0406),
    (GUEST_EFER, control::EFER_L2_INITIAL),
    (0x2808, 0xFF),
    (0x280A, u64::MAX),
    (0x280C, u64::MAX),
    (0x280E, u64::MAX),
    (0x2810, u64::MAX),
    (PIN_CONTROLS, 0x29),
    (
        PRIMARY_CONTROLS,
        control::primary::L2_INITIAL as u64 | PRIMARY_FIXED,
    ),
    (EXCEPTION_BITMAP, 1 << 18),
    (
        ENTRY_CONTROLS,
        control::entry::L2_INITIAL as u64 | ENTRY_FIXED,
    ),
    (SECONDARY_CONTROLS, control::secondary::L2_INITIAL as u64),
    (super::cr::TERTIARY_CONTROLS, 0x80),
    (GUEST_ES_LIMIT, FLAT),
    (GUEST_CS_LIMIT, FLAT),
    (GUEST_SS_LIMIT, FLAT),
    (GUEST_DS_LIMIT, FLAT),
    (GUEST_FS_LIMIT, FLAT),
    (GUEST_GS_LIMIT, FLAT),
    (GUEST_LDTR_LIMIT, 0xFFFF),
    (GUEST_TR_LIMIT, 0xFFFF),
    (GUEST_GDTR_LIMIT, 0xFFFF),
    (GUEST_ES_AR, DATA),
    (GUEST_CS_AR, 0xC09B),
    (GUEST_SS_AR, DATA),
    (GUEST_DS_AR, DATA),
    (GUEST_FS_AR, DATA),
    (GUEST_GS_AR, DATA),
    (GUEST_LDTR_AR, 0x1_0082),
    (GUEST_TR_AR, 0x8B),
    (GUEST_CR0, control::CR0_L2_INITIAL),
    (GUEST_CR4, control::CR4_L2_INITIAL),
    (GUEST_DR7, 0x400),
    (GUEST_RIP, 0xFFFF_FFF0),
    (GUEST_RFLAGS, 2),
];

/// Bits that VMX fixes to 1 (IA32_VMX_TRUE_PROCBASED_CTLS): 1, 4 to 6, 8, 13, 14, 26.
const PRIMARY_FIXED: u64 = 0x0400_6172;
/// Bits that VMX fixes to 1 (IA32_VMX_TRUE_ENTRY_CTLS).
const ENTRY_FIXED: u64 = 0x11FB;
