//! A virtual processor as the vmm knows it: its local APIC, and whether it can go on.

use super::{
    apic::Apic,
    clocks,
    stats::Service,
    synic::{Synic, lower::Proxied},
};
use tessera_defs::start_vp::InitialVpContext;

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Nothing ran on it, or what ran was destroyed: only a context starts it.
    Absent,
    /// After INIT: only a startup IPI starts it.
    WaitsForStartup,
    /// In an AP reset hold of the GHCB protocol: a startup IPI ends it.
    ResetHold,
    /// It executes.
    Runs,
    /// HLT; whether interrupts end it, or only an NMI.
    Halted {
        /// RFLAGS.IF, or what the guest said of it.
        interrupts: bool,
    },
}

/// What another processor or the guest made of it, until its technology takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // as `Hypercall`
pub enum Start {
    /// INIT.
    Init,
    /// A startup IPI: the page of the code.
    Startup(u8),
    /// A hypervisor's start call, with all registers.
    Context(InitialVpContext),
}

/// One virtual processor.
#[derive(Clone, Debug)]
pub struct Vp {
    /// Its local APIC.
    pub apic: Apic,
    /// What it does.
    pub activity: Activity,
    /// An NMI waits.
    pub nmi: bool,
    /// What it is to begin with at its next turn.
    pub start: Option<Start>,
    /// Hyper-V: VP_ASSIST_PAGE: kept, never used by this host.
    pub assist: u64,
    /// Its synthetic interrupt controller and timers.
    pub synic: Synic,
    /// The same of a context below a paravisor, and its interrupts.
    pub lower: Synic,
    /// What the paravisor has not heard of yet.
    pub proxied: Proxied,
    /// The context that asks is below a paravisor.
    pub below: bool,
    /// Turns that it had.
    pub turns: u64,
    /// Instructions that it executed.
    pub instructions: u64,
    /// What serves the lower context's last exit.
    pub serving: Option<Service>,
}

impl Vp {
    /// Processor `id`, which does nothing yet.
    pub fn new(id: u32) -> Self {
        Self {
            apic: Apic::new(id),
            activity: Activity::Absent,
            nmi: false,
            start: None,
            assist: 0,
            synic: Synic::new(),
            lower: Synic::new(),
            proxied: Proxied::default(),
            below: false,
            turns: 0,
            instructions: 0,
            serving: None,
        }
    }

    /// Whether a turn would bring it on.
    pub fn ready(&mut self, now: u64) -> bool {
        self.tick(now);
        if self.start.is_some() {
            return true;
        }
        match self.activity {
            Activity::Runs => true,
            Activity::Halted { interrupts } => {
                self.nmi || interrupts && self.apic.pending().is_some()
            }
            _ => false,
        }
    }

    /// Its timers know the time.
    #[inline]
    pub fn tick(&mut self, now: u64) {
        self.apic.tick(now);
        if self.synic.timers.armed() {
            self.synic.tick(clocks::reference(now), &mut self.apic);
        }
        if self.lower.timers.armed() {
            self.lower.tick(clocks::reference(now), &mut self.proxied);
        }
    }

    /// When the first of its timers asks for it, if one will.
    #[inline]
    pub fn deadline(&self) -> Option<u64> {
        if !self.synic.timers.armed() && !self.lower.timers.armed() {
            return self.apic.deadline();
        }
        let synthetic = [&self.synic, &self.lower].map(|synic| synic.timers.deadline());
        let synthetic = synthetic.into_iter().flatten().map(clocks::time);
        self.apic.deadline().into_iter().chain(synthetic).min()
    }

    /// When its timer will end its halt, if it will.
    pub fn wakes(&self) -> Option<u64> {
        match self.activity {
            Activity::Halted { interrupts: true } => self.deadline(),
            _ => None,
        }
    }

    /// Takes a startup IPI, or INIT, as its activity allows (Intel SDM vol. 3, 10.4.7; startup
    /// IPIs are lost where nothing waits for one).
    pub fn signal(&mut self, start: Start) {
        let waits = matches!(
            self.activity,
            Activity::WaitsForStartup | Activity::ResetHold
        );
        let waits = waits || self.start == Some(Start::Init);
        match start {
            Start::Startup(_) if !waits => {}
            // INIT was not taken yet: the processor starts from it all the same.
            start => self.start = Some(start),
        }
    }
}
