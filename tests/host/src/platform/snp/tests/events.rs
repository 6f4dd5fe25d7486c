//! Events of the GHCB page and requests of its MSR, right ones and wrong ones: a guest that probes gets
//! the answers of the standard.

use super::*;
use tessera_defs::{
    port,
    snp::{
        doorbell::{NONE, request as bell},
        ghcb::{SHARED_BUFFER, SHARED_BUFFER_OFFSET, malformed, psc},
    },
};

const BUFFER: u64 = GHCB + SHARED_BUFFER_OFFSET as u64;
const RAX: usize = offset_of!(GhcbPage, rax);
const RCX: usize = offset_of!(GhcbPage, rcx);
const RDX: usize = offset_of!(GhcbPage, rdx);
const INFO2: usize = offset_of!(GhcbPage, sw_exit_info2);
const SCRATCH: usize = offset_of!(GhcbPage, sw_scratch);
const XCR0: usize = offset_of!(GhcbPage, xcr0);

fn probing(text: &str) -> Guest {
    let mut host = guest(&std::format!("mode=snp probing=1 {text}"));
    host.shared_ghcb();
    host
}

impl Guest {
    /// SW_EXITINFO1 and 2 of the answer.
    fn ask(&mut self, code: u64, info1: u64, fields: &[(usize, u64)]) -> (u64, u64) {
        let page = self.send(code, info1, fields).unwrap();
        (page.sw_exit_info1, page.sw_exit_info2)
    }

    /// Sends with these bytes at the start of the shared buffer; the page afterwards.
    fn with(&mut self, bytes: &[u8], code: u64, info1: u64, fields: &[(usize, u64)]) -> GhcbPage {
        let mut page = request(code, info1, fields);
        page.shared_buffer[..bytes.len()].copy_from_slice(bytes);
        self.page().copy_from_slice(page.as_bytes());
        self.msr(GHCB).unwrap();
        GhcbPage::read_from_bytes(self.page()).unwrap()
    }
}

const fn wrong(reason: u64) -> (u64, u64) {
    (2, reason)
}

#[test]
fn each_way_to_be_malformed_has_its_number() {
    let mut host = probing("");
    assert_eq!(host.ask(0x8000_1234, 0, &[]), wrong(malformed::EVENT));
    assert_eq!(
        host.ask(vc::HLT, 0, &[]),
        wrong(malformed::EVENT),
        "automatic"
    );
    assert_eq!(
        host.ask(vc::CPUID, 0, &[(RAX, 1)]),
        wrong(malformed::MISSING_INPUT)
    );
    let state = [(RAX, 0xD), (RCX, 0)];
    assert_eq!(
        host.ask(vc::CPUID, 0, &state),
        wrong(malformed::MISSING_INPUT)
    );
    let with_xcr0 = [(RAX, 0xD), (RCX, 0), (XCR0, 1)];
    assert_eq!(host.ask(vc::CPUID, 0, &with_xcr0), (0, 0));
    assert_eq!(
        host.ask(vc::MSR, 2, &[(RCX, 0x10)]),
        wrong(malformed::INPUT)
    );
    let private = [(INFO2, 0x30_0000)];
    assert_eq!(
        host.ask(exit::GUEST_REQUEST, 0x30_1000, &private),
        wrong(malformed::INPUT)
    );
    assert_eq!(host.ask(exit::RUN_VMPL, 2, &[]), wrong(malformed::INPUT));
    let mut usage = request(vc::WBINVD, 0, &[]);
    usage.ghcb_usage = 7;
    host.page().copy_from_slice(usage.as_bytes());
    host.msr(GHCB).unwrap();
    let answer = GhcbPage::read_from_bytes(host.page()).unwrap();
    assert_eq!(
        (answer.sw_exit_info1, answer.sw_exit_info2),
        wrong(malformed::USAGE)
    );
    host.snp.vp.contexts[0].as_mut().unwrap().registered = None;
    assert_eq!(
        host.ask(vc::WBINVD, 0, &[]),
        wrong(malformed::NOT_REGISTERED)
    );
}

#[test]
fn a_hypercall_page_is_hyper_vs() {
    let mut host = probing("profile=kvm");
    let mut usage = request(vc::WBINVD, 0, &[]);
    usage.ghcb_usage = 1;
    host.page().copy_from_slice(usage.as_bytes());
    host.msr(GHCB).unwrap();
    let answer = GhcbPage::read_from_bytes(host.page()).unwrap();
    assert_eq!(
        (answer.sw_exit_info1, answer.sw_exit_info2),
        wrong(malformed::USAGE)
    );
    let call = host.ask(vc::VMMCALL, 0, &[(RAX, 1)]);
    assert_eq!(call, wrong(malformed::MISSING_INPUT), "CPL");
    let page = host.send(vc::VMMCALL, 0, &[(RAX, 1), (0xC8, 0)]).unwrap();
    assert_eq!((page.sw_exit_info1, page.rax), (0, -1000i64 as u64));
}

#[test]
fn instructions_have_their_registers() {
    let mut host = probing("");
    let stamp = host.send(vc::RDTSC, 0, &[]).unwrap();
    assert_eq!(stamp.sw_exit_info1, 0);
    let valid = |page: &GhcbPage, at: usize| page.valid_bitmap[at / 512] >> (at / 8 % 64) & 1 == 1;
    assert!(valid(&stamp, RAX) && valid(&stamp, RDX) && !valid(&stamp, RCX));
    let with_id = host.send(vc::RDTSCP, 0, &[]).unwrap();
    assert!(valid(&with_id, RAX) && valid(&with_id, RDX) && valid(&with_id, RCX));
    assert_eq!(host.ask(vc::RDPMC, 0, &[]), wrong(malformed::MISSING_INPUT));
    let fault = host.ask(vc::RDPMC, 0, &[(RCX, 0)]);
    assert_eq!((fault.0, fault.1 & 0xFFFF_FFFF), (1, 0x8000_0B0D), "#GP(0)");
    let two = [(RAX, 0), (RCX, 0)];
    assert_eq!(host.ask(vc::MWAIT, 0, &two), (0, 0));
    assert_eq!(
        host.ask(vc::MONITOR, 0, &two),
        wrong(malformed::MISSING_INPUT)
    );
    let three = [(RAX, 0), (RCX, 0), (RDX, 0)];
    assert_eq!(host.ask(vc::MONITOR, 0, &three), (0, 0));
    for code in [vc::WBINVD, vc::INVD, exit::NMI_COMPLETE] {
        assert_eq!(host.ask(code, 0, &[]), (0, 0));
    }
}

#[test]
fn the_host_keeps_dr7() {
    let mut host = probing("");
    assert_eq!(host.send(vc::DR7_READ, 0, &[]).unwrap().rax, 0x400);
    assert_eq!(
        host.ask(vc::DR7_WRITE, 0, &[]),
        wrong(malformed::MISSING_INPUT)
    );
    assert_eq!(host.ask(vc::DR7_WRITE, 0, &[(RAX, 1 << 32)]).0, 1, "#GP");
    assert_eq!(host.ask(vc::DR7_WRITE, 0, &[(RAX, 0x455)]), (0, 0));
    assert_eq!(host.send(vc::DR7_READ, 0, &[]).unwrap().rax, 0x455);
}

#[test]
fn who_cannot_serve_an_exception_ends() {
    let mut host = probing("");
    let ended = host.send(exit::UNSUPPORTED, 0x77, &[]).err();
    assert_eq!(ended, Some(End::Breach(&breach::UNHANDLED_EXCEPTION)));
}

/// The index register of the clock's memory; its data register is the next.
const CMOS: u64 = 0x70;

#[test]
fn strings_go_through_the_shared_buffer() {
    let mut host = probing("");
    let out = CMOS << vc::io::PORT_SHIFT | vc::io::STRING | vc::io::SZ8;
    let input = (CMOS + 1) << vc::io::PORT_SHIFT | vc::io::STRING | vc::io::SZ8 | vc::io::IN;
    let one = [(SCRATCH, BUFFER), (INFO2, 1)];
    // 0x32, century: 0x20.
    host.with(&[0x32], vc::IOIO, out, &one);
    let page = host.with(&[0xEE; 4], vc::IOIO, input, &one);
    assert_eq!(page.sw_exit_info1, 0);
    assert_eq!(page.shared_buffer[..2], [0x20, 0xEE]);
    let three = [(SCRATCH, BUFFER + 5), (INFO2, 3)];
    let page = host.with(&[0; 9], vc::IOIO, input | vc::io::REP, &three);
    assert_eq!(
        page.shared_buffer[..9],
        [0, 0, 0, 0, 0, 0x20, 0x20, 0x20, 0]
    );
    // An empty port, in elements of four bytes.
    let wide = 0x99 << vc::io::PORT_SHIFT | vc::io::STRING | vc::io::SZ32 | vc::io::IN;
    let page = host.with(&[0; 12], vc::IOIO, wide, &[(SCRATCH, BUFFER), (INFO2, 2)]);
    assert_eq!(
        page.shared_buffer[..9],
        [255, 255, 255, 255, 255, 255, 255, 255, 0]
    );
    let none = [(SCRATCH, BUFFER), (INFO2, 0)];
    assert_eq!(host.ask(vc::IOIO, input, &none), (0, 0));
    let missing = host.ask(vc::IOIO, input, &[(INFO2, 1)]);
    assert_eq!(missing, wrong(malformed::MISSING_INPUT));
    let sizeless = input & !vc::io::SZ8;
    assert_eq!(host.ask(vc::IOIO, sizeless, &one), wrong(malformed::INPUT));
}

#[test]
fn scratch_is_the_shared_buffer_and_nothing_else() {
    let mut host = probing("");
    let end = BUFFER + SHARED_BUFFER as u64;
    let mut read = |at: u64, len: u64| {
        let fields = [(SCRATCH, at), (INFO2, len)];
        host.ask(exit::MMIO_READ, 0xFEC0_0000, &fields)
    };
    assert_eq!(read(BUFFER, 4), (0, 0));
    assert_eq!(read(end - 4, 4), (0, 0));
    assert_eq!(read(BUFFER, SHARED_BUFFER as u64), (0, 0));
    assert_eq!(read(BUFFER, 0), (0, 0));
    let outside = wrong(malformed::SCRATCH);
    for (at, len) in [
        (end - 4, 8),
        (end, 1),
        (BUFFER - 1, 1),
        (GHCB, 4),
        (GHCB + 0x1000, 4),
        (0, 4),
        (u64::MAX, 4),
        (BUFFER, SHARED_BUFFER as u64 + 1),
        (BUFFER, u64::MAX),
    ] {
        assert_eq!(read(at, len), outside, "{at:#x} {len:#x}");
    }
}

#[test]
fn device_memory_is_read_and_written_in_parts() {
    let mut host = probing("");
    let at = [(SCRATCH, BUFFER), (INFO2, 4)];
    host.with(&[1, 0, 0, 0], exit::MMIO_WRITE, 0xFEC0_0000, &at);
    let page = host.with(&[0; 4], exit::MMIO_READ, 0xFEC0_0010, &at);
    assert_eq!(
        page.shared_buffer[..5],
        [0x11, 0, 0x17, 0, 0],
        "version, pins"
    );
    let hole = [(SCRATCH, BUFFER), (INFO2, 11)];
    let page = host.with(&[0; 16], exit::MMIO_READ, 0xE000_0000, &hole);
    assert_eq!(
        page.shared_buffer[..12],
        [255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0]
    );
}

fn states(current: u16, end: u16, entries: &[u64]) -> Vec<u8> {
    let mut bytes = [current.to_le_bytes(), end.to_le_bytes(), [0; 2], [0; 2]].concat();
    entries
        .iter()
        .for_each(|entry| bytes.extend(entry.to_le_bytes()));
    bytes
}

#[test]
fn page_states_have_errors_of_their_own() {
    let mut host = probing("");
    let mut change = |bytes: &[u8]| {
        let page = host.with(bytes, exit::PSC, 0, &[(SCRATCH, BUFFER)]);
        assert_eq!(page.sw_exit_info1, 0);
        (
            page.sw_exit_info2,
            u16::from_le_bytes([page.shared_buffer[0], page.shared_buffer[1]]),
        )
    };
    let shared = |gpa: u64| gpa | proto::PSC_SHARED << 52;
    let good = shared(0x40_0000);
    assert_eq!(change(&states(0, 0, &[good])), (0, 1));
    assert_eq!(change(&states(0, 253, &[good])).0, psc::INVALID_HEADER);
    let bad = good | 0xF << 52;
    assert_eq!(change(&states(0, 1, &[good, bad])), (psc::INVALID_ENTRY, 1));
    let unaligned = shared(0x40_1000) | psc::ENTRY_2M;
    assert_eq!(change(&states(0, 0, &[unaligned])), (psc::INVALID_ENTRY, 0));
    assert_eq!(change(&states(0, 0, &[shared(1 << 40)])), (psc::FAILED, 0));
    for operation in [proto::PSC_PSMASH, proto::PSC_UNSMASH] {
        let entry = 0x60_0000 | operation << 52 | psc::ENTRY_2M;
        assert_eq!(change(&states(0, 0, &[entry])), (0, 1));
    }
    host.snp.rmp.update(0x600, Some(0x600), true);
    let smash = 0x60_0000 | proto::PSC_PSMASH << 52 | psc::ENTRY_2M;
    host.with(&states(0, 0, &[smash]), exit::PSC, 0, &[(SCRATCH, BUFFER)]);
    assert!(!host.snp.rmp.get(0x600).large);
    // An entry counts its pages, and one that was begun goes on.
    let begun = 0x80_0000 | proto::PSC_SHARED << 52 | psc::ENTRY_2M | 510;
    (0x800..0xA00).for_each(|frame| host.snp.rmp.update(frame, Some(frame.into()), false));
    let page = host.with(&states(0, 0, &[begun]), exit::PSC, 0, &[(SCRATCH, BUFFER)]);
    assert_eq!(page.shared_buffer[8..10], [0, 0x02], "512");
    let assigned = |frame| host.snp.rmp.get(frame).assigned;
    assert!(assigned(0x9FD) && !assigned(0x9FE) && !assigned(0x9FF));
    let over = [(begun & !0xFFF) | 513];
    let page = host.with(&states(0, 0, &over), exit::PSC, 0, &[(SCRATCH, BUFFER)]);
    assert_eq!(page.sw_exit_info2, psc::INVALID_ENTRY);
    // The structure may begin later, and then has less room.
    let late = (SCRATCH, BUFFER + SHARED_BUFFER as u64 - 16);
    assert_eq!(
        host.ask(exit::PSC, 0, &[late]).1,
        psc::INVALID_ENTRY,
        "operation 0"
    );
}

#[test]
fn the_msr_protocol_says_what_fails() {
    let mut host = probing("");
    let failed = |response| Ok(1 << 32 | response);
    assert_eq!(
        host.msr(proto::PSC_REQUEST | 9 << 52 | GHCB),
        failed(proto::PSC_RESPONSE)
    );
    assert_eq!(
        host.msr(proto::RUN_VMPL_REQUEST | 1 << 32),
        failed(proto::RUN_VMPL_RESPONSE)
    );
    let none = Ok(!0xFFF | proto::REGISTER_GHCB_RESPONSE);
    assert_eq!(
        host.msr(proto::REGISTER_GHCB_REQUEST | 0x30_0000),
        none,
        "private"
    );
    assert_eq!(
        host.msr(proto::REGISTER_GHCB_REQUEST | 1 << 40),
        none,
        "no memory"
    );
    let preferred = Ok(!0xFFF | proto::PREFERRED_GHCB_RESPONSE);
    assert_eq!(
        host.msr(proto::PREFERRED_GHCB_REQUEST),
        preferred,
        "no preference"
    );
    let features = host.msr(proto::HV_FEATURES_REQUEST).unwrap();
    assert_eq!(features, 0b111 << 12 | proto::HV_FEATURES_RESPONSE);
    assert_eq!(host.ask(exit::HV_FEATURES, 0, &[]), (0, 0b111));
    assert_eq!(host.msr(0x1003), Ok(0x1003), "unknown");
}

#[test]
fn a_doorbell_is_a_shared_page() {
    let mut host = probing("");
    let mut ring = |request, gpa| host.ask(exit::HV_DOORBELL, request, &[(INFO2, gpa)]);
    assert_eq!(ring(bell::PREFERRED, 0), (0, NONE));
    assert_eq!(ring(bell::QUERY, 0), (0, NONE));
    assert_eq!(ring(bell::SET, GHCB), (0, GHCB));
    assert_eq!(ring(bell::QUERY, 0), (0, GHCB));
    assert_eq!(ring(bell::CLEAR, 0), (0, NONE));
    for gpa in [0x30_0000, GHCB + 8, 1 << 40] {
        assert_eq!(ring(bell::SET, GHCB), (0, GHCB));
        assert_eq!(ring(bell::SET, gpa), wrong(malformed::INPUT));
        assert_eq!(ring(bell::QUERY, 0), (0, NONE), "it is gone");
    }
    assert_eq!(ring(4, 0), wrong(malformed::INPUT));
}

#[test]
fn an_ipi_needs_no_apic() {
    let mut host = probing("smp=2");
    host.vmm.vps[1].activity = Activity::Halted { interrupts: true };
    let [enabled, itself] = [0x1FF, 1 << 18 | 0x61];
    host.vmm.write_msr(tessera_defs::x86::x2apic::SIVR, enabled);
    assert_eq!(host.ask(exit::HV_IPI, itself, &[]), (0, 0));
    assert_eq!(host.vmm.pending_interrupt(), Some(0x61));
}

#[test]
fn guest_messages_have_the_firmwares_error() {
    let mut host = probing("");
    for gpa in PAGES {
        host.msr(proto::PSC_REQUEST | proto::PSC_SHARED << 52 | gpa)
            .unwrap();
    }
    let answer = host.ask(exit::GUEST_REQUEST, PAGES[0], &[(INFO2, PAGES[1])]);
    assert_eq!(answer, (0, 0x16), "INVALID_PARAM");
    let same = host.ask(exit::GUEST_REQUEST, PAGES[0], &[(INFO2, PAGES[0])]);
    assert_eq!(same, wrong(malformed::INPUT));
}

#[test]
fn a_port_that_is_no_devices_reads_ones() {
    let mut host = probing("");
    let info = 0x99 << vc::io::PORT_SHIFT | vc::io::SZ16 | vc::io::IN;
    assert_eq!(host.send(vc::IOIO, info, &[]).unwrap().rax, 0xFFFF);
    let out = u64::from(port::PM1A_CNT) << vc::io::PORT_SHIFT | vc::io::SZ16;
    assert_eq!(
        host.ask(vc::IOIO, out, &[]),
        wrong(malformed::MISSING_INPUT)
    );
}
