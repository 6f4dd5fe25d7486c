//! The first user process, from the measured bundle.
#![allow(unsafe_code)] // switches to the process' tables and to ring 3

use crate::boot::Boot;
use crate::{host, memory, syscall, windows};
use spin::Once;
use tessera_defs::refusal::Refusal;
use tessera_handoff::layout::USER_STACK_TOP;
use tessera_hw::{instr, user};
use tessera_objects::elf::{Elf, Segment};
use tessera_objects::tables::{Access, Tables};

const PAGE: u64 = 4096;
const STACK_PAGES: u64 = 4;

static SPACE: Once<Tables> = Once::new();

/// The process' address space.
pub fn space() -> &'static Tables {
    SPACE
        .get()
        .unwrap_or_else(|| host::refuse(Refusal::ComponentInvalid))
}

/// Loads the bundle and enters ring 3. The process ends by `EXIT`.
pub fn run_first(boot: &Boot) -> ! {
    syscall::install(boot);
    let Some((space, entry)) = load(boot) else {
        host::refuse(Refusal::ComponentInvalid)
    };
    SPACE.call_once(|| space);
    let counts = memory::counts();
    log::info!("ring 3 after {} pages accepted", counts.accepted);
    // SAFETY: the space has the kernel's half, and user pages that are the process' alone.
    unsafe {
        instr::set_cr3(space.cr3());
        user::enter(&user::new_frame(entry, USER_STACK_TOP))
    }
}

fn load(boot: &Boot) -> Option<(Tables, u64)> {
    let bundle = &boot.handoff.launch.bundle;
    if !memory::in_image(bundle.base, bundle.len) {
        return None;
    }
    let elf = Elf::parse(windows::physical(bundle.base, bundle.len as usize)).ok()?;
    let space = memory::user_space()?;
    for segment in elf.segments() {
        map_segment(&space, &segment.ok()?)?;
    }
    for page in 1..=STACK_PAGES {
        memory::map_user(
            &space,
            USER_STACK_TOP - page * PAGE,
            &memory::frame(),
            Access::Write,
        )?;
    }
    Some((space, elf.entry))
}

fn map_segment(space: &Tables, segment: &Segment<'_>) -> Option<()> {
    let access = match (segment.write, segment.execute) {
        (true, _) => Access::Write,
        (_, true) => Access::Execute,
        _ => Access::Read,
    };
    let first = segment.virt / PAGE * PAGE;
    for page in (first..segment.virt + segment.len).step_by(PAGE as usize) {
        let frame = memory::frame();
        let skip = segment.virt.saturating_sub(page);
        let from = (page + skip - segment.virt) as usize;
        let room = (PAGE - skip) as usize;
        if let Some(data) = segment.data.get(from..) {
            windows::fill(
                frame.address(),
                skip as usize,
                &data[..data.len().min(room)],
            );
        }
        memory::map_user(space, page, &frame, access)?;
    }
    Some(())
}
