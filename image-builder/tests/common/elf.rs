//! Writes small static ELF files. Source: ELF-64 object file format, version 1.5.

/// Readable.
pub const R: u32 = 4;
/// Readable, writable.
pub const RW: u32 = 6;
/// Readable, executable.
pub const RX: u32 = 5;

const FILE_HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;

/// A loadable segment.
#[derive(Clone)]
pub struct Segment {
    pub flags: u32,
    pub virt: u64,
    pub content: Vec<u8>,
    pub size: u64,
}

/// A file to be.
#[derive(Clone)]
pub struct Elf {
    pub entry: u64,
    pub segments: Vec<Segment>,
    pub symbols: Vec<(String, u64)>,
}

/// A segment with `content`, `size` bytes in memory.
pub fn segment(flags: u32, virt: u64, content: Vec<u8>, size: u64) -> Segment {
    Segment {
        flags,
        virt,
        content,
        size,
    }
}

/// `len` bytes, none of them zero.
pub fn pattern(seed: u8, len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| (i * 7 + usize::from(seed)) as u8 | 1)
        .collect()
}

impl Elf {
    /// The file: headers, program headers, contents, symbols, names, section headers.
    pub fn bytes(&self) -> Vec<u8> {
        let mut data_at = FILE_HEADER + PROGRAM_HEADER * self.segments.len();
        let (mut headers, mut data) = (Vec::new(), Vec::new());
        for part in &self.segments {
            headers.extend(program_header(part, data_at as u64));
            data.extend_from_slice(&part.content);
            data_at += part.content.len();
        }
        let (symbols, names) = self.symbol_table();
        let sections = [
            section(0, [0; 4], 0),
            section(
                2,
                [data_at as u64, symbols.len() as u64, 2 | 1 << 32, 0],
                24,
            ),
            section(
                3,
                [(data_at + symbols.len()) as u64, names.len() as u64, 0, 0],
                0,
            ),
        ];
        let sections_at = data_at + symbols.len() + names.len();
        let mut file = self.file_header(sections_at as u64);
        for part in [headers, data, symbols, names, sections.concat()] {
            file.extend(part);
        }
        file
    }

    fn file_header(&self, sections_at: u64) -> Vec<u8> {
        let mut out = b"\x7FELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        out.extend([2u16, 62].map(u16::to_le_bytes).concat());
        out.extend(1u32.to_le_bytes());
        out.extend(
            [self.entry, FILE_HEADER as u64, sections_at]
                .map(u64::to_le_bytes)
                .concat(),
        );
        out.extend(0u32.to_le_bytes());
        let segments = self.segments.len() as u16;
        out.extend(
            [64, PROGRAM_HEADER as u16, segments, 64, 3, 2]
                .map(u16::to_le_bytes)
                .concat(),
        );
        out
    }

    /// Global symbols without type and size, as assembly labels are.
    fn symbol_table(&self) -> (Vec<u8>, Vec<u8>) {
        let (mut table, mut names) = (vec![0; 24], vec![0]);
        for (name, address) in &self.symbols {
            table.extend((names.len() as u32).to_le_bytes());
            table.extend([1 << 4, 0, 1, 0]);
            table.extend([*address, 0].map(u64::to_le_bytes).concat());
            names.extend(name.bytes().chain([0]));
        }
        (table, names)
    }
}

fn program_header(part: &Segment, at: u64) -> Vec<u8> {
    let mut out = [1, part.flags].map(u32::to_le_bytes).concat();
    let size = part.content.len() as u64;
    let words = [at, part.virt, part.virt, size, part.size, 0x1000];
    out.extend(words.map(u64::to_le_bytes).concat());
    out
}

/// `words`: offset, size, link and info, alignment.
fn section(kind: u32, words: [u64; 4], entry_size: u64) -> Vec<u8> {
    let mut out = [0, kind].map(u32::to_le_bytes).concat();
    out.extend([0; 16]);
    out.extend(words.map(u64::to_le_bytes).concat());
    out.extend(entry_size.to_le_bytes());
    out
}
