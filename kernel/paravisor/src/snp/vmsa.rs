//! The lower context's first VMSA.

use crate::snp::vmpl2::LOWER;
use tessera_defs::snp::status::{VTOM_BIT, features};
use tessera_defs::snp::vc::INVALID;
use tessera_defs::snp::vmsa::{ATTRIB_CODE64, ATTRIB_DATA, ATTRIB_LDT, ATTRIB_TSS, Segment, Vmsa};
use tessera_defs::x86::efer;
use tessera_handoff::layout::{BOOT_TABLES, STUB_END};
use zerocopy::FromZeros;

/// SEV_FEATURES of the lower context.
///
/// AlternateInjection keeps the host's events out: the guest gets what stands in this save area.
pub const LOWER_FEATURES: u64 =
    features::SNP_ACTIVE | features::VTOM | features::REFLECT_VC | features::ALTERNATE_INJECTION;
/// PE, ET, NE, WP, PG.
const CR0: u64 = 0x8001_0031;
/// PAE, MCE.
const CR4: u64 = 1 << 5 | 1 << 6;
const PAT: u64 = 0x0007_0406_0007_0406;

/// 64-bit, at the stub's lower door, with its boot tables.
pub fn first(entry: u64) -> Vmsa {
    let segment = |selector, attrib| Segment {
        selector,
        attrib,
        limit: u32::MAX,
        base: 0,
    };
    let mut area = Vmsa::new_zeroed();
    area.cs = segment(0x08, ATTRIB_CODE64);
    let data = segment(0x10, ATTRIB_DATA);
    (area.ds, area.es, area.ss, area.fs, area.gs) = (data, data, data, data, data);
    area.ldtr = Segment {
        attrib: ATTRIB_LDT,
        ..Segment::default()
    };
    area.tr = Segment {
        attrib: ATTRIB_TSS,
        limit: 0xFFFF,
        ..Segment::default()
    };
    area.vmpl = LOWER;
    area.efer = efer::LME | efer::LMA | efer::NXE | efer::SVME;
    (area.cr0, area.cr3, area.cr4) = (CR0, BOOT_TABLES, CR4);
    (area.dr6, area.dr7, area.rflags) = (0xFFFF_0FF0, 0x400, 2);
    (area.rip, area.rsp) = (entry, STUB_END);
    (area.g_pat, area.xcr0) = (PAT, 1);
    (area.mxcsr, area.x87_fcw) = (0x1F80, 0x37F);
    area.sev_features = LOWER_FEATURES;
    area.virtual_tom = 1 << VTOM_BIT;
    area.guest_exit_code = INVALID;
    area
}
