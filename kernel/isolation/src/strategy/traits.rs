//! What the kernel asks of a mode.

use crate::refusal::Refusal;
use tessera_defs::x86::{LARGE_PAGE_SIZE, PAGE_SIZE};
use tessera_protocol::binding::Binding;
use tessera_protocol::exception::serve::Service;

/// Small pages in a large one.
const LARGE: u64 = LARGE_PAGE_SIZE / PAGE_SIZE;

/// Calls that leave the guest: CPUID, MSRs, ports, MMIO, halting, hypercalls.
pub trait HostCalls: Service + Send {}
impl<T: Service + Send> HostCalls for T {}

/// A run of small pages: guest physical address, where it is mapped private, count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    /// Guest physical address of the first one.
    pub gpa: u64,
    /// Virtual address of the first one in a private mapping.
    pub virt: u64,
    /// How many, contiguous in both.
    pub count: u64,
}

/// A part of a run: one 2 MiB page where address and length allow it, else one small page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Guest physical address.
    pub gpa: u64,
    /// Virtual address.
    pub virt: u64,
    /// 2 MiB.
    pub large: bool,
}

/// The parts of a run, in order.
#[derive(Clone, Debug)]
pub struct Pieces(Pages);

impl Pages {
    /// One small page that is mapped nowhere.
    pub const fn unmapped(gpa: u64) -> Self {
        Self {
            gpa,
            virt: 0,
            count: 1,
        }
    }

    /// 2 MiB first: as few parts as the addresses allow.
    pub const fn pieces(self) -> Pieces {
        Pieces(self)
    }
}

impl Iterator for Pieces {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let Pages { gpa, virt, count } = self.0;
        let large = count >= LARGE && (gpa | virt).is_multiple_of(LARGE_PAGE_SIZE);
        let pages = if large { LARGE } else { 1 };
        self.0 = Pages {
            gpa: gpa + pages * PAGE_SIZE,
            virt: virt + pages * PAGE_SIZE,
            count: count.checked_sub(pages)?,
        };
        Some(Piece { gpa, virt, large })
    }
}

/// Who may see a page. Every error names the party at fault.
pub trait PageVisibility: Send {
    /// Makes pages that were never used private and accepted.
    fn accept(&mut self, pages: Pages) -> Result<(), Refusal>;
    /// Only asks the host for pages that were never used, where it does not hand them over by
    /// itself; `accept_again` follows when they are needed.
    fn assign(&mut self, _: Pages) -> Result<(), Refusal> {
        Ok(())
    }
    /// First half of sharing: gives up the guest's own claim. The mapping goes away next.
    fn rescind(&mut self, pages: Pages) -> Result<(), Refusal>;
    /// Second half: asks the host to share pages that are mapped nowhere.
    fn share(&mut self, gpa: u64) -> Result<(), Refusal>;
    /// Asks the host to make a page private that is mapped nowhere; `accept_again` follows.
    fn unshare(&mut self, gpa: u64) -> Result<(), Refusal>;
    /// Accepts pages that the host gave: assigned before, or shared and mapped private again.
    fn accept_again(&mut self, pages: Pages) -> Result<(), Refusal>;
}

/// What evidence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// `defs::binding::evidence`.
    pub kind: u32,
    /// Bytes.
    pub length: usize,
}

/// Why there is no evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEvidence {
    /// Nobody isolates, so nobody signs.
    Unattested,
    /// Asked for before `bind`.
    NotBound,
    /// The caller's buffer is too small.
    NoRoom,
    /// Who refused, or lied.
    Refused(Refusal),
}

/// What the hardware signs about this guest.
pub trait Attestation: Send {
    /// Binds the mode, once, before lower code or ring 3 runs. Below a paravisor it is done
    /// already.
    fn bind(&mut self, binding: &Binding) -> Result<(), Refusal>;
    /// Evidence over 64 bytes of the caller's, written to `into`.
    fn evidence(&mut self, data: &[u8; 64], into: &mut [u8]) -> Result<Evidence, NoEvidence>;
}
