//! The save area that KVM gives every processor that the file has none for: the state after a
//! reset. The image builder has its own; both are checked against what others computed.
//! Source: APM vol. 2, table 14-1 (state after RESET and INIT), 15.36 (SNP guests).

use tessera_defs::{
    snp::{
        status::features,
        vmsa::{ATTRIB_LDT, ATTRIB_TSS, Segment, Vmsa},
    },
    x86::efer,
};
use zerocopy::FromZeros;

const LIMIT: u32 = 0xFFFF;
/// Present, code, readable, accessed; and the same for writable data.
const CODE: u16 = 0x9B;
const DATA: u16 = 0x93;

/// A processor that waits for its start at the reset vector. `signature` is EAX of its CPUID
/// leaf 1, which a reset leaves in EDX.
pub fn save_area(signature: u32) -> Vmsa {
    let segment = |selector, attrib, base| Segment {
        selector,
        attrib,
        limit: LIMIT,
        base,
    };
    let mut area = Vmsa::new_zeroed();
    for data in [
        &mut area.es,
        &mut area.ss,
        &mut area.ds,
        &mut area.fs,
        &mut area.gs,
    ] {
        *data = segment(0, DATA, 0);
    }
    area.cs = segment(0xF000, CODE, 0xFFFF_0000);
    area.rip = 0xFFF0;
    (area.gdtr, area.idtr) = (segment(0, 0, 0), segment(0, 0, 0));
    (area.ldtr, area.tr) = (segment(0, ATTRIB_LDT, 0), segment(0, ATTRIB_TSS, 0));
    area.rdx = signature.into();
    area.rflags = 1 << 1;
    // ET; KVM sets MCE in every SEV-ES save area.
    (area.cr0, area.cr4) = (1 << 4, 1 << 6);
    (area.dr6, area.dr7) = (0xFFFF_0FF0, 1 << 10);
    area.efer = efer::SVME;
    area.sev_features = features::SNP_ACTIVE;
    area.g_pat = 0x0007_0406_0007_0406;
    area.xcr0 = 1;
    area.mxcsr = 0x1F80;
    area.x87_fcw = 0x037F;
    area
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{report::hex, vmm::cpuid::MILAN};
    use sha2::{Digest, Sha384};
    use zerocopy::IntoBytes;

    #[test]
    fn it_is_the_save_area_of_sev_snp_measure() {
        let vectors = include_str!("../../../../vectors/snp/digests.json");
        let (_, rest) = vectors.split_once("\"ap_vmsa_sha384\": \"").unwrap();
        let area = save_area(MILAN);
        assert_eq!(hex(&Sha384::digest(area.as_bytes())), rest[..96]);
        assert!(vectors.contains(&std::format!("\"signature\": {MILAN},")));
    }
}
