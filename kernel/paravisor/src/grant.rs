//! What the lower guest gets of the image, and whose a page is.

use crate::context::Paravisor;
use crate::lower::Grant;
use crate::memory::{Memory, virt};
use crate::partition::Partition;
use crate::processors;
use core::ops::Range;
use tessera_defs::hyperv::{HV_STATUS_ACCESS_DENIED, HV_STATUS_INSUFFICIENT_MEMORY};
use tessera_defs::refusal::Refusal;
use tessera_handoff::layout::{
    BOOT_TABLES, EVENT_LOG, IMAGE_END, IMAGE_START, PARAVISOR_BASE, PARAVISOR_END, PFE_PAGE,
    SHARED_PAGES,
};
use tessera_isolation::strategy::traits::Pages;

const PAGE: u64 = 4096;

/// Whether a page of the image is the lower guest's.
pub fn image_page_is_guests(gpa: u64) -> bool {
    let shared = SHARED_PAGES.contains(&(gpa & !(PAGE - 1)));
    let own = (PARAVISOR_BASE..PARAVISOR_END).contains(&gpa) || shared;
    (IMAGE_START..IMAGE_END).contains(&gpa) && !own
}

/// Whether the lower guest may only read a page of the image: what the paravisor tells it, and
/// what was heard before it ran.
pub fn is_read_only(gpa: u64) -> bool {
    [PFE_PAGE, EVENT_LOG].contains(&(gpa & !(PAGE - 1)))
}

/// The pages from `start` to `end`.
pub fn pages(start: u64, end: u64) -> Pages {
    Pages {
        gpa: start,
        virt: virt(start),
        count: (end - start) / PAGE,
    }
}

/// Gives the lower guest the image. The paravisor's own memory stays without permissions, as
/// the launch left it.
pub fn give_to_guest(paravisor: &mut Paravisor<'_>, partition: &Partition) {
    paravisor.lower.hide_secrets(&partition.memory);
    boot_tables(&partition.memory);
    for gpa in (IMAGE_START..IMAGE_END).step_by(PAGE as usize) {
        if image_page_is_guests(gpa) {
            let access = if is_read_only(gpa) {
                Grant::Read
            } else {
                Grant::All
            };
            if let Err(refusal) = paravisor.lower.grant(pages(gpa, gpa + PAGE), access) {
                crate::door::refuse(refusal);
            }
        }
    }
}

/// Gives the lower guest what came with the image outside its room: accepted from the start, it
/// would meet these pages without an exit to the paravisor.
pub fn give_loaded(paravisor: &mut Paravisor<'_>, partition: &Partition) {
    for (start, end) in partition.loaded {
        for gpa in (start..end).step_by(PAGE as usize) {
            if partition.in_ram(gpa)
                && let Err(refusal) = paravisor.lower.grant(pages(gpa, gpa + PAGE), Grant::All)
            {
                crate::door::refuse(refusal);
            }
        }
    }
}

/// The stub's boot tables again, without isolation bits: below the boundary all is private.
fn boot_tables(memory: &Memory) {
    let table = |entry: u64| {
        let mut words = [0u64; 512];
        words[0] = entry;
        words
    };
    memory.write(BOOT_TABLES, &table((BOOT_TABLES + PAGE) | 0x23));
    memory.write(BOOT_TABLES + PAGE, &table((BOOT_TABLES + 2 * PAGE) | 0x23));
    let large: [u64; 512] = core::array::from_fn(|n| (n as u64) << 21 | 0xE3);
    memory.write(BOOT_TABLES + 2 * PAGE, &large);
}

/// Makes pages of the guest, all of them not so yet, shared or private. From the first step away from
/// private until it is accepted again a page counts as shared, so that nothing here touches what may be
/// gone. Errors: the hypercall's status. Where there was no room to note them nothing is changed; where
/// the host refused, none of them may be counted on.
pub fn change(
    paravisor: &mut Paravisor<'_>,
    partition: &mut Partition,
    pages: Pages,
    shared: bool,
) -> Result<(), u16> {
    let done = if shared {
        let room = partition.shared.insert_all(numbers(pages));
        room.map_err(|_| HV_STATUS_INSUFFICIENT_MEMORY)?;
        // What stood there is lost on hardware, and no guest may count on it.
        numbers(pages).for_each(|number| partition.memory.clear(number * PAGE));
        give_up(paravisor, pages)
    } else {
        take_back(paravisor, pages).map(|()| {
            numbers(pages).for_each(|number| partition.shared.remove(number));
            partition.changed();
        })
    };
    done.map_err(|_| HV_STATUS_ACCESS_DENIED)
}

fn numbers(pages: Pages) -> Range<u64> {
    let first = pages.gpa / PAGE;
    first..first + pages.count
}

fn give_up(paravisor: &mut Paravisor<'_>, pages: Pages) -> Result<(), Refusal> {
    paravisor.visibility.rescind(pages)?;
    paravisor.visibility.share(pages)
}

/// As in `accept::ensure`: nobody is to meet a page that has no permissions yet.
fn take_back(paravisor: &mut Paravisor<'_>, pages: Pages) -> Result<(), Refusal> {
    paravisor.visibility.unshare(pages)?;
    processors::alone(paravisor, |paravisor| {
        paravisor.visibility.accept_again(pages)?;
        paravisor.lower.grant(pages, Grant::All)
    })
}
