//! The one IGVM file: three platforms, pages in address order, VMSA last.

use super::directives::{at, page, parameters};
use super::{native, reset, vmsa};
use crate::{Failure, Result};
use igvm::snp_defs::SevVmsa;
use igvm::{
    IgvmDirectiveHeader as Directive, IgvmFile, IgvmInitializationHeader, IgvmPlatformHeader,
    IgvmRevision,
};
use igvm_defs::{IGVM_VHS_SUPPORTED_PLATFORM, IgvmPageDataType, IgvmPlatformType};
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

/// Where the stub is entered.
#[derive(Debug, Clone, Copy)]
pub struct Entries {
    /// 64-bit, SNP.
    pub snp: u64,
    /// 64-bit, plain virtual machine.
    pub native: u64,
    /// TDX: code of the reset page, 32-bit.
    pub reset: reset::Code,
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

/// The bytes of the file: the image, and `rooms` behind it. The same input gives the same bytes.
pub fn igvm_file(
    pages: &Pages,
    rooms: &[Range<u64>],
    entries: &Entries,
    snp_policy: u64,
) -> Result<Vec<u8>> {
    let policy = IgvmInitializationHeader::GuestPolicy {
        policy: snp_policy,
        compatibility_mask: SNP,
    };
    let file = IgvmFile::new(
        IgvmRevision::V1,
        platforms(),
        vec![policy],
        directives(pages, rooms, entries)?,
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

fn directives(pages: &Pages, rooms: &[Range<u64>], entries: &Entries) -> Result<Vec<Directive>> {
    let mut list = parameters();
    let image = layout::IMAGE_START..layout::IMAGE_END;
    for range in std::iter::once(&image).chain(rooms) {
        for gpa in range.clone().step_by(PAGE_SIZE as usize) {
            list.extend(at(pages, gpa));
        }
    }
    let [top, next] = reset::reset_tables();
    let reset = [
        (layout::RESET_TABLES, top),
        (layout::RESET_TABLES + PAGE_SIZE, next),
        (layout::RESET_PAGE, reset::reset_page(&entries.reset)),
    ];
    for (gpa, bytes) in &reset {
        list.push(page(*gpa, TDX, IgvmPageDataType::NORMAL, bytes));
    }
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

/// Our layout of the VMSA as the IGVM crate's, which differs in names only.
fn zerocopy_vmsa(entry: u64) -> SevVmsa {
    const { assert!(size_of::<SevVmsa>() == PAGE_SIZE as usize) };
    let bytes = vmsa::bsp(entry);
    SevVmsa::read_from_bytes(bytes.as_bytes()).expect("the sizes are equal at compile time")
}
