//! What an access of the TD to a guest-physical address comes to. Source: 348549, "Memory
//! Access", and "#VE on EPT violation".

use super::sept::{Sept, State};
use crate::memory::{
    frames::{Memory, PAGE},
    walk,
};
use alloc::collections::BTreeSet;
use tessera_defs::tdx::page::SHARED_BIT;

/// The shared bit as a mask.
pub const SHARED: u64 = 1 << SHARED_BIT;

/// The outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A private frame.
    Private(u32),
    /// A frame that host and TD share; no code and no page tables may stand there.
    Shared(u32),
    /// A page that is there and not accepted: #VE, or with SEPT_VE_DISABLE the host.
    Pending,
    /// No private page: exit to the host.
    Missing,
    /// The shared EPT has nothing there: exit to the host, which makes a #VE of it.
    Device,
    /// Beyond the GPA width.
    Beyond,
}

/// Decides an access. `shared` are the pages that the host maps in the shared EPT.
pub fn resolve(sept: &Sept, shared: &BTreeSet<u64>, memory: &Memory, gpa: u64) -> Outcome {
    let gfn = (gpa & !SHARED) / PAGE as u64;
    if gpa >> (SHARED_BIT + 1) != 0 {
        return Outcome::Beyond;
    }
    if gpa & SHARED != 0 {
        let frame = memory.frame(gfn).filter(|_| shared.contains(&gfn));
        return frame.map_or(Outcome::Device, Outcome::Shared);
    }
    match sept.get(gfn).state {
        State::Free => Outcome::Missing,
        State::Pending(_) => Outcome::Pending,
        State::Mapped(frame) => Outcome::Private(frame),
    }
}

/// Guest-physical memory as the TD may use it.
pub struct Seen<'a> {
    /// Private pages.
    pub sept: &'a Sept,
    /// Shared pages.
    pub shared: &'a BTreeSet<u64>,
    /// Frames.
    pub memory: &'a mut Memory,
}

impl walk::Physical for Seen<'_> {
    fn read_u64(&mut self, gpa: u64) -> Option<u64> {
        match resolve(self.sept, self.shared, self.memory, gpa) {
            Outcome::Private(frame) | Outcome::Shared(frame) => {
                self.memory.read_u64(frame, gpa as usize % PAGE)
            }
            _ => None,
        }
    }

    fn write_u64(&mut self, gpa: u64, value: u64) -> Option<()> {
        let found = resolve(self.sept, self.shared, self.memory, gpa);
        let (Outcome::Private(frame) | Outcome::Shared(frame)) = found else {
            return None;
        };
        let offset = gpa as usize % PAGE;
        let place = self.memory.page(frame)?.get_mut(offset..offset + 8)?;
        place.copy_from_slice(&value.to_le_bytes());
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_and_shared_names_are_apart() {
        let bytes: &'static mut [u8] = std::vec![0u8; (8 << 20) + 64 * 4096].leak();
        let memory = Memory::new(bytes, 8 << 20);
        let (mut sept, mut shared) = (Sept::new(2048), BTreeSet::new());
        let see = |sept: &Sept, shared: &BTreeSet<u64>, gpa| resolve(sept, shared, &memory, gpa);
        assert_eq!(see(&sept, &shared, 0x30_0000), Outcome::Missing);
        sept.augment(0x300, 0x300, false);
        assert_eq!(see(&sept, &shared, 0x30_0000), Outcome::Pending);
        sept.add(0x301, 0x301);
        assert_eq!(see(&sept, &shared, 0x30_1008), Outcome::Private(0x301));
        assert_eq!(see(&sept, &shared, 0x30_1008 | SHARED), Outcome::Device);
        shared.insert(0x302);
        assert_eq!(
            see(&sept, &shared, 0x30_2000 | SHARED),
            Outcome::Shared(0x302)
        );
        assert_eq!(see(&sept, &shared, 0x30_2000), Outcome::Missing);
        assert_eq!(see(&sept, &shared, 1 << 48), Outcome::Beyond);
    }
}
