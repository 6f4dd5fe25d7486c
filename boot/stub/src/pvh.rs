//! The PVH door: QEMU's `-kernel` with the stub, `-initrd` with the IGVM file. The stub does
//! what an IGVM loader does for the NATIVE platform. Source: Xen `hvm_start_info` version 1.

use crate::memory;
use tessera_defs::refusal::Refusal;
use tessera_handoff::igvm::{File, Header};
use tessera_handoff::layout::{BOOT_TABLES, IMAGE_END, IMAGE_START, LAUNCH_BLOCK};
use tessera_handoff::memory_map::Range;

const MAGIC: u32 = 0x336E_C578;
const VHT_PAGE_DATA: u32 = 0x302;
const NATIVE_MASK: u32 = 4;
const PAGE: u64 = 4096;
/// Bytes of a command line that are looked at.
const COMMAND_LINE: u64 = 256;

/// What the loader says.
pub struct StartInfo {
    bytes: &'static [u8],
}

impl StartInfo {
    /// Checks the start info at `gpa`. Errors: `ParameterInvalid`.
    pub fn at(gpa: u64) -> Result<Self, Refusal> {
        let info = Self {
            bytes: memory::loader_bytes(gpa, 56),
        };
        let good = info.u32(0) == MAGIC && info.u32(4) >= 1;
        if good {
            Ok(info)
        } else {
            Err(Refusal::ParameterInvalid)
        }
    }

    /// The RSDP's address, 0 if there is none.
    pub fn rsdp(&self) -> u64 {
        self.u64(32)
    }

    /// The command line, with whatever follows its final zero byte; empty if there is none.
    pub fn command_line(&self) -> &'static [u8] {
        match self.u64(24) {
            0 => &[],
            gpa => memory::loader_bytes(gpa, COMMAND_LINE),
        }
    }

    /// The memory map.
    pub fn ranges(&self) -> impl Iterator<Item = Range> + use<> {
        let (table, entries) = (self.u64(40), u64::from(self.u32(48)).min(128));
        (0..entries).map(move |n| {
            let entry = memory::loader_bytes(table + n * 24, 24);
            Range {
                start: u64_at(entry, 0),
                len: u64_at(entry, 8),
                ram: u32_at(entry, 16) == 1,
            }
        })
    }

    /// Puts the pages of the IGVM file, module 0, where they belong. The stub's own pages are
    /// there already. Errors: `ComponentInvalid`.
    pub fn load_image(&self) -> Result<(), Refusal> {
        if self.u32(12) == 0 {
            return Err(Refusal::ComponentInvalid);
        }
        let module = memory::loader_bytes(self.u64(16), 32);
        let bytes = memory::loader_bytes(u64_at(module, 0), u64_at(module, 8));
        let file = File::parse(bytes).map_err(|_| Refusal::ComponentInvalid)?;
        for header in file.headers() {
            let header = header.map_err(|_| Refusal::ComponentInvalid)?;
            if header.kind == VHT_PAGE_DATA && header.u32(8) & NATIVE_MASK != 0 {
                load_page(&file, &header)?;
            }
        }
        Ok(())
    }

    fn u32(&self, at: usize) -> u32 {
        u32_at(self.bytes, at)
    }
    fn u64(&self, at: usize) -> u64 {
        u64_at(self.bytes, at)
    }
}

fn load_page(file: &File<'_>, header: &Header<'_>) -> Result<(), Refusal> {
    let (gpa, offset) = (header.u64(0), header.u32(12));
    if (IMAGE_START..LAUNCH_BLOCK).contains(&gpa) && gpa < BOOT_TABLES + 16 * PAGE {
        return Ok(());
    }
    if !gpa.is_multiple_of(PAGE) || !(LAUNCH_BLOCK..IMAGE_END).contains(&gpa) {
        return Err(Refusal::ComponentInvalid);
    }
    memory::write(gpa, &[0; PAGE as usize]);
    if offset != 0 {
        let data = file
            .data(offset, PAGE as usize)
            .map_err(|_| Refusal::ComponentInvalid)?;
        memory::write(gpa, data);
    }
    Ok(())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4]
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u32::from(*byte))
}
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
