//! VMSAs: the one that starts the stub, and the one that KVM gives every other processor.

use super::tables::C_BIT;
use tessera_defs::snp::vmsa::{ATTRIB_CODE64, ATTRIB_DATA, ATTRIB_LDT, ATTRIB_TSS, Segment, Vmsa};
use tessera_defs::x86::efer;
use tessera_handoff::layout::{BOOT_TABLES, STUB_END};
use zerocopy::FromZeros;

/// CR0 PE, ET, NE, WP, PG. Source: APM vol. 2, 3.1.1.
pub const CR0: u64 = 1 | 1 << 4 | 1 << 5 | 1 << 16 | 1 << 31;
/// CR4 PAE, MCE. Source: APM vol. 2, 3.1.3.
pub const CR4: u64 = 1 << 5 | 1 << 6;
/// Reset value of the PAT MSR. Source: APM vol. 2, 7.8.2.
const PAT: u64 = 0x0007_0406_0007_0406;
/// SEV_FEATURES: SNP active, nothing else; QEMU's loader demands exactly this.
const SEV_FEATURES: u64 = 1;
/// CPUID Fn0000_0001 EAX of an EPYC Milan (family 25, model 1, stepping 1). A
/// reset leaves it in EDX, so it is measured for every AP, and digests for more than one
/// processor hold for this model alone.
pub const MILAN: u32 = 0x00A0_0F11;

/// The bootstrap processor: 64-bit, at `entry` on the stub's stack, C-bit in CR3.
pub fn bsp(entry: u64) -> Vmsa {
    let mut vmsa = reset_state();
    vmsa.cs = segment(0x08, ATTRIB_CODE64, u32::MAX, 0);
    let data = segment(0x10, ATTRIB_DATA, u32::MAX, 0);
    (vmsa.es, vmsa.ss, vmsa.ds, vmsa.fs, vmsa.gs) = (data, data, data, data, data);
    vmsa.efer = efer::LME | efer::LMA | efer::NXE | efer::SVME;
    (vmsa.cr0, vmsa.cr3, vmsa.cr4) = (CR0, BOOT_TABLES | C_BIT, CR4);
    (vmsa.rip, vmsa.rsp) = (entry, STUB_END);
    vmsa
}

/// Another processor as KVM resets it: real mode at 0xFFFF_FFF0. `signature` is EAX of CPUID
/// leaf 1, in EDX after a reset (APM vol. 2, table 14-1).
pub fn ap(signature: u32) -> Vmsa {
    let mut vmsa = reset_state();
    vmsa.cs = segment(0xF000, 0x9B, 0xFFFF, 0xFFFF_0000);
    let data = segment(0, 0x93, 0xFFFF, 0);
    (vmsa.es, vmsa.ss, vmsa.ds, vmsa.fs, vmsa.gs) = (data, data, data, data, data);
    vmsa.efer = efer::SVME;
    (vmsa.cr0, vmsa.cr4) = (0x10, 0x40);
    vmsa.rip = 0xFFF0;
    vmsa.rdx = u64::from(signature);
    vmsa
}

/// What both have in common. Source: APM vol. 2, table 14-1 and 15.5.1.
fn reset_state() -> Vmsa {
    let mut vmsa = Vmsa::new_zeroed();
    (vmsa.gdtr.limit, vmsa.idtr.limit) = (0xFFFF, 0xFFFF);
    vmsa.ldtr = segment(0, ATTRIB_LDT, 0xFFFF, 0);
    vmsa.tr = segment(0, ATTRIB_TSS, 0xFFFF, 0);
    (vmsa.dr6, vmsa.dr7, vmsa.rflags) = (0xFFFF_0FF0, 0x400, 2);
    vmsa.g_pat = PAT;
    vmsa.sev_features = SEV_FEATURES;
    vmsa.xcr0 = 1;
    (vmsa.mxcsr, vmsa.x87_fcw) = (0x1F80, 0x37F);
    vmsa
}

fn segment(selector: u16, attrib: u16, limit: u32, base: u64) -> Segment {
    Segment {
        selector,
        attrib,
        limit,
        base,
    }
}
