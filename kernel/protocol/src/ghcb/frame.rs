//! What goes into a GHCB and what comes back, apart from the shared page itself.

use crate::error::{Error, GuestFault, HostFault, Result, guest, host};
use crate::traits::Vmgexit;
use tessera_defs::snp::ghcb::{SHARED_BUFFER, USAGE_STANDARD, answer};
use tessera_defs::x86::vector;

/// One request. Fields that are `None` are not copied and not marked valid; on return `None`
/// means that the host did not mark the field valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct GhcbFrame {
    pub rax: Option<u64>,
    pub rbx: Option<u64>,
    pub rcx: Option<u64>,
    pub rdx: Option<u64>,
    pub xcr0: Option<u64>,
    /// CPL is always sent as 0 by `Vmgexit`.
    pub exit_code: u64,
    pub info1: u64,
    pub info2: u64,
    /// SW_SCRATCH is set to the address of the shared buffer.
    pub scratch: bool,
    /// Shared buffer; `used` bytes are copied in both directions (of the others only a
    /// hypercall clears the page's). For usage 1 it is the start of the page.
    pub buffer: [u8; SHARED_BUFFER],
    pub used: usize,
    /// GHCB_USAGE.
    pub usage: u32,
    /// Usage 1 only: output GPA of the hypercall.
    pub output_gpa: u64,
    /// Usage 1 only: hypercall input value; on return the result.
    pub control: u64,
}

impl GhcbFrame {
    /// A standard request without registers or data.
    pub const fn new(exit_code: u64, info1: u64, info2: u64) -> Self {
        Self {
            rax: None,
            rbx: None,
            rcx: None,
            rdx: None,
            xcr0: None,
            exit_code,
            info1,
            info2,
            scratch: false,
            buffer: [0; SHARED_BUFFER],
            used: 0,
            usage: USAGE_STANDARD,
            output_gpa: 0,
            control: 0,
        }
    }

    /// Uses the first `data.len()` bytes of the shared buffer. Errors: `BadLength`.
    pub fn set_buffer(&mut self, data: &[u8]) -> Result<()> {
        let Some(room) = self.buffer.get_mut(..data.len()) else {
            return guest(GuestFault::BadLength(data.len()));
        };
        room.copy_from_slice(data);
        self.used = data.len();
        self.scratch = true;
        Ok(())
    }

    /// Exits and checks the host's general answer in SW_EXITINFO1[31:0]. Errors: `Refused`,
    /// `Inject` (#GP and #UD; any other demand is `Refused`), `OutOfRange`.
    pub fn exchange(&mut self, host_call: &mut impl Vmgexit) -> Result<()> {
        let request = self.exit_code;
        host_call.vmgexit(self);
        match self.info1 & 0xFFFF_FFFF {
            answer::OK => Ok(()),
            answer::INJECT => Err(Error::Host(injected(request, self.info2))),
            answer::MALFORMED => host(HostFault::Refused {
                request,
                code: self.info2,
            }),
            _ => host(HostFault::OutOfRange {
                request,
                value: self.info1,
            }),
        }
    }

    /// A register of the answer. Errors: `MissingRegister`.
    pub fn need(&self, register: Option<u64>) -> Result<u64> {
        register.ok_or(Error::Host(HostFault::MissingRegister(self.exit_code)))
    }
}

/// EVENTINJ format (APM vol. 2, 15.20): vector 7:0, type 10:8 = 3, valid 31.
fn injected(request: u64, event: u64) -> HostFault {
    let is_exception = event >> 31 & 1 == 1 && event >> 8 & 7 == 3;
    match event as u8 {
        number @ (vector::GP | vector::UD) if is_exception => HostFault::Inject(number),
        _ => HostFault::Refused {
            request,
            code: event,
        },
    }
}
