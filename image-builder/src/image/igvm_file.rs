//! The one IGVM file: three platforms, pages in address order, VMSA last.

use super::{native, reset, tables, vmsa};
use crate::{Failure, Result};
use igvm::snp_defs::SevVmsa;
use igvm::{
    IgvmDirectiveHeader as Directive, IgvmFile, IgvmInitializationHeader, IgvmPlatformHeader,
    IgvmRevision,
};
use igvm_defs::{
    IGVM_VHS_PARAMETER, IGVM_VHS_PARAMETER_INSERT, IGVM_VHS_SUPPORTED_PLATFORM, IgvmPageDataFlags,
    IgvmPageDataType, IgvmPlatformType,
};
use std::{collections::BTreeMap, ops::Range};
use tessera_defs::{snp::vmsa::BSP_VMSA_GPA, x86::PAGE_SIZE};
use tessera_handoff::layout;
use zerocopy::{FromBytes, IntoBytes};

/// Compatibility mask of SEV-SNP.
pub const SNP: u32 = 1;
/// Compatibility mask of TDX.
pub const TDX: u32 = 2;
/// Compatibility mask of a plain virtual machine.
pub const NATIVE: u32 = 4;

/// Parameter areas: index and place. One page each.
const AREAS: [(u32, u64); 4] = [
    (0, layout::PARAM_MEMORY_MAP),
    (1, layout::PARAM_VP),
    (2, layout::PARAM_MADT),
    (3, layout::PARAM_COMMAND_LINE),
];

/// Where the stub is entered.
#[derive(Debug, Clone, Copy)]
pub struct Entries {
    /// 64-bit, SNP.
    pub snp: u64,
    /// 64-bit, plain virtual machine.
    pub native: u64,
    /// 32-bit, TDX.
    pub tdx32: u64,
}

/// Measured content by page address; a page that is not here is a zero page.
pub type Pages = BTreeMap<u64, Box<[u8; PAGE_SIZE as usize]>>;

/// Spreads `bytes` over pages from `gpa` on. Pages of zeros only are left out.
pub fn spread(pages: &mut Pages, gpa: u64, bytes: &[u8]) {
    for (index, chunk) in bytes.chunks(PAGE_SIZE as usize).enumerate() {
        if chunk.iter().any(|byte| *byte != 0) {
            let mut page = Box::new([0; PAGE_SIZE as usize]);
            page[..chunk.len()].copy_from_slice(chunk);
            pages.insert(gpa + index as u64 * PAGE_SIZE, page);
        }
    }
}

/// The bytes of the file. The same input gives the same bytes.
pub fn igvm_file(pages: &Pages, entries: &Entries, snp_policy: u64) -> Result<Vec<u8>> {
    let policy = IgvmInitializationHeader::GuestPolicy {
        policy: snp_policy,
        compatibility_mask: SNP,
    };
    let file = IgvmFile::new(
        IgvmRevision::V1,
        platforms(),
        vec![policy],
        directives(pages, entries)?,
    )
    .map_err(refused)?;
    let mut bytes = Vec::new();
    file.serialize(&mut bytes).map_err(refused)?;
    Ok(bytes)
}

fn refused(error: igvm::Error) -> Failure {
    let cause = format!("the IGVM file cannot be written: {error}");
    Failure::image(cause, "report this as a defect of the image builder")
}

fn platforms() -> Vec<IgvmPlatformHeader> {
    let kinds = [
        (SNP, IgvmPlatformType::SEV_SNP),
        (TDX, IgvmPlatformType::TDX),
        (NATIVE, IgvmPlatformType::NATIVE),
    ];
    let header = |(compatibility_mask, platform_type)| {
        IgvmPlatformHeader::SupportedPlatform(IGVM_VHS_SUPPORTED_PLATFORM {
            compatibility_mask,
            highest_vtl: 0,
            platform_type,
            platform_version: 1,
            shared_gpa_boundary: 0,
        })
    };
    kinds.map(header).to_vec()
}

fn directives(pages: &Pages, entries: &Entries) -> Result<Vec<Directive>> {
    let mut list = parameters();
    let end = layout::IMAGE_END;
    for gpa in (layout::IMAGE_START..end).step_by(PAGE_SIZE as usize) {
        list.extend(at(pages, gpa));
    }
    let reset = reset::reset_page(entries.tdx32)?;
    list.push(page(
        layout::RESET_PAGE,
        TDX,
        IgvmPageDataType::NORMAL,
        &reset,
    ));
    list.push(Directive::X64NativeVpContext {
        compatibility_mask: NATIVE,
        vp_index: 0,
        context: Box::new(native::context(entries.native)),
    });
    list.push(Directive::SnpVpContext {
        gpa: BSP_VMSA_GPA,
        compatibility_mask: SNP,
        vp_index: 0,
        vmsa: Box::new(zerocopy_vmsa(entries.snp)),
    });
    Ok(list)
}

/// Areas first, then what is put into them. The command line's area stays empty: QEMU's loader
/// refuses a file with a command-line header, and nothing in the guest believes one.
fn parameters() -> Vec<Directive> {
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
fn at(pages: &Pages, gpa: u64) -> Vec<Directive> {
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
pub fn boot_tables() -> Range<u64> {
    layout::BOOT_TABLES..layout::BOOT_TABLES + tables::PAGES * PAGE_SIZE
}

fn page(gpa: u64, mask: u32, data_type: IgvmPageDataType, content: &[u8]) -> Directive {
    Directive::PageData {
        gpa,
        compatibility_mask: mask,
        flags: IgvmPageDataFlags::new(),
        data_type,
        data: content.to_vec(),
    }
}

/// Our layout of the VMSA as the IGVM crate's, which differs in names only.
fn zerocopy_vmsa(entry: u64) -> SevVmsa {
    const { assert!(size_of::<SevVmsa>() == PAGE_SIZE as usize) };
    let bytes = vmsa::bsp(entry);
    SevVmsa::read_from_bytes(bytes.as_bytes()).expect("the sizes are equal at compile time")
}
