//! Questions to the TDX module. Source: 348551, chapter 5.

use crate::error::{GuestFault, Result, guest};
use crate::tdx::call::module;
use crate::traits::Tdcall;
use tessera_defs::tdx::tdcall::*;

/// What TDG.VP.INFO says: measured or fixed by the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// GPA width in bits (48 or 52); the shared bit is `gpaw - 1`.
    pub gpaw: u8,
    /// `field::attributes`.
    pub attributes: u64,
    /// Virtual processors that exist.
    pub vcpus: u32,
    /// Index of this one.
    pub index: u32,
}

/// TDG.VP.INFO.
pub fn info(call: &mut impl Tdcall) -> Result<Info> {
    let out = module(call, "TDG.VP.INFO", leaf(VP_INFO))?;
    Ok(Info {
        gpaw: (out.rcx & 0x3F) as u8,
        attributes: out.rdx,
        vcpus: out.r8 as u32,
        index: out.r9 as u32,
    })
}

/// What a #VE was about (TDG.VP.VEINFO.GET).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VeInfo {
    /// `defs::vmx` basic exit reason.
    pub reason: u32,
    /// Exit qualification.
    pub qualification: u64,
    /// Guest linear address.
    pub gla: u64,
    /// Guest physical address, with the shared bit.
    pub gpa: u64,
    /// Instruction length in bytes.
    pub length: u32,
    /// Instruction information.
    pub information: u32,
}

/// TDG.VP.VEINFO.GET; clears the block, so that the next #VE can be delivered.
pub fn ve_info(call: &mut impl Tdcall) -> Result<VeInfo> {
    let out = module(call, "TDG.VP.VEINFO.GET", leaf(VP_VEINFO_GET))?;
    Ok(VeInfo {
        reason: out.rcx as u32,
        qualification: out.rdx,
        gla: out.r8,
        gpa: out.r9,
        length: out.r10 as u32,
        information: (out.r10 >> 32) as u32,
    })
}

/// TDG.MR.REPORT: 1,024 bytes at `report_gpa` (1,024-byte aligned) over the 64 bytes at
/// `data_gpa` (64-byte aligned); both private.
pub fn report(call: &mut impl Tdcall, report_gpa: u64, data_gpa: u64) -> Result<()> {
    if !report_gpa.is_multiple_of(1024) || !data_gpa.is_multiple_of(64) {
        return guest(GuestFault::BadAddress(report_gpa | data_gpa));
    }
    module(
        call,
        "TDG.MR.REPORT",
        TdcallRegs {
            rcx: report_gpa,
            rdx: data_gpa,
            ..leaf(MR_REPORT)
        },
    )?;
    Ok(())
}

/// TDG.MR.RTMR.EXTEND of RTMR `index` (0 to 3) by the 48 bytes at `gpa` (64-byte aligned).
pub fn rtmr_extend(call: &mut impl Tdcall, gpa: u64, index: u8) -> Result<()> {
    if !gpa.is_multiple_of(64) || index > 3 {
        return guest(GuestFault::BadAddress(gpa));
    }
    let regs = TdcallRegs {
        rcx: gpa,
        rdx: index.into(),
        ..leaf(MR_RTMR_EXTEND)
    };
    module(call, "TDG.MR.RTMR.EXTEND", regs)?;
    Ok(())
}

/// TDG.VM.RD of `field`.
pub fn vm_rd(call: &mut impl Tdcall, field: u64) -> Result<u64> {
    Ok(module(
        call,
        "TDG.VM.RD",
        TdcallRegs {
            rdx: field,
            ..leaf(VM_RD)
        },
    )?
    .r8)
}

/// TDG.VP.RD of `field`.
pub fn vp_rd(call: &mut impl Tdcall, field: u64) -> Result<u64> {
    Ok(module(
        call,
        "TDG.VP.RD",
        TdcallRegs {
            rdx: field,
            ..leaf(VP_RD)
        },
    )?
    .r8)
}

/// TDG.VP.WR: the bits of `mask` of `field` become those of `value`; the old value.
pub fn vp_wr(call: &mut impl Tdcall, field: u64, value: u64, mask: u64) -> Result<u64> {
    let regs = TdcallRegs {
        rdx: field,
        r8: value,
        r9: mask,
        ..leaf(VP_WR)
    };
    Ok(module(call, "TDG.VP.WR", regs)?.r8)
}

pub(crate) fn leaf(rax: u64) -> TdcallRegs {
    TdcallRegs {
        rax,
        ..Default::default()
    }
}
