//! The virtual processors of the guest: which of them run, what one is to begin with, and what they
//! send each other.

use crate::context::Paravisor;
use crate::partition::Partition;
use crate::{first_state, secondary, traps};
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use spin::Mutex;
use tessera_defs::hyperv::{
    HV_STATUS_ACCESS_DENIED, HV_STATUS_INVALID_VP_STATE, HV_STATUS_SUCCESS,
};
use tessera_defs::start_vp::InitialVpContext;
use tessera_defs::x86::x2apic;
use tessera_handoff::layout::PARAVISOR_VPS;
use tessera_objects::apic::command::{Command, Delivery};
use tessera_objects::apic::inbox::Inbox;
use tessera_objects::gate::{self, Gate};

/// What a lower processor starts with.
#[derive(Clone, Copy)]
struct Start {
    context: InitialVpContext,
    /// By a startup IPI, not by a call.
    by_ipi: bool,
}

impl Start {
    fn call(context: InitialVpContext) -> Self {
        let by_ipi = false;
        Self { context, by_ipi }
    }

    fn ipi(page: u8) -> Self {
        Self {
            context: first_state::startup(page),
            by_ipi: true,
        }
    }
}

/// What others made of a lower processor. At first it waits for its start, as after INIT.
struct State {
    /// It has registers and executes, or waits in HLT.
    runs: bool,
    /// INIT came while it ran.
    stop: bool,
    /// What it begins with next.
    start: Option<Start>,
}

/// What others reach of one processor.
struct Processor {
    state: Mutex<State>,
    /// `state` was changed by another processor.
    changed: AtomicBool,
    inbox: Inbox,
}

static PROCESSORS: [Processor; PARAVISOR_VPS] = [const {
    Processor {
        state: Mutex::new(State {
            runs: false,
            stop: false,
            start: None,
        }),
        changed: AtomicBool::new(false),
        inbox: Inbox::new(),
    }
}; PARAVISOR_VPS];

/// SNP: lower contexts enter through it (`Paravisor::gated`).
static GATE: Gate = Gate(AtomicU32::new(0));
const _: () = assert!(PARAVISOR_VPS <= gate::MOST);
/// Looks between two kicks of a processor that is to come out.
const LOOKS: u32 = 1 << 20;

/// Gives a processor that waits its start; `false` where it runs, or has one.
fn give(index: usize, start: Start) -> bool {
    let processor = &PROCESSORS[index];
    let mut state = processor.state.lock();
    let waits = (!state.runs || state.stop) && state.start.is_none();
    if waits {
        state.start = Some(start);
        processor.changed.store(true, Ordering::Release);
    }
    waits
}

/// The first processor's.
pub fn boot(entry: u64) {
    give(0, Start::call(first_state::boot(entry)));
}

/// HvCallStartVirtualProcessor for a processor that exists: the status.
pub fn start_call(
    paravisor: &mut Paravisor<'_>,
    partition: &mut Partition,
    index: usize,
    context: InitialVpContext,
) -> u16 {
    if !give(index, Start::call(context)) {
        return HV_STATUS_INVALID_VP_STATE;
    }
    match begin(paravisor, partition, index) {
        true => HV_STATUS_SUCCESS,
        false => HV_STATUS_ACCESS_DENIED,
    }
}

/// Has the paravisor on processor `index` look at its start. `false` where the host refused to run
/// it; the start is taken back then.
fn begin(paravisor: &mut Paravisor<'_>, partition: &mut Partition, index: usize) -> bool {
    if index == paravisor.index {
        return true;
    }
    if let Err(_refusal) = secondary::ensure(paravisor, partition, index) {
        PROCESSORS[index].state.lock().start = None;
        return false;
    }
    kick(paravisor, index);
    true
}

/// Sends a command of this processor's local APIC.
pub fn send(paravisor: &mut Paravisor<'_>, command: Command) {
    send_as(paravisor, command, false);
}

/// The same, or a message of the IOAPIC that may be of a level interrupt.
pub fn send_as(paravisor: &mut Paravisor<'_>, command: Command, level: bool) {
    let (own, count) = (paravisor.index, paravisor.processors);
    // There is no priority to compare: the first who is reached is the one.
    let lowest = matches!(command.delivery, Delivery::Lowest(_));
    let reached = (0..count).filter(|index| command.reaches(*index as u32, own as u32));
    for index in reached.take(if lowest { 1 } else { count }) {
        deliver(paravisor, index, command.delivery, level);
    }
}

fn deliver(paravisor: &mut Paravisor<'_>, index: usize, delivery: Delivery, level: bool) {
    match delivery {
        Delivery::Fixed(vector) | Delivery::Lowest(vector) => {
            PROCESSORS[index].inbox.post(vector, level);
        }
        Delivery::Nmi => PROCESSORS[index].inbox.post_nmi(),
        Delivery::Init => initialise(index),
        Delivery::Startup(page) => {
            if give(index, Start::ipi(page)) {
                let partition = paravisor.partition;
                // A host that does not run it starves the guest, which waits for it.
                begin(paravisor, &mut partition.lock(), index);
            }
            return;
        }
    }
    kick(paravisor, index);
}

/// INIT: what runs stops, and waits for a startup IPI.
fn initialise(index: usize) {
    let processor = &PROCESSORS[index];
    let mut state = processor.state.lock();
    (state.stop, state.start) = (state.runs, None);
    processor.changed.store(true, Ordering::Release);
}

/// Interrupts another processor, so that its paravisor looks at what was sent.
fn kick(paravisor: &mut Paravisor<'_>, index: usize) {
    if index == paravisor.index {
        return;
    }
    let command = (index as u64) << 32 | u64::from(traps::KICK);
    if paravisor.host.wrmsr(x2apic::ICR, command).is_err() {
        crate::door::refuse(paravisor.host_fault());
    }
}

/// Whether the lower context of this processor may run now; `came_out` follows.
pub fn may_go_in(paravisor: &Paravisor<'_>) -> bool {
    !paravisor.gated || GATE.enter(paravisor.index)
}

/// The lower context of this processor does not run any longer.
pub fn came_out(paravisor: &Paravisor<'_>) {
    if paravisor.gated {
        GATE.leave(paravisor.index);
    }
}

/// Does `act` while no lower context runs, on any processor. Who calls it has the partition's lock, so that he is the
/// only one. A host that does not let processors come out holds up the guest, as it can anyway.
pub fn alone<T>(paravisor: &mut Paravisor<'_>, act: impl FnOnce(&mut Paravisor<'_>) -> T) -> T {
    if !paravisor.gated {
        return act(paravisor);
    }
    let mut inside = GATE.close();
    while inside != 0 {
        let left = (0..paravisor.processors).filter(|index| inside >> index & 1 == 1);
        left.for_each(|index| kick(paravisor, index));
        for _ in 0..LOOKS {
            inside = GATE.inside();
            if inside == 0 {
                break;
            }
            spin_loop();
        }
    }
    let done = act(paravisor);
    GATE.open();
    done
}

/// Takes what others sent to this processor. Whether its lower context is to run.
pub fn attend(paravisor: &mut Paravisor<'_>) -> bool {
    let processor = &PROCESSORS[paravisor.index];
    if processor.changed.swap(false, Ordering::Acquire) {
        change(paravisor, &processor.state);
    }
    if !paravisor.runs {
        // As after INIT: nothing but a start is taken.
        processor.inbox.take();
        return false;
    }
    if let Some(posted) = processor.inbox.take() {
        for (words, level) in [(posted.edges, false), (posted.levels, true)] {
            let bits = (0..=255u8).filter(|n| words[usize::from(n / 64)] >> (n % 64) & 1 == 1);
            bits.for_each(|vector| paravisor.apic.request(vector, level));
        }
        paravisor.nmi |= posted.nmi;
    }
    true
}

fn change(paravisor: &mut Paravisor<'_>, state: &Mutex<State>) {
    let mut state = state.lock();
    if state.stop {
        (state.stop, state.runs) = (false, false);
        paravisor.stop();
    }
    if !state.runs
        && let Some(start) = state.start.take()
    {
        state.runs = true;
        paravisor.begin(start);
    }
}

impl Paravisor<'_> {
    /// INIT took the lower context's state.
    fn stop(&mut self) {
        (self.runs, self.halted, self.nmi) = (false, false, false);
        if self.apic_reset().is_err() {
            crate::door::refuse(self.host_fault());
        }
    }

    fn begin(&mut self, start: Start) {
        let built = self.lower.build(&start.context);
        let ready = built.and_then(|()| self.lower.open_host_calls(self.visibility));
        if let Err(refusal) = ready {
            crate::door::refuse(refusal);
        }
        if start.by_ipi {
            // APM vol. 2, table 14-1: EDX holds the processor's signature.
            let mut registers = self.lower.registers();
            registers.general[2] = self.lower.cpuid(1, 0)[0].into();
            self.lower.set_registers(&registers);
        }
        self.runs = true;
    }
}
