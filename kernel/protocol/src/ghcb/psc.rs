//! Page-state changes in batches. Source: 56421 rev. 2.04, section 4.1.6, tables 8 and 9.

use crate::error::{GuestFault, HostFault, Result, guest, host};
use crate::ghcb::frame::GhcbFrame;
use crate::ghcb_msr::PageState;
use crate::traits::Vmgexit;
use tessera_defs::snp::ghcb::{exit, psc};
use tessera_defs::x86::{LARGE_PAGE_SIZE, PAGE_SIZE};

/// Calls in a row for one batch, at most: every one must finish at least one entry.
const MAX_CALLS: usize = psc::MAX_ENTRIES + 1;
const FRAME: u64 = 0x000F_FFFF_FFFF_F000;
/// Bits of an entry that the guest sets: all but the current-page counter in 11:0.
const REQUEST: u64 = !0xFFF;

/// One page to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Change {
    pub gpa: u64,
    pub large: bool,
    pub state: PageState,
}

impl Change {
    /// The entry of table 9. Errors: `BadAddress`.
    pub fn encode(self) -> Result<u64> {
        let align = if self.large {
            LARGE_PAGE_SIZE
        } else {
            PAGE_SIZE
        };
        if self.gpa & !FRAME != 0 || !self.gpa.is_multiple_of(align) {
            return guest(GuestFault::BadAddress(self.gpa));
        }
        let size = if self.large { psc::ENTRY_2M } else { 0 };
        Ok(self.gpa | (self.state as u64) << psc::OP_SHIFT | size)
    }

    /// The change that an entry asks for, if it is one of ours.
    pub fn decode(entry: u64) -> Option<Change> {
        let state = match entry >> psc::OP_SHIFT & 0xF {
            1 => PageState::Private,
            2 => PageState::Shared,
            _ => return None,
        };
        (entry >> 57 == 0).then_some(Change {
            gpa: entry & FRAME,
            large: entry & psc::ENTRY_2M != 0,
            state,
        })
    }
}

/// Changes up to 253 pages. Hosts may stop in the middle and be called again; each call must
/// move on, and may change neither the end nor what an entry asks for.
/// Errors: `BadLength`, `BadAddress`, `NoProgress`, `OutOfRange`, `Refused`.
pub fn change<I>(host_call: &mut impl Vmgexit, changes: I) -> Result<()>
where
    I: IntoIterator<Item = Change, IntoIter: Clone>,
{
    let changes = changes.into_iter();
    let count = changes.clone().count();
    if count == 0 || count > psc::MAX_ENTRIES {
        return guest(GuestFault::BadLength(count));
    }
    let mut frame = build(count, changes.clone())?;
    let mut done = (0, 0);
    for _ in 0..MAX_CALLS {
        frame.exit_code = exit::PSC;
        (frame.info1, frame.info2) = (0, 0);
        frame.exchange(host_call)?;
        let code = frame.info2;
        if code != 0 {
            return host(HostFault::Refused {
                request: exit::PSC,
                code,
            });
        }
        let now = progress(&frame, count, changes.clone())?;
        if now.0 == count {
            return Ok(());
        }
        if now <= done {
            return host(HostFault::NoProgress { request: exit::PSC });
        }
        done = now;
    }
    host(HostFault::NoProgress { request: exit::PSC })
}

/// Header: current entry u16, end entry (inclusive) u16, reserved u32.
fn build(count: usize, changes: impl Iterator<Item = Change>) -> Result<GhcbFrame> {
    let mut frame = GhcbFrame::new(exit::PSC, 0, 0);
    frame.buffer[2..4].copy_from_slice(&(count as u16 - 1).to_le_bytes());
    for (i, change) in changes.enumerate() {
        let at = psc::HEADER + i * 8;
        frame.buffer[at..at + 8].copy_from_slice(&change.encode()?.to_le_bytes());
    }
    frame.used = psc::HEADER + count * 8;
    frame.scratch = true;
    Ok(frame)
}

/// Entries finished, and pages within the current one.
fn progress(
    frame: &GhcbFrame,
    count: usize,
    changes: impl Iterator<Item = Change>,
) -> Result<(usize, usize)> {
    let half = |at: usize| u16::from_le_bytes([frame.buffer[at], frame.buffer[at + 1]]);
    let (current, end) = (usize::from(half(0)), usize::from(half(2)));
    if end != count - 1 || current > count {
        let value = u64::from(half(0)) | u64::from(half(2)) << 16;
        return host(HostFault::OutOfRange {
            request: exit::PSC,
            value,
        });
    }
    let mut within = 0;
    for (i, change) in changes.enumerate() {
        let at = psc::HEADER + i * 8;
        let entry = frame.buffer[at..at + 8]
            .try_into()
            .map_or(0, u64::from_le_bytes);
        let pages = if change.large {
            LARGE_PAGE_SIZE / PAGE_SIZE
        } else {
            1
        };
        if entry & REQUEST != change.encode()? || entry & !REQUEST > pages {
            return host(HostFault::OutOfRange {
                request: exit::PSC,
                value: entry,
            });
        }
        if i == current {
            within = (entry & !REQUEST) as usize;
        }
    }
    Ok((current, within))
}
