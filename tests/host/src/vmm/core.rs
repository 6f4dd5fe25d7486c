//! The vmm's state and the services that every technology's exits come to.

use super::{
    devices::Devices,
    hypercall::HyperV,
    kept::Kept,
    lies,
    missing::Missing,
    quoting::Quoting,
    scenario::Scenario,
    schedule::Turns,
    stats::Stats,
    vp::{Activity, Start, Vp},
};
use crate::{machine::Machine, report::End};
use alloc::{string::String, vec::Vec};
use core::cell::Cell;
use tessera_defs::{breach::Breach, mode::Mode};

/// The host's software.
#[derive(Debug)]
pub struct Vmm {
    /// What is offered, and the lie.
    pub scenario: Scenario,
    /// The virtual processors; an APIC's id is the index.
    pub vps: Vec<Vp>,
    pub(super) turns: Turns,
    /// The processor that a lying host starts again, and how.
    pub(super) again: Option<(usize, Start)>,
    /// Hyper-V's registers of a partition: of the guest, and of the one below a paravisor.
    pub(super) hyperv: [HyperV; 2],
    /// The guest wrote a register of a synthetic interrupt controller.
    pub(super) synic: bool,
    /// Counts.
    pub stats: Stats,
    /// Set when a device or a service ends the run.
    pub end: Option<End>,
    /// The last misdeed that explains a triple fault or a panic.
    pub offence: Option<&'static Breach>,
    /// Added to the machine's time stamp to give the guest's: HLT leaps forward.
    pub skew: u64,
    /// How often the scenario's lie was told, and how often silicon kept it from the guest.
    lies: [Cell<u64>; 2],
    /// A late lie began with this exit.
    pub begins: bool,
    /// The byte of the image that a lie changes.
    pub target: Option<u64>,
    /// Code and infos of the last exit.
    pub last_exit: (u64, [u64; 2]),
    /// RIP of the last exit.
    pub rip: u64,
    /// The PC's devices.
    pub devices: Devices,
    /// Requests that are not modelled.
    pub missing: Missing,
    /// What the host is to write into pages that the guest gave it: address and bytes.
    pub writes: Vec<(u64, Vec<u8>)>,
    /// A page that the host is to look at, guest physical (`port::TEST_MEMORY`).
    pub look: Option<u64>,
    /// Quotes that the host works on.
    pub quoting: Quoting,
    /// Registers that only keep their value.
    pub(super) kept: Kept,
    pub(super) line: String,
    pub(super) line_ended: bool,
    /// The machine below.
    pub machine: Machine,
    random: u64,
    pub(super) until_injection: u64,
}

impl Vmm {
    /// A vmm on a machine.
    pub fn new(scenario: Scenario, machine: Machine) -> Self {
        let random = scenario.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let turns = Turns::new(scenario.seed);
        let mut vps: Vec<Vp> = (0..scenario.smp).map(Vp::new).collect();
        for (index, vp) in vps.iter_mut().enumerate() {
            vp.activity = begins(scenario.mode, index);
        }
        Self {
            scenario,
            vps,
            turns,
            again: None,
            hyperv: Default::default(),
            synic: false,
            stats: Stats::new(),
            end: None,
            offence: None,
            skew: 0,
            lies: Default::default(),
            begins: false,
            target: None,
            last_exit: (0, [0; 2]),
            rip: 0,
            devices: Devices::default(),
            missing: Missing::default(),
            writes: Vec::with_capacity(4),
            look: None,
            quoting: Quoting::default(),
            kept: Kept::default(),
            line: String::with_capacity(128),
            line_ended: false,
            machine,
            random,
            until_injection: 0,
        }
    }

    /// The guest's time stamp: one tick is one instruction, or a nanosecond of halt.
    pub fn now(&self) -> u64 {
        (self.machine.clock)().wrapping_add(self.skew)
    }

    /// Hyper-V's registers of the context that asks.
    pub fn hyperv(&mut self) -> &mut HyperV {
        let level = usize::from(self.vp().below);
        &mut self.hyperv[level]
    }

    /// Next pseudo-random number (xorshift64*).
    pub fn random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 8
    }

    /// Whether the scenario's lie is `name`: asked only where that lie is told at once, because
    /// a yes is counted.
    pub fn tells(&self, name: &str) -> bool {
        let tells = self.scenario.lies(name);
        if tells {
            self.tell();
        }
        tells
    }

    /// Counts that the scenario's lie was told.
    pub fn tell(&self) {
        self.lies[0].set(self.lies[0].get() + 1);
    }

    /// Counts that silicon kept the scenario's lie from the guest.
    pub fn stopped(&self) {
        self.lies[1].set(self.lies[1].get() + 1);
    }

    /// How often the lie was told, and how often silicon stopped it.
    pub fn lies_told(&self) -> [u64; 2] {
        [self.lies[0].get(), self.lies[1].get()]
    }

    /// The lie was told.
    pub fn told(&self) -> bool {
        self.lies[0].get() > 0
    }

    /// The lie was told, and concerns who has which page: what the guest meets there is the
    /// host's doing.
    pub fn took_pages(&self) -> bool {
        self.told() && lies::PAGE_LIES.contains(&self.scenario.lie)
    }

    /// Notes an isolation operation that the host saw.
    pub fn note(&mut self, operation: &'static str) {
        self.stats.operation(operation);
    }

    /// The interrupt that the guest should get now, if its IF allows.
    pub fn pending_interrupt(&mut self) -> Option<u8> {
        let now = self.now();
        let vp = self.vp();
        vp.tick(now);
        vp.apic.pending()
    }

    /// Runs over the limits of the scenario.
    pub fn exhausted(&self) -> Option<End> {
        let over = match (self.stats.total, self.stats.instructions) {
            (exits, _) if exits > self.scenario.max_exits => "max_exits",
            (_, done) if done > self.scenario.max_instructions => "max_instructions",
            _ => return None,
        };
        Some(match self.withholds_processors() {
            true => End::Denied(self.scenario.lie),
            false => End::Hang(over),
        })
    }
}

/// How a processor begins: by INIT and a startup IPI, as a context that the guest creates, or all
/// at once at the reset vector.
fn begins(mode: Mode, index: usize) -> Activity {
    match (mode, index) {
        (_, 0) | (Mode::Tdx | Mode::TdxParavisor, _) => Activity::Runs,
        (Mode::None, _) => Activity::WaitsForStartup,
        (Mode::Snp | Mode::SnpParavisor, _) => Activity::Absent,
    }
}
