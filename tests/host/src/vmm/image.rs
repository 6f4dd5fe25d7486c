//! Loads an IGVM file as a real loader does. Source: IGVM file format (`igvm_defs` 0.5).

use super::{Vmm, lies, parameters};
use crate::{
    memory::frames::{Memory, PAGE},
    platform::{LaunchPage, PageKind, Technology},
};
use alloc::{format, string::String, vec, vec::Vec};
use tessera_defs::mode::Mode;
use tessera_handoff::{
    igvm::{File, Header},
    launch::LaunchBlock,
    layout,
};
use zerocopy::FromBytes;

/// Variable header types.
mod kind {
    pub const SUPPORTED_PLATFORM: u32 = 0x1;
    pub const GUEST_POLICY: u32 = 0x101;
    pub const PARAMETER_AREA: u32 = 0x301;
    pub const PAGE_DATA: u32 = 0x302;
    pub const PARAMETER_INSERT: u32 = 0x303;
    pub const VP_CONTEXT: u32 = 0x304;
    pub const VP_COUNT: u32 = 0x307;
    pub const MADT: u32 = 0x309;
    pub const MEMORY_MAP: u32 = 0x30C;
    pub const COMMAND_LINE: u32 = 0x30E;
    pub const ENVIRONMENT_INFO: u32 = 0x313;
}

/// Puts the image into the guest. Errors: what is wrong with the file, or the technology's.
pub fn load(
    vmm: &mut Vmm,
    bytes: &[u8],
    memory: &mut Memory,
    technology: &mut dyn Technology,
) -> Result<(), String> {
    let broken = |error| format!("IGVM file: {error:?}");
    let file = File::parse(bytes).map_err(broken)?;
    let headers: Vec<Header<'_>> = file.headers().collect::<Result<_, _>>().map_err(broken)?;
    let mask = platform_mask(vmm.scenario.mode, &headers)?;
    let areas = parameter_areas(vmm, &headers)?;
    for header in headers.iter().filter(|h| applies(h, mask)) {
        match header.kind {
            kind::GUEST_POLICY => technology.policy(header.u64(0)),
            kind::PAGE_DATA => page_data(vmm, &file, header, memory, technology)?,
            kind::PARAMETER_INSERT => insert(header, &areas, memory, technology)?,
            kind::VP_CONTEXT => {
                let content = file.data(header.u32(12), context_len(vmm, &file, header));
                let content = content.map_err(broken)?;
                let page = LaunchPage {
                    gpa: header.u64(0),
                    kind: PageKind::Context,
                    content,
                };
                technology.add_page(memory, &page)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// A VMSA is a page; the native context is 232 bytes, padded or not.
fn context_len(vmm: &Vmm, file: &File<'_>, header: &Header<'_>) -> usize {
    let short = vmm.scenario.mode == Mode::None || file.data(header.u32(12), PAGE).is_err();
    if short { 232 } else { PAGE }
}

fn platform_mask(mode: Mode, headers: &[Header<'_>]) -> Result<u32, String> {
    let platform = match mode {
        Mode::None => 0,
        Mode::Snp | Mode::SnpParavisor => 2,
        Mode::Tdx | Mode::TdxParavisor => 3,
    };
    let found = headers
        .iter()
        .find(|h| h.kind == kind::SUPPORTED_PLATFORM && h.data.get(5) == Some(&platform));
    found
        .map(|h| h.u32(0))
        .ok_or_else(|| format!("IGVM file: no platform of type {platform}"))
}

/// Whether a directive is for this platform.
fn applies(header: &Header<'_>, mask: u32) -> bool {
    let compatible = match header.kind {
        kind::PAGE_DATA | kind::PARAMETER_INSERT | kind::VP_CONTEXT | kind::GUEST_POLICY => {
            header.u32(8)
        }
        _ => u32::MAX,
    };
    compatible & mask != 0
}

fn page_data(
    vmm: &mut Vmm,
    file: &File<'_>,
    header: &Header<'_>,
    memory: &mut Memory,
    technology: &mut dyn Technology,
) -> Result<(), String> {
    let (gpa, offset, flags) = (header.u64(0), header.u32(12), header.u32(16));
    if flags & 1 != 0 {
        return Err("IGVM file: a 2 MiB page".into());
    }
    let kind = match (header.u32(20) as u16, flags) {
        (1, _) => PageKind::Secrets,
        (2, _) => PageKind::Cpuid,
        (0, f) if f & 4 != 0 => PageKind::Shared,
        (0, f) if f & 2 != 0 => PageKind::Unmeasured,
        (0, _) => PageKind::Normal,
        (other, _) => return Err(format!("IGVM file: page data type {other}")),
    };
    let content = match offset {
        0 => &[][..],
        at => file
            .data(at, PAGE)
            .map_err(|error| format!("IGVM file: {error:?}"))?,
    };
    let mut changed = content.to_vec();
    vmm.target = vmm.target.or_else(|| padding(gpa, content));
    let place = vmm.target.and_then(|at| at.checked_sub(gpa));
    let place = place.and_then(|at| changed.get_mut(at as usize));
    if let Some(byte) = place
        && vmm.tells(lies::BYTE_CHANGED)
    {
        *byte ^= 1;
    }
    technology.add_page(
        memory,
        &LaunchPage {
            gpa,
            kind,
            content: &changed,
        },
    )
}

/// The last byte of the kernel's first segment, by the launch block, which stands before it: what
/// fills the segment's last page. A change there still boots, and the digest differs.
fn padding(gpa: u64, content: &[u8]) -> Option<u64> {
    let (block, _) = LaunchBlock::read_from_prefix(content).ok()?;
    let segment = block.kernel.segments.first()?;
    (gpa == layout::LAUNCH_BLOCK).then(|| segment.phys + segment.len - 1)
}

type Areas = Vec<(u32, Vec<u8>)>;

/// What the loader knows, put into the areas. The image has no header for its command line,
/// because released loaders refuse one; this host knows the page.
fn parameter_areas(vmm: &mut Vmm, headers: &[Header<'_>]) -> Result<Areas, String> {
    let mut areas: Areas = Vec::new();
    for header in headers {
        match header.kind {
            kind::PARAMETER_AREA => {
                let len = header.u64(0).min(1 << 20) as usize;
                areas.push((header.u32(8), vec![0; len]));
            }
            kind::VP_COUNT => put(&mut areas, header, &vmm.scenario.smp.to_le_bytes())?,
            kind::ENVIRONMENT_INFO => {
                put(
                    &mut areas,
                    header,
                    &parameters::environment(vmm).to_le_bytes(),
                )?;
            }
            kind::MEMORY_MAP => put(&mut areas, header, &parameters::memory_map(vmm))?,
            kind::MADT => put(&mut areas, header, &parameters::madt(vmm))?,
            kind::COMMAND_LINE => {
                put(&mut areas, header, &parameters::command_line(vmm))?;
            }
            kind::PARAMETER_INSERT if header.u64(0) == layout::PARAM_COMMAND_LINE => {
                let line = parameters::command_line(vmm);
                fill(&mut areas, header.u32(12), 0, &line)?;
            }
            _ => {}
        }
    }
    Ok(areas)
}

fn put(areas: &mut Areas, header: &Header<'_>, value: &[u8]) -> Result<(), String> {
    fill(areas, header.u32(0), header.u32(4) as usize, value)
}

fn fill(areas: &mut Areas, index: u32, offset: usize, value: &[u8]) -> Result<(), String> {
    let area = areas.iter_mut().find(|(i, _)| *i == index);
    let place = area.and_then(|(_, bytes)| bytes.get_mut(offset..offset + value.len()));
    place
        .ok_or("IGVM file: a parameter does not fit its area")?
        .copy_from_slice(value);
    Ok(())
}

fn insert(
    header: &Header<'_>,
    areas: &Areas,
    memory: &mut Memory,
    technology: &mut dyn Technology,
) -> Result<(), String> {
    let (gpa, index) = (header.u64(0), header.u32(12));
    let area = areas.iter().find(|(i, _)| *i == index);
    let (_, bytes) = area.ok_or("IGVM file: an unknown parameter area")?;
    for (i, content) in bytes.chunks(PAGE).enumerate() {
        let gpa = gpa + (i * PAGE) as u64;
        technology.add_page(
            memory,
            &LaunchPage {
                gpa,
                kind: PageKind::Unmeasured,
                content,
            },
        )?;
    }
    Ok(())
}
