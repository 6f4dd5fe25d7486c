//! The state in which the L2 VM starts, and what of the processor it uses without asking.
//! Sources: 354807, "L2 VM State"; Intel SDM vol. 3, 27.3 (checks on guest state).

use tessera_defs::start_vp::{InitialVpContext, SegmentRegister};
use tessera_defs::tdx::field::{
    L2_CTLS_SHARED_EPT, L2_CTLS_TDVMCALL, L2_CTLS_VM1, msr_bitmap1, vmcs1,
};
use tessera_defs::vmx::control::{entry, secondary};
use tessera_defs::vmx::vmcs::*;
use tessera_defs::x86::{
    MSR_EFER, MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_LSTAR, MSR_SFMASK, MSR_STAR, efer,
};
use tessera_protocol::error::Result;
use tessera_protocol::tdx::module::vp_wr;
use tessera_protocol::traits::Tdcall;

/// Fixed 1 in an L2 VM: CR0.NE, CR4.MCE and VMXE, EFER.NXE.
const CR0_FIXED: u64 = 1 << 5;
/// In CR4 the guest sees what it wrote.
pub const CR4_FIXED: u64 = 1 << 6 | 1 << 13;
/// P, in the attributes of a segment.
const PRESENT: u16 = 1 << 7;
const UNUSABLE: u64 = 1 << 16;

/// Registers of the processor that concern nobody but the context that uses it; the paravisor
/// uses none of them. TSC reads too.
const OWN_MSRS: [u32; 10] = [
    MSR_SYSENTER_CS,
    MSR_SYSENTER_CS + 1,
    MSR_SYSENTER_CS + 2,
    MSR_EFER,
    MSR_STAR,
    MSR_LSTAR,
    MSR_SFMASK,
    MSR_FS_BASE,
    MSR_GS_BASE,
    MSR_KERNEL_GS_BASE,
];
const MSR_TSC: u32 = 0x10;
/// IA32_SYSENTER_CS; ESP and EIP follow. The VMCS has them.
const MSR_SYSENTER_CS: u32 = 0x174;

/// Fields of the L2 VMCS and their values, but for segments. RIP, RSP and RFLAGS are no fields of it.
fn fields(context: &InitialVpContext) -> [(u32, u64); 16] {
    [
        (GUEST_CR0, context.cr0 | CR0_FIXED),
        (CR0_READ_SHADOW, context.cr0),
        // All of it is the guest's, on its way from real mode, too; NE is the module's.
        (CR0_GUEST_HOST_MASK, 0),
        (GUEST_CR3, context.cr3),
        (GUEST_CR4, context.cr4 | CR4_FIXED),
        (CR4_READ_SHADOW, context.cr4),
        // All else of it is the guest's: SMEP, SMAP and UMIP above all.
        (CR4_GUEST_HOST_MASK, CR4_FIXED),
        (GUEST_EFER, context.efer | efer::NXE),
        (GUEST_PAT, context.pat),
        (GUEST_DR7, 0x400),
        (GUEST_GDTR_BASE, context.gdtr.base),
        (GUEST_GDTR_LIMIT, context.gdtr.limit.into()),
        (GUEST_IDTR_BASE, context.idtr.base),
        (GUEST_IDTR_LIMIT, context.idtr.limit.into()),
        (GUEST_INTERRUPTIBILITY, 0),
        (ENTRY_INTERRUPTION_INFO, 0),
    ]
}

/// The four fields of a segment; `number` counts in the order of the VMCS, from ES.
fn segment(number: u32, register: &SegmentRegister) -> [(u32, u64); 4] {
    let usable = register.attributes & PRESENT != 0;
    let rights = match usable {
        true => u64::from(register.attributes & 0xF0FF),
        false => UNUSABLE,
    };
    [
        (GUEST_ES_SELECTOR + 2 * number, register.selector.into()),
        (GUEST_ES_BASE + 2 * number, register.base),
        (GUEST_ES_LIMIT + 2 * number, register.limit.into()),
        (GUEST_ES_AR + 2 * number, rights),
    ]
}

/// Writes all of it; `apic_page` is the virtual-APIC page, which VP.ENTER demands.
pub fn write(call: &mut impl Tdcall, context: &InitialVpContext, apic_page: u64) -> Result<()> {
    let c = context;
    let segments = [&c.es, &c.cs, &c.ss, &c.ds, &c.fs, &c.gs, &c.ldtr, &c.tr];
    let segments = (0..).zip(segments);
    let segments = segments.flat_map(|(number, register)| segment(number, register));
    for (encoding, value) in fields(context).into_iter().chain(segments) {
        vp_wr(call, vmcs1(encoding), value, mask(encoding))?;
    }
    vp_wr(call, vmcs1(VIRTUAL_APIC_PAGE), apic_page, u64::MAX)?;
    let long = context.efer & efer::LMA != 0;
    let ia32e = u64::from(entry::IA32E);
    let wanted = if long { ia32e } else { 0 };
    vp_wr(call, vmcs1(ENTRY_CONTROLS), wanted, ia32e)?;
    set(
        call,
        vmcs1(SECONDARY_CONTROLS),
        secondary::MODE_BASED_EXECUTE.into(),
    )?;
    // The guest's TDG.VP.VMCALL goes to the host, as a guest below a paravisor expects it.
    set(call, L2_CTLS_VM1, L2_CTLS_SHARED_EPT | L2_CTLS_TDVMCALL)?;
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
