//! The first process, from the measured bundle, and the ends of processes.

use crate::boot::Boot;
use crate::context::Registers;
use crate::cpu::{self, Kernel};
use crate::{console, host, interrupts, memory, processors, spaces, syscall, timer, windows};
use tessera_abi::number;
use tessera_defs::refusal::Refusal;
use tessera_handoff::bundle::Bundle;
use tessera_handoff::layout::{BUNDLE_VIRT, USER_STACK_TOP};
use tessera_hw::trap::TrapFrame;
use tessera_hw::{instr, user};
use tessera_objects::elf::{Elf, Segment};
use tessera_objects::system::System;
use tessera_objects::system::objects::Reclaim;
use tessera_objects::system::space::{Mapping, Use};
use tessera_objects::tables::Access;

const PAGE: u64 = 4096;
const STACK_PAGES: u64 = 8;
/// Priority of the first thread: the highest, so that it can give any.
const PRIORITY: u64 = number::PRIORITY_MAX as u64;
/// The first process, which owns all memory that nobody else was given.
pub const FIRST: u8 = 0;

/// Loads the bundle's first program and enters ring 3.
pub fn run_first(boot: &Boot) -> ! {
    syscall::install(boot);
    let mut kernel = cpu::kernel();
    // Here and not where each processor prepares itself: the first one may have memory's lock then, and
    // wait for them.
    kernel.regions.bits = memory::with(|memory| memory.tables.bits);
    let Some(thread) = load(boot, &mut kernel.system) else {
        host::refuse(Refusal::ComponentInvalid)
    };
    let counts = memory::counts();
    log::info!("ring 3 after {} pages accepted", counts.accepted);
    kernel.reset_vectors(thread);
    kernel.system.tick(0);
    cpu::enter(kernel)
}

/// The first process with one thread, whose number it is.
fn load(boot: &Boot, system: &mut System<Registers>) -> Option<u8> {
    let place = &boot.handoff.launch.bundle;
    if !memory::in_image(place.base, place.len) || !place.base.is_multiple_of(PAGE) {
        return None;
    }
    let bundle = Bundle::parse(windows::physical(place.base, place.len as usize))?;
    let elf = Elf::parse(bundle.file(0)?).ok()?;
    let tables = spaces::create()?;
    let space = system.create_first(memory::counts().total, tables).ok()?;
    let mut fixed = |first: u64, len: u64| {
        let pages = len.div_ceil(PAGE);
        system.reserve(space, first, pages, Use::Fixed).ok()
    };
    // It reads the rest of the bundle itself.
    fixed(BUNDLE_VIRT, place.len)?;
    for page in (0..place.len).step_by(PAGE as usize) {
        spaces::map(tables, BUNDLE_VIRT + page, place.base + page, Access::Read)?;
    }
    for segment in elf.segments() {
        let segment = segment.ok()?;
        let skip = segment.virt % PAGE;
        fixed(segment.virt - skip, skip + segment.len)?;
        map_segment(tables, &segment)?;
    }
    fixed(USER_STACK_TOP - STACK_PAGES * PAGE, STACK_PAGES * PAGE)?;
    for page in 1..=STACK_PAGES {
        let frame = memory::frame().keep();
        spaces::map(tables, USER_STACK_TOP - page * PAGE, frame, Access::Write)?;
    }
    let mut frame = user::new_frame(elf.entry, USER_STACK_TOP - 8);
    frame.rdi = place.len;
    system.create_thread(space, Registers(frame), PRIORITY).ok()
}

fn map_segment(tables: u64, segment: &Segment<'_>) -> Option<()> {
    let access = match (segment.write, segment.execute) {
        (true, _) => Access::Write,
        (_, true) => Access::Execute,
        _ => Access::Read,
    };
    let first = segment.virt / PAGE * PAGE;
    for page in (first..segment.virt + segment.len).step_by(PAGE as usize) {
        let frame = memory::frame().keep();
        let skip = segment.virt.saturating_sub(page);
        let from = (page + skip - segment.virt) as usize;
        let room = (PAGE - skip) as usize;
        if let Some(data) = segment.data.get(from..) {
            windows::fill(frame, skip as usize, &data[..data.len().min(room)]);
        }
        spaces::map(tables, page, frame, access)?;
    }
    Some(())
}

/// An exception of a process: a line, and its end. The first process is part of the image and
/// raises none: an attack or a bug.
pub fn fault(frame: &TrapFrame) -> ! {
    cpu::from_user(frame, |kernel| {
        let space = kernel.system.current_space();
        let (vector, rip) = (frame.vector, frame.rip);
        log::warn!("process {space} stopped: exception {vector} at {rip:#x}");
        if space == FIRST {
            host::refuse(Refusal::UnexpectedException);
        }
        kernel.end_space(space, number::STATUS_FAULTED | vector);
    })
}

/// A page that a process cannot go on without, and that there will not be: a line, and its end.
/// The first process' own.
#[cold]
#[inline(never)]
pub fn unbacked(frame: &TrapFrame, status: u64) -> ! {
    cpu::from_user(frame, |kernel| {
        let space = kernel.system.current_space();
        let words = match status {
            number::STATUS_UNPAGED => "its pager brought no page",
            _ => "there is no memory for its page",
        };
        log::warn!("process {space} stopped: {words} at {:#x}", instr::cr2());
        if space == FIRST {
            host::refuse(Refusal::MemoryTooSmall);
        }
        kernel.end_space(space, status);
    })
}

/// Takes back what `objects` says has ended.
pub struct Ends<'a> {
    regions: &'a mut spaces::Regions,
}

impl<'a> Ends<'a> {
    /// For one operation.
    pub fn new(regions: &'a mut spaces::Regions) -> Self {
        Self { regions }
    }
}

impl Reclaim for Ends<'_> {
    fn region(&mut self, index: u8, pages: u64, shared: bool) {
        self.regions.empty(index, pages, shared);
    }
    fn unmap(&mut self, tables: u64, address: u64, pages: u64, left: &[Mapping]) -> u64 {
        spaces::unmap(tables, address, pages, left)
    }
    fn flush(&mut self, processors: u8) {
        processors::flush(processors);
    }
    fn leave(&mut self) {
        processors::own_tables();
    }
    fn stop(&mut self, cpu: u8) {
        processors::stop(cpu);
    }
    fn interrupt(&mut self, index: u8) {
        interrupts::end(index);
    }
    fn space(&mut self, tables: u64) {
        spaces::destroy(tables);
    }
}

impl Kernel {
    /// Ends a process.
    pub fn end_space(&mut self, space: u8, status: u64) {
        let (system, mut ends) = self.ending();
        system.kill_space(space, status, &mut ends);
        self.forget_dead();
    }

    /// The system, and what takes back what ends in it. `forget_dead` follows.
    pub fn ending(&mut self) -> (&mut System<Registers>, Ends<'_>) {
        let Self {
            system, regions, ..
        } = self;
        (system, Ends::new(regions))
    }
}

/// `exit` of the running process. The machine goes off with the first one.
pub fn exit(kernel: &mut Kernel, code: u64) -> u64 {
    let space = kernel.system.current_space();
    if space == FIRST {
        let unasked = timer::unasked();
        console::emergency(format_args!(
            "tessera: init exited with {code}, {unasked} unasked interrupts\n"
        ));
        host::shutdown();
    }
    kernel.end_space(space, number::STATUS_EXITED | (code & 0xFF));
    0
}
