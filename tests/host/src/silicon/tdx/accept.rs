//! TDG.MEM.PAGE.ACCEPT. Source: 348551, the leaf's page.

use super::sept::{Entry, Sept, State};
use crate::memory::frames::{Memory, PAGE};
use tessera_defs::tdx::{page, status};

/// What an acceptance comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// Completion status.
    Status(u64),
    /// No page: exit to the host, which may augment one (2 MiB where `large`), and again.
    Missing {
        /// First page.
        gfn: u64,
        /// The TD asked for 2 MiB.
        large: bool,
    },
    /// A pending 2 MiB page where the TD asks for 4 KiB: exit to the host, which may split it.
    Demote(u64),
}

/// Pages of a 2 MiB mapping.
pub const LARGE: u64 = 512;

/// RCX: GPA in 51:12, level in 2:0.
pub fn accept(sept: &mut Sept, memory: &mut Memory, rcx: u64) -> Accept {
    let (gpa, level) = (rcx & !0xFFF, rcx & 7);
    let invalid = Accept::Status(status::OPERAND_INVALID | status::OPERAND_RCX);
    if rcx & 0xFF8 != 0 || gpa >> page::SHARED_BIT != 0 {
        return invalid;
    }
    let gfn = gpa / PAGE as u64;
    match level {
        page::LEVEL_4K => small(sept, memory, gfn),
        page::LEVEL_2M if gfn.is_multiple_of(LARGE) => large(sept, memory, gfn),
        _ => invalid,
    }
}

fn small(sept: &mut Sept, memory: &mut Memory, gfn: u64) -> Accept {
    let entry = sept.get(gfn);
    match entry.state {
        State::Free => Accept::Missing { gfn, large: false },
        State::Pending(_) if entry.large => Accept::Demote(gfn & !(LARGE - 1)),
        State::Mapped(_) => Accept::Status(status::PAGE_ALREADY_ACCEPTED),
        State::Pending(frame) => {
            take(sept, memory, gfn, frame);
            Accept::Status(status::SUCCESS)
        }
    }
}

fn large(sept: &mut Sept, memory: &mut Memory, first: u64) -> Accept {
    let all = |holds: fn(Entry) -> bool| sept.all(first, LARGE, holds);
    if all(|entry| entry.state == State::Free) {
        return Accept::Missing {
            gfn: first,
            large: true,
        };
    }
    if all(|entry| entry.large && matches!(entry.state, State::Mapped(_))) {
        return Accept::Status(status::PAGE_ALREADY_ACCEPTED);
    }
    if !all(|entry| entry.large) {
        return Accept::Status(status::PAGE_SIZE_MISMATCH | page::LEVEL_2M);
    }
    match sept.run(first).map(|entry| entry.state) {
        // A block of the pool's, where the host maps it so.
        Some(State::Pending(frame)) if frame.is_multiple_of(LARGE as u32) => {
            memory.clear_block(frame);
            sept.change(first, LARGE, |entry| entry.state = State::Mapped(frame));
            sept.count(LARGE);
        }
        _ => {
            for gfn in first..first + LARGE {
                if let State::Pending(frame) = sept.get(gfn).state {
                    take(sept, memory, gfn, frame);
                }
            }
        }
    }
    Accept::Status(status::SUCCESS)
}

/// The content becomes zero, whatever the host left there; L2 attributes given before count now.
fn take(sept: &mut Sept, memory: &mut Memory, gfn: u64, frame: u32) {
    memory.clear(frame);
    sept.change(gfn, 1, |entry| entry.state = State::Mapped(frame));
    sept.count(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn td() -> (Sept, Memory) {
        let bytes: &'static mut [u8] = std::vec![0xAAu8; (8 << 20) + 64 * 4096].leak();
        (Sept::new(2048), Memory::new(bytes, 8 << 20))
    }

    #[test]
    fn a_page_is_accepted_once_and_comes_as_zeros() {
        let (mut sept, mut memory) = td();
        let missing = Accept::Missing {
            gfn: 0x300,
            large: false,
        };
        assert_eq!(accept(&mut sept, &mut memory, 0x30_0000), missing);
        assert!(sept.augment(0x300, 0x300, false));
        assert_eq!(sept.mapped(0x300), None);
        assert_eq!(accept(&mut sept, &mut memory, 0x30_0000), Accept::Status(0));
        assert_eq!(memory.page(0x300).unwrap()[7], 0);
        assert_eq!(sept.mapped(0x300), Some(0x300));
        let again = Accept::Status(status::PAGE_ALREADY_ACCEPTED);
        assert_eq!(accept(&mut sept, &mut memory, 0x30_0000), again);
        assert!(
            !sept.augment(0x300, 5, false),
            "the host cannot replace a page"
        );
        sept.remove(0x300);
        assert_eq!(accept(&mut sept, &mut memory, 0x30_0000), missing);
    }

    #[test]
    fn sizes_must_match() {
        let (mut sept, mut memory) = td();
        let mut go = |sept: &mut Sept, rcx| accept(sept, &mut memory, rcx);
        assert_eq!(
            go(&mut sept, 0x40_0001),
            Accept::Missing {
                gfn: 0x400,
                large: true
            }
        );
        sept.augment(0x400, 0x400, false);
        let mismatch = Accept::Status(status::PAGE_SIZE_MISMATCH | 1);
        assert_eq!(go(&mut sept, 0x40_0001), mismatch);
        (0x600..0x800).for_each(|gfn| assert!(sept.augment(gfn, gfn as u32, true)));
        // Not for the TD to see: the module asks the host to split the page.
        assert_eq!(go(&mut sept, 0x60_1000), Accept::Demote(0x600));
        assert_eq!(go(&mut sept, 0x60_0001), Accept::Status(0));
        assert_eq!(sept.accepted(), 512);
        assert_eq!(
            go(&mut sept, 0x60_0001),
            Accept::Status(status::PAGE_ALREADY_ACCEPTED)
        );
    }

    #[test]
    fn operands_are_checked() {
        let (mut sept, mut memory) = td();
        let invalid = Accept::Status(status::OPERAND_INVALID | 1);
        for rcx in [0x30_0008, 0x30_1001, 0x30_0002, 1 << 47 | 0x30_0000] {
            assert_eq!(accept(&mut sept, &mut memory, rcx), invalid, "{rcx:#x}");
        }
    }
}
