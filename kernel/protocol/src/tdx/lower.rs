//! TDG.VP.ENTER: running an L2 VM. Source: 354807, TDG.VP.ENTER; 348551, its output operands.

use crate::error::{Error, GuestFault, Result, guest};
use crate::tdx::module::leaf;
use crate::traits::Tdcall;
use tessera_defs::tdx::status::*;
use tessera_defs::tdx::tdcall::*;

/// Why TDG.VP.ENTER came back. Where the L2 VM ran, its event whose delivery was interrupted is
/// in `L2Exit::vectoring` and lost unless L1 injects it again, whatever the variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The L2 VM exited to L1.
    L2(L2Exit),
    /// The host took the exit and resumed L1: nothing to serve, enter again.
    HostRouted(L2Exit),
    /// The L2 VM was left because an interrupt for L1 is pending.
    PendingInterrupt(L2Exit),
    /// An interrupt for L1 is pending, and the L2 VM was not entered: what was to be injected
    /// still stands in its VMCS.
    NotEntered,
}

/// Exit information, as the module returns it in registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct L2Exit {
    /// RAX[31:0]: `defs::vmx` exit reason; bit 31: the entry itself failed.
    pub reason: u32,
    /// RCX: exit qualification.
    pub qualification: u64,
    /// RDX: guest linear address.
    pub gla: u64,
    /// RSI[15:0]: CS selector; RSI[31:16]: its access rights; RSI[63:32]: its limit.
    pub cs: u64,
    /// RDI: CS base.
    pub cs_base: u64,
    /// R8: guest physical address.
    pub gpa: u64,
    /// R9[31:0]: VM-exit interruption information; R9[63:32]: error code.
    pub interruption: u64,
    /// R10[31:0]: IDT-vectoring information; R10[63:32]: error code.
    pub vectoring: u64,
    /// R11[31:0]: instruction information.
    pub information: u32,
    /// R11[63:32]: instruction length in bytes.
    pub length: u32,
    /// R12[1:0]: current privilege level of the L2 VM.
    pub cpl: u8,
    /// R13: extended qualification; bits 3:0 `EXTENDED_PENDING` for a page that is pending.
    pub extended: u64,
}

/// Enters L2 VM `vm` (1 to 3) with the `L2EnterState` at `state_gpa` (256-byte aligned).
/// Errors: `Platform` for a status that is none of `Exit`.
pub fn enter(call: &mut impl Tdcall, vm: u64, state_gpa: u64) -> Result<Exit> {
    if !(1..=3).contains(&vm) || !state_gpa.is_multiple_of(256) {
        return guest(GuestFault::BadAddress(state_gpa));
    }
    let mut regs = TdcallRegs {
        rcx: vm << ENTER_VM_SHIFT,
        rdx: state_gpa,
        ..leaf(VP_ENTER)
    };
    call.tdcall(&mut regs);
    match regs.rax & CLASS_MASK {
        SUCCESS => Ok(Exit::L2(decode(&regs))),
        L2_EXIT_HOST_ROUTED_ASYNC | L2_EXIT_HOST_ROUTED_TDVMCALL => {
            Ok(Exit::HostRouted(decode(&regs)))
        }
        L2_EXIT_PENDING_INTERRUPT => Ok(Exit::PendingInterrupt(decode(&regs))),
        PENDING_INTERRUPT => Ok(Exit::NotEntered),
        _ => Err(Error::Platform {
            operation: "TDG.VP.ENTER",
            status: regs.rax,
        }),
    }
}

fn decode(regs: &TdcallRegs) -> L2Exit {
    L2Exit {
        reason: regs.rax as u32,
        qualification: regs.rcx,
        gla: regs.rdx,
        cs: regs.rsi,
        cs_base: regs.rdi,
        gpa: regs.r8,
        interruption: regs.r9,
        vectoring: regs.r10,
        information: regs.r11 as u32,
        length: (regs.r11 >> 32) as u32,
        cpl: (regs.r12 & 3) as u8,
        extended: regs.r13,
    }
}
