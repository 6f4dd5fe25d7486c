//! The state in which the L2 VM starts, and what of the processor it uses without asking.
//! Sources: 354807, "L2 VM State"; Intel SDM vol. 3, 27.3 (checks on guest state).

use tessera_defs::tdx::field::{L2_CTLS_SHARED_EPT, L2_CTLS_VM1, msr_bitmap1, vmcs1};
use tessera_defs::vmx::control::{entry, secondary};
use tessera_defs::vmx::vmcs::*;
use tessera_defs::x86::{
    MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_LSTAR, MSR_SFMASK, MSR_STAR, efer,
};
use tessera_handoff::layout::BOOT_TABLES;
use tessera_protocol::error::Result;
use tessera_protocol::tdx::module::vp_wr;
use tessera_protocol::traits::Tdcall;

/// PE, MP, ET, NE, WP, PG. A change by the guest would exit, and nobody serves it.
const CR0: u64 = 0x8001_0033;
/// PAE, MCE, OSFXSR and OSXMMEXCPT, and VMXE, which TDX demands and
/// the guest does not see.
const CR4: u64 = 1 << 5 | 1 << 6 | 1 << 9 | 1 << 10 | CR4_VMXE;
const CR4_VMXE: u64 = 1 << 13;
const PAT: u64 = 0x0007_0406_0007_0406;
/// Present code segment: 64-bit, readable, accessed.
const CODE64: u64 = 0xA09B;
/// Present data segment: 32-bit, writable, accessed, 4 KiB granularity.
const DATA: u64 = 0xC093;
/// Busy 64-bit TSS.
const TSS: u64 = 0x8B;
/// No LDT.
const UNUSABLE: u64 = 1 << 16;
const FLAT: u64 = 0xFFFF_FFFF;

/// Fields of the L2 VMCS and their values: 64-bit mode, flat segments, the boot tables.
const FIELDS: [(u32, u64); 38] = [
    (GUEST_CR0, CR0),
    (CR0_READ_SHADOW, CR0),
    (GUEST_CR3, BOOT_TABLES),
    (GUEST_CR4, CR4),
    (CR4_READ_SHADOW, CR4 & !CR4_VMXE),
    // All else of it is the guest's: SMEP, SMAP and UMIP above all.
    (CR4_GUEST_HOST_MASK, CR4_VMXE),
    (GUEST_EFER, efer::LME | efer::LMA | efer::NXE),
    (GUEST_PAT, PAT),
    (GUEST_DR7, 0x400),
    (GUEST_CS_SELECTOR, 0x08),
    (GUEST_CS_BASE, 0),
    (GUEST_CS_LIMIT, FLAT),
    (GUEST_CS_AR, CODE64),
    (GUEST_DS_SELECTOR, 0x10),
    (GUEST_DS_BASE, 0),
    (GUEST_DS_LIMIT, FLAT),
    (GUEST_DS_AR, DATA),
    (GUEST_ES_SELECTOR, 0x10),
    (GUEST_ES_BASE, 0),
    (GUEST_ES_LIMIT, FLAT),
    (GUEST_ES_AR, DATA),
    (GUEST_SS_SELECTOR, 0x10),
    (GUEST_SS_BASE, 0),
    (GUEST_SS_LIMIT, FLAT),
    (GUEST_SS_AR, DATA),
    (GUEST_FS_SELECTOR, 0x10),
    (GUEST_FS_LIMIT, FLAT),
    (GUEST_FS_AR, DATA),
    (GUEST_GS_SELECTOR, 0x10),
    (GUEST_GS_LIMIT, FLAT),
    (GUEST_GS_AR, DATA),
    (GUEST_LDTR_AR, UNUSABLE),
    (GUEST_TR_SELECTOR, 0),
    (GUEST_TR_LIMIT, 0xFFFF),
    (GUEST_TR_AR, TSS),
    (GUEST_GDTR_LIMIT, 0),
    (GUEST_IDTR_LIMIT, 0),
    (GUEST_INTERRUPTIBILITY, 0),
];

/// Registers of the processor that concern nobody but the context that uses it; the paravisor
/// uses none of them. TSC reads too.
const OWN_MSRS: [u32; 6] = [
    MSR_STAR,
    MSR_LSTAR,
    MSR_SFMASK,
    MSR_FS_BASE,
    MSR_GS_BASE,
    MSR_KERNEL_GS_BASE,
];
const MSR_TSC: u32 = 0x10;

/// Writes all of it; `apic_page` is the virtual-APIC page, which VP.ENTER demands.
pub fn write(call: &mut impl Tdcall, apic_page: u64) -> Result<()> {
    for (encoding, value) in FIELDS {
        vp_wr(call, vmcs1(encoding), value, mask(encoding))?;
    }
    vp_wr(call, vmcs1(VIRTUAL_APIC_PAGE), apic_page, u64::MAX)?;
    set(call, vmcs1(ENTRY_CONTROLS), entry::IA32E.into())?;
    set(
        call,
        vmcs1(SECONDARY_CONTROLS),
        secondary::MODE_BASED_EXECUTE.into(),
    )?;
    set(call, L2_CTLS_VM1, L2_CTLS_SHARED_EPT)?;
    for msr in OWN_MSRS {
        pass(call, msr, false)?;
        pass(call, msr, true)?;
    }
    pass(call, MSR_TSC, false)
}

/// Sets `bits` of a field of which L1 may write no others, or wants none.
fn set(call: &mut impl Tdcall, field: u64, bits: u64) -> Result<()> {
    vp_wr(call, field, bits, bits)?;
    Ok(())
}

/// All bits of a field, by its width (bits 14:13 of its encoding).
const fn mask(encoding: u32) -> u64 {
    match encoding >> 13 & 3 {
        0 => 0xFFFF,
        2 => 0xFFFF_FFFF,
        _ => u64::MAX,
    }
}

/// Lets the guest read or write `msr` without an exit.
fn pass(call: &mut impl Tdcall, msr: u32, write: bool) -> Result<()> {
    let low = u64::from(msr & 0x1FFF);
    let half = u64::from(msr >> 31) * 0x80 + u64::from(write) * 0x100;
    let bit = 1 << (low % 64);
    vp_wr(call, msr_bitmap1(half + low / 64), 0, bit)?;
    Ok(())
}
