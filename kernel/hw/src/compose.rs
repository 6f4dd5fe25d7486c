//! The strategies of a mode, over this machine's instructions. One match, asked once at boot.
#![allow(unsafe_code)] // reason: makes the ports, each in the mode that has their instructions

use crate::ghcb_page::GhcbPage;
use crate::host::{GhcbMsrPort, RmpPort, TdcallPort, VirtualApicPort, VmcallPort, VmmcallPort};
use crate::instr;
use crate::isolation;
use crate::message_pages::MessagePair;
use crate::native::{InitSipi, NativeCalls};
use crate::processors::{DirectFill, ResetPort};
use crate::shared::SharedPage;
use tessera_defs::hyperv::{CPUID_INTERFACE, INTERFACE_SIGNATURE};
use tessera_defs::mode::Mode;
use tessera_defs::snp::ghcb::psc::MAX_ENTRIES;
use tessera_defs::snp::secrets::SecretsPage;
use tessera_defs::snp::status::MSR_SEV_STATUS;
use tessera_handoff::layout::{
    DIRECT_MAP, EVIDENCE_PAGE, MESSAGE_REQUEST, MESSAGE_RESPONSE, SECRETS_PAGE, SHARED_MAP,
    START_PAGE, TDREPORT_PAGE,
};
use tessera_isolation::strategy::attestation::{
    ParavisorReports, SnpReports, TdxReports, Unattested,
};
use tessera_isolation::strategy::ghcb::{GhcbCalls, PscVisibility};
use tessera_isolation::strategy::hypercall::HvVisibility;
use tessera_isolation::strategy::native::Plain;
use tessera_isolation::strategy::processors::{SaveAreas, WakeWords};
use tessera_isolation::strategy::start_call::StartCall;
use tessera_isolation::strategy::tdvmcall::{AcceptVisibility, VmcallCalls};
use tessera_isolation::strategy::traits::{Attestation, HostCalls, PageVisibility, Processors};
use tessera_protocol::ghcb_msr;
use tessera_protocol::message::channel::Channel;

/// What the kernel works with.
pub struct Strategies {
    /// Calls to the host.
    pub host: &'static mut dyn HostCalls,
    /// Page states.
    pub visibility: &'static mut dyn PageVisibility,
    /// What the hardware signs.
    pub attestation: &'static mut dyn Attestation,
    /// Starting further processors.
    pub processors: &'static mut dyn Processors,
}

/// Storage of the strategies of one mode, in static memory.
pub enum Machine {
    /// Nothing isolates.
    None(NativeCalls, Plain, Unattested, InitSipi),
    /// SNP, VMPL 0.
    Snp(
        GhcbCalls<GhcbPage>,
        PscVisibility<GhcbPage, RmpPort>,
        SnpReports<GhcbPage, MessagePair>,
        SaveAreas<GhcbPage, RmpPort, DirectFill>,
    ),
    /// SNP, VMPL 2 below our paravisor.
    Vmpl2(
        NativeCalls,
        HvVisibility<VmmcallPort>,
        ParavisorReports<VmmcallPort, MessagePair>,
        StartCall<VmmcallPort, MessagePair>,
    ),
    /// L1 TD.
    Tdx(
        VmcallCalls<TdcallPort, VirtualApicPort>,
        AcceptVisibility<TdcallPort>,
        TdxReports<TdcallPort, MessagePair>,
        WakeWords<ResetPort>,
    ),
    /// L2 VM below our paravisor.
    L2(
        NativeCalls,
        HvVisibility<VmcallPort>,
        ParavisorReports<VmcallPort, MessagePair>,
        StartCall<VmcallPort, MessagePair>,
    ),
}

/// EBX of leaf 0 of the vendors whose hypercall is VMMCALL: AuthenticAMD, HygonGenuine.
const AMD: [u32; 2] = [u32::from_le_bytes(*b"Auth"), u32::from_le_bytes(*b"Hygo")];

/// Where SEV_STATUS has SEV_FEATURES (APM vol. 2, 15.34.10).
const FEATURES_SHIFT: u32 = 2;

impl Machine {
    /// The machine of `mode`.
    ///
    /// # Safety
    /// The stub decided on `mode`; where it has a GHCB, that page is shared, registered, and
    /// mapped at `ghcb_virt` for nobody else. The stub's tables, and a component's hand-over,
    /// are as it left them: called once, before the pages of messages, reports or evidence are
    /// used by anybody.
    pub unsafe fn new(
        mode: Mode,
        hyperv: bool,
        comes_private: bool,
        ghcb_virt: u64,
        ghcb_gpa: u64,
    ) -> Self {
        crate::exit::set_mode(mode);
        // SAFETY: the instructions exist in the mode that the stub proved; the GHCB as above.
        unsafe {
            match mode {
                Mode::None => Machine::None(native(mode), Plain, Unattested, InitSipi::new()),
                Mode::Snp => {
                    let page = GhcbPage::new(SharedPage::new(ghcb_virt, ghcb_gpa));
                    let visibility = PscVisibility {
                        ghcb: page.handle(),
                        rmp: RmpPort::new(),
                        comes_private,
                    };
                    let reports = reports(page.handle());
                    let processors = SaveAreas {
                        ghcb: page.handle(),
                        rmp: RmpPort::new(),
                        memory: DirectFill::new(),
                        features: instr::rdmsr(MSR_SEV_STATUS) >> FEATURES_SHIFT,
                        hyperv,
                        made: [0; 2],
                    };
                    Machine::Snp(GhcbCalls(page), visibility, reports, processors)
                }
                Mode::Tdx => Machine::Tdx(
                    VmcallCalls(TdcallPort::new(), VirtualApicPort::new()),
                    AcceptVisibility(TdcallPort::new()),
                    TdxReports {
                        call: TdcallPort::new(),
                        pages: own_page(TDREPORT_PAGE),
                        bound: false,
                    },
                    WakeWords(ResetPort::new()),
                ),
                Mode::SnpParavisor => {
                    let visibility = below(VmmcallPort::new());
                    let reports = ParavisorReports {
                        call: VmmcallPort::new(),
                        pages: own_page(EVIDENCE_PAGE),
                    };
                    let starts = StartCall {
                        call: VmmcallPort::new(),
                        pages: own_page(START_PAGE),
                    };
                    Machine::Vmpl2(native(mode), visibility, reports, starts)
                }
                Mode::TdxParavisor => {
                    let visibility = below(VmcallPort::new());
                    let reports = ParavisorReports {
                        call: VmcallPort::new(),
                        pages: own_page(EVIDENCE_PAGE),
                    };
                    let starts = StartCall {
                        call: VmcallPort::new(),
                        pages: own_page(START_PAGE),
                    };
                    Machine::L2(native(mode), visibility, reports, starts)
                }
            }
        }
    }

    /// The strategies, for good.
    pub fn strategies(&'static mut self) -> Strategies {
        type All = (
            &'static mut dyn HostCalls,
            &'static mut dyn PageVisibility,
            &'static mut dyn Attestation,
            &'static mut dyn Processors,
        );
        let (host, visibility, attestation, processors): All = match self {
            Machine::None(a, b, c, d) => (a, b, c, d),
            Machine::Snp(a, b, c, d) => (a, b, c, d),
            Machine::Vmpl2(a, b, c, d) => (a, b, c, d),
            Machine::Tdx(a, b, c, d) => (a, b, c, d),
            Machine::L2(a, b, c, d) => (a, b, c, d),
        };
        Strategies {
            host,
            visibility,
            attestation,
            processors,
        }
    }
}

/// The instructions themselves, hypercalls too, where somebody serves them: a paravisor, or a hypervisor of Hyper-V's
/// interface, by the instruction of the processor's vendor.
///
/// # Safety
/// As for `Machine::new`.
unsafe fn native(mode: Mode) -> NativeCalls {
    let amd = match mode {
        Mode::SnpParavisor => Some(true),
        Mode::TdxParavisor => Some(false),
        _ => (instr::cpuid(CPUID_INTERFACE, 0).eax == INTERFACE_SIGNATURE)
            .then(|| AMD.contains(&instr::cpuid(0, 0).ebx)),
    };
    // SAFETY: the caller's promise; callers of hypercalls name no memory.
    unsafe {
        match amd {
            Some(true) => NativeCalls::calling(isolation::vmmcall),
            Some(false) => NativeCalls::calling(isolation::vmcall),
            None => NativeCalls::new(),
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
    use tessera_handoff::layout::EXCHANGE_PAGE;
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

/// Reports over a GHCB, under VMPCK 0 as the stub left it in the secrets page. The key is taken out of
/// the page: a second channel under it would use its numbers again.
///
/// # Safety
/// SNP, VMPL 0; the message pages are shared, mapped in the shared map and nothing else's; the
/// secrets page is in the direct map, and nobody refers to it.
unsafe fn reports(ghcb: GhcbPage) -> SnpReports<GhcbPage, MessagePair> {
    // SAFETY: the caller's promise; any bytes are a secrets page.
    let (secrets, pages) = unsafe {
        let shared = |gpa| SharedPage::new(SHARED_MAP + gpa, gpa);
        let pair = MessagePair::new(shared(MESSAGE_REQUEST), shared(MESSAGE_RESPONSE));
        let page = (DIRECT_MAP + SECRETS_PAGE) as *mut SecretsPage;
        let secrets = page.read();
        (&raw mut (*page).vmpck[0]).write([0; 32]);
        (secrets, pair)
    };
    SnpReports {
        ghcb,
        pages,
        channel: Channel::from_secrets(&secrets, 0).ok(),
        binding: None,
    }
}

/// A private page through which a module or paravisor is given bytes and gives them back.
///
/// # Safety
/// The page is in the direct map and nothing else's.
unsafe fn own_page(gpa: u64) -> MessagePair {
    // SAFETY: the caller's promise; both values only make volatile accesses.
    unsafe {
        let page = || SharedPage::new(DIRECT_MAP + gpa, gpa);
        MessagePair::new(page(), page())
    }
}

/// Acceptance by the processor that asks, under no lock: PVALIDATE and TDCALL need none, and a GHCB is a
/// processor's own.
pub enum Acceptor {
    /// Nobody isolates, or a paravisor accepts what is touched.
    Plain(Plain),
    /// SNP, VMPL 0.
    Snp(PscVisibility<GhcbPage, RmpPort>),
    /// L1 TD.
    Tdx(AcceptVisibility<TdcallPort>),
}

impl Acceptor {
    /// That of `mode`; `page` is the processor's GHCB, where it has one: where it is mapped, and its address.
    ///
    /// # Safety
    /// As for `Machine::new`; the GHCB is registered, and no exchange of this processor is under way.
    pub unsafe fn new(mode: Mode, comes_private: bool, page: (u64, u64)) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            match mode {
                Mode::Snp => Self::Snp(PscVisibility {
                    ghcb: GhcbPage::new(SharedPage::new(page.0, page.1)),
                    rmp: RmpPort::new(),
                    comes_private,
                }),
                Mode::Tdx => Self::Tdx(AcceptVisibility(TdcallPort::new())),
                _ => Self::Plain(Plain),
            }
        }
    }

    /// 2 MiB pages that are worth asking for at once.
    pub fn batch(&self) -> u64 {
        match self {
            Self::Snp(visibility) if !visibility.comes_private => MAX_ENTRIES as u64,
            _ => 8,
        }
    }

    /// For use.
    pub fn visibility(&mut self) -> &mut dyn PageVisibility {
        match self {
            Self::Plain(visibility) => visibility,
            Self::Snp(visibility) => visibility,
            Self::Tdx(visibility) => visibility,
        }
    }
}

/// Host calls of a further processor, in static memory.
pub enum Calls {
    /// The instructions themselves: nobody isolates, or a paravisor serves them.
    Native(NativeCalls),
    /// SNP, VMPL 0: its own GHCB.
    Snp(GhcbCalls<GhcbPage>),
    /// L1 TD.
    Tdx(VmcallCalls<TdcallPort, VirtualApicPort>),
}

impl Calls {
    /// Whether the processors of `mode` need a page each that is shared with the host.
    pub fn need_page(mode: Mode) -> bool {
        mode == Mode::Snp
    }

    /// Those of `mode`; `None` where the host refuses. `page` is the processor's own, where one is needed:
    /// where it is mapped, and its address.
    ///
    /// # Safety
    /// As for `Machine::new`, which made the first processor's; called on the processor itself. The page is
    /// shared and nothing else's.
    pub unsafe fn further(mode: Mode, page: (u64, u64)) -> Option<Self> {
        // SAFETY: as in `Machine::new`.
        unsafe {
            match mode {
                Mode::None | Mode::SnpParavisor | Mode::TdxParavisor => {
                    Some(Self::Native(native(mode)))
                }
                Mode::Tdx => Some(Self::Tdx(VmcallCalls(
                    TdcallPort::new(),
                    VirtualApicPort::new(),
                ))),
                Mode::Snp => {
                    ghcb_msr::register_ghcb(&mut GhcbMsrPort::new(), page.1).ok()?;
                    let page = SharedPage::new(page.0, page.1);
                    Some(Self::Snp(GhcbCalls(GhcbPage::new(page))))
                }
            }
        }
    }

    /// For use.
    pub fn calls(&mut self) -> &mut dyn HostCalls {
        match self {
            Self::Native(calls) => calls,
            Self::Snp(calls) => calls,
            Self::Tdx(calls) => calls,
        }
    }
}
