//! What the module keeps of L2 VM 1.

use super::vmcs::Vmcs;
use alloc::{vec, vec::Vec};
use tessera_defs::{tdx::field, vmx::control};

/// Words of the MSR bitmaps.
pub const BITMAP_WORDS: usize = 512;

/// L2 VM 1.
#[derive(Clone, Debug)]
pub struct Vm {
    /// Its VMCS.
    pub vmcs: Vmcs,
    /// L1's MSR bitmaps: 1 sends the access to L1.
    pub bitmaps: Vec<u64>,
    /// L2_CTLS.
    pub ctls: u64,
    /// TSC_DEADLINE, all ones for none.
    pub deadline: u64,
    /// Translations of the VM must be forgotten.
    pub flush: bool,
}

impl Vm {
    /// As the module makes it; `cr4_allowed` as in `Vmcs::new`.
    pub fn new(cr4_allowed: u64) -> Self {
        Self {
            vmcs: Vmcs::new(cr4_allowed),
            bitmaps: vec![u64::MAX; BITMAP_WORDS],
            ctls: 0,
            deadline: u64::MAX,
            flush: false,
        }
    }

    /// L1 lets it use shared memory.
    pub fn shared_ept(&self) -> bool {
        self.ctls & field::L2_CTLS_SHARED_EPT != 0
    }

    /// Its TDG.VP.VMCALL goes to the host.
    pub fn tdvmcall(&self) -> bool {
        self.ctls & field::L2_CTLS_TDVMCALL != 0
    }

    /// User and supervisor fetches are told apart.
    pub fn mode_based_execute(&self) -> bool {
        self.secondary() & control::secondary::MODE_BASED_EXECUTE != 0
    }

    /// Virtual interrupts are delivered from the virtual-APIC page.
    pub fn virtual_interrupts(&self) -> bool {
        self.secondary() & control::secondary::VIRTUAL_INTERRUPTS != 0
    }

    /// L1 wants an exit as soon as an interrupt could be taken.
    pub fn interrupt_window(&self) -> bool {
        let primary = self.vmcs.get(tessera_defs::vmx::vmcs::PRIMARY_CONTROLS) as u32;
        primary & control::primary::INTERRUPT_WINDOW != 0
    }

    fn secondary(&self) -> u32 {
        self.vmcs.get(tessera_defs::vmx::vmcs::SECONDARY_CONTROLS) as u32
    }
}
