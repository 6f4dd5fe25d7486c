//! Acceptance and attributes of private pages. Source: 348551, TDG.MEM.PAGE.*.

use crate::error::{Error, GuestFault, HostFault, Result, guest, host};
use crate::tdx::call::module;
use crate::tdx::module::leaf;
use crate::traits::Tdcall;
use tessera_defs::tdx::page::{LEVEL_2M, LEVEL_4K, attr};
use tessera_defs::tdx::status::{
    CLASS_MASK, EPT_WALK_FAILED, PAGE_ALREADY_ACCEPTED, PAGE_SIZE_MISMATCH, SUCCESS,
};
use tessera_defs::tdx::tdcall::*;
use tessera_defs::x86::{LARGE_PAGE_SIZE, PAGE_SIZE};

/// Accepts the 4 KiB or 2 MiB page at `gpa`: its content becomes zero. A 2 MiB page that the
/// host backs by 4 KiB pages is done in 512 steps. Errors: `DoubleValidation` where a page was
/// accepted before (a second acceptance is an attack), `Platform`, `BadAddress`.
pub fn accept(call: &mut impl Tdcall, gpa: u64, large: bool) -> Result<()> {
    let (size, level) = if large {
        (LARGE_PAGE_SIZE, LEVEL_2M)
    } else {
        (PAGE_SIZE, LEVEL_4K)
    };
    if !gpa.is_multiple_of(size) {
        return guest(GuestFault::BadAddress(gpa));
    }
    let mut regs = TdcallRegs {
        rcx: gpa | level,
        ..leaf(MEM_PAGE_ACCEPT)
    };
    call.tdcall(&mut regs);
    match regs.rax & CLASS_MASK {
        SUCCESS => Ok(()),
        PAGE_ALREADY_ACCEPTED => host(HostFault::DoubleValidation(gpa)),
        PAGE_SIZE_MISMATCH if large => (0..LARGE_PAGE_SIZE / PAGE_SIZE)
            .try_for_each(|i| accept(call, gpa + i * PAGE_SIZE, false)),
        _ => Err(Error::Platform {
            operation: "TDG.MEM.PAGE.ACCEPT",
            status: regs.rax,
        }),
    }
}

/// TDG.MEM.PAGE.ATTR.RD: the mapping (GPA, level in 2:0) and GPA_ATTR.
pub fn attr_rd(call: &mut impl Tdcall, gpa: u64) -> Result<(u64, u64)> {
    let out = module(
        call,
        "TDG.MEM.PAGE.ATTR.RD",
        TdcallRegs {
            rcx: gpa,
            ..leaf(MEM_PAGE_ATTR_RD)
        },
    )?;
    Ok((out.rcx, out.rdx))
}

/// TDG.MEM.PAGE.ATTR.WR: sets the bits of `mask` in GPA_ATTR of the page at `gpa` (level by
/// `large`) to those of `attributes`; GPA_ATTR as it is then, which the caller must check:
/// success does not say that the attributes were set. Errors: `Platform`, `BadAddress`.
pub fn attr_wr(
    call: &mut impl Tdcall,
    gpa: u64,
    large: bool,
    attributes: u64,
    mask: u64,
) -> Result<u64> {
    let (size, level) = if large {
        (LARGE_PAGE_SIZE, LEVEL_2M)
    } else {
        (PAGE_SIZE, LEVEL_4K)
    };
    if !gpa.is_multiple_of(size) {
        return guest(GuestFault::BadAddress(gpa));
    }
    let regs = TdcallRegs {
        rcx: gpa | level,
        rdx: attributes,
        r8: mask,
        ..leaf(MEM_PAGE_ATTR_WR)
    };
    Ok(module(call, "TDG.MEM.PAGE.ATTR.WR", regs)?.rdx)
}

/// Gives L2 VM 1 `permissions` (`attr::R`, `W`, `XS`, `XU`) on an accepted page, and no others.
/// A 2 MiB page that the host backs by 4 KiB pages is done in 512 steps. Errors: `Platform`,
/// also where the module says that it did so and the attributes differ.
pub fn grant(call: &mut impl Tdcall, gpa: u64, large: bool, permissions: u64) -> Result<()> {
    let field = |bits: u64| bits << attr::L2_VM1_SHIFT;
    let wanted = field(attr::VALID | permissions);
    let mask = field(attr::RWX | attr::MASK_INV_EPT);
    match attr_wr(call, gpa, large, wanted, mask) {
        Ok(now) if now & field(attr::VALID | attr::RWX) == wanted => Ok(()),
        Ok(now) => Err(Error::Platform {
            operation: "TDG.MEM.PAGE.ATTR.WR",
            status: now,
        }),
        Err(Error::Platform { status, .. })
            if large && matches!(status & CLASS_MASK, PAGE_SIZE_MISMATCH | EPT_WALK_FAILED) =>
        {
            (0..LARGE_PAGE_SIZE / PAGE_SIZE)
                .try_for_each(|i| grant(call, gpa + i * PAGE_SIZE, false, permissions))
        }
        Err(error) => Err(error),
    }
}
