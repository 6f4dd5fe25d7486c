//! The measured bundle: programs, and the manifest of the services that run them.
//!
//! A `Header`, `programs` x `Program`, `services` x `Service`, then the programs' files. The
//! first program is the first process; it starts the services. All offsets count from the
//! header, all numbers are little-endian.

use tessera_defs::assert_layout;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// First bytes of a bundle.
pub const MAGIC: u64 = u64::from_le_bytes(*b"TSRABNDL");
/// Version of this layout.
pub const VERSION: u32 = 2;
/// Services at most: sets of services are words.
pub const MAX_SERVICES: usize = 32;
/// Programs at most.
pub const MAX_PROGRAMS: usize = 32;
/// Bytes of a name, zero padded.
pub const NAME: usize = 24;

/// `Service::restart`: what happens when the service ends.
pub mod restart {
    /// Nothing: it has a task, and its end is awaited.
    pub const NEVER: u8 = 0;
    /// It is started again, unless it exited with 0.
    pub const ON_FAILURE: u8 = 1;
    /// It is started again.
    pub const ALWAYS: u8 = 2;
}

/// `Service::grants`: rights that the first process gives on.
pub mod grant {
    /// To be attested.
    pub const EVIDENCE: u8 = 1 << 0;
    /// To read the system's state.
    pub const INSPECTION: u8 = 1 << 1;
    /// To keep the system up when all tasks are done.
    pub const HOLD: u8 = 1 << 2;
    /// Every one.
    pub const ALL: u8 = 7;
}

/// A host channel: kind, range as `tessera_abi::number::CHANNEL_*`; kind 0 for none.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Channel {
    /// `CHANNEL_*`.
    pub kind: u32,
    /// Ports or bytes.
    pub count: u32,
    /// The first one, or a hypercall's code.
    pub first: u64,
}

/// The beginning.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Header {
    /// `MAGIC`.
    pub magic: u64,
    /// `VERSION`.
    pub version: u32,
    /// Programs.
    pub programs: u32,
    /// Services.
    pub services: u32,
    /// Zero.
    pub reserved: u32,
}

/// One program.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Program {
    /// Its name, ASCII, zero padded.
    pub name: [u8; NAME],
    /// Where its file begins.
    pub offset: u64,
    /// Bytes of its file, a static ELF executable.
    pub len: u64,
}

/// One service: what it runs, what it may hold, what becomes of it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Service {
    /// Its name, ASCII, zero padded.
    pub name: [u8; NAME],
    /// Services whose endpoint it may call: bit n is service n.
    pub uses: u64,
    /// Services that it may have the supervisor end.
    pub ends: u64,
    /// Services that must run before it is started.
    pub after: u64,
    /// Which program it runs.
    pub program: u32,
    /// Pages that it may use, its program, stack and state included.
    pub quota: u32,
    /// Pages of state that outlive it, mapped at `layout::STATE_BASE`; 0 for none.
    pub state: u32,
    /// Failures in a row after which it is given up; 0 for never.
    pub limit: u32,
    /// Priority of its first thread.
    pub priority: u8,
    /// `restart`.
    pub restart: u8,
    /// `grant`.
    pub grants: u8,
    /// Line of the IOAPIC, plus one; 0 for none.
    pub line: u8,
    /// Of that line: bit 0 level, bit 1 active low.
    pub trigger: u8,
    /// Pages of a region that the host sees, for a driver's data; 0 for none.
    pub shared: u8,
    /// A number for its program.
    pub argument: u16,
    /// Its host channel.
    pub channel: Channel,
}

assert_layout!(Header, size 24, programs @ 12, services @ 16);
assert_layout!(Program, size 40, offset @ 24, len @ 32);
assert_layout!(Channel, size 16, count @ 4, first @ 8);
assert_layout!(Service, size 88, uses @ 24, ends @ 32, after @ 40, program @ 48, quota @ 52,
    state @ 56, limit @ 60, priority @ 64, restart @ 65, grants @ 66, line @ 67,
    trigger @ 68, shared @ 69, argument @ 70, channel @ 72);

/// A checked bundle.
#[derive(Clone, Copy, Debug)]
pub struct Bundle<'a> {
    bytes: &'a [u8],
    programs: &'a [Program],
    services: &'a [Service],
}

impl<'a> Bundle<'a> {
    /// Checks everything but the programs' content. `None`: no bundle of this version, or one
    /// that contradicts itself. `bytes` must be aligned to 8.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = Header::ref_from_prefix(bytes).ok()?;
        if header.magic != MAGIC || header.version != VERSION {
            return None;
        }
        let (programs, services) = (header.programs as usize, header.services as usize);
        if programs == 0 || programs > MAX_PROGRAMS || services > MAX_SERVICES {
            return None;
        }
        let (programs, rest) = <[Program]>::ref_from_prefix_with_elems(rest, programs).ok()?;
        let (services, _) = <[Service]>::ref_from_prefix_with_elems(rest, services).ok()?;
        let bundle = Self {
            bytes,
            programs,
            services,
        };
        let all = 1u64.checked_shl(services.len() as u32)? - 1;
        let good = |(n, service): (usize, &Service)| {
            let known = (service.uses | service.ends | service.after) & !all == 0;
            // Only earlier ones, so that there is an order.
            let ordered = service.after >> n == 0;
            let runs = bundle.file(service.program as usize).is_some();
            let rights = service.grants & !grant::ALL == 0 && service.trigger < 4;
            known && ordered && runs && rights && service.restart <= restart::ALWAYS
        };
        let whole = (0..programs.len()).all(|n| bundle.file(n).is_some());
        (whole && services.iter().enumerate().all(good)).then_some(bundle)
    }

    /// The file of a program.
    pub fn file(&self, program: usize) -> Option<&'a [u8]> {
        let program = self.programs.get(program)?;
        let start = usize::try_from(program.offset).ok()?;
        let end = start.checked_add(usize::try_from(program.len).ok()?)?;
        self.bytes.get(start..end)
    }

    /// The services, in the order in which they are started.
    pub fn services(&self) -> &'a [Service] {
        self.services
    }
}

/// A padded name as text.
pub fn name(padded: &[u8; NAME]) -> &str {
    let len = padded.iter().position(|byte| *byte == 0).unwrap_or(NAME);
    core::str::from_utf8(&padded[..len]).unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec::Vec;

    const SERVICE: Service = Service {
        name: [b's'; NAME],
        uses: 1,
        ends: 0,
        after: 0,
        program: 1,
        quota: 64,
        state: 0,
        limit: 3,
        priority: 4,
        restart: restart::ALWAYS,
        grants: grant::INSPECTION,
        line: 5,
        trigger: 1,
        shared: 2,
        argument: 7,
        channel: Channel {
            kind: 1,
            count: 8,
            first: 0x3F8,
        },
    };

    fn bundle(services: &[Service]) -> Vec<u8> {
        let header = Header {
            magic: MAGIC,
            version: VERSION,
            programs: 2,
            services: services.len() as u32,
            reserved: 0,
        };
        let start = 24 + 2 * 40 + services.len() as u64 * 88;
        let program = |n: u64| Program {
            name: [b'p'; NAME],
            offset: start + n * 4,
            len: 4,
        };
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend(program(0).as_bytes());
        bytes.extend(program(1).as_bytes());
        bytes.extend(services.as_bytes());
        bytes.extend(b"initecho");
        bytes
    }

    fn aligned(bytes: &[u8]) -> Vec<u64> {
        let word = |chunk: &[u8]| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        };
        bytes.chunks(8).map(word).collect()
    }

    fn parses(bytes: &[u8]) -> bool {
        let words = aligned(bytes);
        Bundle::parse(&words.as_bytes()[..bytes.len()]).is_some()
    }

    #[test]
    fn a_whole_bundle_is_read() {
        let words = aligned(&bundle(&[SERVICE]));
        let bundle = Bundle::parse(words.as_bytes()).unwrap();
        assert_eq!(bundle.file(0), Some(&b"init"[..]));
        assert_eq!(bundle.file(1), Some(&b"echo"[..]));
        assert_eq!((bundle.file(2), bundle.services()), (None, &[SERVICE][..]));
        assert_eq!(name(&SERVICE.name), "s".repeat(NAME));
    }

    #[test]
    fn contradictions_are_refused() {
        let good = bundle(&[
            SERVICE,
            Service {
                after: 1,
                ..SERVICE
            },
        ]);
        assert!(parses(&good));
        // Any cut: the last program is not whole.
        assert!((0..good.len()).all(|len| !parses(&good[..len])));
        for bad in [
            Service { uses: 4, ..SERVICE },
            Service { ends: 8, ..SERVICE },
            Service {
                after: 1,
                ..SERVICE
            },
            Service {
                program: 2,
                ..SERVICE
            },
            Service {
                restart: 3,
                ..SERVICE
            },
            Service {
                grants: 8,
                ..SERVICE
            },
            Service {
                trigger: 4,
                ..SERVICE
            },
        ] {
            assert!(!parses(&bundle(&[bad])), "{bad:?}");
        }
        for (at, value) in [(0, 0), (8, 1), (12, 0), (12, 33), (16, 33)] {
            let mut bytes = good.clone();
            bytes[at] = value;
            assert!(!parses(&bytes), "byte {at}");
        }
    }
}
