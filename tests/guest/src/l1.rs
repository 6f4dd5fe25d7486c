//! The guest as the L1 VM of a partitioned TD: builds an L2 VM and enters it. Sources: 354807,
//! 348551 (TDG.VP.ENTER, TDG.VP.WR, TDG.MEM.PAGE.ATTR.WR). Statuses are not trusted to be good:
//! whoever calls looks at them, or not.
#![allow(unsafe_code)] // reason: TDCALL, and pages that two VMs use

pub mod deeds;
pub mod pages;
pub mod probes;

use pages::{APIC, CODE, DESCRIPTORS, STACK, STATE, TOP};
use tessera_defs::tdx::field::vmcs1;
use tessera_defs::tdx::page::attr;
use tessera_defs::tdx::tdcall::{self, TdcallRegs};
use tessera_defs::vmx::control::entry;
use tessera_defs::vmx::vmcs;
use tessera_defs::x86::efer;
use tessera_hw::isolation;

/// Offset of L2_ENTER_GUEST_STATE in its page: aligned to 256 bytes, not to a page.
const STATE_OFFSET: u64 = 0x100;
/// Words of L2_ENTER_GUEST_STATE.
pub mod state {
    #![allow(missing_docs)]
    pub const RAX: usize = 0;
    pub const RCX: usize = 1;
    pub const RDX: usize = 2;
    pub const RSP: usize = 4;
    pub const RDI: usize = 7;
    pub const RFLAGS: usize = 16;
    pub const RIP: usize = 17;
}

/// One TDCALL; the registers that come back.
pub fn call(rax: u64, [rcx, rdx, r8, r9]: [u64; 4]) -> TdcallRegs {
    let mut regs = TdcallRegs {
        rax,
        rcx,
        rdx,
        r8,
        r9,
        ..TdcallRegs::default()
    };
    // SAFETY: pages that Rust owns are named by the L2 VM's own statics only, all of atomics.
    unsafe { isolation::tdcall(&mut regs) };
    regs
}

/// TDG.VP.WR of a field of the L2 VMCS; the status.
pub fn write(encoding: u32, value: u64, mask: u64) -> u64 {
    call(tdcall::VP_WR, [0, vmcs1(encoding), value, mask]).rax
}

/// TDG.VP.RD of a field of the L2 VMCS.
pub fn read(encoding: u32) -> u64 {
    call(tdcall::VP_RD, [0, vmcs1(encoding), 0, 0]).r8
}

/// TDG.MEM.PAGE.ATTR.WR of VM 1's attributes of a small page, with an invalidation; status and
/// attributes.
pub fn grant(gpa: u64, attributes: u64) -> (u64, u64) {
    let field = |bits: u64| bits << attr::L2_VM1_SHIFT;
    let mask = field(attr::RWX | attr::MASK_INV_EPT);
    let regs = call(
        tdcall::MEM_PAGE_ATTR_WR,
        [gpa, field(attributes | attr::VALID), mask, 0],
    );
    (regs.rax, regs.rdx >> attr::L2_VM1_SHIFT & 0xFFFF)
}

/// TDG.VP.ENTER with the state in its page.
pub fn enter() -> TdcallRegs {
    let state = STATE.gpa() + STATE_OFFSET;
    call(tdcall::VP_ENTER, [1 << tdcall::ENTER_VM_SHIFT, state, 0, 0])
}

/// A word of the L2 VM's state.
pub fn get(word: usize) -> u64 {
    STATE.get(STATE_OFFSET as usize / 8 + word)
}

/// Sets a word of the L2 VM's state.
pub fn set(word: usize, value: u64) {
    STATE.set(STATE_OFFSET as usize / 8 + word, value);
}

/// Enters the L2 VM at `offset` of its code page, interrupts off.
pub fn run(offset: u64) -> TdcallRegs {
    set(state::RIP, CODE.gpa() + offset);
    set(state::RFLAGS, 2);
    set(state::RSP, STACK.gpa() + 0x1000);
    enter()
}

/// Everything but the virtual-APIC page: tables, code, descriptors, attributes, VMCS. `false`
/// where the module refuses a step.
pub fn build() -> bool {
    pages::fill();
    let granted = pages::LOWER.iter().all(|page| {
        let all = attr::RWX | attr::VALID;
        grant(page.gpa(), attr::RWX) == (0, all)
    });
    let long = efer::LME | efer::LMA;
    let fields = [
        (vmcs::GUEST_CR0, 0x8001_0033, u64::MAX),
        (vmcs::GUEST_CR3, TOP.gpa(), u64::MAX),
        // PAE, MCE, VMXE; FXSR and exceptions of SSE.
        (vmcs::GUEST_CR4, 0x2660, u64::MAX),
        (vmcs::GUEST_EFER, long, long),
        (
            vmcs::ENTRY_CONTROLS,
            entry::IA32E.into(),
            entry::IA32E.into(),
        ),
        (vmcs::GUEST_CS_SELECTOR, 8, 0xFFFF),
        (vmcs::GUEST_CS_AR, 0xA09B, u64::MAX),
        (vmcs::GUEST_SS_SELECTOR, 16, 0xFFFF),
        (vmcs::GUEST_GDTR_BASE, DESCRIPTORS.gpa(), u64::MAX),
        (vmcs::GUEST_GDTR_LIMIT, 23, u64::MAX),
        (vmcs::GUEST_IDTR_BASE, pages::IDT.gpa(), u64::MAX),
        (vmcs::GUEST_IDTR_LIMIT, 0xFFF, u64::MAX),
    ];
    granted
        && fields
            .iter()
            .all(|(encoding, value, mask)| write(*encoding, *value, *mask) == 0)
}

/// Gives the L2 VM the virtual-APIC page without which it is not entered.
pub fn lend_apic() -> bool {
    write(vmcs::VIRTUAL_APIC_PAGE, APIC.gpa(), u64::MAX) == 0
}
