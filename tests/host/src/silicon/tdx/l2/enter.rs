//! TDG.VP.ENTER: its operands. Source: 354807, TDG.VP.ENTER.

use crate::silicon::tdx::td::Td;
use tessera_defs::{
    tdx::{page, status, tdcall},
    vmx::vmcs,
};

/// Alignment of L2_ENTER_GUEST_STATE.
const ALIGN: u64 = 256;

/// What is to be entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operands {
    /// GPA of L2_ENTER_GUEST_STATE.
    pub state: u64,
    /// GPA of the virtual-APIC page.
    pub apic: u64,
    /// Invalidate the VM's translations first: all of them.
    pub flush: bool,
}

/// Checks RCX and RDX. Errors: the completion status.
pub fn operands(td: &Td, rcx: u64, rdx: u64) -> Result<Operands, u64> {
    let invalid = |operand| Err(status::OPERAND_INVALID | operand);
    if !rdx.is_multiple_of(ALIGN) || rdx >> page::SHARED_BIT != 0 {
        return invalid(status::OPERAND_RDX);
    }
    let vm = rcx >> tdcall::ENTER_VM_SHIFT;
    let reserved = rcx & ((1 << tdcall::ENTER_VM_SHIFT) - 1) & !tdcall::ENTER_INVALIDATE;
    if vm == 0 || vm > td.l2_vms || reserved != 0 {
        return invalid(status::OPERAND_RCX);
    }
    let apic = td.l2.vmcs.get(vmcs::VIRTUAL_APIC_PAGE);
    if apic == u64::MAX {
        return invalid(status::OPERAND_L2_VAPIC_GPA);
    }
    Ok(Operands {
        state: rdx,
        apic,
        flush: rcx & tdcall::ENTER_INVALIDATE == 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_are_checked_in_the_modules_order() {
        let mut td = Td::new(16);
        td.l2_vms = 1;
        let vm = 1 << 52;
        let invalid = |operand| Err(status::OPERAND_INVALID | operand);
        assert_eq!(operands(&td, 0, 0x1080), invalid(2));
        assert_eq!(operands(&td, vm, 1 << 47), invalid(2));
        for rcx in [0, 2 << 52, vm | 4, vm | 1 << 54] {
            assert_eq!(operands(&td, rcx, 0x1100), invalid(1), "{rcx:#x}");
        }
        assert_eq!(operands(&td, vm, 0x1100), invalid(170));
        td.l2.vmcs.set(vmcs::VIRTUAL_APIC_PAGE, 0x2000);
        let made = operands(&td, vm | 1, 0x1100).unwrap();
        assert_eq!((made.state, made.apic, made.flush), (0x1100, 0x2000, true));
        assert!(!operands(&td, vm | 2, 0x1100).unwrap().flush);
    }
}
