//! What of a host's injections reaches a context.

use super::*;
use crate::{
    memory::insn::Kind,
    silicon::snp::injection::Injection,
    svm::{exit, vmcb},
};
use tessera_defs::{
    snp::{
        doorbell::{PENDING_FLAGS, PENDING_VECTOR, flags, request as bell},
        ghcb::exit::{HV_DOORBELL, NMI_COMPLETE},
        status::features,
    },
    x86::x2apic,
};

fn with(injection: Injection, text: &str) -> Guest {
    let mut host = guest(&std::format!("mode=snp {text}"));
    let context = host.snp.vp.contexts[0].as_mut().unwrap();
    context.injection = injection;
    // Every entry ends at once, in a guest that has handlers.
    context.vcpu.vmcb.control.exit_code = exit::INTR;
    context.vcpu.vmcb.save.idtr.base = 0x1000;
    host
}

impl Guest {
    fn steps(&mut self) {
        for _ in 0..500 {
            let step = self.snp.step(&mut self.vmm, &mut self.memory);
            assert_eq!(step, Step::Continue);
        }
    }
}

#[test]
fn silicon_keeps_everything_but_hv_from_a_restricted_context() {
    let lies = |injection, lie: &str| {
        let mut host = with(injection, &std::format!("lie=inject-{lie}"));
        host.steps();
        host.vmm.lies_told().map(|count| count > 0)
    };
    for lie in ["13", "nmi", "0x60", "29"] {
        assert_eq!(lies(Injection::Restricted, lie), [false, true], "{lie}");
        assert_eq!(lies(Injection::Alternate, lie), [false, true], "{lie}");
    }
    assert_eq!(lies(Injection::Restricted, "28"), [true, false]);
    assert_eq!(lies(Injection::Alternate, "28"), [false, true]);
}

#[test]
fn what_waits_is_written_into_the_doorbell_page_while_it_is_shared() {
    let mut host = with(Injection::Restricted, "probing=1");
    host.shared_ghcb();
    let page = GHCB + 0x3000;
    host.msr(proto::PSC_REQUEST | proto::PSC_SHARED << 52 | page)
        .unwrap();
    let place = [(offset_of!(GhcbPage, sw_exit_info2), page)];
    host.vmm.write_msr(x2apic::SIVR, 0x1FF);
    host.vmm.write_msr(x2apic::ICR, 1 << 18 | 0x61);
    host.steps();
    assert_eq!(host.vmm.pending_interrupt(), Some(0x61), "no page");
    host.send(HV_DOORBELL, bell::SET, &place).unwrap();
    host.steps();
    assert_eq!(host.at(page)[PENDING_VECTOR], 0x61);
    assert_eq!(host.at(page)[PENDING_FLAGS], flags::NO_FURTHER_SIGNAL);
    assert_eq!(host.vmm.pending_interrupt(), None, "it is in service");
    host.at(page).fill(0);
    host.vmm.write_msr(x2apic::EOI, 0);
    host.msr(proto::PSC_REQUEST | proto::PSC_PRIVATE << 52 | page)
        .unwrap();
    host.vmm.write_msr(x2apic::ICR, 1 << 18 | 0x61);
    host.steps();
    assert_eq!(host.at(page)[..2], [0, 0], "it is the guest's own");
    assert_eq!(host.vmm.pending_interrupt(), Some(0x61));
}

#[test]
fn kvm_holds_nmis_until_the_guest_served_one() {
    for (profile, held) in [("hyperv", false), ("kvm", true)] {
        let mut host = guest(&std::format!("mode=snp profile={profile}"));
        host.shared_ghcb();
        let nmi = |host: &mut Guest| {
            let vcpu = &mut host.snp.vp.contexts[0].as_mut().unwrap().vcpu;
            vcpu.vmcb.control.event_inj = 0;
            vcpu.inject_nmi()
        };
        assert!(nmi(&mut host) && !nmi(&mut host));
        let vcpu = &host.snp.vp.contexts[0].as_ref().unwrap().vcpu;
        let watched = vcpu.vmcb.control.intercept_1 & vmcb::INTERCEPT_1_IRET != 0;
        assert_eq!(watched, !held);
        host.send(NMI_COMPLETE, 0, &[]).unwrap();
        assert_eq!(nmi(&mut host), held);
    }
}

#[test]
fn page_instructions_are_ring_0s() {
    let mut host = guest("mode=snp");
    let Guest { snp, vmm, memory } = &mut host;
    for kind in [Kind::Pvalidate, Kind::Rmpadjust, Kind::Rmpquery] {
        let context = snp.vp.contexts[0].as_mut().unwrap();
        (
            context.vcpu.vmcb.save.cpl,
            context.vcpu.vmcb.control.event_inj,
        ) = (3, 0);
        snp.page_instruction(vmm, memory, kind, 4);
        let control = &snp.vp.contexts[0].as_ref().unwrap().vcpu.vmcb.control;
        assert_eq!(control.event_inj, 0x8000_0B0D, "{kind:?}: #GP(0)");
    }
}

#[test]
fn a_restricted_processor_halts_until_anything_comes() {
    for (injection, wakes) in [(Injection::Open, false), (Injection::Restricted, true)] {
        let mut host = with(injection, "");
        host.vmm.last_exit = (vc::HLT, [0; 2]);
        host.snp.exit(&mut host.vmm, &mut host.memory);
        let halted = Activity::Halted { interrupts: wakes };
        assert_eq!(host.vmm.vp().activity, halted, "RFLAGS.IF is clear");
    }
}

#[test]
fn a_save_area_has_one_way_of_injection_and_kvm_one_for_all() {
    let ask = |text: &str, wanted: u64| {
        let mut host = guest(&std::format!("mode=snp smp=2 {text}"));
        host.shared_ghcb();
        let frame = save_area(&mut host, AREA, true);
        let page = host.memory.page(frame).unwrap();
        page[0x3B0] = wanted as u8;
        ap_creation(&mut host, ONE | 1, AREA, wanted)
    };
    let (restricted, alternate) = (
        1 | features::RESTRICTED_INJECTION,
        1 | features::ALTERNATE_INJECTION,
    );
    let invalid = Err(End::Breach(&breach::VMSA_INVALID));
    assert_eq!(ask("", restricted | alternate), invalid);
    let differ = Err(End::Breach(&breach::SEV_FEATURES_DIFFER));
    for wanted in [restricted, alternate] {
        assert_eq!(ask("profile=hyperv", wanted), Ok(0));
        assert_eq!(ask("profile=kvm", wanted), differ);
    }
}
