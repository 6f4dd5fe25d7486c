//! What stands at each page of the image, by platform.

use super::igvm_file::{NATIVE, Pages, SNP, TDX};
use super::tables;
use igvm::IgvmDirectiveHeader as Directive;
use igvm_defs::{
    IGVM_VHS_PARAMETER, IGVM_VHS_PARAMETER_INSERT, IgvmPageDataFlags, IgvmPageDataType,
};
use std::ops::Range;
use tessera_defs::x86::PAGE_SIZE;
use tessera_handoff::layout;

/// Parameter areas: index and place. One page each.
const AREAS: [(u32, u64); 4] = [
    (0, layout::PARAM_MEMORY_MAP),
    (1, layout::PARAM_VP),
    (2, layout::PARAM_MADT),
    (3, layout::PARAM_COMMAND_LINE),
];

/// Areas first, then what is put into them. There is no command-line header, which most of
/// QEMU's loaders refuse (`loaders.rs`): the area's page is zeros but for a host that knows it.
pub fn parameters() -> Vec<Directive> {
    let area = |(index, _)| Directive::ParameterArea {
        number_of_bytes: PAGE_SIZE,
        parameter_area_index: index,
        initial_data: Vec::new(),
    };
    let put = |index, byte_offset| IGVM_VHS_PARAMETER {
        parameter_area_index: index,
        byte_offset,
    };
    let mut list: Vec<_> = AREAS.into_iter().map(area).collect();
    list.push(Directive::MemoryMap(put(0, 0)));
    list.push(Directive::VpCount(put(1, 0)));
    list.push(Directive::EnvironmentInfo(put(1, 4)));
    list.push(Directive::Madt(put(2, 0)));
    list
}

/// What stands at one page address, by platform.
pub fn at(pages: &Pages, gpa: u64) -> Vec<Directive> {
    let all = SNP | TDX | NATIVE;
    let normal = IgvmPageDataType::NORMAL;
    if let Some((index, _)) = AREAS.into_iter().find(|(_, place)| *place == gpa) {
        return vec![Directive::ParameterInsert(IGVM_VHS_PARAMETER_INSERT {
            gpa,
            compatibility_mask: all,
            parameter_area_index: index,
        })];
    }
    if boot_tables().contains(&gpa) {
        let index = ((gpa - layout::BOOT_TABLES) / PAGE_SIZE) as usize;
        let (encrypted, plain) = (tables::boot_tables(tables::C_BIT), tables::boot_tables(0));
        return vec![
            page(gpa, SNP, normal, &encrypted[index]),
            page(gpa, TDX | NATIVE, normal, &plain[index]),
        ];
    }
    let special = match gpa {
        layout::SECRETS_PAGE => Some(IgvmPageDataType::SECRETS),
        layout::CPUID_PAGE => Some(IgvmPageDataType::CPUID_DATA),
        _ => None,
    };
    match special {
        Some(kind) => vec![
            page(gpa, SNP, kind, &[]),
            page(gpa, TDX | NATIVE, normal, &[]),
        ],
        None => {
            let content = pages.get(&gpa).map_or(&[][..], |content| &content[..]);
            vec![page(gpa, all, normal, content)]
        }
    }
}

/// Addresses of the boot page tables.
fn boot_tables() -> Range<u64> {
    layout::BOOT_TABLES..layout::BOOT_TABLES + tables::PAGES * PAGE_SIZE
}

/// One page of `content`; an empty one is a page of zeros without file data.
pub fn page(gpa: u64, mask: u32, data_type: IgvmPageDataType, content: &[u8]) -> Directive {
    Directive::PageData {
        gpa,
        compatibility_mask: mask,
        flags: IgvmPageDataFlags::new(),
        data_type,
        data: content.to_vec(),
    }
}
