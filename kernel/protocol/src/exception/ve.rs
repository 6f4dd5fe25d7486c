//! #VE, and exits of an L2 VM: from the exit reason and qualification that the TDX module
//! gives. Source: 348551, #VE information; Intel SDM vol. 3, 28.2.1 and appendix C.

use crate::exception::event::{Event, NotServed};
use tessera_defs::tdx::page::io;
use tessera_defs::vmx;

/// Event of exit `reason` with `qualification`; `gpa` for EPT violations.
pub fn event(reason: u32, qualification: u64, gpa: u64) -> Result<Event, NotServed> {
    match reason {
        vmx::CPUID => Ok(Event::Cpuid),
        vmx::HLT => Ok(Event::Halt),
        vmx::MSR_READ => Ok(Event::ReadMsr),
        vmx::MSR_WRITE => Ok(Event::WriteMsr),
        vmx::WBINVD => Ok(Event::Wbinvd),
        vmx::VMCALL => Ok(Event::Hypercall),
        vmx::IO => port_io(qualification),
        vmx::EPT_VIOLATION => Ok(Event::Mmio { gpa }),
        other => Err(NotServed::Unknown(other.into())),
    }
}

/// An EPT violation on memory: without the shared bit it is private memory that was never
/// accepted. `Event::Mmio` is checked with this before it is served.
pub fn shared_only(event: Event, shared_bit: u64) -> Result<Event, NotServed> {
    match event {
        Event::Mmio { gpa } if gpa & shared_bit == 0 => Err(NotServed::PageNotValidated(gpa)),
        other => Ok(other),
    }
}

fn port_io(qualification: u64) -> Result<Event, NotServed> {
    if qualification & (io::STRING | io::REP) != 0 {
        return Err(NotServed::StringIo);
    }
    let size = match qualification & 7 {
        0 => 1,
        1 => 2,
        3 => 4,
        _ => return Err(NotServed::Unknown(qualification)),
    };
    let port = (qualification >> io::PORT_SHIFT) as u16;
    let read = qualification & io::IN != 0;
    Ok(if read {
        Event::In { port, size }
    } else {
        Event::Out { port, size }
    })
}
