//! Probes of the test host's L2 VM, from L1: each is true where the host does what Intel's
//! documents say. The guest ends orderly after all of them; the first that fails is told to the
//! host as a fatal error with its number.

use super::pages::{APIC, CODE, DATA, STACK, STATE, at};
use super::{
    STATE_OFFSET, build, call, enter, get, grant, lend_apic, read, run, set, state, write,
};
use crate::window::RAM;
use tessera_defs::tdx::page::{self, attr};
use tessera_defs::tdx::tdcall::{self, TdcallRegs};
use tessera_defs::tdx::{field, status};
use tessera_defs::vmx::{self, control::primary, event, vmcs};

const INVALID: u64 = status::OPERAND_INVALID;
const VM1: u64 = 1 << tdcall::ENTER_VM_SHIFT;
const ALL32: u64 = 0xFFFF_FFFF;

/// Every probe, in order: later ones need what earlier ones set up.
pub static ALL: &[fn() -> bool] = &[
    || call(tdcall::VM_RD, [0, field::NUM_L2_VMS, 0, 0]).r8 == 1,
    build,
    // No virtual-APIC page, no entry.
    || run(at::HLT).rax == INVALID | status::OPERAND_L2_VAPIC_GPA,
    lend_apic,
    || read(vmcs::VIRTUAL_APIC_PAGE) == APIC.gpa(),
    enter_operands,
    fields,
    // Instructions.
    || exits(at::CPUID, vmx::CPUID, 2),
    || exits(at::HLT, vmx::HLT, 1),
    || exits(at::VMCALL, vmx::VMCALL, 3),
    || exits(at::TDCALL, vmx::TDCALL, 4),
    || exits(at::WBINVD, vmx::WBINVD, 2),
    port,
    msr,
    // Memory.
    page_without_attributes,
    pending_page,
    shared_page,
    attribute_operands,
    invalidations,
    // Events.
    interrupt,
    fault_with_code,
    interrupted_delivery,
    window,
    foreign_instruction,
    no_counter,
    exception_bitmap,
    // State.
    control_registers,
    invalid_state,
];

/// Reason, instruction length, RIP and CPL of an exit by an instruction.
fn exits(offset: u64, reason: u32, length: u64) -> bool {
    let regs = run(offset);
    regs.rax == reason.into()
        && regs.r11 >> 32 == length
        && get(state::RIP) == CODE.gpa() + offset
        && (regs.rbx, regs.r12, regs.r14, regs.r15) == (0, 0, 0, 0)
        && regs.rsi as u16 == 8
        && read(vmcs::EXIT_REASON) == reason.into()
}

/// After a HLT at `offset` of the code page.
fn halted(regs: &TdcallRegs, offset: u64) -> bool {
    regs.rax == vmx::HLT.into() && get(state::RIP) == CODE.gpa() + offset
}

fn enter_operands() -> bool {
    let operand = |rcx, rdx| call(tdcall::VP_ENTER, [rcx, rdx, 0, 0]).rax;
    let gpa = STATE.gpa() + STATE_OFFSET;
    operand(VM1, gpa + 8) == INVALID | status::OPERAND_RDX
        && operand(VM1, gpa | 1 << page::SHARED_BIT) == INVALID | status::OPERAND_RDX
        && operand(0, gpa) == INVALID | status::OPERAND_RCX
        && operand(VM1 << 1, gpa) == INVALID | status::OPERAND_RCX
        && operand(VM1 | 4, gpa) == INVALID | status::OPERAND_RCX
}

fn fields() -> bool {
    let unknown = call(tdcall::VP_RD, [0, 1 << 62, 0, 0]);
    let rcx = call(tdcall::VP_RD, [1, field::L2_CTLS_VM1, 0, 0]);
    unknown.rax == status::METADATA_FIELD_ID_INCORRECT
        && (unknown.rdx, unknown.r8) == (field::NONE, 0)
        && rcx.rax == INVALID | status::OPERAND_RCX
        && write(vmcs::PIN_CONTROLS, 0, 1) == status::METADATA_FIELD_NOT_WRITABLE
        && write(vmcs::GUEST_ACTIVITY, 1, 1) == status::METADATA_FIELD_NOT_WRITABLE
        // A bit of the mask that is not L1's would change: NXE, NE.
        && write(vmcs::GUEST_EFER, 0x501, u64::MAX) == status::METADATA_FIELD_VALUE_NOT_VALID
        && write(vmcs::GUEST_CR0, 0x13, u64::MAX) == status::METADATA_FIELD_VALUE_NOT_VALID
        && read(vmcs::GUEST_CS_AR) == 0xA09B
}

fn port() -> bool {
    set(state::RDX, 0x3F8);
    let regs = run(at::OUT);
    regs.rax == vmx::IO.into() && regs.rcx == 0x3F8 << 16 && regs.r11 >> 32 == 1
}

/// All MSRs exit until L1 clears their bits.
fn msr() -> bool {
    const LSTAR: u64 = 0xC000_0082;
    let bit = 0x82 % 64;
    let word = |write: u64| field::msr_bitmap1(write * 0x100 + 0x80 + 0x82 / 64);
    set(state::RCX, LSTAR);
    let before = exits(at::WRMSR, vmx::MSR_WRITE, 2) && exits(at::RDMSR, vmx::MSR_READ, 2);
    let clear = |write| call(tdcall::VP_WR, [0, word(write), 0, 1 << bit]);
    let cleared = clear(0).r8 == u64::MAX && clear(1).rax == 0;
    // The instruction after WRMSR is 0: ADD [RAX], AL, which faults in the L2 VM's eyes only.
    set(state::RAX, 0x1234);
    set(state::RDX, 0);
    let done = run(at::WRMSR).rax == vmx::EPT_VIOLATION.into();
    before && cleared && done && get(state::RIP) == CODE.gpa() + at::WRMSR + 2
}

/// L2 cannot touch a page that it has no attributes for; L1 is told, and may give it.
fn page_without_attributes() -> bool {
    set(state::RDI, DATA.gpa() + 8);
    set(state::RAX, 0x5A5A);
    let denied = run(at::STORE);
    let told = denied.rax == vmx::EPT_VIOLATION.into()
        && denied.r8 == DATA.gpa() + 8
        && denied.rcx & 0x7F == vmx::ept::WRITE
        && DATA.get(1) == 0;
    let all = attr::RWX | attr::VALID;
    let read_only = attr::R | attr::VALID;
    let given = grant(DATA.gpa(), attr::R) == (0, read_only);
    let still = run(at::STORE).rcx & 0x7F == vmx::ept::WRITE | vmx::ept::READABLE;
    let all = grant(DATA.gpa(), attr::RWX) == (0, all);
    told && given && still && all && halted(&run(at::STORE), at::STORE + 3) && DATA.get(1) == 0x5A5A
}

/// A page that the TD has not accepted is L1's to accept, not a #VE.
fn pending_page() -> bool {
    set(state::RDI, RAM);
    let regs = run(at::STORE);
    let told = regs.rax == vmx::EPT_VIOLATION.into()
        && (regs.r8, regs.r13 & 0xF) == (RAM, tdcall::EXTENDED_PENDING);
    let given = grant(RAM, attr::RWX).0 == 0;
    let pending = call(tdcall::MEM_PAGE_ATTR_RD, [RAM, 0, 0, 0]).rcx;
    let accepted = call(tdcall::MEM_PAGE_ACCEPT, [RAM, 0, 0, 0]).rax == 0;
    told && given
        && pending == RAM | page::MAPPING_PENDING
        && accepted
        && halted(&run(at::STORE), at::STORE + 3)
}

/// Shared memory without L2_CTLS: the host resumes L1.
fn shared_page() -> bool {
    set(state::RDI, super::pages::SHARED_VIEW);
    let regs = run(at::STORE);
    regs.rax == status::L2_EXIT_HOST_ROUTED_ASYNC | u64::from(vmx::EPT_VIOLATION)
        && regs.r8 == RAM | 1 << page::SHARED_BIT
}

fn attribute_operands() -> bool {
    let set = |gpa, new, mask| call(tdcall::MEM_PAGE_ATTR_WR, [gpa, new, mask, 0]);
    let field = |bits: u64| bits << attr::L2_VM1_SHIFT;
    let gpa = DATA.gpa();
    let all = attr::RWX | attr::VALID;
    let write_only = set(gpa, field(attr::W | attr::VALID), field(attr::RWX));
    set(gpa, all, 0).rax == INVALID | status::OPERAND_RDX
        && set(gpa, 0, attr::R).rax == INVALID | status::OPERAND_R8
        && set(gpa, field(attr::R), 0).rax == INVALID | status::OPERAND_RDX
        && set(gpa, all << 32, 0).rax == INVALID | status::OPERAND_RDX
        && set(gpa + 8, field(all), 0).rax == INVALID | status::OPERAND_RCX
        && write_only.rax == status::PAGE_ATTR_INVALID
        && write_only.rdx == field(all)
        && call(tdcall::MEM_PAGE_ATTR_RD, [gpa, 0, 0, 0]).rdx == field(all)
}

fn invalidations() -> bool {
    let ept = |vms| call(tdcall::VP_INVEPT, [vms, 0, 0, 0]).rax;
    let gla = |rcx, rdx| call(tdcall::VP_INVGLA, [rcx, rdx, 0, 0]).rax;
    ept(1) == INVALID | status::OPERAND_RCX
        && ept(4) == INVALID | status::OPERAND_RCX
        && ept(2) == 0
        && gla(VM1, CODE.gpa()) == 0
        && gla(VM1, 1 << 50) == status::GLA_NOT_CANONICAL
        && gla(0, 0) == INVALID | status::OPERAND_RCX
}

/// Injects at an instruction that never runs.
fn inject(info: u32, error: u32, flags: u64) -> TdcallRegs {
    write(vmcs::ENTRY_EXCEPTION_ERROR_CODE, error.into(), ALL32);
    write(vmcs::ENTRY_INTERRUPTION_INFO, info.into(), ALL32);
    set(state::RIP, CODE.gpa() + at::UNDEFINED);
    set(state::RFLAGS, flags);
    set(state::RSP, STACK.gpa() + 0x1000);
    enter()
}

/// The word `index` of the frame that ends at the stack's top: SS is the last.
fn frame(index: usize) -> u64 {
    STACK.get(512 - index)
}

fn interrupt() -> bool {
    let regs = inject(event::VALID | 0x40, 0, 0x202);
    halted(&regs, at::HANDLER)
        && frame(5) == CODE.gpa() + at::UNDEFINED
        && frame(3) == 0x202
        && get(state::RSP) == STACK.gpa() + 0x1000 - 40
        && read(vmcs::ENTRY_INTERRUPTION_INFO) >> 31 == 0
}

fn fault_with_code() -> bool {
    let general = event::VALID | event::EXCEPTION | event::ERROR_CODE | 13;
    halted(&inject(general, 0x18, 2), at::HANDLER) && frame(6) == 0x18
}

/// The stack is not the L2 VM's: the event comes back, and L1 injects it again.
fn interrupted_delivery() -> bool {
    let taken = grant(STACK.gpa(), 0).0 == 0;
    let regs = inject(event::VALID | 0x41, 0, 0x202);
    let told = regs.rax == vmx::EPT_VIOLATION.into() && regs.r10 == (event::VALID | 0x41).into();
    let given = grant(STACK.gpa(), attr::RWX).0 == 0;
    let again = inject(regs.r10 as u32, 0, 0x202);
    taken && told && given && halted(&again, at::HANDLER) && frame(5) == CODE.gpa() + at::UNDEFINED
}

/// The window opens one instruction behind STI.
fn window() -> bool {
    let bit = u64::from(primary::INTERRUPT_WINDOW);
    let asked = write(vmcs::PRIMARY_CONTROLS, bit, bit) == 0;
    let regs = run(at::OPEN);
    let opened = regs.rax == vmx::INTERRUPT_WINDOW.into();
    let behind = get(state::RIP).wrapping_sub(CODE.gpa() + at::OPEN);
    let back = write(vmcs::PRIMARY_CONTROLS, 0, bit) == 0;
    asked && opened && (2..=3).contains(&behind) && back
}

/// RDPMC: #GP(0).
fn no_counter() -> bool {
    let taken = halted(&run(at::RDPMC), at::HANDLER);
    taken && [frame(5), frame(6)] == [CODE.gpa() + at::RDPMC, 0]
}

fn foreign_instruction() -> bool {
    halted(&run(at::VMGEXIT), at::HANDLER) && frame(5) == CODE.gpa() + at::VMGEXIT
}

fn exception_bitmap() -> bool {
    let asked = write(vmcs::EXCEPTION_BITMAP, 1 << 6, 1 << 6) == 0;
    let regs = run(at::UNDEFINED);
    let info = event::VALID | event::EXCEPTION | 6;
    let told = regs.rax == vmx::EXCEPTION.into() && regs.r9 == info.into();
    let back = write(vmcs::EXCEPTION_BITMAP, 0, 1 << 6) == 0;
    asked && told && back && halted(&run(at::UNDEFINED), at::HANDLER)
}

/// CR0 is L1's, and reads as its shadow, until L1 gives it up.
fn control_registers() -> bool {
    set(state::RAX, 0x8001_0033);
    let hidden = halted(&run(at::READ_CR0), at::READ_CR0 + 3) && get(state::RAX) == 0;
    set(state::RAX, 0x8000_0033);
    let regs = run(at::WRITE_CR0);
    let kept = (regs.rax, regs.rcx, regs.r11 >> 32) == (vmx::CR_ACCESS.into(), 0, 3);
    let given = write(vmcs::CR0_GUEST_HOST_MASK, 0, u64::MAX) == 0;
    let own = halted(&run(at::WRITE_CR0), at::WRITE_CR0 + 3);
    let shown = halted(&run(at::READ_CR0), at::READ_CR0 + 3) && get(state::RAX) == 0x8000_0033;
    hidden && kept && given && own && shown && read(vmcs::GUEST_CR0) == 0x8000_0033
}

/// The module tells L1 that the processor refused, and nothing of the state changes.
fn invalid_state() -> bool {
    set(state::RIP, CODE.gpa() + at::HLT);
    set(state::RFLAGS, 0);
    let regs = enter();
    let reason = vmx::INVALID_GUEST_STATE | vmx::ENTRY_FAILURE;
    regs.rax == reason.into() && get(state::RFLAGS) == 0 && halted(&run(at::HLT), at::HLT)
}
