//! The rooms of the programs in guest memory.

use super::elf::Place;
use tessera_defs::x86::PAGE_SIZE;
use tessera_handoff::layout;

/// The stub's, without its stack.
pub fn stub() -> Place {
    let end = layout::STUB_END - layout::STACK_PAGES * PAGE_SIZE;
    Place {
        name: "stub",
        virt_base: layout::STUB_BASE,
        room: layout::STUB_BASE..end,
    }
}

/// The guest kernel's.
pub fn kernel() -> Place {
    let room = layout::KERNEL_BASE..layout::KERNEL_END;
    Place {
        name: "kernel",
        virt_base: layout::KERNEL_VIRT,
        room,
    }
}

/// The paravisor's, without its stack, pool and private pages.
pub fn paravisor() -> Place {
    let room = layout::PARAVISOR_BASE..layout::PARAVISOR_STACK;
    Place {
        name: "paravisor",
        virt_base: layout::KERNEL_VIRT,
        room,
    }
}
