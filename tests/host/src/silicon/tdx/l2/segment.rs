//! Segment registers between VMX's fields and SVM's images. Source: Intel SDM vol. 3, table
//! "Format of Access Rights"; APM vol. 2, 15.5.1.

use super::vmcs::Vmcs;
use tessera_defs::{
    snp::vmsa::Segment,
    vmx::{SEGMENT_UNUSABLE, vmcs::*},
};

const PRESENT: u32 = 1 << 7;
const CODE_OR_DATA: u32 = 1 << 4;
const ACCESSED: u32 = 1 << 0;

/// Encodings of one register: selector, base, limit, access rights.
#[derive(Clone, Copy, Debug)]
pub struct Fields {
    selector: u32,
    base: u32,
    limit: u32,
    rights: u32,
}

const fn fields(selector: u32, base: u32, limit: u32, rights: u32) -> Fields {
    Fields {
        selector,
        base,
        limit,
        rights,
    }
}

/// ES.
pub const ES: Fields = fields(
    GUEST_ES_SELECTOR,
    GUEST_ES_BASE,
    GUEST_ES_LIMIT,
    GUEST_ES_AR,
);
/// CS.
pub const CS: Fields = fields(
    GUEST_CS_SELECTOR,
    GUEST_CS_BASE,
    GUEST_CS_LIMIT,
    GUEST_CS_AR,
);
/// SS.
pub const SS: Fields = fields(
    GUEST_SS_SELECTOR,
    GUEST_SS_BASE,
    GUEST_SS_LIMIT,
    GUEST_SS_AR,
);
/// DS.
pub const DS: Fields = fields(
    GUEST_DS_SELECTOR,
    GUEST_DS_BASE,
    GUEST_DS_LIMIT,
    GUEST_DS_AR,
);
/// FS.
pub const FS: Fields = fields(
    GUEST_FS_SELECTOR,
    GUEST_FS_BASE,
    GUEST_FS_LIMIT,
    GUEST_FS_AR,
);
/// GS.
pub const GS: Fields = fields(
    GUEST_GS_SELECTOR,
    GUEST_GS_BASE,
    GUEST_GS_LIMIT,
    GUEST_GS_AR,
);
/// LDTR.
pub const LDTR: Fields = fields(
    GUEST_LDTR_SELECTOR,
    GUEST_LDTR_BASE,
    GUEST_LDTR_LIMIT,
    GUEST_LDTR_AR,
);
/// TR.
pub const TR: Fields = fields(
    GUEST_TR_SELECTOR,
    GUEST_TR_BASE,
    GUEST_TR_LIMIT,
    GUEST_TR_AR,
);

/// Access rights of a register.
pub fn rights(vmcs: &Vmcs, of: Fields) -> u32 {
    vmcs.get(of.rights) as u32
}

/// Base of a register.
pub fn base(vmcs: &Vmcs, of: Fields) -> u64 {
    vmcs.get(of.base)
}

/// Limit of a register.
pub fn limit(vmcs: &Vmcs, of: Fields) -> u32 {
    vmcs.get(of.limit) as u32
}

/// Selector of a register.
pub fn selector(vmcs: &Vmcs, of: Fields) -> u16 {
    vmcs.get(of.selector) as u16
}

/// The image that SVM loads; an unusable register has no attributes.
pub fn load(vmcs: &Vmcs, of: Fields) -> Segment {
    let rights = rights(vmcs, of);
    let attrib = rights & 0xFF | rights >> 4 & 0xF00;
    Segment {
        selector: selector(vmcs, of),
        attrib: if rights & SEGMENT_UNUSABLE != 0 {
            0
        } else {
            attrib as u16
        },
        limit: limit(vmcs, of),
        base: base(vmcs, of),
    }
}

/// Stores an image. A processor sets the accessed bit when it loads code or data; QEMU's far return
/// leaves it as it stands in the descriptor (stock Linux found it).
pub fn store(vmcs: &mut Vmcs, of: Fields, image: &Segment) {
    let attrib = u32::from(image.attrib);
    let mut rights = attrib & 0xFF | (attrib & 0xF00) << 4;
    match attrib & (PRESENT | CODE_OR_DATA) {
        both if both == PRESENT | CODE_OR_DATA => rights |= ACCESSED,
        present if present & PRESENT != 0 => {}
        _ => rights |= SEGMENT_UNUSABLE,
    }
    vmcs.set(of.selector, image.selector.into());
    vmcs.set(of.rights, rights.into());
    vmcs.set(of.limit, image.limit.into());
    vmcs.set(of.base, image.base);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_go_there_and_back() {
        let mut vmcs = Vmcs::new(u64::MAX);
        vmcs.set(GUEST_CS_AR, 0xA09B);
        let image = load(&vmcs, CS);
        assert_eq!(image.attrib, 0xA9B);
        store(&mut vmcs, DS, &image);
        assert_eq!(vmcs.get(GUEST_DS_AR), 0xA09B);
        assert_eq!(load(&vmcs, LDTR).attrib, 0, "unusable");
        let fresh = Segment {
            attrib: 0xA9A,
            ..image
        };
        store(&mut vmcs, CS, &fresh);
        assert_eq!(vmcs.get(GUEST_CS_AR), 0xA09B, "accessed");
        store(&mut vmcs, DS, &Segment::default());
        assert_eq!(vmcs.get(GUEST_DS_AR), 0x1_0000);
    }
}
