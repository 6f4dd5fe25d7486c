//! The two kinds of TDCALL: to the module, and through it to the host.

use crate::error::{Error, HostFault, Result, host};
use crate::traits::Tdcall;
use tessera_defs::tdx::status::{CLASS_MASK, SUCCESS};
use tessera_defs::tdx::tdcall::{TdcallRegs, VP_VMCALL};
use tessera_defs::tdx::vmcall::STANDARD_MASK;

/// Executes `regs.rax` as a module leaf. Errors: `Platform` with the status, unless its class
/// is success.
pub fn module(
    call: &mut impl Tdcall,
    operation: &'static str,
    mut regs: TdcallRegs,
) -> Result<TdcallRegs> {
    call.tdcall(&mut regs);
    if regs.rax & CLASS_MASK != SUCCESS {
        return Err(Error::Platform {
            operation,
            status: regs.rax,
        });
    }
    Ok(regs)
}

/// What the host left in the registers of a TDVMCALL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Reply {
    /// R10.
    pub status: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
}

/// TDG.VP.VMCALL, standard sub-function `function`, arguments R12 to R15. Only R10 to R15 are
/// exposed. Errors: `Platform` where the module refuses the call itself.
pub fn vmcall_raw(call: &mut impl Tdcall, function: u64, arguments: [u64; 4]) -> Result<Reply> {
    let [r12, r13, r14, r15] = arguments;
    let regs = TdcallRegs {
        rax: VP_VMCALL,
        rcx: STANDARD_MASK,
        r11: function,
        r12,
        r13,
        r14,
        r15,
        ..Default::default()
    };
    let out = module(call, "TDG.VP.VMCALL", regs)?;
    Ok(Reply {
        status: out.r10,
        r11: out.r11,
        r12: out.r12,
        r13: out.r13,
        r14: out.r14,
        r15: out.r15,
    })
}

/// `vmcall_raw` that must succeed. Errors: `Refused` with R10.
pub fn vmcall(call: &mut impl Tdcall, function: u64, arguments: [u64; 4]) -> Result<Reply> {
    let reply = vmcall_raw(call, function, arguments)?;
    if reply.status != 0 {
        return host(HostFault::Refused {
            request: function,
            code: reply.status,
        });
    }
    Ok(reply)
}
