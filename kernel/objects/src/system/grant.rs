//! Rights that are objects: host channels, evidence, inspection.

use super::handles::Object;
use super::objects::{Header, System};
use super::thread::Context;
use tessera_abi::{error::Error, kind::Kind, number};

/// Host channels, and other rights of a kind, at most; number 0 is nobody.
pub const GRANTS: usize = 33;

/// What a host channel lets its holder ask the host for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Nothing.
    None,
    /// Ports from `first` on.
    Ports {
        /// The first one.
        first: u16,
        /// How many.
        count: u16,
    },
    /// Device memory.
    Memory {
        /// The first byte, guest physical.
        first: u64,
        /// How many.
        count: u32,
    },
    /// A hypercall's code.
    Hypercall(u16),
}

/// One access through a channel, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A port.
    Port(u16),
    /// A guest physical address.
    Memory(u64),
}

impl Channel {
    /// A channel of `number::CHANNEL_*`. Errors: `BadArgument`, for ranges that are empty, too long or
    /// not there at all.
    pub fn new(kind: u64, first: u64, count: u64) -> Result<Self, Error> {
        let end = first.checked_add(count).filter(|_| count != 0);
        let end = end.ok_or(Error::BadArgument)?;
        match kind {
            number::CHANNEL_PORT if end <= 1 << 16 && count <= number::CHANNEL_PORTS => {
                Ok(Self::Ports {
                    first: first as u16,
                    count: count as u16,
                })
            }
            // Beyond 45 bits stand the bits of isolation.
            number::CHANNEL_MEMORY if end <= 1 << 45 && count <= number::CHANNEL_BYTES => {
                Ok(Self::Memory {
                    first,
                    count: count as u32,
                })
            }
            number::CHANNEL_HYPERCALL if first <= u16::MAX.into() && count == 1 => {
                Ok(Self::Hypercall(first as u16))
            }
            _ => Err(Error::BadArgument),
        }
    }

    /// Where `size` bytes at `offset` are. Errors: `BadArgument`.
    pub fn place(&self, offset: u64, size: u64) -> Result<Place, Error> {
        let end = offset.checked_add(size).ok_or(Error::BadArgument)?;
        let fits = matches!(size, 1 | 2 | 4);
        match *self {
            Self::Ports { first, count } if fits && end <= count.into() => {
                Ok(Place::Port(first + offset as u16))
            }
            Self::Memory { first, count }
                if fits && end <= count.into() && (first + offset).is_multiple_of(size) =>
            {
                Ok(Place::Memory(first + offset))
            }
            _ => Err(Error::BadArgument),
        }
    }
}

/// Objects that are nothing but a right, by kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grants {
    pub(super) channels: [Header; GRANTS],
    pub(super) ranges: [Channel; GRANTS],
    pub(super) evidence: [Header; GRANTS],
    pub(super) inspections: [Header; GRANTS],
}

impl Grants {
    pub(super) const EMPTY: Self = Self {
        channels: [Header::EMPTY; GRANTS],
        ranges: [Channel::None; GRANTS],
        evidence: [Header::EMPTY; GRANTS],
        inspections: [Header::EMPTY; GRANTS],
    };
}

impl<C: Context> System<C> {
    /// A right of `kind`, of channels with `range`; the handle. Errors: `NotCreatable`, `TableFull`,
    /// `QuotaExceeded`, `OutOfMemory`.
    pub fn create_grant(&mut self, kind: Kind, range: Channel) -> Result<u32, Error> {
        let object = self.free_object(kind, self.current_space())?;
        let handle = self.hold(object)?;
        if kind == Kind::HostChannel {
            self.grants.ranges[usize::from(object.index)] = range;
        }
        Ok(handle)
    }

    /// What a host channel of the running process lets it do. Errors: `object`'s.
    pub fn channel(&self, handle: u64, rights: u8) -> Result<Channel, Error> {
        let index = self.object(handle, Kind::HostChannel, rights)?;
        Ok(self.grants.ranges[usize::from(index)])
    }

    /// The running process holds a new object, which it pays for. Errors: `TableFull`.
    pub(super) fn hold(&mut self, object: Object) -> Result<u32, Error> {
        let owner = self.current_space();
        let handle = self.insert(owner, object, tessera_abi::rights::ALL, 0)?;
        if let Some(header) = self.header(object) {
            *header = Header {
                generation: object.generation,
                refs: 1,
                owner,
                used: true,
            };
        }
        Ok(handle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses_stay_in_their_range() {
        let ports = Channel::new(number::CHANNEL_PORT, 0x3F8, 8).unwrap();
        assert_eq!(ports.place(7, 1), Ok(Place::Port(0x3FF)));
        for (offset, size) in [(8, 1), (7, 2), (0, 0), (0, 3), (0, 8), (u64::MAX, 1)] {
            assert_eq!(ports.place(offset, size), Err(Error::BadArgument));
        }
        let memory = Channel::new(number::CHANNEL_MEMORY, 0xFED0_0000, 0x400).unwrap();
        assert_eq!(memory.place(0x3FC, 4), Ok(Place::Memory(0xFED0_03FC)));
        for (offset, size) in [(0x400, 1), (0x3FE, 4), (2, 4), (1 << 32, 1)] {
            assert_eq!(memory.place(offset, size), Err(Error::BadArgument));
        }
        let call = Channel::new(number::CHANNEL_HYPERCALL, 8, 1).unwrap();
        assert_eq!(call.place(0, 1), Err(Error::BadArgument));
    }

    #[test]
    fn ranges_that_cannot_be_are_refused() {
        for (kind, first, count) in [
            (0, 0, 1),
            (4, 0, 1),
            (number::CHANNEL_PORT, 0, 0),
            (number::CHANNEL_PORT, 0xFFFF, 2),
            (number::CHANNEL_PORT, 0, 257),
            (number::CHANNEL_PORT, u64::MAX, 1),
            (number::CHANNEL_MEMORY, 0, 0x1_0001),
            (number::CHANNEL_MEMORY, (1 << 45) - 1, 2),
            (number::CHANNEL_HYPERCALL, 1 << 16, 1),
            (number::CHANNEL_HYPERCALL, 8, 2),
        ] {
            assert_eq!(Channel::new(kind, first, count), Err(Error::BadArgument));
        }
    }
}
