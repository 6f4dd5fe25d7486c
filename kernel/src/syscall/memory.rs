//! `map` and `unmap`.

use super::entry::Arguments;
use crate::cpu::Kernel;
use crate::spaces;
use tessera_abi::{error::Error, kind::Kind, number, rights};
use tessera_objects::system::space::Use;

pub fn map(kernel: &mut Kernel, arguments: &Arguments) -> Result<u64, Error> {
    let [space, region, address, access, pages, _] = *arguments;
    let space = kernel.system.space_or_own(space, rights::MANAGE)?;
    let (access, right) = match access {
        number::MAP_READ => (Use::Read, 0),
        number::MAP_WRITE => (Use::Write, rights::WRITE),
        number::MAP_EXECUTE => (Use::Execute, rights::EXECUTE),
        number::MAP_GUARD if region == 0 => {
            return kernel.system.reserve(space, address, pages, Use::Guard);
        }
        _ => return Err(Error::BadArgument),
    };
    let region = kernel.system.object(region, Kind::Region, right)?;
    let pages = kernel.system.map(space, region, address, access)?;
    let made = make_tables(kernel, space, address, pages);
    if made.is_err() {
        let (system, mut ends) = kernel.ending();
        system.unmap(space, address, &mut ends)?;
    }
    made
}

/// The page tables of a mapping, which its process pays for; the pages come when they are touched.
fn make_tables(kernel: &mut Kernel, space: u8, address: u64, pages: u64) -> Result<u64, Error> {
    let space = kernel.system.space(space);
    let missing = spaces::missing(space.tables, address, pages);
    if !space.charge_tables(missing) {
        return Err(Error::QuotaExceeded);
    }
    match spaces::prepare(space.tables, address, pages) {
        Some(()) => Ok(0),
        None => Err(Error::OutOfMemory),
    }
}

pub fn host_address(kernel: &mut Kernel, region: u64, page: u64) -> Result<u64, Error> {
    let region = kernel.system.object(region, Kind::Region, 0)?;
    kernel.host_address(region, page)
}

pub fn unmap(kernel: &mut Kernel, space: u64, address: u64) -> Result<u64, Error> {
    let space = kernel.system.space_or_own(space, rights::MANAGE)?;
    let (system, mut ends) = kernel.ending();
    system.unmap(space, address, &mut ends)
}
