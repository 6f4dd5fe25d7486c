//! L2 exits without a machine below: what L1 gets, and what ends a run.

use super::*;
use crate::{
    machine::FAKE,
    platform::{LaunchPage, PageKind, Technology},
    silicon::tdx::view::SHARED,
    svm::exit,
    vmm::scenario::Scenario,
};
use tessera_defs::{
    snp::vc,
    tdx::{field, page::attr, tdcall},
    vmx::{control, event as kind, vmcs},
    x86::{efer, vector, x2apic},
};

const CODE: u64 = 0x20_0000;
const LOWER: u64 = 0x20_1000;
const TABLES: u64 = 0x20_2000;
const STATE: u64 = 0x20_4100;
const APIC: u64 = 0x20_5000;
const DATA: u64 = 0x20_6000;
const FREE: u64 = 0x70_0000;
const TDCALL: &[u8] = &[0x66, 0x0F, 0x01, 0xCC];
const VM1: u64 = 1 << 52;
const RFLAGS: u64 = 0x202;

struct Guest {
    tdx: Tdx,
    vmm: Vmm,
    memory: Memory,
}

/// L1 without paging at `CODE`; an L2 VM in long mode over identity tables at `LOWER`, where
/// `code` stands, with all attributes on what it needs.
fn guest(scenario: &str, code: &[u8]) -> Guest {
    let bytes: &'static mut [u8] = std::vec![0u8; (8 << 20) + 64 * 4096].leak();
    let mut memory = Memory::new(bytes, 8 << 20);
    let words = std::format!("mode=tdx-paravisor memory=8M {scenario}");
    let mut vmm = Vmm::new(Scenario::parse(&words).unwrap(), FAKE);
    let mut tdx = Tdx::new(&memory);
    let top = ((TABLES + 0x1000) | 0x63).to_le_bytes();
    let pages: [(u64, &[u8]); 7] = [
        (CODE, TDCALL),
        (LOWER, code),
        (TABLES, &top),
        (TABLES + 0x1000, &0xE3u64.to_le_bytes()),
        (STATE & !0xFFF, &[]),
        (APIC, &[]),
        (DATA, &[]),
    ];
    for (gpa, content) in pages {
        let page = LaunchPage {
            gpa,
            kind: PageKind::Normal,
            content,
        };
        tdx.add_page(&mut memory, &page).unwrap();
    }
    tdx.finish(&mut vmm, &mut memory).unwrap();
    let save = &mut tdx.vcpu.vmcb.save;
    (save.cr0, save.rip) = (0x31, CODE);
    save.efer |= efer::LMA;
    save.cs.attrib = 0xA9B;
    let mut guest = Guest { tdx, vmm, memory };
    guest.set_up();
    guest
}

impl Guest {
    fn set_up(&mut self) {
        for (encoding, value) in [
            (vmcs::GUEST_CR0, 0x8001_0033),
            (vmcs::GUEST_CR3, TABLES),
            (vmcs::GUEST_CR4, 0x2060),
            (vmcs::GUEST_CS_AR, 0xA09B),
        ] {
            assert_eq!(self.vp_wr(encoding, value, u64::MAX), 0, "{encoding:#x}");
        }
        let long = efer::LME | efer::LMA;
        assert_eq!(self.vp_wr(vmcs::GUEST_EFER, long, long), 0);
        let controls = u64::from(control::entry::IA32E);
        assert_eq!(self.vp_wr(vmcs::ENTRY_CONTROLS, controls, controls), 0);
        assert_eq!(self.vp_wr(vmcs::VIRTUAL_APIC_PAGE, APIC, u64::MAX), 0);
        for gpa in [LOWER, TABLES, TABLES + 0x1000] {
            self.give(gpa, attr::RWX, attr::RWX);
        }
        self.state(|state| (state.rip, state.rflags) = (LOWER, RFLAGS));
    }

    fn tdcall(&mut self, rax: u64, operands: [u64; 4]) -> (Step, u64) {
        let vcpu = &mut self.tdx.vcpu;
        (vcpu.vmcb.save.rip, vcpu.regs[reg::RAX]) = (CODE, rax);
        let [rcx, rdx, r8, r9] = operands;
        (vcpu.regs[1], vcpu.regs[2], vcpu.regs[8], vcpu.regs[9]) = (rcx, rdx, r8, r9);
        vcpu.vmcb.control.exit_code = exit::EXCEPTION_UD;
        let mut step = self.tdx.exit(&mut self.vmm, &mut self.memory);
        // The host splits or gives a page, and the instruction runs again.
        while step == Step::Continue && self.tdx.vcpu.vmcb.save.rip == CODE {
            if self.tdx.lower.runs() {
                break;
            }
            step = self.tdx.exit(&mut self.vmm, &mut self.memory);
        }
        (step, self.tdx.vcpu.regs[reg::RAX])
    }

    fn vp_wr(&mut self, encoding: u32, value: u64, mask: u64) -> u64 {
        let operands = [0, field::vmcs1(encoding), value, mask];
        self.tdcall(tdcall::VP_WR, operands).1
    }

    fn vp_rd(&mut self, encoding: u32) -> u64 {
        let field = field::vmcs1(encoding);
        assert_eq!(self.tdcall(tdcall::VP_RD, [0, field, 0, 0]).1, 0);
        self.tdx.vcpu.regs[8]
    }

    /// Gives attributes of VM 1 for a page, through ATTR.WR.
    fn give(&mut self, gpa: u64, attributes: u64, mask: u64) {
        let operands = [gpa, (attributes | attr::VALID) << 16, mask << 16, 0];
        assert_eq!(self.tdcall(tdcall::MEM_PAGE_ATTR_WR, operands).1, 0);
    }

    fn state(&mut self, change: impl FnOnce(&mut L2EnterState)) -> L2EnterState {
        let mut state = self.tdx.read_state(&mut self.memory, STATE).unwrap();
        change(&mut state);
        self.tdx
            .write_state(&mut self.memory, STATE, &state)
            .unwrap();
        state
    }

    fn enter(&mut self) {
        let (step, _) = self.tdcall(tdcall::VP_ENTER, [VM1, STATE, 0, 0]);
        assert_eq!(step, Step::Continue);
        assert!(self.tdx.lower.runs(), "{:#x}", self.tdx.vcpu.regs[0]);
    }

    /// An IDT in `DATA` whose gate of `vector` leads to `LOWER`, a GDT behind it, and a stack.
    fn interrupt_gate(&mut self, vector: usize) {
        self.give(DATA, attr::RWX, attr::RWX);
        let gate = LOWER & 0xFFFF | 8 << 16 | 0x8E << 40 | (LOWER >> 16 & 0xFFFF) << 48;
        let frame = self.memory.frame(DATA / PAGE as u64).unwrap();
        let page = self.memory.page(frame).unwrap();
        page[vector * 16..][..8].copy_from_slice(&gate.to_le_bytes());
        page[0xE08..][..8].copy_from_slice(&0x0020_9B00_0000_0000u64.to_le_bytes());
        self.vp_wr(vmcs::GUEST_GDTR_BASE, DATA + 0xE00, u64::MAX);
        self.vp_wr(vmcs::GUEST_GDTR_LIMIT, 0xF, u64::MAX);
        self.vp_wr(vmcs::GUEST_IDTR_BASE, DATA, u64::MAX);
        self.vp_wr(vmcs::GUEST_IDTR_LIMIT, 0xDFF, u64::MAX);
        self.state(|state| state.rsp = DATA + 0xF00);
    }

    /// An exit of the L2 VM, as SVM reports it.
    fn exit(&mut self, code: u64, info: [u64; 2]) -> Step {
        let control = &mut self.tdx.lower.vcpu.vmcb.control;
        (control.exit_code, control.exit_info_1, control.exit_info_2) = (code, info[0], info[1]);
        self.tdx.exit_lower(&mut self.vmm, &mut self.memory)
    }

    fn touch(&mut self, gpa: u64, info: u64) -> Step {
        self.exit(exit::NPF, [1 << 32 | info, gpa])
    }

    /// Registers with which L1 goes on, behind its TDCALL.
    fn l1(&self) -> [u64; 16] {
        assert!(!self.tdx.lower.runs());
        assert_eq!(self.tdx.vcpu.vmcb.save.rip, CODE + 4);
        self.tdx.vcpu.regs
    }

    fn injected(&self) -> u64 {
        self.tdx.lower.vcpu.vmcb.control.event_inj
    }
}

/// Reason and length that L1 finds for `code`, entered and exited once.
fn exited(code: &[u8], exit_code: u64, info: [u64; 2]) -> (u64, u64, u64) {
    let mut guest = guest("", code);
    guest.enter();
    assert_eq!(guest.exit(exit_code, info), Step::Continue);
    let regs = guest.l1();
    let state = guest.state(|_| ());
    assert_eq!((state.rip, state.rflags), (LOWER, RFLAGS));
    (regs[0], regs[11] >> 32, regs[1])
}

/// Code, exit of SVM, its infos; reason and length of the exit to L1.
type Exits<'a> = (&'a [u8], u64, [u64; 2], u32, u64);

#[test]
fn instructions_exit_to_l1_with_reason_and_length() {
    let ud = exit::EXCEPTION_UD;
    let exits: [Exits<'_>; 8] = [
        (&[0x0F, 0xA2], vc::CPUID, [0; 2], vmx::CPUID, 2),
        (&[0xF4], vc::HLT, [0; 2], vmx::HLT, 1),
        (&[0x0F, 0x32], vc::MSR, [0; 2], vmx::MSR_READ, 2),
        (&[0x0F, 0x30], vc::MSR, [1, 0], vmx::MSR_WRITE, 2),
        (&[0x0F, 0x09], vc::WBINVD, [0; 2], vmx::WBINVD, 2),
        (&[0x0F, 0x01, 0xD1], vc::XSETBV, [0; 2], vmx::XSETBV, 3),
        (&[0x0F, 0x01, 0xC1], ud, [0; 2], vmx::VMCALL, 3),
        (TDCALL, ud, [0; 2], vmx::TDCALL, 4),
    ];
    for (code, exit_code, info, reason, length) in exits {
        let found = exited(code, exit_code, info);
        assert_eq!(found, (reason.into(), length, 0), "{code:x?}");
    }
    let port = 0x3F8 << 16 | vc::io::SZ8;
    let found = exited(&[0xEE], vc::IOIO, [port, LOWER + 1]);
    assert_eq!(found, (vmx::IO.into(), 1, 0x3F8 << 16));
    let fault = exited(&[], vc::SHUTDOWN, [0; 2]);
    assert_eq!(fault, (vmx::TRIPLE_FAULT.into(), 0, 0));
}

#[test]
fn registers_go_in_and_out_through_memory() {
    let mut guest = guest("", &[0x0F, 0xA2]);
    guest.state(|state| (state.rax, state.r15) = (7, 9));
    guest.enter();
    assert_eq!(guest.tdx.lower.vcpu.regs[15], 9);
    guest.tdx.lower.vcpu.regs[reg::RBX] = 0x55;
    guest.exit(vc::CPUID, [0; 2]);
    let state = guest.state(|_| ());
    assert_eq!((state.rax, state.rbx, state.r15), (7, 0x55, 9));
    assert_eq!(guest.vp_rd(vmcs::GUEST_RIP), LOWER);
    assert_eq!(guest.vp_rd(vmcs::EXIT_REASON), vmx::CPUID.into());
}

#[test]
fn a_page_without_attributes_is_l1s_and_no_breach() {
    let mut guest = guest("", &[]);
    guest.enter();
    assert_eq!(guest.touch(DATA + 8, exit::NPF_WRITE), Step::Continue);
    let regs = guest.l1();
    assert_eq!((regs[0], regs[1], regs[8]), (48, vmx::ept::WRITE, DATA + 8));
    assert_eq!((regs[13], guest.vmm.offence), (0, None));
    guest.give(DATA, attr::R, attr::RWX);
    guest.enter();
    assert_eq!(guest.touch(DATA, 0), Step::Continue);
    assert!(guest.tdx.lower.runs(), "reading is allowed");
    guest.touch(DATA, exit::NPF_WRITE);
    assert_eq!(guest.l1()[1], vmx::ept::WRITE | vmx::ept::READABLE);
    guest.enter();
    guest.touch(DATA, exit::NPF_FETCH);
    assert_eq!(guest.l1()[1], vmx::ept::FETCH | vmx::ept::READABLE);
}

#[test]
fn a_stale_translation_stays_until_l1_invalidates() {
    let mut guest = guest("", &[]);
    guest.give(DATA, attr::R | attr::W, attr::RWX);
    guest.enter();
    guest.touch(DATA, exit::NPF_WRITE);
    assert!(guest.tdx.lower.npt.lookup(DATA).unwrap().1.write);
    guest.exit(vc::HLT, [0; 2]);
    guest.give(DATA, attr::R, attr::W);
    guest.enter();
    guest.tdx.step_lower(&mut guest.vmm, &mut guest.memory);
    assert!(guest.tdx.lower.npt.lookup(DATA).is_some(), "still there");
    guest.exit(vc::HLT, [0; 2]);
    assert_eq!(guest.tdcall(tdcall::VP_INVEPT, [1 << 1, 0, 0, 0]).1, 0);
    guest.enter();
    guest.tdx.step_lower(&mut guest.vmm, &mut guest.memory);
    assert!(guest.tdx.lower.npt.lookup(DATA).is_none());
}

#[test]
fn a_missing_page_is_the_hosts_and_a_pending_one_l1s() {
    let mut guest = guest("", &[]);
    guest.enter();
    assert_eq!(guest.touch(FREE, 0), Step::Continue);
    assert!(guest.tdx.lower.runs(), "augmented, and again");
    assert!(guest.tdx.td.sept.get(FREE / PAGE as u64).large, "by 2 MiB");
    guest.touch(FREE, 0);
    let regs = guest.l1();
    assert_eq!((regs[0], regs[8], regs[13]), (48, FREE, 6));
    // Attributes that it gets now count once it is accepted.
    guest.give(FREE, attr::RWX, attr::RWX);
    let accept = [FREE, 0, 0, 0];
    assert_eq!(guest.tdcall(tdcall::MEM_PAGE_ACCEPT, accept).1, 0);
    guest.enter();
    guest.touch(FREE, exit::NPF_WRITE);
    assert!(guest.tdx.lower.npt.lookup(FREE).is_some());
}

#[test]
fn shared_memory_needs_l1s_leave() {
    let mut guest = guest("", &[]);
    let gfn = FREE / PAGE as u64;
    guest.tdx.shared.insert(gfn);
    guest.enter();
    guest.touch(FREE | SHARED | 8, 0);
    let regs = guest.l1();
    let routed = status::L2_EXIT_HOST_ROUTED_ASYNC | 48;
    assert_eq!((regs[0], regs[8]), (routed, FREE | SHARED));
    let bit = field::L2_CTLS_SHARED_EPT;
    let write = [0, field::L2_CTLS_VM1, bit, bit];
    assert_eq!(guest.tdcall(tdcall::VP_WR, write).1, 0);
    guest.enter();
    guest.touch(FREE | SHARED, exit::NPF_WRITE);
    let access = guest.tdx.lower.npt.lookup(FREE | SHARED).unwrap().1;
    assert!(access.write && !access.execute);
    // Its private name is nobody's.
    let mut last = Step::Continue;
    for _ in 0..70 {
        last = guest.touch(FREE, 0);
        if last == Step::Continue {
            guest.enter();
        }
    }
    let breach = Step::End(End::Breach(&breach::SHARED_AS_PRIVATE));
    assert_eq!(last, breach, "L1 goes on without end");
}

#[test]
fn events_go_in_and_an_interrupted_one_comes_back() {
    let mut guest = guest("", &[]);
    let fault = kind::VALID | kind::EXCEPTION | kind::ERROR_CODE | 13;
    guest.vp_wr(vmcs::ENTRY_EXCEPTION_ERROR_CODE, 8, 0xFFFF_FFFF);
    guest.vp_wr(vmcs::ENTRY_INTERRUPTION_INFO, fault.into(), 0xFFFF_FFFF);
    guest.enter();
    assert_eq!(guest.injected(), 8 << 32 | 0x8000_0B0D);
    // Its delivery faults: SVM hands it back, the module tells L1.
    guest.tdx.lower.vcpu.vmcb.control.event_inj = 8 << 32 | 0x8000_0B0D;
    guest.touch(DATA, exit::NPF_WRITE);
    assert_eq!(guest.l1()[10], 8 << 32 | u64::from(fault));
    let valid = u64::from(kind::VALID);
    assert_eq!(guest.vp_rd(vmcs::ENTRY_INTERRUPTION_INFO) & valid, 0);
    guest.enter();
    assert_eq!(guest.injected(), 0, "lost unless L1 injects it again");
}

#[test]
fn an_interrupt_of_l1_keeps_the_l2_vm_out() {
    let mut guest = guest("", &[]);
    let post = |guest: &mut Guest| {
        let apic = &mut guest.vmm.vp().apic;
        apic.write(x2apic::SIVR, 0x1FF, 0).unwrap();
        apic.write(x2apic::SELF_IPI, 0x40, 0).unwrap();
    };
    guest.enter();
    post(&mut guest);
    guest.tdx.step_lower(&mut guest.vmm, &mut guest.memory);
    let regs = guest.l1();
    assert_eq!(regs[0], status::L2_EXIT_PENDING_INTERRUPT | 1);
    let (step, rax) = guest.tdcall(tdcall::VP_ENTER, [VM1, STATE, 0, 0]);
    assert_eq!((step, rax), (Step::Continue, status::PENDING_INTERRUPT));
    assert!(!guest.tdx.lower.runs());
    assert_eq!(guest.tdx.vcpu.regs[reg::RDX], STATE, "only RAX is written");
}

#[test]
fn an_interrupt_window_exits_when_it_opens() {
    let mut guest = guest("", &[]);
    let bit = u64::from(control::primary::INTERRUPT_WINDOW);
    guest.vp_wr(vmcs::PRIMARY_CONTROLS, bit, bit);
    guest.enter();
    guest.tdx.step_lower(&mut guest.vmm, &mut guest.memory);
    assert_eq!(guest.l1()[0], vmx::INTERRUPT_WINDOW.into());
    guest.state(|state| state.rflags = 2);
    guest.enter();
    guest.tdx.step_lower(&mut guest.vmm, &mut guest.memory);
    assert!(guest.tdx.lower.runs(), "IF is clear: it runs");
    assert_eq!(guest.exit(exit::VINTR, [0; 2]), Step::Continue);
    assert_eq!(guest.l1()[0], vmx::INTERRUPT_WINDOW.into());
}

#[test]
fn virtual_interrupts_come_from_the_apic_page() {
    let mut guest = guest("", &[0x0F, 0x30]);
    guest.interrupt_gate(0x52);
    guest.state(|state| state.guest_interrupt_status = 0x52);
    guest.enter();
    guest.tdx.lower.vcpu.vmcb.control.exit_code = exit::INTR;
    guest.tdx.step_lower(&mut guest.vmm, &mut guest.memory);
    assert_eq!(guest.tdx.lower.vcpu.regs[reg::RSP], DATA + 0xF00 - 40);
    // L1 lets the guest end interrupts itself.
    let bit = 0x4000 + 0x80B;
    let word = [0, field::msr_bitmap1(bit / 64), 0, 1 << (bit % 64)];
    guest.exit(vc::HLT, [0; 2]);
    assert_eq!(guest.state(|_| ()).guest_interrupt_status, 0x5200);
    assert_eq!(guest.tdcall(tdcall::VP_WR, word).1, 0);
    guest.enter();
    guest.tdx.lower.vcpu.regs[reg::RCX] = 0x80B;
    guest.exit(vc::MSR, [1, 0]);
    assert!(guest.tdx.lower.runs(), "no exit");
    guest.exit(vc::HLT, [0; 2]);
    assert_eq!(guest.state(|_| ()).guest_interrupt_status, 0);
}

#[test]
fn states_that_cannot_be_entered() {
    let mut bad = guest("", &[]);
    bad.state(|state| state.rflags = 0);
    let (step, rax) = bad.tdcall(tdcall::VP_ENTER, [VM1, STATE, 0, 0]);
    let failed = vmx::INVALID_GUEST_STATE | vmx::ENTRY_FAILURE;
    assert_eq!((step, rax), (Step::Continue, failed.into()));
    assert_eq!(bad.l1()[11], 0);
    assert_eq!(bad.vmm.offence, Some(&breach::L2_STATE_INVALID));
    let mut unaligned = guest("", &[]);
    let (_, rax) = unaligned.tdcall(tdcall::VP_ENTER, [VM1, STATE + 8, 0, 0]);
    assert_eq!(rax, status::OPERAND_INVALID | 2);
    assert_eq!(unaligned.vmm.offence, Some(&breach::L2_ENTER_OPERAND));
    let mut event = guest("", &[]);
    let malformed = u64::from(kind::VALID | kind::NMI | 3);
    event.vp_wr(vmcs::ENTRY_INTERRUPTION_INFO, malformed, 0xFFFF_FFFF);
    let (step, _) = event.tdcall(tdcall::VP_ENTER, [VM1, STATE, 0, 0]);
    assert_eq!(step, Step::End(End::Breach(&breach::L2_STATE_INVALID)));
    let mut real = guest("", &[]);
    real.vp_wr(vmcs::GUEST_CR0, 0x31, u64::MAX);
    let long = efer::LMA;
    real.vp_wr(vmcs::GUEST_EFER, 0, long);
    real.vp_wr(vmcs::ENTRY_CONTROLS, 0, control::entry::IA32E.into());
    let (step, _) = real.tdcall(tdcall::VP_ENTER, [VM1, STATE, 0, 0]);
    assert_eq!(step, Step::End(End::Denied("l2-without-paging")));
}

#[test]
fn foreign_instructions_do_not_exist_in_l2_either() {
    let vmgexit: &[u8] = &[0xF3, 0x0F, 0x01, 0xD9];
    let pvalidate: &[u8] = &[0xF2, 0x0F, 0x01, 0xFF];
    for (code, at) in [(vmgexit, vc::VMMCALL), (pvalidate, exit::EXCEPTION_UD)] {
        let mut guest = guest("", code);
        guest.enter();
        guest.exit(at, [0; 2]);
        assert!(guest.tdx.lower.runs());
        assert_eq!(guest.injected() as u8, vector::UD);
        assert_eq!(guest.vmm.offence, Some(&breach::FOREIGN_INSTRUCTION));
    }
}

#[test]
fn exceptions_exit_by_the_bitmap() {
    let mut guest = guest("", &[]);
    guest.vp_wr(vmcs::EXCEPTION_BITMAP, 1 << 14, 1 << 14);
    guest.enter();
    guest.exit(0x40 + 14, [2, 0xCAFE]);
    let regs = guest.l1();
    assert_eq!((regs[0], regs[1]), (vmx::EXCEPTION.into(), 0xCAFE));
    assert_eq!(regs[9], 2 << 32 | 0x8000_0B0E);
    // Only write faults: the rest is the guest's own.
    guest.vp_wr(vmcs::PF_ERROR_CODE_MASK, 2, u64::from(u32::MAX));
    guest.vp_wr(vmcs::PF_ERROR_CODE_MATCH, 2, u64::from(u32::MAX));
    guest.enter();
    guest.exit(0x40 + 14, [0, 0xBEEF]);
    assert!(guest.tdx.lower.runs());
    assert_eq!(guest.injected() as u8, 14);
    assert_eq!(guest.tdx.lower.vcpu.vmcb.save.cr2, 0xBEEF);
}

#[test]
fn a_vmcall_goes_to_the_host_where_l1_says_so() {
    let mut guest = guest("", TDCALL);
    let bit = field::L2_CTLS_TDVMCALL;
    guest.tdcall(tdcall::VP_WR, [0, field::L2_CTLS_VM1, bit, bit]);
    guest.enter();
    let regs = &mut guest.tdx.lower.vcpu.regs;
    (regs[0], regs[1]) = (0, 0xFC00);
    (regs[10], regs[11], regs[12], regs[13]) = (0, 30, 1, 0);
    regs[14] = 0x3FD;
    guest.exit(exit::EXCEPTION_UD, [0; 2]);
    assert!(guest.tdx.lower.runs());
    let vcpu = &guest.tdx.lower.vcpu;
    assert_eq!((vcpu.vmcb.save.rip, vcpu.regs[11]), (LOWER + 4, 0x60));
    // Other leaves are still L1's.
    let vcpu = &mut guest.tdx.lower.vcpu;
    (vcpu.vmcb.save.rip, vcpu.regs[0]) = (LOWER, 1);
    guest.exit(exit::EXCEPTION_UD, [0; 2]);
    assert_eq!(guest.l1()[0], vmx::TDCALL.into());
}

#[test]
fn control_registers_are_l1s_until_it_gives_them_up() {
    let read: &[u8] = &[0x0F, 0x20, 0xC0];
    let mut hidden = guest("", read);
    hidden.enter();
    hidden.exit(0x00, [0; 2]);
    assert!(hidden.tdx.lower.runs());
    assert_eq!(hidden.tdx.lower.vcpu.regs[0], 0, "L1's shadow");
    let write: &[u8] = &[0x0F, 0x22, 0xC3];
    let mut kept = guest("", write);
    kept.enter();
    kept.tdx.lower.vcpu.regs[reg::RBX] = 0x8000_0033;
    kept.exit(0x10, [0; 2]);
    let regs = kept.l1();
    assert_eq!((regs[0], regs[1], regs[11] >> 32), (28, 3 << 8, 3));
    kept.vp_wr(vmcs::CR0_GUEST_HOST_MASK, 0, u64::MAX);
    kept.enter();
    kept.tdx.lower.vcpu.regs[reg::RBX] = 0x8000_0033;
    kept.exit(0x10, [0; 2]);
    assert!(kept.tdx.lower.runs());
    assert_eq!(kept.tdx.lower.vcpu.vmcb.save.cr0, 0x8000_0033);
}

#[test]
fn syscall_registers_are_shared_and_segments_are_not() {
    let mut guest = guest("", &[]);
    guest.tdx.vcpu.vmcb.save.lstar = 7;
    guest.tdx.vcpu.vmcb.save.gs.base = 8;
    guest.enter();
    let save = &mut guest.tdx.lower.vcpu.vmcb.save;
    assert_eq!((save.lstar, save.gs.base), (7, 0));
    (save.lstar, save.gs.base) = (9, 10);
    guest.exit(vc::HLT, [0; 2]);
    let save = &guest.tdx.vcpu.vmcb.save;
    assert_eq!((save.lstar, save.gs.base), (9, 8));
    assert_eq!(guest.vp_rd(vmcs::GUEST_GS_BASE), 10);
}

#[test]
fn a_lying_vmm_resumes_l1_and_posts_interrupts() {
    let mut guest = guest("lie=async-return", &[]);
    let apic = &mut guest.vmm.vp().apic;
    apic.write(x2apic::SIVR, 0x1FF, 0).unwrap();
    let (mut routed, mut pending) = (0, 0);
    for _ in 0..200 {
        guest.tdcall(tdcall::VP_ENTER, [VM1, STATE, 0, 0]);
        while guest.tdx.lower.runs() {
            guest.exit(exit::INTR, [0; 2]);
        }
        match guest.tdx.vcpu.regs[0] & status::CLASS_MASK {
            status::L2_EXIT_HOST_ROUTED_ASYNC => routed += 1,
            status::PENDING_INTERRUPT => {
                pending += 1;
                let apic = &mut guest.vmm.vp().apic;
                apic.accept(0x40);
                apic.write(x2apic::EOI, 0, 0).unwrap();
            }
            other => panic!("{other:#x}"),
        }
    }
    assert!(routed > 100 && pending > 5, "{routed} {pending}");
    assert!(guest.vmm.told());
}
