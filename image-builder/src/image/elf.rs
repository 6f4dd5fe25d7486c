//! From an ELF file to page-aligned segments, with the checks that an in-place load needs.

use crate::{Failure, Result};
use object::elf::{self, FileHeader64};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{LittleEndian, Object, ObjectSymbol};
use std::ops::Range;
use tessera_defs::x86::PAGE_SIZE;
use tessera_handoff::launch::{self, MAX_SEGMENTS, segment};

/// The largest ELF file that is taken, in bytes.
const LARGEST: usize = 64 << 20;

/// Where a program's segments may stand: `phys = virt - virt_base + room.start`.
#[derive(Debug, Clone)]
pub struct Place {
    /// The program, for messages.
    pub name: &'static str,
    /// Virtual address of the room's first byte.
    pub virt_base: u64,
    /// The room, guest physical.
    pub room: Range<u64>,
}

/// A checked program.
#[derive(Debug, Clone)]
pub struct Program {
    /// Virtual entry point.
    pub entry: u64,
    /// Descriptions of the segments, by address.
    pub segments: Vec<launch::Segment>,
    /// First byte in guest memory (the room's start).
    pub base: u64,
    /// Bytes as loaded, from `base` to the end of the last segment; a multiple of the page size.
    pub loaded: Vec<u8>,
    symbols: Vec<(String, u64)>,
    name: &'static str,
}

/// Checks `bytes` for `place` and lays its segments out. Errors blame the image.
pub fn load(bytes: &[u8], place: &Place) -> Result<Program> {
    if bytes.len() > LARGEST {
        return Err(bad(place.name, "is larger than 64 MiB"));
    }
    let broken = |error| bad(place.name, &format!("is no usable ELF file: {error}"));
    let header = FileHeader64::<LittleEndian>::parse(bytes).map_err(broken)?;
    let endian = header.endian().map_err(broken)?;
    if header.e_machine(endian) != elf::EM_X86_64 || header.e_type(endian) != elf::ET_EXEC {
        return Err(bad(place.name, "is no static x86-64 executable (ET_EXEC)"));
    }
    let mut program = Program {
        entry: header.e_entry(endian),
        segments: Vec::new(),
        base: place.room.start,
        loaded: Vec::new(),
        symbols: symbols(bytes).map_err(broken)?,
        name: place.name,
    };
    for item in header.program_headers(endian, bytes).map_err(broken)? {
        if item.p_type(endian) == elf::PT_LOAD && item.p_memsz(endian) > 0 {
            let data = item.data(endian, bytes);
            let data = data.map_err(|()| bad(place.name, "is truncated"))?;
            let (virt, size) = (item.p_vaddr(endian), item.p_memsz(endian));
            program.add(place, virt, size, item.p_flags(endian), data)?;
        }
    }
    program.check_entry(program.entry)?;
    Ok(program)
}

impl Program {
    fn add(&mut self, place: &Place, virt: u64, size: u64, flags: u32, data: &[u8]) -> Result<()> {
        let described = describe(place, virt, size, flags)?;
        let end = described.phys + described.len - self.base;
        let start = described.phys - self.base;
        if start < self.loaded.len() as u64 {
            return Err(bad(
                self.name,
                "has segments that overlap or are not in order",
            ));
        }
        if data.len() as u64 > size {
            return Err(bad(
                self.name,
                "has a segment larger in the file than in memory",
            ));
        }
        if self.segments.len() == MAX_SEGMENTS {
            return Err(bad(
                self.name,
                &format!("has more than {MAX_SEGMENTS} segments"),
            ));
        }
        self.loaded.resize(end as usize, 0);
        self.loaded[start as usize..start as usize + data.len()].copy_from_slice(data);
        self.segments.push(described);
        Ok(())
    }

    /// Address of a global symbol that must lie in executable memory.
    pub fn symbol(&self, name: &str) -> Result<u64> {
        let found = self.symbols.iter().find(|(known, _)| known == name);
        let (_, address) =
            found.ok_or_else(|| bad(self.name, &format!("has no symbol `{name}`")))?;
        self.check_entry(*address)?;
        Ok(*address)
    }

    /// The first bytes of code at a global symbol.
    pub fn code<const N: usize>(&self, name: &str) -> Result<[u8; N]> {
        let at = (self.symbol(name)? - self.segments[0].virt + self.segments[0].phys) - self.base;
        let bytes = self.loaded.get(at as usize..).and_then(<[u8]>::first_chunk);
        let bytes = bytes.copied();
        bytes.ok_or_else(|| bad(self.name, &format!("ends within `{name}`")))
    }

    fn check_entry(&self, address: u64) -> Result<()> {
        let code = |s: &&launch::Segment| s.flags & segment::X != 0;
        let inside = |s: &launch::Segment| address >= s.virt && address - s.virt < s.len;
        if self.segments.iter().filter(code).any(inside) {
            return Ok(());
        }
        let what = format!("has an entry at {address:#x}, outside its code");
        Err(bad(self.name, &what))
    }
}

fn describe(place: &Place, virt: u64, size: u64, flags: u32) -> Result<launch::Segment> {
    let (w, x) = (flags & elf::PF_W != 0, flags & elf::PF_X != 0);
    if w && x {
        let what = format!("has a writable and executable segment at {virt:#x}");
        return Err(bad(place.name, &what));
    }
    if !virt.is_multiple_of(PAGE_SIZE) {
        let what = format!("has a segment at {virt:#x}, not on a page boundary");
        return Err(bad(place.name, &what));
    }
    let room = || {
        let what = format!("does not fit its room: {size:#x} bytes at {virt:#x}");
        bad(place.name, &what)
    };
    let offset = virt.checked_sub(place.virt_base).ok_or_else(room)?;
    let len = size.checked_next_multiple_of(PAGE_SIZE).ok_or_else(room)?;
    let end = offset.checked_add(len).ok_or_else(room)?;
    if end > place.room.end - place.room.start {
        return Err(room());
    }
    let flags = (u32::from(w) * segment::W) | (u32::from(x) * segment::X);
    let phys = place.room.start + offset;
    Ok(launch::Segment {
        virt,
        phys,
        len,
        flags,
        reserved: 0,
    })
}

fn symbols(bytes: &[u8]) -> object::Result<Vec<(String, u64)>> {
    let file = ElfFile64::<LittleEndian>::parse(bytes)?;
    let entries = file
        .symbols()
        .filter(|symbol| symbol.is_global() && !symbol.is_undefined());
    let named = entries.filter_map(|s| Some((s.name().ok()?.to_owned(), s.address())));
    Ok(named
        .filter(|(name, _)| name.starts_with("entry_"))
        .collect())
}

fn bad(name: &str, what: &str) -> Failure {
    let remedy = "build it with this project's linker script and flags (`tessera build`)";
    Failure::image(format!("the {name} {what}"), remedy)
}
