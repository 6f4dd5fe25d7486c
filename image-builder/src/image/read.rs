//! Reads an IGVM file that may be anything. Works on borrowed bytes, never panics.
//! Source: IGVM file format, `igvm_defs`.

use super::{igvm_file::TDX, read_bounds as bounds};
use crate::{Failure, Result};
use igvm_defs::IgvmVariableHeaderType as Kind;
use std::collections::BTreeMap;
use tessera_defs::x86::PAGE_SIZE;
use tessera_handoff::igvm::{File, Header};

/// What is done to one page of guest memory at launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    /// Measured content; `None` is a page of zeros without file data.
    Normal(Option<&'a [u8]>),
    /// Content that is not measured.
    Unmeasured,
    /// SNP secrets page.
    Secrets,
    /// SNP CPUID page.
    Cpuid,
    /// A virtual processor's context (for SNP the VMSA).
    Context(&'a [u8]),
}

/// One page, in file order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<'a> {
    /// Platforms that it is for.
    pub mask: u32,
    /// Guest physical address (of no meaning for contexts other than SNP's).
    pub gpa: u64,
    /// What is done.
    pub action: Action<'a>,
}

/// A platform header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Platform {
    /// Its bit in masks.
    pub mask: u32,
    /// `IgvmPlatformType`.
    pub kind: u8,
    /// Highest VTL.
    pub highest_vtl: u8,
    /// Shared GPA boundary.
    pub shared_gpa_boundary: u64,
}

/// A file that was read whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// Platform headers.
    pub platforms: Vec<Platform>,
    /// Guest policies: mask and policy.
    pub policies: Vec<(u32, u64)>,
    /// Pages and contexts, in file order.
    pub pages: Vec<Page<'a>>,
    /// Header types, in file order.
    pub kinds: Vec<u32>,
    areas: BTreeMap<u32, u64>,
}

/// Reads `bytes` as an IGVM file of format version 1. Errors blame the user's input: not an
/// IGVM file, larger than 256 MiB, truncated, checksum wrong, a header out
/// of bounds, or a page loaded twice.
pub fn read(bytes: &[u8]) -> Result<Parsed<'_>> {
    bounds::size(bytes.len() as u64)?;
    let file = File::parse(bytes).map_err(bounds::walk)?;
    bounds::whole(bytes)?;
    let mut parsed = Parsed::default();
    for header in file.headers() {
        parsed.take(&file, &header.map_err(bounds::walk)?)?;
    }
    let pages = parsed.pages.iter();
    let pages = pages.filter(|page| !matches!(page.action, Action::Context(_)));
    bounds::once(pages.map(|page| (page.gpa, page.mask)).collect())?;
    if parsed.platforms.is_empty() {
        return Err(bounds::broken("names no platform"));
    }
    Ok(parsed)
}

impl<'a> Parsed<'a> {
    fn take(&mut self, file: &File<'a>, header: &Header<'_>) -> Result<()> {
        self.kinds.push(header.kind);
        bounds::header(header)?;
        match Kind(header.kind) {
            Kind::IGVM_VHT_SUPPORTED_PLATFORM => self.platforms.push(Platform {
                mask: header.u32(0),
                kind: header.data[5],
                highest_vtl: header.data[4],
                shared_gpa_boundary: header.u64(8),
            }),
            Kind::IGVM_VHT_GUEST_POLICY => self.policies.push((header.u32(8), header.u64(0))),
            Kind::IGVM_VHT_PARAMETER_AREA => {
                self.areas
                    .insert(header.u32(8), bounds::area(header.u64(0))?);
            }
            Kind::IGVM_VHT_PARAMETER_INSERT => self.insert(header)?,
            Kind::IGVM_VHT_PAGE_DATA => self.page(file, header)?,
            Kind::IGVM_VHT_VP_CONTEXT => self.context(file, header)?,
            _ => {}
        }
        bounds::count(self.pages.len())
    }

    fn insert(&mut self, header: &Header<'_>) -> Result<()> {
        let (gpa, mask) = (bounds::gpa(header.u64(0))?, header.u32(8));
        let area = self.areas.get(&header.u32(12));
        let len = *area.ok_or_else(|| bounds::broken("inserts an unknown parameter area"))?;
        for offset in (0..len).step_by(PAGE_SIZE as usize) {
            let gpa = bounds::gpa(gpa + offset)?;
            self.pages.push(Page {
                mask,
                gpa,
                action: Action::Unmeasured,
            });
        }
        Ok(())
    }

    fn page(&mut self, file: &File<'a>, header: &Header<'_>) -> Result<()> {
        let (gpa, mask) = (bounds::gpa(header.u64(0))?, header.u32(8));
        let content = match header.u32(12) {
            0 => None,
            offset => Some(
                file.data(offset, PAGE_SIZE as usize)
                    .map_err(bounds::walk)?,
            ),
        };
        let action = match (header.u32(16), header.u32(20) & 0xFFFF) {
            (0, 0) => Action::Normal(content),
            (2, 0) => Action::Unmeasured,
            (0, 1) => Action::Secrets,
            (0, 2 | 3) => Action::Cpuid,
            _ => {
                return Err(bounds::broken(
                    "has a page of a kind that Tessera never uses",
                ));
            }
        };
        self.pages.push(Page { mask, gpa, action });
        Ok(())
    }

    fn context(&mut self, file: &File<'a>, header: &Header<'_>) -> Result<()> {
        let (gpa, mask) = (header.u64(0), header.u32(8));
        let len = if mask & (super::igvm_file::SNP | TDX) != 0 {
            PAGE_SIZE as usize
        } else {
            size_of::<igvm_defs::IgvmNativeVpContextX64>()
        };
        let content = file.data(header.u32(12), len).map_err(bounds::walk)?;
        self.pages.push(Page {
            mask,
            gpa,
            action: Action::Context(content),
        });
        Ok(())
    }

    /// Mask of a platform type, if the file has it.
    pub fn mask_of(&self, kind: igvm_defs::IgvmPlatformType) -> Option<u32> {
        let mut of_kind = self.platforms.iter().filter(|p| p.kind == kind.0);
        of_kind.next().map(|platform| platform.mask)
    }

    /// The pages of one platform, in file order.
    pub fn pages_of(&self, mask: u32) -> impl Iterator<Item = &Page<'a>> {
        self.pages.iter().filter(move |page| page.mask & mask != 0)
    }
}

/// Reads a file from disk. Errors: cannot be read, or larger than 256 MiB.
pub fn slurp(path: &std::path::Path) -> Result<Vec<u8>> {
    use std::io::Read;
    let io = |error| Failure::io("read", path, &error);
    let file = std::fs::File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    file.take(bounds::LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    bounds::size(bytes.len() as u64)?;
    Ok(bytes)
}
