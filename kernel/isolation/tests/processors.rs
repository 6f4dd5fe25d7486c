//! How further processors are started, against hosts that do it, refuse, or are asked again.

use tessera_defs::hyperv::{GUEST_OS_ID, HV_STATUS_INVALID_VP_STATE, MSR_GUEST_OS_ID};
use tessera_defs::snp::ghcb::exit;
use tessera_defs::snp::rmp::{ATTR_VMSA, FAIL_PERMISSION};
use tessera_defs::snp::vmsa::Vmsa;
use tessera_defs::start_vp::StartVpInput;
use tessera_defs::x86::efer;
use tessera_handoff::layout::{RESET_PAGE, RESET_TABLES, WAKE_WORDS};
use tessera_isolation::refusal::Refusal;
use tessera_isolation::strategy::processors::{Fill, ResetPage, SaveAreas, WakeWords};
use tessera_isolation::strategy::start_call::StartCall;
use tessera_isolation::strategy::traits::{Pages, Processors, Start};
use tessera_protocol::ghcb::frame::GhcbFrame;
use tessera_protocol::start_vp;
use tessera_protocol::traits::{Hypercall, MessagePages, Rmp, RmpOperation, Vmgexit};
use zerocopy::{FromBytes, IntoBytes};

const FEATURES: u64 = 1;
const START: Start = Start {
    rip: 0xFFFF_FFFF_8000_1000,
    cr3: 0x17_0000,
    cr0: 0x8001_0031,
    cr4: 0x60,
    efer: efer::LME | efer::LMA,
};
const ROOM: Pages = Pages {
    gpa: 0x40_3000,
    virt: 0x1_0040_3000,
    count: 1,
};

/// What the fakes saw, and how they answer.
#[derive(Default)]
struct Seen {
    exits: Vec<GhcbFrame>,
    adjusted: Vec<(RmpOperation, u64)>,
    written: Vec<(u64, Vec<u8>)>,
    refuse_exits: bool,
    rmp_status: u32,
    hypercall_status: u64,
}
#[derive(Clone, Copy)]
struct Fake(&'static std::sync::Mutex<Seen>);

impl Fake {
    fn new() -> Self {
        Self(Box::leak(Box::default()))
    }
    fn with<T>(&self, act: impl FnOnce(&mut Seen) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }
}
impl Vmgexit for Fake {
    fn vmgexit(&mut self, frame: &mut GhcbFrame) {
        self.with(|seen| {
            seen.exits.push(*frame);
            frame.info1 = u64::from(seen.refuse_exits) * 2;
            frame.info2 = 0;
            frame.control = seen.hypercall_status;
        });
    }
    fn halt(&mut self) {}
}
impl Rmp for Fake {
    fn execute(&mut self, operation: RmpOperation, virt: u64, large: bool) -> (u32, bool) {
        assert!(!large);
        self.with(|seen| {
            seen.adjusted.push((operation, virt));
            (seen.rmp_status, false)
        })
    }
}
impl Fill for Fake {
    fn fill(&mut self, virt: u64, page: &[u8; 4096]) {
        self.with(|seen| seen.written.push((virt, page.to_vec())));
    }
}

fn areas(fake: Fake, hyperv: bool) -> SaveAreas<Fake, Fake, Fake> {
    SaveAreas {
        ghcb: fake,
        rmp: fake,
        memory: fake,
        features: FEATURES,
        hyperv,
        made: [0; 2],
    }
}

fn start(strategy: &mut dyn Processors, number: u8, apic_id: u32) -> Result<(), Refusal> {
    let mut nobody = |_, _| panic!("no interrupt is needed");
    strategy.start(number, apic_id, &START, ROOM, &mut nobody)
}

#[test]
fn a_save_area_is_written_marked_and_asked_for_once() {
    let fake = Fake::new();
    let mut strategy = areas(fake, false);
    for _ in 0..2 {
        assert_eq!(start(&mut strategy, 3, 9), Ok(()));
    }
    fake.with(|seen| {
        let [(virt, page)] = &seen.written[..] else {
            panic!("written {} times", seen.written.len());
        };
        assert_eq!(*virt, ROOM.virt);
        let (area, _) = Vmsa::ref_from_prefix(page).unwrap();
        assert_eq!((area.rip, area.cr3, area.rflags), (START.rip, START.cr3, 2));
        assert_eq!(area.efer, START.efer | efer::SVME);
        assert_eq!((area.vmpl, area.cpl), (0, 0));
        let attributes = ATTR_VMSA | 1;
        let adjusted = (RmpOperation::Rmpadjust { attributes }, ROOM.virt);
        assert_eq!(seen.adjusted, [adjusted]);
        let [asked] = &seen.exits[..] else {
            panic!("asked {} times", seen.exits.len());
        };
        // Now, VMPL 0, that processor.
        assert_eq!(asked.exit_code, exit::AP_CREATION);
        assert_eq!((asked.info1, asked.info2), (9 << 32 | 1, ROOM.gpa));
        assert_eq!(asked.rax, Some(FEATURES));
    });
}

#[test]
fn a_host_that_refuses_is_asked_again_with_the_same_area() {
    let fake = Fake::new();
    let mut strategy = areas(fake, false);
    fake.with(|seen| seen.refuse_exits = true);
    assert_eq!(
        start(&mut strategy, 1, 1),
        Err(Refusal::ProcessorNotStarted)
    );
    fake.with(|seen| seen.refuse_exits = false);
    assert_eq!(start(&mut strategy, 1, 1), Ok(()));
    let counts = fake.with(|seen| (seen.written.len(), seen.exits.len()));
    assert_eq!(counts, (1, 2));
}

#[test]
fn an_area_that_the_rmp_refuses_is_never_shown_to_the_host() {
    let fake = Fake::new();
    fake.with(|seen| seen.rmp_status = FAIL_PERMISSION);
    let refused = start(&mut areas(fake, false), 1, 1);
    assert_eq!(refused, Err(Refusal::RmpadjustFailed));
    assert!(fake.with(|seen| seen.exits.is_empty()));
}

#[test]
fn hyperv_is_told_who_asks_and_then_given_the_area_as_a_start() {
    let fake = Fake::new();
    assert_eq!(start(&mut areas(fake, true), 2, 5), Ok(()));
    fake.with(|seen| {
        let [identity, call] = &seen.exits[..] else {
            panic!("{} exits", seen.exits.len());
        };
        assert_eq!(identity.rcx, Some(MSR_GUEST_OS_ID.into()));
        let halves = [identity.rax, identity.rdx].map(Option::unwrap);
        assert_eq!(halves[1] << 32 | halves[0], GUEST_OS_ID);
        assert_eq!(call.control, start_vp::CONTROL);
        let (input, _) = StartVpInput::read_from_prefix(&call.buffer).unwrap();
        let (index, rip) = (input.vp_index, input.context.rip);
        assert_eq!((index, rip), (5, ROOM.gpa | 1));
    });
    fake.with(|seen| seen.hypercall_status = 5);
    let refused = start(&mut areas(fake, true), 2, 5);
    assert_eq!(refused, Err(Refusal::ProcessorNotStarted));
}

#[derive(Default)]
struct Port(Vec<(&'static str, u64, u64)>);
impl ResetPage for Port {
    fn show(&mut self, cr3: u64) {
        self.0.push(("show", cr3, 0));
    }
    fn wake(&mut self, index: u32, entry: u64) {
        self.0.push(("wake", index.into(), entry));
    }
}

#[test]
fn a_word_is_written_after_the_tables_and_only_where_there_is_one() {
    let mut words = WakeWords(Port::default());
    assert_eq!(start(&mut words, 1, 7), Ok(()));
    assert_eq!(words.0.0, [("show", START.cr3, 0), ("wake", 7, START.rip)]);
    let none = start(&mut words, 1, WAKE_WORDS as u32);
    assert_eq!(none, Err(Refusal::ProcessorNotStarted));
    assert_eq!(words.0.0.len(), 2);
    let (first, count) = words.pages();
    assert!((first..first + count * 4096).contains(&RESET_PAGE) && first == RESET_TABLES);
}

/// Below a paravisor: the call, and its input page.
struct Call(u64, Vec<u64>);
impl Hypercall for Call {
    fn hypercall(&mut self, control: u64, input: u64, output: u64) -> u64 {
        self.1.extend([control, input, output]);
        self.0
    }
}
#[derive(Default)]
struct Input(Vec<u8>);
impl MessagePages for Input {
    fn addresses(&self) -> [u64; 2] {
        [0x5000, 0x6000]
    }
    fn put(&mut self, header: &[u8], payload: &[u8]) {
        assert!(payload.is_empty());
        self.0 = header.to_vec();
    }
    fn take(&mut self, _: usize, _: &mut [u8]) {}
}

#[test]
fn the_start_call_names_the_processor_and_a_second_one_is_no_error() {
    for (status, wanted) in [
        (0, Ok(())),
        (HV_STATUS_INVALID_VP_STATE, Ok(())),
        (5, Err(Refusal::ProcessorNotStarted)),
    ] {
        let mut strategy = StartCall {
            call: Call(status.into(), Vec::new()),
            pages: Input::default(),
        };
        assert_eq!(start(&mut strategy, 1, 6), wanted);
        assert_eq!(strategy.call.1, [start_vp::CONTROL, 0x5000, 0]);
        let context = start_vp::long_mode(START.rip, START.cr3, [START.cr0, START.cr4, START.efer]);
        assert_eq!(strategy.pages.0, start_vp::input(6, context).as_bytes());
    }
}
