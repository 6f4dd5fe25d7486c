//! Regions and mappings, in the system and in the model.

use super::Pair;
use crate::system::mapping::Touch;
use crate::system::space::Use;
use tessera_abi::number::REGION_SHARED;
use tessera_abi::{error::Error, kind::Kind, rights};

impl Pair {
    pub(super) fn region(&mut self, pages: u64, space: u8) {
        let handle = self.handle(space);
        let Ok(owner) = self.process_of(handle, rights::MANAGE) else {
            return;
        };
        let index = self.s.object(handle.into(), Kind::AddressSpace, 0).unwrap();
        let result = self.s.create_region(pages, index, 0);
        if pages == 0 || !self.m.processes[&owner].alive {
            assert_eq!(result, Err(Error::BadArgument));
        } else if let Ok((new, _)) = result {
            let name = self.fresh(Kind::Region, new);
            self.m.objects.insert(name, (owner, pages));
        }
    }

    /// A region with an origin, paid by the running process.
    pub(super) fn derive(&mut self, pages: u64, from: u64) {
        let origin = match from {
            0 | REGION_SHARED => Ok(None),
            _ => self.m.origin(self.me, from as u32),
        };
        let me = self.s.current_space();
        let result = self.s.create_region(pages, me, from);
        match (origin, result) {
            _ if pages == 0 => assert_eq!(result, Err(Error::BadArgument)),
            (Err(error), _) => assert_eq!(result, Err(error)),
            (Ok(_), Err(error)) => assert!(matches!(
                error,
                Error::QuotaExceeded | Error::TableFull | Error::OutOfMemory
            )),
            (Ok(source), Ok((new, _))) => {
                let name = self.fresh(Kind::Region, new);
                self.m.objects.insert(name, (self.me, pages));
                self.m.copies.extend(source.map(|source| (name, source)));
                if from != 0 {
                    self.m.origins.insert(name);
                }
                if from == REGION_SHARED {
                    self.m.shared.insert(name);
                }
            }
        }
    }

    pub(super) fn map(&mut self, n: u8, access: u8) {
        let handle = self.handle(n);
        let Ok(region) = self.s.object(handle.into(), Kind::Region, 0) else {
            return;
        };
        let name = self.m.get(self.me, handle).unwrap().name;
        // Each way of access has places of its own, so that one region is mapped in several ways.
        let address = 0x10_0000 * (1 + u64::from(n)) + 0x1000_0000 * u64::from(access);
        let access = [Use::Read, Use::Write, Use::Execute, Use::Read][usize::from(access)];
        let space = self.s.current_space();
        let result = self.s.map(space, region, address, access);
        let expected = self.m.map(self.me, address, name, access);
        assert_eq!(result.map(|_| ()), expected);
        match expected {
            Ok(()) => self.m.maps.push((self.me, address, name, access)),
            Err(Error::AlreadyMapped) => {
                let there = self.s.unmap(space, address, &mut self.back);
                assert_eq!(there, Ok(0));
                let me = self.me;
                self.m.maps.retain(|m| (m.0, m.1) != (me, address));
            }
            Err(_) => {}
        }
    }

    /// A guard is in the way of a mapping, and no pages of it are charged.
    pub(super) fn guard(&mut self, n: u8) {
        let space = self.s.current_space();
        let address = 0x10_0000 * (1 + u64::from(n));
        let taken = self.m.maps.iter().any(|m| (m.0, m.1) == (self.me, address));
        let pages = self.s.space(space).pages;
        let result = self.s.reserve(space, address, 3, Use::Guard);
        assert_eq!(result.is_ok(), !taken);
        if result.is_ok() {
            let again = self.s.reserve(space, address + 0x2000, 1, Use::Guard);
            assert_eq!(again, Err(Error::AlreadyMapped));
            for touch in [Touch::Read, Touch::Write, Touch::Execute] {
                assert_eq!(self.s.reached(space, address, touch), None);
            }
            assert_eq!(self.s.unmap(space, address, &mut self.back), Ok(0));
        }
        assert_eq!(self.s.space(space).pages, pages);
    }
}
