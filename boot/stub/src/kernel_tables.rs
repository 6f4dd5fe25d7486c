//! The kernel's first page tables: its segments, its stack, and the direct map of the image.

use crate::memory;
use tessera_defs::refusal::Refusal;
use tessera_handoff::launch::{Component, Segment, segment};
use tessera_handoff::layout::{
    DIRECT_MAP, IMAGE_END, IMAGE_START, PARAVISOR_BASE, PARAVISOR_END, SHARED_MAP, SHARED_PAGES,
    STACK_PAGES, STACK_TOP,
};
use tessera_objects::tables::{Access, Error, Mapping, PageBits, Size, TableMemory, Tables};

/// The pool's pages, zeroed one by one as they are handed out.
pub struct Pool {
    next: u64,
    end: u64,
}

/// What is mapped.
pub struct Plan<'a> {
    /// Kernel or paravisor.
    pub component: &'a Component,
    /// First byte and end of its page-table pool.
    pub pool: (u64, u64),
    /// Its stack, `STACK_PAGES` pages.
    pub stack: u64,
    /// Isolation bits.
    pub bits: PageBits,
    /// `SHARED_PAGES` are shared: they are mapped so, and not in the direct map.
    pub shares: bool,
    /// A paravisor is below: its memory and what it shares are not mapped at all.
    pub lower: bool,
    /// The page of the stub that switches over.
    pub trampoline: u64,
}

impl Pool {
    /// First page that was not handed out.
    pub const fn next(&self) -> u64 {
        self.next
    }
}

impl TableMemory for Pool {
    fn read(&self, table: u64, index: usize) -> u64 {
        memory::read(table + index as u64 * 8)
    }
    fn write(&mut self, table: u64, index: usize, entry: u64) {
        memory::write_value(table + index as u64 * 8, &entry);
    }
    fn allocate(&mut self) -> Option<u64> {
        let page = self.next;
        if page >= self.end {
            return None;
        }
        memory::write(page, &[0; 4096]);
        self.next += 4096;
        Some(page)
    }
}

/// Builds them. Errors: `ComponentInvalid` where the segments cannot be mapped.
pub fn build(plan: &Plan<'_>) -> Result<(Tables, Pool), Refusal> {
    let (next, end) = plan.pool;
    let mut pool = Pool { next, end };
    let tables = Tables::new(&mut pool, plan.bits).map_err(invalid)?;
    for segment in used(plan.component) {
        check(plan.component, segment)?;
        let mapping = Mapping::kernel(access(segment.flags)?);
        tables
            .map_range(&mut pool, segment.virt, segment.phys, segment.len, mapping)
            .map_err(invalid)?;
    }
    let write = Mapping::kernel(Access::Write);
    let stack = STACK_TOP - STACK_PAGES * 4096;
    tables
        .map_range(&mut pool, stack, plan.stack, STACK_PAGES * 4096, write)
        .map_err(invalid)?;
    direct_map(plan, &tables, &mut pool)?;
    for page in SHARED_PAGES.into_iter().filter(|_| plan.shares) {
        let virt = SHARED_MAP + page;
        tables
            .map(&mut pool, virt, page, Size::Small, Mapping::SHARED)
            .map_err(invalid)?;
    }
    let execute = Mapping::kernel(Access::Execute);
    let page = plan.trampoline & !4095;
    tables
        .map_range(&mut pool, page, page, 4096, execute)
        .map_err(invalid)?;
    Ok((tables, pool))
}

fn direct_map(plan: &Plan<'_>, tables: &Tables, pool: &mut Pool) -> Result<(), Refusal> {
    let hidden = |page| {
        let shared = SHARED_PAGES.contains(&page) && (plan.shares || plan.lower);
        shared || plan.lower && (PARAVISOR_BASE..PARAVISOR_END).contains(&page)
    };
    for page in (IMAGE_START..IMAGE_END)
        .step_by(4096)
        .filter(|page| !hidden(*page))
    {
        let mapping = Mapping::kernel(direct_access(plan.component, page));
        tables
            .map(pool, DIRECT_MAP + page, page, Size::Small, mapping)
            .map_err(invalid)?;
    }
    Ok(())
}

fn used(kernel: &Component) -> impl Iterator<Item = &Segment> {
    kernel.segments.iter().filter(|segment| segment.len != 0)
}

fn check(kernel: &Component, segment: &Segment) -> Result<(), Refusal> {
    let end = segment.phys.checked_add(segment.len);
    let inside = segment.phys >= kernel.base && end.is_some_and(|e| e <= kernel.base + kernel.len);
    let aligned = (segment.phys | segment.virt | segment.len).is_multiple_of(4096);
    let high = segment.virt >= tessera_handoff::layout::KERNEL_VIRT;
    if inside && aligned && high {
        Ok(())
    } else {
        Err(Refusal::ComponentInvalid)
    }
}

fn access(flags: u32) -> Result<Access, Refusal> {
    match (flags & segment::W != 0, flags & segment::X != 0) {
        (true, true) => Err(Refusal::ComponentInvalid),
        (true, false) => Ok(Access::Write),
        (false, true) => Ok(Access::Execute),
        (false, false) => Ok(Access::Read),
    }
}

/// The direct map is never executable, and not writable where the kernel's own mapping is not.
fn direct_access(kernel: &Component, page: u64) -> Access {
    let of_kernel = used(kernel).find(|s| (s.phys..s.phys + s.len).contains(&page));
    match of_kernel {
        Some(segment) if segment.flags & segment::W == 0 => Access::Read,
        _ => Access::Write,
    }
}

fn invalid(_: Error) -> Refusal {
    Refusal::ComponentInvalid
}
