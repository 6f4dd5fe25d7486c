//! The GHCB MSR protocol. Source: 56421 rev. 2.04, section 2.3.1.

use crate::error::{GuestFault, HostFault, Result, guest, host};
use crate::traits::GhcbMsr;
use tessera_defs::snp::ghcb::PROTOCOL_VERSION;
use tessera_defs::snp::ghcb_msr::*;

/// All ones in the GHCBData field.
const NONE: u64 = !INFO_MASK;
const FRAME: u64 = 0x000F_FFFF_FFFF_F000;

/// Page states that a guest may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum PageState {
    /// Private: to be validated next.
    Private = PSC_PRIVATE,
    /// Shared with the host.
    Shared = PSC_SHARED,
}

/// Checks that the host speaks our version and has the processor's C-bit.
pub fn negotiate(msr: &mut impl GhcbMsr, c_bit: u8) -> Result<()> {
    let reply = msr.exchange(SEV_INFO_REQUEST);
    expect(reply, SEV_INFO_RESPONSE)?;
    let (max, min) = ((reply >> 48) as u16, (reply >> 32) as u16);
    if !(min..=max).contains(&PROTOCOL_VERSION) {
        return host(HostFault::Version { min, max });
    }
    if (reply >> 24) as u8 != c_bit {
        return host(HostFault::CBit((reply >> 24) as u8));
    }
    Ok(())
}

/// CPUID `leaf`, sub-leaf 0: EAX, EBX, ECX, EDX by the host's word.
pub fn cpuid(msr: &mut impl GhcbMsr, leaf: u32) -> Result<[u32; 4]> {
    let mut out = [0; 4];
    for (register, value) in out.iter_mut().enumerate() {
        let selector = (register as u64) << 30;
        let reply = msr.exchange(CPUID_REQUEST | selector | u64::from(leaf) << 32);
        if reply & 0xFFFF_FFFF != CPUID_RESPONSE | selector {
            return host(HostFault::MsrResponse(reply));
        }
        *value = (reply >> 32) as u32;
    }
    Ok(out)
}

/// Asks for a page-state change of the 4 KiB page at `gpa`.
pub fn page_state(msr: &mut impl GhcbMsr, gpa: u64, state: PageState) -> Result<()> {
    let request = PSC_REQUEST | frame(gpa)? | (state as u64) << 52;
    done(msr.exchange(request), PSC_REQUEST, PSC_RESPONSE)
}

/// Registers the GHCB at `gpa`, a shared page.
pub fn register_ghcb(msr: &mut impl GhcbMsr, gpa: u64) -> Result<()> {
    let frame = frame(gpa)?;
    let reply = msr.exchange(REGISTER_GHCB_REQUEST | frame);
    expect(reply, REGISTER_GHCB_RESPONSE)?;
    if reply & NONE != frame {
        return host(HostFault::Registration(reply & NONE));
    }
    Ok(())
}

/// The hypervisor's feature bitmap (`hv_features`), its claim.
pub fn features(msr: &mut impl GhcbMsr) -> Result<u64> {
    let reply = msr.exchange(HV_FEATURES_REQUEST);
    expect(reply, HV_FEATURES_RESPONSE)?;
    Ok(reply >> 12)
}

/// Runs the lower context `vmpl` until it exits to this one. The GHCB page is free meanwhile.
pub fn run_vmpl(msr: &mut impl GhcbMsr, vmpl: u8) -> Result<()> {
    let request = RUN_VMPL_REQUEST | u64::from(vmpl) << 32;
    done(msr.exchange(request), RUN_VMPL_REQUEST, RUN_VMPL_RESPONSE)
}

/// Asks the host to end this guest. A host may ignore it: the caller must halt afterwards.
pub fn terminate(msr: &mut impl GhcbMsr, set: u8, reason: u8) {
    msr.exchange(termination(set, reason));
}

/// The request of `terminate`. The reason set has 4 bits.
pub const fn termination(set: u8, reason: u8) -> u64 {
    TERMINATE | (set as u64 & 0xF) << 12 | (reason as u64) << 16
}

fn frame(gpa: u64) -> Result<u64> {
    if gpa & !FRAME != 0 {
        guest(GuestFault::BadAddress(gpa))
    } else {
        Ok(gpa)
    }
}

fn expect(reply: u64, info: u64) -> Result<()> {
    if reply & INFO_MASK != info {
        host(HostFault::MsrResponse(reply))
    } else {
        Ok(())
    }
}

/// Bits 31:12 zero, bits 63:32 the error code.
fn done(reply: u64, request: u64, info: u64) -> Result<()> {
    if reply & 0xFFFF_FFFF != info {
        return host(HostFault::MsrResponse(reply));
    }
    if reply >> 32 != 0 {
        return host(HostFault::Refused {
            request,
            code: reply >> 32,
        });
    }
    Ok(())
}
