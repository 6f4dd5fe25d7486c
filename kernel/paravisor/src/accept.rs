//! RAM that the lower guest has not touched is not accepted. Its first access brings an exit;
//! the chunk of 2 MiB around it is accepted then, given to the guest, and the access goes on.

use crate::context::Paravisor;
use crate::cpuid;
use crate::grant::{image_page_is_guests, pages};
use crate::lower::Grant;
use crate::partition::Partition;
use crate::processors;
use tessera_defs::refusal::Refusal;
use tessera_defs::x86::{LARGE_PAGE_SIZE, PAGE_SIZE};
use tessera_handoff::layout::PFE_PAGE;

/// Chunks that the table has room for; RAM beyond 1 TiB is accepted before the guest starts.
const CHUNKS: usize = 1 << 19;

/// Which chunks are accepted, a bit each.
pub struct Accepted {
    bits: &'static mut [u64; CHUNKS / 64],
}

impl Accepted {
    /// None yet.
    pub fn new(bits: &'static mut [u64; CHUNKS / 64]) -> Self {
        Self { bits }
    }

    fn place(chunk: u64) -> (usize, u64) {
        ((chunk / 64) as usize, 1 << (chunk % 64))
    }

    fn get(&self, chunk: u64) -> bool {
        let (word, bit) = Self::place(chunk);
        self.bits.get(word).is_none_or(|word| word & bit != 0)
    }

    fn set(&mut self, chunk: u64) {
        let (word, bit) = Self::place(chunk);
        if let Some(word) = self.bits.get_mut(word) {
            *word |= bit;
        }
    }
}

/// Maps all RAM, has the host hand it over, and accepts what the table has no bit for.
pub fn prepare(paravisor: &mut Paravisor<'_>, partition: &mut Partition) {
    let lazy_end = CHUNKS as u64 * LARGE_PAGE_SIZE;
    let largest = cpuid::largest_page(paravisor);
    for (start, end) in partition.ram_ranges() {
        partition.memory.map(start, end, largest);
        if let Err(refusal) = paravisor.visibility.assign(pages(start, end)) {
            crate::door::refuse(refusal);
        }
        let mut at = start.max(lazy_end);
        while at < end {
            let chunk_end = (at / LARGE_PAGE_SIZE + 1) * LARGE_PAGE_SIZE;
            ensure(paravisor, partition, at);
            at = chunk_end;
        }
    }
}

/// Makes sure that the chunk of `gpa` is accepted and the guest's. In SNP a page is validated before VMPL 2 gets
/// permissions on it; in between another processor that touches it would meet a fault which only the host sees. So
/// none of them is in VMPL 2 then. (In a TD such an access exits to L1, which waits for the lock.)
pub fn ensure(paravisor: &mut Paravisor<'_>, partition: &mut Partition, gpa: u64) {
    let chunk = gpa / LARGE_PAGE_SIZE;
    if partition.accepted.get(chunk) {
        return;
    }
    let (first, last) = (chunk * LARGE_PAGE_SIZE, (chunk + 1) * LARGE_PAGE_SIZE);
    let done = processors::alone(paravisor, |paravisor| {
        let parts = partition.ram_ranges();
        let mut parts = parts.map(|(start, end)| (start.max(first), end.min(last)));
        parts.try_for_each(|(start, end)| match start < end {
            true => {
                accept_unloaded(paravisor, partition, (start, end))?;
                paravisor.lower.grant(pages(start, end), Grant::All)
            }
            false => Ok(()),
        })
    });
    if let Err(refusal) = done {
        crate::door::refuse(refusal);
    }
    partition.accepted.set(chunk);
    partition.changed();
}

/// Accepts the range but for what came with the image.
fn accept_unloaded(
    paravisor: &mut Paravisor<'_>,
    partition: &Partition,
    (mut start, end): (u64, u64),
) -> Result<(), Refusal> {
    for (from, to) in partition.loaded {
        if start < to && from < end {
            paravisor
                .visibility
                .accept_again(pages(start, from.max(start)))?;
            start = to.min(end);
        }
    }
    paravisor.visibility.accept_again(pages(start, end))
}

/// The guest met a page that is not accepted, or that is not its own. Another processor may have
/// made it the guest's meanwhile: then it tries again.
pub fn on_demand(paravisor: &mut Paravisor<'_>, gpa: u64) {
    let partition = &mut *paravisor.partition.lock();
    let page = gpa & !(PAGE_SIZE - 1);
    if partition.in_ram(gpa) && !partition.accepted.get(gpa / LARGE_PAGE_SIZE) {
        return ensure(paravisor, partition, gpa);
    }
    let guests = partition.in_ram(gpa) || image_page_is_guests(gpa);
    // It may read this one, so it wrote there.
    if !guests || page == PFE_PAGE {
        crate::door::say(paravisor, "page", gpa);
        crate::door::refuse(Refusal::LowerGuestFault);
    }
    if crate::partition::changes() == paravisor.seen {
        // It was accepted: the host took it back.
        crate::door::refuse(Refusal::PageRemapped);
    }
}
