//! What the lower guest gets: all accepted RAM, the image without the paravisor's part, and a
//! secrets page without the keys of VMPL 0 and 1.

use crate::context::Paravisor;
use crate::memory::virt;
use tessera_defs::refusal::Refusal;
use tessera_defs::snp::rmp::{PERM_ALL, PERM_READ};
use tessera_defs::snp::secrets::SecretsPage;
use tessera_handoff::layout::{
    BOOT_TABLES, GHCB_PAGE, IMAGE_END, IMAGE_START, PARAVISOR_BASE, PARAVISOR_END, PARAVISOR_PAGES,
    PFE_PAGE, SECRETS_PAGE,
};
use tessera_protocol::ghcb_msr::{self, PageState};
use tessera_protocol::rmp;

const PAGE: u64 = 4096;
const LARGE: u64 = 2 << 20;
/// VMPL of the lower guest.
pub const LOWER: u8 = 2;
/// Where the paravisor keeps the whole secrets page.
pub const SECRETS_COPY: u64 = PARAVISOR_PAGES;

/// Whether a page of the image is the lower guest's.
pub fn image_page_is_guests(gpa: u64) -> bool {
    let own = (PARAVISOR_BASE..PARAVISOR_END).contains(&gpa) || gpa & !(PAGE - 1) == GHCB_PAGE;
    (IMAGE_START..IMAGE_END).contains(&gpa) && !own
}

/// Accepts all RAM outside the image (the service `ACCEPTED_MEMORY`), 2 MiB at a time where it
/// is aligned; where the host backs it smaller, that is 512 small pages.
pub fn accept_memory(paravisor: &mut Paravisor) {
    for (start, end) in paravisor.ram {
        paravisor.memory.map(start, end);
        for (gpa, large) in pieces(start, end) {
            if !paravisor.comes_private {
                let len = if large { LARGE } else { PAGE };
                for page in (gpa..gpa + len).step_by(PAGE as usize) {
                    ask(paravisor, page, PageState::Private);
                }
            }
            validate(paravisor, gpa, large);
        }
    }
}

/// A range in 2 MiB pieces where it is aligned, else in pages: address and whether it is large.
fn pieces(start: u64, end: u64) -> impl Iterator<Item = (u64, bool)> {
    let mut at = start;
    core::iter::from_fn(move || {
        let piece = (at, at.is_multiple_of(LARGE) && end - at >= LARGE);
        (at < end).then(|| {
            at += if piece.1 { LARGE } else { PAGE };
            piece
        })
    })
}

/// Gives VMPL 2 its memory. The paravisor's own stays without permissions, as PVALIDATE and
/// launch left it.
pub fn give_to_guest(paravisor: &mut Paravisor) {
    hide_keys(paravisor);
    lower_tables(paravisor);
    for gpa in (IMAGE_START..IMAGE_END).step_by(PAGE as usize) {
        if image_page_is_guests(gpa) {
            let read_only = gpa == PFE_PAGE;
            permit(
                paravisor,
                gpa,
                false,
                if read_only { PERM_READ } else { PERM_ALL },
            );
        }
    }
    for (start, end) in paravisor.ram {
        for (gpa, large) in pieces(start, end) {
            permit(paravisor, gpa, large, PERM_ALL);
        }
    }
}

/// Keeps the secrets page, and leaves a copy without the keys of VMPL 0 and 1.
fn hide_keys(paravisor: &mut Paravisor) {
    let mut secrets: SecretsPage = paravisor.memory.read(SECRETS_PAGE);
    paravisor.memory.write(SECRETS_COPY, &secrets);
    secrets.vmpck[0] = [0; 32];
    secrets.vmpck[1] = [0; 32];
    paravisor.memory.write(SECRETS_PAGE, &secrets);
}

/// The stub's boot tables again, without C-bits: below vTOM all is private.
fn lower_tables(paravisor: &mut Paravisor) {
    let table = |entry: u64| {
        let mut words = [0u64; 512];
        words[0] = entry;
        words
    };
    paravisor
        .memory
        .write(BOOT_TABLES, &table((BOOT_TABLES + PAGE) | 0x23));
    paravisor
        .memory
        .write(BOOT_TABLES + PAGE, &table((BOOT_TABLES + 2 * PAGE) | 0x23));
    let large: [u64; 512] = core::array::from_fn(|n| (n as u64) << 21 | 0xE3);
    paravisor.memory.write(BOOT_TABLES + 2 * PAGE, &large);
}

/// Makes a page of the guest shared or private. Errors: `None` where host or hardware refuse.
pub fn change(paravisor: &mut Paravisor, gpa: u64, shared: bool) -> Option<()> {
    if shared {
        rmp::pvalidate(&mut paravisor.rmp, virt(gpa), false, false).ok()?;
        return ghcb_msr::page_state(&mut paravisor.msr, gpa, PageState::Shared).ok();
    }
    ghcb_msr::page_state(&mut paravisor.msr, gpa, PageState::Private).ok()?;
    validate(paravisor, gpa, false);
    permit(paravisor, gpa, false, PERM_ALL);
    Some(())
}

fn ask(paravisor: &mut Paravisor, gpa: u64, state: PageState) {
    if ghcb_msr::page_state(&mut paravisor.msr, gpa, state).is_err() {
        crate::door::refuse(Refusal::VisibilityRefused);
    }
}

fn validate(paravisor: &mut Paravisor, gpa: u64, large: bool) {
    if rmp::pvalidate(&mut paravisor.rmp, virt(gpa), large, true).is_err() {
        crate::door::refuse(Refusal::PageAlreadyValidated);
    }
}

fn permit(paravisor: &mut Paravisor, gpa: u64, large: bool, permissions: u8) {
    if rmp::rmpadjust(
        &mut paravisor.rmp,
        virt(gpa),
        large,
        LOWER,
        permissions,
        false,
    )
    .is_err()
    {
        crate::door::refuse(Refusal::RmpadjustFailed);
    }
}
