//! The register context of a plain virtual machine. Source: IGVM file format,
//! IGVM_NATIVE_VP_CONTEXT_X64.

use super::vmsa::{CR0, CR4};
use igvm_defs::IgvmNativeVpContextX64;
use tessera_defs::x86::efer;
use tessera_handoff::layout::{BOOT_TABLES, STUB_END};
use zerocopy::FromZeros;

/// The bootstrap processor: 64-bit, at `entry` on the stub's stack.
pub fn context(entry: u64) -> IgvmNativeVpContextX64 {
    let mut context = IgvmNativeVpContextX64::new_zeroed();
    (context.rip, context.rsp, context.rflags) = (entry, STUB_END, 2);
    (context.code_selector, context.code_attributes) = (0x08, 0xA09B);
    (context.data_selector, context.data_attributes) = (0x10, 0xC093);
    (context.code_limit, context.data_limit) = (u32::MAX, u32::MAX);
    (context.cr0, context.cr3, context.cr4) = (CR0, BOOT_TABLES, CR4);
    context.efer = efer::LME | efer::LMA | efer::NXE;
    context
}
