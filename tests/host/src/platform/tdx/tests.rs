//! Exits of a TD without a machine below: what the guest gets, and what ends a run.

mod quotes;

use super::Tdx;
use crate::{
    machine::FAKE,
    memory::frames::Memory,
    platform::{LaunchPage, PageKind, Step, Technology},
    report::End,
    silicon::tdx::{sept::State, view::SHARED},
    svm::{exit, vcpu::reg},
    vmm::{Vmm, scenario::Scenario},
};
use tessera_defs::{
    breach::{self, Breach},
    hyperv,
    snp::vc,
    tdx::{status, tdcall, vmcall},
    x86::{efer, vector},
};

const CODE: u64 = 0x20_0000;
const FREE: u64 = 0x70_0000;
const TDCALL: &[u8] = &[0x66, 0x0F, 0x01, 0xCC];

struct Guest {
    tdx: Tdx,
    vmm: Vmm,
    memory: Memory,
}

/// A TD in 64-bit mode without paging (which only the walk of these tests knows), at `code`.
fn guest(scenario: &str, code: &[u8]) -> Guest {
    let bytes: &'static mut [u8] = std::vec![0xAAu8; (8 << 20) + 64 * 4096].leak();
    let mut memory = Memory::new(bytes, 8 << 20);
    let mut vmm = Vmm::new(
        Scenario::parse(&std::format!("memory=8M {scenario}")).unwrap(),
        FAKE,
    );
    let mut tdx = Tdx::new(&memory);
    let page = LaunchPage {
        gpa: CODE,
        kind: PageKind::Normal,
        content: code,
    };
    tdx.add_page(&mut memory, &page).unwrap();
    tdx.finish(&mut vmm, &mut memory).unwrap();
    let save = &mut tdx.vcpu.vmcb.save;
    (save.cr0, save.rip) = (0x31, CODE);
    save.efer |= efer::LMA;
    save.cs.attrib = 0xA9B;
    Guest { tdx, vmm, memory }
}

impl Guest {
    fn exit(&mut self, code: u64, info: [u64; 2]) -> Step {
        let control = &mut self.tdx.vcpu.vmcb.control;
        (control.exit_code, control.exit_info_1, control.exit_info_2) = (code, info[0], info[1]);
        control.event_inj = 0;
        self.tdx.exit(&mut self.vmm, &mut self.memory)
    }

    fn tdcall(&mut self, rax: u64, rcx: u64, from_r10: [u64; 4]) -> Step {
        self.tdx.vcpu.vmcb.save.rip = CODE;
        (self.tdx.vcpu.regs[reg::RAX], self.tdx.vcpu.regs[reg::RCX]) = (rax, rcx);
        self.tdx.vcpu.regs[10..14].copy_from_slice(&from_r10);
        self.exit(exit::EXCEPTION_UD, [0; 2])
    }

    fn touch(&mut self, gpa: u64) -> Step {
        self.exit(exit::NPF, [1 << 32 | 6, gpa])
    }

    fn injected(&self) -> Option<u8> {
        let event = self.tdx.vcpu.vmcb.control.event_inj;
        (event & vc::event::VALID != 0).then_some(event as u8)
    }
}

fn broken(breach: &'static Breach) -> Step {
    Step::End(End::Breach(breach))
}

#[test]
fn an_unaccepted_page_raises_ve_unless_the_td_disabled_it() {
    let mut hyperv = guest("mode=tdx", &[]);
    assert_eq!(hyperv.touch(FREE), Step::Continue, "augmented");
    assert_eq!(hyperv.injected(), None);
    assert_eq!(hyperv.touch(FREE), Step::Continue);
    assert_eq!(hyperv.injected(), Some(vector::VE));
    assert_eq!(hyperv.vmm.offence, Some(&breach::UNVALIDATED_ACCESS));
    assert_eq!(hyperv.touch(FREE), Step::Continue);
    assert_eq!(hyperv.injected(), Some(8), "the first #VE was not fetched");
    let mut kvm = guest("mode=tdx profile=kvm", &[]);
    assert_eq!(kvm.touch(FREE), Step::Continue);
    assert_eq!(kvm.touch(FREE), broken(&breach::UNVALIDATED_ACCESS));
}

#[test]
fn an_accepted_page_is_mapped_and_shared_ones_are_apart() {
    let mut td = guest("mode=tdx", TDCALL);
    assert_eq!(
        td.tdcall(tdcall::MEM_PAGE_ACCEPT, FREE, [0; 4]),
        Step::Continue
    );
    assert_eq!(td.tdx.rip(), CODE, "augmented, and again");
    td.tdcall(tdcall::MEM_PAGE_ACCEPT, FREE, [0; 4]);
    assert_eq!(
        (td.tdx.rip(), td.tdx.vcpu.regs[reg::RAX]),
        (CODE + 4, status::SUCCESS)
    );
    td.touch(FREE);
    assert!(td.tdx.npt.lookup(FREE).is_some());
    assert_eq!(td.touch(FREE | SHARED), broken(&breach::C_BIT_MISSING));
    let map = [0, vmcall::MAP_GPA, FREE | SHARED, 4096];
    assert_eq!(
        td.tdcall(tdcall::VP_VMCALL, vmcall::STANDARD_MASK, map),
        Step::Continue
    );
    assert_eq!(td.tdx.vcpu.regs[10], vmcall::SUCCESS);
    assert!(td.tdx.npt.lookup(FREE).is_none());
    assert_eq!(td.touch(FREE), broken(&breach::SHARED_AS_PRIVATE));
    assert_eq!(td.touch(FREE | SHARED), Step::Continue);
    let access = td.tdx.npt.lookup(FREE | SHARED).unwrap().1;
    assert!(access.write && !access.execute);
    let frame = td
        .tdx
        .host_access(&td.memory, FREE, crate::platform::Access::Read);
    assert!(frame.is_some());
    assert_eq!(td.tdx.pages(), (1, 1));
}

/// A vmm that still has a page in the shared EPT does not give it to the TD: else it would see what stands there.
#[test]
fn a_page_that_is_still_shared_is_not_given_to_who_accepts_it() {
    for (scenario, end) in [
        ("mode=tdx", broken(&breach::SHARED_AS_PRIVATE)),
        ("mode=tdx lie=psc-lies", Step::End(End::Denied("psc-lies"))),
    ] {
        let mut td = guest(scenario, TDCALL);
        td.vmm.scenario.lie = "none";
        let share = [0, vmcall::MAP_GPA, FREE | SHARED, 4096];
        td.tdcall(tdcall::VP_VMCALL, vmcall::STANDARD_MASK, share);
        if scenario.contains("lies") {
            td.vmm.scenario.lie = "psc-lies";
            let unshare = [0, vmcall::MAP_GPA, FREE, 4096];
            td.tdcall(tdcall::VP_VMCALL, vmcall::STANDARD_MASK, unshare);
        }
        assert_eq!(td.tdcall(tdcall::MEM_PAGE_ACCEPT, FREE, [0; 4]), end);
        assert_eq!(td.tdx.td.sept.get(FREE >> 12).state, State::Free);
    }
}

#[test]
fn map_gpa_is_checked_and_lies_are_told() {
    let status = |scenario: &str, gpa, len| {
        let mut td = guest(scenario, TDCALL);
        td.tdcall(
            tdcall::VP_VMCALL,
            vmcall::STANDARD_MASK,
            [0, vmcall::MAP_GPA, gpa, len],
        );
        (td.tdx.vcpu.regs[10], td.vmm.offence)
    };
    let input = Some(&breach::MAP_GPA_INPUT);
    assert_eq!(
        status("mode=tdx", FREE | 8, 4096),
        (vmcall::ALIGN_ERROR, input)
    );
    assert_eq!(
        status("mode=tdx", 8 << 20, 4096),
        (vmcall::INVALID_OPERAND, input)
    );
    assert_eq!(
        status("mode=tdx", 0xA_0000, 4096),
        (vmcall::INVALID_OPERAND, input)
    );
    let lie = |name: &str| status(&std::format!("mode=tdx lie={name}"), FREE | SHARED, 4096).0;
    assert_eq!(lie("visibility-refused"), vmcall::INVALID_OPERAND);
    assert_eq!(lie("psc-half"), vmcall::RETRY);
    assert_eq!(lie("psc-lies"), vmcall::SUCCESS);
}

/// A visibility hypercall for the page after `FREE`, its input in the shared page at `FREE`.
fn visibility(td: &mut Guest, kind: u32) -> u64 {
    let frame = td.memory.frame(FREE >> 12).unwrap();
    let words = [hyperv::PARTITION_SELF, kind.into(), (FREE >> 12) + 1];
    let page = td.memory.page(frame).unwrap();
    page[..24].copy_from_slice(words.map(u64::to_le_bytes).as_flattened());
    td.vmm.hyperv().guest_os_id = hyperv::GUEST_OS_ID;
    let call = u64::from(hyperv::HVCALL_MODIFY_SPARSE_GPA_PAGE_HOST_VISIBILITY);
    td.tdx.vcpu.regs[reg::RDX] = FREE | SHARED;
    td.tdx.vcpu.regs[reg::R8] = 0;
    let control = call | 1 << hyperv::HYPERCALL_REP_COUNT_SHIFT;
    td.tdcall(
        tdcall::VP_VMCALL,
        vmcall::HYPERCALL_MASK,
        [control, 0, 0, 0],
    );
    td.tdx.vcpu.regs[11]
}

#[test]
fn the_visibility_hypercall_changes_pages_as_map_gpa_does() {
    let next = FREE + 4096;
    let share = |scenario: &str| {
        let mut td = guest(scenario, TDCALL);
        let call = [0, vmcall::MAP_GPA, FREE | SHARED, 4096];
        td.tdcall(tdcall::VP_VMCALL, vmcall::STANDARD_MASK, call);
        td
    };
    let read = crate::platform::Access::Read;
    let mut td = share("mode=tdx");
    let done = 1 << hyperv::HYPERCALL_REP_COUNT_SHIFT;
    assert_eq!(visibility(&mut td, hyperv::VISIBILITY_SHARED), done);
    assert!(td.tdx.host_access(&td.memory, next, read).is_some());
    assert_eq!(visibility(&mut td, hyperv::VISIBILITY_PRIVATE), done);
    assert!(td.tdx.host_access(&td.memory, next, read).is_none());
    let denied = u64::from(hyperv::HV_STATUS_INVALID_PARAMETER);
    let mut private = guest("mode=tdx", TDCALL);
    assert_eq!(visibility(&mut private, hyperv::VISIBILITY_SHARED), denied);
}

#[test]
fn foreign_instructions_do_not_exist() {
    let vmmcall: &[u8] = &[0x0F, 0x01, 0xD9];
    let vmgexit: &[u8] = &[0xF3, 0x0F, 0x01, 0xD9];
    let pvalidate: &[u8] = &[0xF2, 0x0F, 0x01, 0xFF];
    for (code, at) in [
        (vmmcall, vc::VMMCALL),
        (vmgexit, vc::VMMCALL),
        (pvalidate, exit::EXCEPTION_UD),
    ] {
        let mut td = guest("mode=tdx", code);
        assert_eq!(td.exit(at, [0; 2]), Step::Continue);
        assert_eq!(td.injected(), Some(vector::UD));
        assert_eq!(td.vmm.offence, Some(&breach::FOREIGN_INSTRUCTION));
    }
}

#[test]
fn tdcall_is_for_ring_0() {
    let mut td = guest("mode=tdx", TDCALL);
    td.tdx.vcpu.vmcb.save.cpl = 3;
    td.tdcall(tdcall::VP_INFO, 0, [0; 4]);
    assert_eq!(td.injected(), Some(vector::GP));
}

#[test]
fn hypervisor_leaves_are_the_hosts_and_leaf_21_the_modules() {
    let mut td = guest("mode=tdx", &[0x0F, 0xA2]);
    td.tdx.vcpu.regs[reg::RAX] = 0x21;
    td.exit(vc::CPUID, [0; 2]);
    assert_eq!(
        td.tdx.vcpu.regs[reg::RBX] as u32,
        u32::from_le_bytes(*b"Inte")
    );
    assert_eq!(td.tdx.rip(), CODE + 2);
    td.tdx.vcpu.vmcb.save.rip = CODE;
    td.tdx.vcpu.regs[reg::RAX] = 0x4000_000C;
    td.exit(vc::CPUID, [0; 2]);
    assert_eq!((td.injected(), td.tdx.rip()), (Some(vector::VE), CODE));
    assert_eq!(
        td.tdx.td.ve.map(|info| (info.reason, info.length)),
        Some((10, 2))
    );
}

#[test]
fn end_of_interrupt_is_native_and_the_timer_is_the_hosts() {
    let mut td = guest("mode=tdx", &[0x0F, 0x30]);
    (td.tdx.vcpu.regs[reg::RAX], td.tdx.vcpu.regs[reg::RCX]) = (0, 0x80B);
    td.exit(vc::MSR, [1, 0]);
    assert_eq!((td.injected(), td.tdx.rip()), (None, CODE + 2));
    td.tdx.vcpu.vmcb.save.rip = CODE;
    td.tdx.vcpu.regs[reg::RCX] = 0x838;
    td.exit(vc::MSR, [1, 0]);
    assert_eq!(td.injected(), Some(vector::VE));
}
