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
    fn share(&mut self, pages: Pages) -> Result<(), Refusal>;
    /// Asks the host to make pages private that are mapped nowhere; `accept_again` follows.
    fn unshare(&mut self, pages: Pages) -> Result<(), Refusal>;
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

/// Where a further processor begins, for all strategies: the kernel's entry takes care of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// First instruction: 64-bit code in the kernel's half. It expects no stack and no register, and
    /// interrupts off.
    pub rip: u64,
    /// CR3: the kernel's half, and the page of `Bridge` at its own address. Below 4 GiB.
    pub cr3: u64,
    /// CR0, CR4 and EFER of the first processor, for who makes a whole context.
    pub cr0: u64,
    /// See `cr0`.
    pub cr4: u64,
    /// See `cr0`.
    pub efer: u64,
}

/// From where a processor that was started comes to `Start::rip`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bridge {
    /// It begins there.
    None,
    /// From code in a page below 1 MiB, in real mode: `Processors::code` fills it.
    Low,
    /// From code of the image that stands in this page.
    At(u64),
}

/// Sends an interprocessor interrupt: APIC ID, and the low half of the interrupt command register (Intel
/// SDM vol. 3, 11.6.1). False where the host refuses.
pub type SendIpi<'a> = &'a mut dyn FnMut(u32, u32) -> bool;

/// Starts further processors. All of them are a host's claim until they have arrived.
pub trait Processors: Send {
    /// Why only the first processor runs; `None` where others can be started.
    fn alone(&self) -> Option<&'static str> {
        None
    }
    /// See `Bridge`.
    fn bridge(&self) -> Bridge {
        Bridge::None
    }
    /// Private pages beside all RAM that `start` writes by the direct map: address of the first, count.
    fn pages(&self) -> (u64, u64) {
        (0, 0)
    }
    /// Code for `Bridge::Low` at `page`, at most `into.len()` bytes.
    fn code(&mut self, _page: u32, _start: &Start, _into: &mut [u8]) {}
    /// Starts the processor with this APIC ID, of number `number` (1 and up). `room` is one private
    /// page, accepted and zero, that the strategy keeps. It returns before the processor arrives.
    /// Called again, with the same room, for one that did not arrive.
    fn start(
        &mut self,
        number: u8,
        apic_id: u32,
        start: &Start,
        room: Pages,
        ipi: SendIpi<'_>,
    ) -> Result<(), Refusal>;
}
