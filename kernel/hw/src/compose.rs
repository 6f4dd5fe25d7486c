//! The strategies of a mode, over this machine's instructions. One match, asked once at boot.
#![allow(unsafe_code)] // reason: makes the ports, each in the mode that has their instructions

use crate::ghcb_page::GhcbPage;
use crate::host::{RmpPort, TdcallPort, VirtualApicPort, VmcallPort, VmmcallPort};
use crate::instr;
use crate::native::NativeCalls;
use crate::shared::SharedPage;
use tessera_defs::mode::Mode;
use tessera_isolation::strategy::ghcb::{GhcbCalls, PscVisibility};
use tessera_isolation::strategy::hypercall::HvVisibility;
use tessera_isolation::strategy::native::Plain;
use tessera_isolation::strategy::tdvmcall::{AcceptVisibility, VmcallCalls};
use tessera_isolation::strategy::traits::{HostCalls, PageVisibility};

/// What the kernel works with.
pub struct Strategies {
    /// Calls to the host.
    pub host: &'static mut dyn HostCalls,
    /// Page states.
    pub visibility: &'static mut dyn PageVisibility,
}

/// Storage of the strategies of one mode, in static memory.
pub enum Machine {
    /// Nothing isolates.
    None(NativeCalls, Plain),
    /// SNP, VMPL 0.
    Snp(GhcbCalls<GhcbPage>, PscVisibility<GhcbPage, RmpPort>),
    /// SNP, VMPL 2 below our paravisor.
    Vmpl2(NativeCalls, HvVisibility<VmmcallPort>),
    /// L1 TD.
    Tdx(
        VmcallCalls<TdcallPort, VirtualApicPort>,
        AcceptVisibility<TdcallPort>,
    ),
    /// L2 VM below our paravisor.
    L2(NativeCalls, HvVisibility<VmcallPort>),
}

impl Machine {
    /// The machine of `mode`.
    ///
    /// # Safety
    /// The stub decided on `mode`; where it has a GHCB, that page is shared, registered, and
    /// mapped at `ghcb_virt` for nobody else.
    pub unsafe fn new(
        mode: Mode,
        comes_private: bool,
        ghcb_virt: u64,
        ghcb_gpa: u64,
    ) -> Option<Self> {
        crate::exit::set_mode(mode);
        // SAFETY: the instructions exist in the mode that the stub proved; the GHCB as above.
        unsafe {
            match mode {
                Mode::None => Some(Machine::None(NativeCalls::new(), Plain)),
                Mode::Snp => {
                    let page = GhcbPage::new(SharedPage::new(ghcb_virt, ghcb_gpa));
                    let visibility = PscVisibility {
                        ghcb: page.handle(),
                        rmp: RmpPort::new(),
                        comes_private,
                    };
                    Some(Machine::Snp(GhcbCalls(page), visibility))
                }
                Mode::Tdx => Some(Machine::Tdx(
                    VmcallCalls(TdcallPort::new(), VirtualApicPort::new()),
                    AcceptVisibility(TdcallPort::new()),
                )),
                Mode::SnpParavisor => {
                    let visibility = below(VmmcallPort::new());
                    Some(Machine::Vmpl2(NativeCalls::new(), visibility))
                }
                Mode::TdxParavisor => {
                    let visibility = below(VmcallPort::new());
                    Some(Machine::L2(NativeCalls::new(), visibility))
                }
            }
        }
    }

    /// The strategies, for good.
    pub fn strategies(&'static mut self) -> Strategies {
        match self {
            Machine::None(host, visibility) => Strategies { host, visibility },
            Machine::Snp(host, visibility) => Strategies { host, visibility },
            Machine::Vmpl2(host, visibility) => Strategies { host, visibility },
            Machine::Tdx(host, visibility) => Strategies { host, visibility },
            Machine::L2(host, visibility) => Strategies { host, visibility },
        }
    }
}

/// Page visibility below our paravisor: says who this guest is, as hypercalls demand
/// (TLFS 3.13), and takes the exchange page for their input.
///
/// # Safety
/// Below our paravisor; the exchange page is in the direct map and nothing else's.
unsafe fn below<H>(call: H) -> HvVisibility<H> {
    use tessera_defs::hyperv::{GUEST_OS_ID, MSR_GUEST_OS_ID};
    use tessera_handoff::layout::{DIRECT_MAP, EXCHANGE_PAGE};
    // SAFETY: the caller's promise; the paravisor serves this MSR.
    unsafe {
        instr::wrmsr(MSR_GUEST_OS_ID, GUEST_OS_ID);
        let page = (DIRECT_MAP + EXCHANGE_PAGE) as *mut u8;
        HvVisibility {
            call,
            input: core::slice::from_raw_parts_mut(page, 4096),
            input_gpa: EXCHANGE_PAGE,
        }
    }
}
