//! MSRs of the lower guest.

use crate::context::Paravisor;
use crate::cpuid;
use tessera_defs::hyperv as hv;
use tessera_defs::x86::{MSR_APIC_BASE, vector, x2apic};
use tessera_protocol::error::{Error, HostFault, Result};

const APIC_BASE: u64 = 0xFEE0_0000 | x2apic::BASE_EN | x2apic::BASE_EXTD;
/// The bootstrap processor's.
const BSP: u64 = 1 << 8;
/// Every 16th of 0x800..0x840.
const X2APIC: core::ops::Range<u32> = 0x800..0x840;

/// RDMSR. Errors: #GP for an MSR that is not here.
pub fn read(paravisor: &mut Paravisor<'_>, msr: u32) -> Result<u64> {
    match msr {
        MSR_APIC_BASE => Ok(apic_base(paravisor)),
        hv::MSR_ISOLATION_CONFIG => {
            let [eax, ebx] = cpuid::isolation(paravisor.mode);
            Ok(u64::from(eax) | u64::from(ebx) << 32)
        }
        hv::MSR_GUEST_OS_ID => Ok(paravisor.partition.lock().guest_os_id),
        hv::MSR_VP_INDEX => Ok(paravisor.index as u64),
        register if X2APIC.contains(&register) => paravisor.apic_read(register),
        other => paravisor.lower.rdmsr(other).map_or_else(gp, Ok),
    }
}

/// WRMSR. Errors: #GP for an MSR or a value that is not here.
pub fn write(paravisor: &mut Paravisor<'_>, msr: u32, value: u64) -> Result<()> {
    match msr {
        MSR_APIC_BASE if value == apic_base(paravisor) => Ok(()),
        hv::MSR_GUEST_OS_ID => {
            paravisor.partition.lock().guest_os_id = value;
            Ok(())
        }
        register if X2APIC.contains(&register) => paravisor.apic_write(register, value),
        other => paravisor.lower.wrmsr(other, value).map_or_else(gp, Ok),
    }
}

fn apic_base(paravisor: &Paravisor<'_>) -> u64 {
    APIC_BASE | if paravisor.index == 0 { BSP } else { 0 }
}

/// #GP in the guest.
pub fn gp<T>() -> Result<T> {
    Err(Error::Host(HostFault::Inject(vector::GP)))
}
