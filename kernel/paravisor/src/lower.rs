//! The lower guest: what the paravisor needs of VMPL 2, or of an L2 VM, without saying which.

use crate::memory::Memory;
use tessera_defs::refusal::Refusal;
use tessera_defs::start_vp::InitialVpContext;
use tessera_hw::shared::SharedPage;
use tessera_isolation::strategy::traits::{PageVisibility, Pages};
use tessera_protocol::exception::event::{Event, NotServed};
use tessera_protocol::registers::Registers;

/// What the lower guest may do with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Read it.
    Read,
    /// Everything.
    All,
}

/// What goes into the guest at its next entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injection {
    /// #GP(0).
    GeneralProtection,
    /// #UD.
    InvalidOpcode,
    /// A non-maskable interrupt, after `takes_nmi`.
    Nmi,
}

/// An exit that asks for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// What.
    pub event: Event,
    /// Bytes of the instruction.
    pub length: u8,
    /// CPL of the instruction.
    pub ring: u8,
    /// It is only the host's word that there was one; where nothing comes of it, the guest runs on.
    pub hint: bool,
}

/// Registers of the guest while it does not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuestRegisters {
    /// In the order of their encoding.
    pub general: [u64; 16],
    /// RIP.
    pub rip: u64,
}

impl Registers for GuestRegisters {
    fn register(&self, number: u8) -> u64 {
        self.general[usize::from(number & 15)]
    }
    fn set_register(&mut self, number: u8, value: u64) {
        self.general[usize::from(number & 15)] = value;
    }
    fn rip(&self) -> u64 {
        self.rip
    }
    fn set_rip(&mut self, rip: u64) {
        self.rip = rip;
    }
}

/// One lower guest.
pub trait LowerGuest {
    /// Takes secrets that are not the guest's out of what it will see.
    fn hide_secrets(&mut self, memory: &Memory);
    /// Lets the guest use accepted private pages. Errors: who refused.
    fn grant(&mut self, pages: Pages, access: Grant) -> Result<(), Refusal>;
    /// Builds the context, and registers it where it is new. What it was before is gone.
    fn build(&mut self, context: &InitialVpContext) -> Result<(), Refusal>;
    /// Runs it until it leaves; `None` where it left without asking for anything.
    fn enter(&mut self) -> Result<Option<Exit>, NotServed>;
    /// Its registers.
    fn registers(&self) -> GuestRegisters;
    /// Sets them, after an instruction was served.
    fn set_registers(&mut self, registers: &GuestRegisters);
    /// Offers an external interrupt, or none any longer: the guest gets it as soon as it takes
    /// interrupts, and comes back then at the latest.
    fn offer(&mut self, vector: Option<u8>);
    /// The offered interrupt that the guest has got, or will get at its next entry for certain.
    fn taken(&mut self) -> Option<u8>;
    /// Whether a non-maskable interrupt can be put into the next entry: nothing else goes in.
    fn takes_nmi(&self) -> bool;
    /// Puts an event into the next entry.
    fn inject(&mut self, injection: Injection);
    /// CR3 of its page tables, in 64-bit mode with four levels.
    fn tables(&mut self) -> u64;
    /// Lets it call the host directly, where its kind of guest does so. Errors: who refused.
    fn open_host_calls(&mut self, _: &mut dyn PageVisibility) -> Result<(), Refusal> {
        Ok(())
    }
    /// A hypercall of the paravisor's own, whose input may travel in a page that the host sees: the result value.
    /// Errors: the input is too long.
    fn hypercall_of_host(
        &mut self,
        control: u64,
        input: &[u8],
        page: &mut SharedPage,
    ) -> tessera_protocol::error::Result<u64>;
    /// The instruction by which it makes hypercalls.
    fn hypercall_instruction(&self) -> [u8; 3];
    /// CPUID as nobody but the processor answers it.
    fn cpuid(&self, leaf: u32, subleaf: u32) -> [u32; 4];
    /// RDMSR of a register of the processor that the context holds; `None` for all others.
    fn rdmsr(&mut self, msr: u32) -> Option<u64>;
    /// WRMSR of such a register; `None` for all others, and for values that it cannot hold.
    fn wrmsr(&mut self, msr: u32, value: u64) -> Option<()>;
}
