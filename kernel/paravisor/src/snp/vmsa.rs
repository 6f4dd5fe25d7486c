//! The save areas that the paravisor makes: of a lower processor, and of VMPL 0 of a processor but the
//! first.

use crate::snp::vmpl2::LOWER;
use crate::stacks;
use tessera_defs::snp::status::{VTOM_BIT, features};
use tessera_defs::snp::vc::INVALID;
use tessera_defs::snp::vmsa::{ATTRIB_CODE64, ATTRIB_DATA, ATTRIB_LDT, ATTRIB_TSS, Segment, Vmsa};
use tessera_defs::start_vp::{InitialVpContext, SegmentRegister, TableRegister};
use tessera_defs::x86::efer;
use zerocopy::FromZeros;

/// SEV_FEATURES of the lower context.
///
/// AlternateInjection keeps the host's events out: the guest gets what stands in this save area.
pub const LOWER_FEATURES: u64 =
    features::SNP_ACTIVE | features::VTOM | features::REFLECT_VC | features::ALTERNATE_INJECTION;
/// SEV_FEATURES of VMPL 0, as the image's own save area has them.
pub const OWN_FEATURES: u64 = features::SNP_ACTIVE;
/// PE, ET, NE, WP, PG.
const CR0: u64 = 0x8001_0031;
/// PAE, MCE.
const CR4: u64 = 1 << 5 | 1 << 6;
const PAT: u64 = 0x0007_0406_0007_0406;

/// What both have in common.
fn reset() -> Vmsa {
    let mut area = Vmsa::new_zeroed();
    (area.dr6, area.dr7) = (0xFFFF_0FF0, 0x400);
    (area.xcr0, area.mxcsr, area.x87_fcw) = (1, 0x1F80, 0x37F);
    area.guest_exit_code = INVALID;
    area
}

/// A lower processor that starts with `context`.
pub fn lower(context: &InitialVpContext) -> Vmsa {
    let mut area = reset();
    for (register, from) in [
        (&mut area.cs, &context.cs),
        (&mut area.ds, &context.ds),
        (&mut area.es, &context.es),
        (&mut area.ss, &context.ss),
        (&mut area.fs, &context.fs),
        (&mut area.gs, &context.gs),
        (&mut area.tr, &context.tr),
        (&mut area.ldtr, &context.ldtr),
    ] {
        *register = segment(from);
    }
    (area.gdtr, area.idtr) = (table(&context.gdtr), table(&context.idtr));
    area.vmpl = LOWER;
    area.efer = context.efer | efer::SVME;
    (area.cr0, area.cr3, area.cr4) = (context.cr0, context.cr3, context.cr4);
    area.rflags = context.rflags | 2;
    (area.rip, area.rsp) = (context.rip, context.rsp);
    area.g_pat = context.pat;
    area.sev_features = LOWER_FEATURES;
    area.virtual_tom = 1 << VTOM_BIT;
    area
}

/// VMPL 0 of processor `index`: 64-bit at `entry` with its index in RSI, on its stack and the tables
/// of `cr3`.
pub fn own(index: usize, entry: u64, cr3: u64) -> Vmsa {
    let flat = |selector, attrib| Segment {
        selector,
        attrib,
        limit: u32::MAX,
        base: 0,
    };
    let mut area = reset();
    let data = flat(0x10, ATTRIB_DATA);
    (area.ds, area.es, area.ss, area.fs, area.gs) = (data, data, data, data, data);
    area.cs = flat(0x08, ATTRIB_CODE64);
    (area.ldtr, area.tr) = (flat(0, ATTRIB_LDT), flat(0, ATTRIB_TSS));
    area.efer = efer::LME | efer::LMA | efer::NXE | efer::SVME;
    (area.cr0, area.cr3, area.cr4) = (CR0, cr3, CR4);
    (area.rflags, area.g_pat) = (2, PAT);
    (area.rip, area.rsp, area.rsi) = (entry, stacks::top(index), index as u64);
    area.sev_features = OWN_FEATURES;
    area
}

fn segment(from: &SegmentRegister) -> Segment {
    Segment {
        selector: from.selector,
        attrib: from.attributes & 0xFF | from.attributes >> 4 & 0xF00,
        limit: from.limit,
        base: from.base,
    }
}

fn table(from: &TableRegister) -> Segment {
    Segment {
        limit: from.limit.into(),
        base: from.base,
        ..Segment::default()
    }
}
