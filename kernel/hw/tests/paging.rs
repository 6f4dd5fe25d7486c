//! Page tables in an arena that plays guest physical memory.
#![allow(unsafe_code)] // reason: the arena is reached through a direct map, as on the machine

use tessera_hw::paging::*;
use x86_64::structures::paging::PageTableFlags as Flags;

#[repr(align(4096))]
#[derive(Clone)]
#[allow(dead_code)] // read and written through the direct map only
struct Page([u8; 4096]);
struct Frames(u64, u64);
impl FrameSource for Frames {
    fn table_frame(&mut self) -> Option<u64> {
        let frame = self.0;
        self.0 += 4096;
        (frame < self.1).then_some(frame)
    }
}
const C_BIT: u64 = 1 << 51;
const DATA: Flags = Flags::WRITABLE.union(Flags::NO_EXECUTE);

#[test]
fn maps_protects_and_unmaps_with_encoding_bits() {
    let mut memory = vec![Page([0; 4096]); 16];
    let direct_map = memory.as_mut_ptr() as u64;
    let bits = EncodingBits {
        private: C_BIT,
        shared: 0,
    };
    let mut frames = Frames(4096, 16 * 4096);
    // SAFETY: the arena holds every table page, zeroed, and outlives the tables.
    let mut tables = unsafe { PageTables::new(0, direct_map, bits) };
    let virt = 0xFFFF_8000_0020_0000;
    // SAFETY: nothing is reached through these tables: they are never loaded.
    unsafe {
        let map = |t: &mut PageTables, f: &mut Frames, v, p, flags| {
            t.map(v, p, Size::Small, Visibility::Private, flags, f)
        };
        assert_eq!(map(&mut tables, &mut frames, virt, 0x5000, DATA), Ok(()));
        assert_eq!(
            map(&mut tables, &mut frames, virt, 0x5000, DATA),
            Err(Error::Occupied(virt))
        );
        let wx = map(
            &mut tables,
            &mut frames,
            virt + 4096,
            0x6000,
            Flags::WRITABLE,
        );
        assert_eq!(wx, Err(Error::WriteExecute(virt + 4096)));
        let bad = map(&mut tables, &mut frames, virt + 4096, 0x6000 | C_BIT, DATA);
        assert_eq!(bad, Err(Error::BadAddress(0x6000 | C_BIT)));
        let found = tables.lookup(virt).unwrap();
        assert_eq!((found.phys, found.entry & C_BIT), (0x5000, C_BIT));
        tables.protect(virt, Visibility::Shared, DATA).unwrap();
        assert_eq!(tables.lookup(virt).unwrap().entry & C_BIT, 0);
        assert_eq!(tables.unmap(virt).unwrap().phys, 0x5000);
        assert_eq!(tables.lookup(virt), None);
        let from = 0xFFFF_8000_0040_0000 - 0x1000;
        let range = tables.map_range(
            from,
            0x20_0000 - 0x1000,
            0x20_1000,
            Visibility::Private,
            DATA,
            &mut frames,
        );
        assert_eq!(range, Ok(()));
        assert_eq!(tables.lookup(from).unwrap().size, Size::Small);
        let large = tables.lookup(from + 0x5000).unwrap();
        assert_eq!((large.size, large.phys), (Size::Large, 0x20_0000));
    }
    assert_eq!(tables.cr3(), C_BIT);
}
