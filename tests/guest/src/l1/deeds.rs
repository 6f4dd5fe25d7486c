//! What an L1 can do wrong with its L2 VM.

use super::{STATE_OFFSET, build, call, enter, lend_apic, pages, probes, run, set, state, write};
use tessera_defs::tdx::page::attr;
use tessera_defs::tdx::tdcall;
use tessera_defs::vmx::{event, vmcs};
use tessera_guest::catalogue::L1_PROBES;

/// Every deed by its act.
pub const DEEDS: crate::Deeds = &[
    (L1_PROBES, |_| {
        crate::tdx::end(probes::ALL.iter().position(|probe| !probe()))
    }),
    ("l1-enter-operand", |_| {
        build();
        lend_apic();
        let unaligned = pages::STATE.gpa() + STATE_OFFSET + 8;
        call(
            tdcall::VP_ENTER,
            [1 << tdcall::ENTER_VM_SHIFT, unaligned, 0, 0],
        );
    }),
    ("l1-state-invalid", |_| {
        build();
        lend_apic();
        // Bit 1 of RFLAGS is fixed.
        set(state::RFLAGS, 0);
        enter();
    }),
    ("l1-event-malformed", |_| {
        build();
        lend_apic();
        // An NMI has vector 2: the module cannot even report this.
        let malformed = event::VALID | event::NMI | 3;
        write(vmcs::ENTRY_INTERRUPTION_INFO, malformed.into(), 0xFFFF_FFFF);
        run(pages::at::HLT);
    }),
    ("l1-metadata-denied", |_| {
        write(vmcs::PIN_CONTROLS, 0, 0xFFFF_FFFF);
    }),
    ("l1-page-attr-input", |_| {
        // Attributes of L1 itself.
        let all = attr::RWX | attr::VALID;
        call(
            tdcall::MEM_PAGE_ATTR_WR,
            [pages::DATA.gpa(), all, attr::RWX, 0],
        );
    }),
    ("l1-deaf", |guest| {
        build();
        lend_apic();
        crate::tdx::share(guest, crate::window::FREE, 4096);
        set(state::RDI, crate::window::FREE);
        // The host has nothing to map there, and says so to an L1 that does not listen.
        loop {
            run(pages::at::STORE);
        }
    }),
];
