//! MSRs of the lower guest.

use crate::context::Paravisor;
use crate::{apic, synthetic};
use tessera_defs::x86::{MSR_APIC_BASE, vector};
use tessera_protocol::error::{Error, HostFault, Result};

/// Every 16th of 0x800..0x900.
const X2APIC: core::ops::Range<u32> = apic::FIRST..apic::FIRST + 0x100;
/// Hyper-V's.
const SYNTHETIC: core::ops::Range<u32> = 0x4000_0000..0x5000_0000;

/// RDMSR. Errors: #GP for an MSR that is not here.
pub fn read(paravisor: &mut Paravisor<'_>, msr: u32) -> Result<u64> {
    match msr {
        MSR_APIC_BASE => Ok(paravisor.apic.base()),
        register if X2APIC.contains(&register) && paravisor.apic.is_x2apic() => {
            paravisor.apic_read(register - apic::FIRST)
        }
        synthetic if SYNTHETIC.contains(&synthetic) => synthetic::read(paravisor, synthetic),
        other => {
            let kept = paravisor.kept.read(other);
            kept.or_else(|| paravisor.lower.rdmsr(other))
                .map_or_else(gp, Ok)
        }
    }
}

/// WRMSR. Errors: #GP for an MSR or a value that is not here.
pub fn write(paravisor: &mut Paravisor<'_>, msr: u32, value: u64) -> Result<()> {
    match msr {
        MSR_APIC_BASE => paravisor.apic.set_base(value).or_else(|_| gp()),
        register if X2APIC.contains(&register) && paravisor.apic.is_x2apic() => {
            paravisor.apic_write(register - apic::FIRST, value)
        }
        synthetic if SYNTHETIC.contains(&synthetic) => {
            synthetic::write(paravisor, synthetic, value)
        }
        other => {
            let kept = paravisor.kept.write(other, value);
            kept.or_else(|| paravisor.lower.wrmsr(other, value))
                .map_or_else(gp, Ok)
        }
    }
}

/// #GP in the guest.
pub fn gp<T>() -> Result<T> {
    Err(Error::Host(HostFault::Inject(vector::GP)))
}
