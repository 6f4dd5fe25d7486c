//! `map` and `unmap`.

use crate::cpu::Kernel;
use crate::spaces;
use tessera_abi::{error::Error, kind::Kind, number, rights};
use tessera_objects::tables::Access;

const PAGE: u64 = 4096;

pub fn map(
    kernel: &mut Kernel,
    space: u64,
    region: u64,
    address: u64,
    access: u64,
) -> Result<u64, Error> {
    let space = kernel.system.space_or_own(space, rights::MANAGE)?;
    let (access, right) = match access {
        number::MAP_READ => (Access::Read, 0),
        number::MAP_WRITE => (Access::Write, rights::WRITE),
        number::MAP_EXECUTE => (Access::Execute, rights::EXECUTE),
        _ => return Err(Error::BadArgument),
    };
    let region = kernel.system.object(region, Kind::Region, right)?;
    let tables = kernel.system.space(space).tables;
    let pages = kernel.system.map(space, region, address)?;
    // Only the first process has pages that are no region's.
    if !spaces::is_free(tables, address, pages) {
        kernel.system.unmap(space, address, &mut Nothing)?;
        return Err(Error::AlreadyMapped);
    }
    for page in 0..pages {
        let frame = kernel.regions.page(region, page);
        if spaces::map(tables, address + page * PAGE, frame, access).is_none() {
            let (system, mut ends) = kernel.ending();
            system.unmap(space, address, &mut ends)?;
            return Err(Error::OutOfMemory);
        }
    }
    Ok(0)
}

pub fn unmap(kernel: &mut Kernel, space: u64, address: u64) -> Result<u64, Error> {
    let space = kernel.system.space_or_own(space, rights::MANAGE)?;
    let (system, mut ends) = kernel.ending();
    system.unmap(space, address, &mut ends)
}

/// Takes nothing back: the region still has its handle, and nothing was mapped.
struct Nothing;

impl tessera_objects::system::objects::Reclaim for Nothing {
    fn stop(&mut self, _: u8) {}
    fn flush(&mut self, _: u8) {}
    fn leave(&mut self) {}
    fn region(&mut self, _: u8) {}
    fn unmap(&mut self, _: u64, _: u64, _: u64) {}
    fn space(&mut self, _: u64) {}
}
