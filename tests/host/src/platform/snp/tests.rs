//! The SNP host against a guest that is only a save area and a GHCB: requests and their ends.

use super::*;
use crate::{
    machine::FAKE,
    platform::PageKind,
    silicon::snp::messages,
    svm::vcpu::reg,
    vmm::{scenario::Scenario, vp::Start},
};
use core::mem::offset_of;
use std::{vec, vec::Vec};
use tessera_defs::{
    breach,
    snp::{
        ghcb::{GhcbPage, exit},
        ghcb_msr as proto, vc,
        vmsa::{BSP_VMSA_GPA, Vmsa},
    },
};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

const GHCB: u64 = 0x20_0000;

struct Guest {
    snp: Snp,
    vmm: Vmm,
    memory: Memory,
}

fn guest(text: &str) -> Guest {
    let bytes: &'static mut [u8] = vec![0u8; (16 << 20) + 64 * PAGE].leak();
    let mut memory = Memory::new(bytes, 16 << 20);
    let mut vmm = Vmm::new(Scenario::parse(text).unwrap(), FAKE);
    let mut snp = Snp::new(&memory);
    let mut area = Vmsa::new_zeroed();
    (area.efer, area.sev_features) = (1 << 12, 1);
    let mut add = |gpa, kind, content: &[u8]| {
        snp.add_page(&mut memory, &LaunchPage { gpa, kind, content })
            .unwrap();
    };
    add(GHCB, PageKind::Normal, &[]);
    add(BSP_VMSA_GPA, PageKind::Context, area.as_bytes());
    snp.finish(&mut vmm, &mut memory).unwrap();
    Guest { snp, vmm, memory }
}

impl Guest {
    fn msr(&mut self, request: u64) -> Result<u64, End> {
        self.snp.vp.contexts[0].as_mut().unwrap().ghcb_msr = request;
        match self.snp.vmgexit(&mut self.vmm, &mut self.memory, 4) {
            Step::Continue => Ok(self.snp.vp.contexts[0].as_ref().unwrap().ghcb_msr),
            Step::End(end) => Err(end),
        }
    }

    fn shared_ghcb(&mut self) {
        let shared = proto::PSC_SHARED << 52;
        assert_eq!(
            self.msr(proto::PSC_REQUEST | shared | GHCB),
            Ok(proto::PSC_RESPONSE)
        );
        let registered = self.msr(proto::REGISTER_GHCB_REQUEST | GHCB);
        assert_eq!(registered, Ok(proto::REGISTER_GHCB_RESPONSE | GHCB));
    }

    fn page(&mut self) -> &mut [u8; PAGE] {
        let frame = self.memory.frame(GHCB / PAGE as u64).unwrap();
        self.memory.page(frame).unwrap()
    }

    /// Sends a request with these fields valid; the page afterwards.
    fn send(&mut self, code: u64, info1: u64, fields: &[(usize, u64)]) -> Result<GhcbPage, End> {
        let page = request(code, info1, fields);
        self.page().copy_from_slice(page.as_bytes());
        self.msr(GHCB)?;
        Ok(GhcbPage::read_from_bytes(self.page()).unwrap())
    }
}

fn request(code: u64, info1: u64, fields: &[(usize, u64)]) -> GhcbPage {
    let mut page = GhcbPage::new_zeroed();
    (page.protocol_version, page.sw_exit_code, page.sw_exit_info1) = (2, code, info1);
    let mut valid = Vec::from([0x390, 0x398, 0x3A0]);
    for (at, value) in fields {
        page.as_mut_bytes()[*at..*at + 8].copy_from_slice(&value.to_le_bytes());
        valid.push(*at);
    }
    for at in valid {
        page.valid_bitmap[at / 512] |= 1 << (at / 8 % 64);
    }
    page
}

#[test]
fn the_ghcb_must_be_shared_and_registered() {
    let mut fresh = guest("mode=snp");
    let private = fresh.msr(proto::REGISTER_GHCB_REQUEST | GHCB);
    assert_eq!(private, Err(End::Breach(&breach::GHCB_NOT_SHARED)));
    let shared = proto::PSC_SHARED << 52;
    fresh.msr(proto::PSC_REQUEST | shared | GHCB).unwrap();
    assert_eq!(
        fresh.msr(GHCB),
        Err(End::Breach(&breach::GHCB_NOT_REGISTERED))
    );
}

#[test]
fn data_in_a_page_that_becomes_shared_is_a_breach() {
    let mut host = guest("mode=snp");
    host.page()[77] = 1;
    host.msr(proto::PSC_REQUEST | proto::PSC_SHARED << 52 | GHCB)
        .unwrap();
    assert_eq!(
        host.vmm.end,
        Some(End::Breach(&breach::PRIVATE_DATA_SHARED))
    );
}

#[test]
fn requests_are_answered_and_malformed_ones_named() {
    let mut host = guest("mode=snp");
    host.shared_ghcb();
    let (rax, rcx) = (offset_of!(GhcbPage, rax), offset_of!(GhcbPage, rcx));
    let answer = host
        .send(vc::CPUID, 0, &[(rax, 0x4000_000C), (rcx, 0)])
        .unwrap();
    assert_eq!((answer.sw_exit_info1, answer.rbx), (0, 2));
    let unknown = host.send(vc::MSR, 0, &[(rcx, 0x1234)]).unwrap();
    assert_eq!(unknown.sw_exit_info1, 1, "the guest is to raise #GP");
    assert_eq!(unknown.sw_exit_info2 & 0xFF, 13);
    let incomplete = host.send(vc::CPUID, 0, &[(rcx, 0)]).err();
    assert_eq!(incomplete, Some(End::Breach(&breach::GHCB_MALFORMED)));
    let run = host.send(exit::RUN_VMPL, 2, &[]).err();
    assert_eq!(run, Some(End::Breach(&breach::RUN_VMPL_DENIED)));
}

mod certificates;
mod events;
mod injection;

/// Two shared pages beside the GHCB.
const PAGES: [u64; 2] = [GHCB + 0x1000, GHCB + 0x2000];

impl Guest {
    fn at(&mut self, gpa: u64) -> &mut [u8; PAGE] {
        let frame = self.memory.frame(gpa / PAGE as u64).unwrap();
        self.memory.page(frame).unwrap()
    }

    /// A report request with this number in the first page; SW_EXITINFO2 and the response.
    fn report(&mut self, number: u64, data: u8) -> Result<(u64, [u8; PAGE]), End> {
        let mut payload = [0; 0x60];
        payload[..64].fill(data);
        *self.at(PAGES[0]) = messages::sealed(&self.snp.keys[0].clone(), 5, 0, number, &payload);
        let answer = self.send(exit::GUEST_REQUEST, PAGES[0], &[(0x3A0, PAGES[1])])?;
        assert_eq!(answer.sw_exit_info1, 0);
        Ok((answer.sw_exit_info2, *self.at(PAGES[1])))
    }

    fn share(&mut self, gpa: u64) {
        let request = proto::PSC_REQUEST | proto::PSC_SHARED << 52 | gpa;
        assert_eq!(self.msr(request), Ok(proto::PSC_RESPONSE));
    }
}

fn with_pages(text: &str) -> Guest {
    let mut host = guest(text);
    host.shared_ghcb();
    PAGES.into_iter().for_each(|gpa| host.share(gpa));
    host
}

#[test]
fn guest_messages_reach_the_security_processor_by_shared_pages_only() {
    let mut host = guest("mode=snp");
    host.shared_ghcb();
    let private = Some(End::Breach(&breach::GUEST_REQUEST_PRIVATE));
    assert_eq!(host.report(1, 1).err(), private, "both");
    host.share(PAGES[0]);
    assert_eq!(host.report(1, 1).err(), private, "the response");
    host.share(PAGES[1]);
    let (code, response) = host.report(1, 1).unwrap();
    assert_eq!((code, response[0x34], response[0x20]), (0, 6, 2));
    assert_eq!(host.snp.reports()[0].report_data, [1; 64]);
    let malformed = Some(End::Breach(&breach::GUEST_REQUEST_MALFORMED));
    let same = [(0x3A0, PAGES[0])];
    let one = host.send(exit::GUEST_REQUEST, PAGES[0], &same).err();
    assert_eq!(one, malformed);
    let odd = [(0x3A0, PAGES[1] + 8)];
    let unaligned = host.send(exit::GUEST_REQUEST, PAGES[0], &odd).err();
    assert_eq!(unaligned, malformed);
    let again = host.report(1, 2).err();
    let invalid = End::Breach(&breach::GUEST_MESSAGE_INVALID);
    assert_eq!(again, Some(invalid), "number 1 was used");
}

#[test]
fn guest_requests_are_denied_and_responses_replayed_when_told() {
    let mut host = with_pages("mode=snp lie=guest-request-denied");
    assert_eq!(host.report(1, 1).unwrap(), (0xFFFF_FFFF << 32, [0; PAGE]));
    let mut host = with_pages("mode=snp lie=binding-denied");
    assert_eq!(host.report(1, 1).unwrap().0, 0);
    assert_eq!(host.report(3, 2).unwrap().0, 0xFFFF_FFFF << 32);
    let mut host = with_pages("mode=snp lie=report-replayed");
    let (_, first) = host.report(1, 1).unwrap();
    assert_eq!(host.report(3, 2), Ok((0, first)));
    assert_eq!(host.snp.reports().len(), 1);
}

#[test]
fn the_report_tells_that_the_host_may_debug() {
    let policy = |text| {
        let mut snp = guest(text).snp;
        snp.policy(0x3_0000);
        let Guest {
            mut vmm,
            mut memory,
            ..
        } = guest(text);
        snp.finish(&mut vmm, &mut memory).unwrap();
        snp.policy
    };
    assert_eq!(policy("mode=snp"), 0x3_0000);
    assert_eq!(policy("mode=snp lie=debug-policy"), 0xB_0000);
}

#[test]
fn a_termination_request_ends_the_run() {
    let mut host = guest("mode=snp");
    let ended = host.msr(proto::TERMINATE | 7 << 12 | 0x45 << 16);
    assert_eq!(ended, Err(End::Terminated { set: 7, code: 0x45 }));
}

#[test]
fn sev_status_shows_the_features_and_cannot_be_intercepted() {
    let mut host = guest("mode=snp");
    let context = host.snp.vp.contexts[0].as_mut().unwrap();
    context.vcpu.regs[reg::RCX] = 0xC001_0131;
    host.vmm.last_exit = (vc::MSR, [0, 0]);
    assert_eq!(
        host.snp.exit(&mut host.vmm, &mut host.memory),
        Step::Continue
    );
    assert_eq!(host.snp.vp.contexts[0].as_ref().unwrap().vcpu.edx_eax(), 7);
}

/// A page of the guest's as a save area that could run, or not.
fn save_area(host: &mut Guest, gpa: u64, vmsa: bool) -> u32 {
    let frame = host.memory.frame(gpa / PAGE as u64).unwrap();
    let mut area = Vmsa::new_zeroed();
    (area.efer, area.sev_features, area.rip) = (1 << 12, 1, 0x1234);
    host.snp.rmp.launch(frame, gpa / PAGE as u64, vmsa);
    let page = host.memory.page(frame).unwrap();
    page.copy_from_slice(area.as_bytes());
    frame
}

fn ap_creation(host: &mut Guest, info: u64, gpa: u64, features: u64) -> Result<u64, End> {
    let rax = (offset_of!(GhcbPage, rax), features);
    let place = (offset_of!(GhcbPage, sw_exit_info2), gpa);
    let page = host.send(exit::AP_CREATION, info, &[rax, place])?;
    Ok(page.sw_exit_info1)
}

const ONE: u64 = 1 << 32;
const AREA: u64 = 0x30_0000;

#[test]
fn a_processor_runs_from_a_save_area_of_the_guests() {
    let mut host = guest("mode=snp smp=2");
    host.shared_ghcb();
    save_area(&mut host, AREA, false);
    let invalid = Err(End::Breach(&breach::VMSA_INVALID));
    assert_eq!(ap_creation(&mut host, ONE | 1, AREA, 1), invalid);
    let frame = save_area(&mut host, AREA, true);
    let differ = Err(End::Breach(&breach::SEV_FEATURES_DIFFER));
    assert_eq!(ap_creation(&mut host, ONE | 1, AREA, 9), differ);
    assert_eq!(ap_creation(&mut host, 2 << 32 | 1, AREA, 1), Ok(2));
    assert_eq!(host.vmm.offence, Some(&breach::PROCESSOR_UNKNOWN));
    assert_eq!(host.vmm.vps[1].activity, Activity::Absent);
    assert_eq!(ap_creation(&mut host, ONE | 1, AREA, 1), Ok(0));
    assert_eq!(host.vmm.vps[1].activity, Activity::Runs);
    let runs = Err(End::Breach(&breach::PROCESSOR_RUNS));
    assert_eq!(ap_creation(&mut host, ONE | 1, AREA, 1), runs);
    assert!(host.snp.in_use(&host.vmm, frame));
    assert_eq!(ap_creation(&mut host, 1, AREA, 1), runs, "it asks itself");
    host.vmm.vps[1].activity = Activity::Halted { interrupts: true };
    save_area(&mut host, AREA + 4096, true);
    let again = ap_creation(&mut host, ONE | 1, AREA + 4096, 1);
    assert_eq!((again, host.snp.in_use(&host.vmm, frame)), (Ok(0), false));
    assert_eq!(ap_creation(&mut host, ONE | 2, 0, 0), Ok(0));
    assert_eq!(host.vmm.vps[1].activity, Activity::Absent);
}

#[test]
fn one_save_area_is_one_processors() {
    let mut host = guest("mode=snp smp=3");
    host.shared_ghcb();
    save_area(&mut host, AREA, true);
    assert_eq!(ap_creation(&mut host, ONE | 1, AREA, 1), Ok(0));
    let twice = ap_creation(&mut host, 2 << 32 | 1, AREA, 1);
    assert_eq!(twice, Err(End::Breach(&breach::VMSA_IN_USE)));
}

#[test]
fn at_init_the_prepared_save_area_runs_and_without_one_nothing_does() {
    let mut host = guest("mode=snp smp=2");
    host.shared_ghcb();
    save_area(&mut host, AREA, true);
    assert_eq!(ap_creation(&mut host, ONE, AREA, 1), Ok(0));
    assert_eq!(host.vmm.vps[1].activity, Activity::Absent);
    for expected in [Activity::Runs, Activity::Runs] {
        host.vmm.vps[0].activity = Activity::Halted { interrupts: false };
        host.vmm.vps[1].signal(Start::Init);
        host.vmm.pause();
        host.vmm.next_turn().unwrap();
        assert_eq!(host.vmm.current(), 1);
        host.snp.take_turn(&mut host.vmm, &mut host.memory).unwrap();
        assert_eq!(host.vmm.vps[1].activity, expected);
        assert_eq!(host.snp.rip(), 0x1234);
    }
}

#[test]
fn a_reset_hold_ends_with_a_startup_and_not_before() {
    let mut host = guest("mode=snp");
    host.shared_ghcb();
    let held = host.msr(proto::AP_RESET_HOLD_REQUEST).unwrap();
    assert_eq!(held & 0xFFF, proto::AP_RESET_HOLD_RESPONSE);
    assert!(held >> 12 != 0);
    assert_eq!(host.vmm.vp().activity, Activity::ResetHold);
    assert!(host.vmm.next_turn().is_err());
    host.vmm.vp().signal(Start::Startup(8));
    host.vmm.next_turn().unwrap();
    host.snp.take_turn(&mut host.vmm, &mut host.memory).unwrap();
    assert_eq!(host.vmm.vp().activity, Activity::Runs);
}
