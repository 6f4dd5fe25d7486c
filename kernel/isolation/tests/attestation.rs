//! Binding and evidence by each strategy, against honest and lying platforms.

#[allow(dead_code)] // half of it is for the protocol's own tests
#[path = "../../protocol/tests/security_processor/mod.rs"]
mod security_processor;

use security_processor::{Ghcb, Lie, Pages, Processor};
use std::sync::{Arc, Mutex};
use tessera_defs::binding::{EvidenceHeader, evidence};
use tessera_defs::mode::Mode;
use tessera_defs::refusal::Refusal;
use tessera_defs::snp::report::AttestationReport;
use tessera_defs::tdx::tdcall::{MR_REPORT, MR_RTMR_EXTEND, TdcallRegs};
use tessera_isolation::strategy::attestation::{
    ParavisorReports, SnpReports, TdxReports, Unattested,
};
use tessera_isolation::strategy::traits::{Attestation, Evidence, NoEvidence};
use tessera_protocol::binding::{Binding, event, log};
use tessera_protocol::message::channel::Channel;
use tessera_protocol::traits::{Hypercall, MessagePages, Tdcall};
use zerocopy::{FromBytes, IntoBytes};

const KEY: [u8; 32] = [7; 32];
const DATA: [u8; 64] = [0x5A; 64];

fn binding(mode: Mode) -> Binding {
    let events = core::array::from_fn(|n| event(n as u32 + 1, &[n as u8]));
    Binding::new(mode, None, &log(events))
}

fn snp(lie: Lie) -> (SnpReports<Ghcb, Pages>, Pages) {
    let (ghcb, pages) = Processor::pair(KEY, 0, 0, lie);
    let channel = Channel::new(0, KEY, 0).ok();
    let other = pages.clone();
    let strategy = SnpReports {
        ghcb,
        pages,
        channel,
        binding: None,
    };
    (strategy, other)
}

#[test]
fn snp_reports_carry_the_binding_first_and_no_callers_bytes_after() {
    let (mut strategy, pages) = snp(Lie::None);
    let mut room = [0; 2048];
    let early = strategy.evidence(&DATA, &mut room);
    assert_eq!(early, Err(NoEvidence::NotBound));
    assert_eq!(pages.processor().exits, 0);
    let binding = binding(Mode::Snp);
    strategy.bind(&binding).unwrap();
    let small = strategy.evidence(&DATA, &mut room[..1000]);
    assert_eq!(small, Err(NoEvidence::NoRoom));
    let made = strategy.evidence(&DATA, &mut room).unwrap();
    let (kind, length) = (evidence::SNP_REPORT, size_of::<AttestationReport>());
    assert_eq!(made, Evidence { kind, length });
    let (report, _) = AttestationReport::read_from_prefix(&room).unwrap();
    assert_eq!((report.report_data, report.vmpl), (binding.over(&DATA), 0));
    assert_eq!(pages.processor().requests, [1, 3]);
}

#[test]
fn what_cannot_be_bound_is_named() {
    for (lie, refusal) in [
        (Lie::Refuse(0xFFFF_FFFF << 32), Refusal::BindingFailed),
        (Lie::Status(0x16), Refusal::BindingFailed),
        (Lie::Replay, Refusal::GuestMessageInvalid),
        (Lie::Tag, Refusal::GuestMessageInvalid),
    ] {
        let (mut strategy, _) = snp(lie);
        assert_eq!(strategy.bind(&binding(Mode::Snp)), Err(refusal), "{lie:?}");
        let after = strategy.evidence(&DATA, &mut [0; 2048]);
        assert_eq!(after, Err(NoEvidence::NotBound));
    }
    let (mut strategy, _) = snp(Lie::None);
    strategy.channel = None;
    let failed = strategy.bind(&binding(Mode::Snp));
    assert_eq!(failed, Err(Refusal::BindingFailed));
}

/// A page, and a module or paravisor that looks at it.
#[derive(Clone)]
struct Shared(Arc<Mutex<Platform>>);

struct Platform {
    page: Vec<u8>,
    /// Status of the next calls.
    status: u64,
    /// Bytes that stood at the input, and the leaf, index or call.
    seen: Vec<(u64, Vec<u8>)>,
    answer: Vec<u8>,
}

const PAGE: u64 = 0x5000;

fn platform(answer: Vec<u8>) -> Shared {
    Shared(Arc::new(Mutex::new(Platform {
        page: vec![0xEE; 4096],
        status: 0,
        seen: Vec::new(),
        answer,
    })))
}

impl MessagePages for Shared {
    fn addresses(&self) -> [u64; 2] {
        [PAGE; 2]
    }
    fn put(&mut self, header: &[u8], payload: &[u8]) {
        let mut page = [header, payload].concat();
        page.resize(4096, 0);
        self.0.lock().unwrap().page = page;
    }
    fn take(&mut self, offset: usize, into: &mut [u8]) {
        into.copy_from_slice(&self.0.lock().unwrap().page[offset..][..into.len()]);
    }
}

impl Tdcall for Shared {
    fn tdcall(&mut self, regs: &mut TdcallRegs) {
        let mut module = self.0.lock().unwrap();
        let input = module.page[..64].to_vec();
        match regs.rax {
            MR_RTMR_EXTEND => {
                assert_eq!((regs.rcx, regs.rdx), (PAGE, 3));
            }
            MR_REPORT => {
                assert_eq!((regs.rcx, regs.rdx, regs.r8), (PAGE + 1024, PAGE, 0));
                module.page[1024..2048].fill(0xAA);
            }
            leaf => panic!("leaf {leaf}"),
        }
        module.seen.push((regs.rax, input));
        regs.rax = module.status;
    }
}

impl Hypercall for Shared {
    fn hypercall(&mut self, control: u64, input: u64, output: u64) -> u64 {
        assert_eq!((input, output), (PAGE, PAGE));
        let mut below = self.0.lock().unwrap();
        let data = below.page[..64].to_vec();
        below.seen.push((control, data));
        let answer = below.answer.clone();
        below.page[..answer.len()].copy_from_slice(&answer);
        below.status
    }
}

#[test]
fn tdx_extends_rtmr_3_before_any_report() {
    let module = platform(Vec::new());
    let mut strategy = TdxReports {
        call: module.clone(),
        pages: module.clone(),
        bound: false,
    };
    let mut room = [0; 2048];
    let early = strategy.evidence(&DATA, &mut room);
    assert_eq!(early, Err(NoEvidence::NotBound));
    let binding = binding(Mode::Tdx);
    module.0.lock().unwrap().status = 0xC000_0100 << 32;
    assert_eq!(strategy.bind(&binding), Err(Refusal::BindingFailed));
    let early = strategy.evidence(&DATA, &mut room);
    assert_eq!(early, Err(NoEvidence::NotBound));
    module.0.lock().unwrap().status = 0;
    strategy.bind(&binding).unwrap();
    let made = strategy.evidence(&DATA, &mut room).unwrap();
    let (kind, length) = (evidence::TD_REPORT, 1024);
    assert_eq!(made, Evidence { kind, length });
    assert_eq!((room[0], room[1023], room[1024]), (0xAA, 0xAA, 0));
    let seen = &module.0.lock().unwrap().seen;
    assert_eq!(seen[1].1[..48], binding.digest()[..]);
    assert_eq!(seen[2], (MR_REPORT, DATA.to_vec()));
}

#[test]
fn below_a_paravisor_evidence_comes_by_its_call() {
    let header = |length: u32| EvidenceHeader {
        kind: 1,
        length,
        reserved: 0,
    };
    let answer = |length| [header(length).as_bytes(), &[0xAA; 100]].concat();
    let below = platform(answer(100));
    let mut strategy = ParavisorReports {
        call: below.clone(),
        pages: below.clone(),
    };
    strategy.bind(&binding(Mode::SnpParavisor)).unwrap();
    let mut room = [0; 2048];
    let made = strategy.evidence(&DATA, &mut room).unwrap();
    assert_eq!((made.kind, made.length), (1, 100));
    assert_eq!((room[0], room[99], room[100]), (0xAA, 0xAA, 0));
    assert_eq!(below.0.lock().unwrap().seen, [(0x7E01, DATA.to_vec())]);
    let refused = Err(NoEvidence::Refused(Refusal::BindingFailed));
    below.0.lock().unwrap().answer = answer(4096);
    assert_eq!(strategy.evidence(&DATA, &mut room), refused);
    below.0.lock().unwrap().answer = answer(2049);
    let long = strategy.evidence(&DATA, &mut room);
    assert_eq!(long, Err(NoEvidence::NoRoom));
    below.0.lock().unwrap().status = 6;
    assert_eq!(strategy.evidence(&DATA, &mut room), refused);
}

#[test]
fn nobody_signs_on_a_plain_machine() {
    assert_eq!(Unattested.bind(&binding(Mode::None)), Ok(()));
    let none = Unattested.evidence(&DATA, &mut [0; 2048]);
    assert_eq!(none, Err(NoEvidence::Unattested));
}
