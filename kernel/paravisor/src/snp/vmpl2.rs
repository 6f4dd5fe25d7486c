//! VMPL 2: RMPADJUST gives it pages, its VMSA holds its state, the GHCB MSR's run-VMPL request runs
//! it, ReflectVC brings its exits. Sources: APM vol. 2, 15.36; GHCB 56421 rev. 2.04, 2.3.1.
#![allow(unsafe_code)] // reason: VMPL 0's ports, and the page of the VMSA

use super::ghcb;
use super::vmsa::{self, LOWER_FEATURES};
use crate::context;
use crate::lower::{Exit, Grant, GuestRegisters, Injection, LowerGuest};
use crate::memory::{Memory, OwnPage};
use spin::Once;
use tessera_defs::refusal::Refusal;
use tessera_defs::snp::cpuid_page::CpuidPage;
use tessera_defs::snp::rmp::{PERM_ALL, PERM_READ};
use tessera_defs::snp::secrets::SecretsPage;
use tessera_defs::snp::vc::{self, event};
use tessera_defs::snp::vmsa::{Vmsa, vintr};
use tessera_defs::start_vp::InitialVpContext;
use tessera_defs::x86::vector;
use tessera_handoff::layout::{CPUID_PAGE, PARAVISOR_PAGES, SECRETS_PAGE, room};
use tessera_hw::ghcb_page::GhcbPage;
use tessera_hw::host::{GhcbMsrPort, RmpPort};
use tessera_hw::shared::SharedPage;
use tessera_isolation::strategy::traits::{PageVisibility, Pages};
use tessera_protocol::error::Error;
use tessera_protocol::exception::event::{Event, NotServed};
use tessera_protocol::exception::vc::reflected;
use tessera_protocol::ghcb::{hypercall, request};
use tessera_protocol::{ghcb_msr, rmp};

/// VMPL of the lower guest.
pub const LOWER: u8 = 2;
/// Where the paravisor keeps the whole secrets page.
const SECRETS_COPY: u64 = PARAVISOR_PAGES;

/// CPUID leaves that have subleaves; one that is not listed is zeros. Source: APM vol. 3, appendix E;
/// Intel SDM vol. 2, CPUID.
const INDEXED: [u32; 14] = [
    4,
    7,
    0xB,
    0xD,
    0xF,
    0x10,
    0x12,
    0x14,
    0x17,
    0x18,
    0x1F,
    0x8000_001D,
    0x8000_0020,
    0x8000_0026,
];

/// The page that the security processor vetted, before the lower guest could write it.
static CPUID: Once<CpuidPage> = Once::new();

/// The lower guest in VMPL 2, on one virtual processor.
pub struct Vmpl2 {
    /// Its APIC ID.
    apic_id: u32,
    ghcb: GhcbPage,
    msr: GhcbMsrPort,
    rmp: RmpPort,
    cpuid: &'static CpuidPage,
    vmsa: OwnPage<Vmsa>,
    /// The host knows the VMSA.
    registered: bool,
    /// GHCB of the lower context, and whether the host knows it.
    lower_ghcb: u64,
    open: bool,
    /// The interrupt that stands in the VMSA.
    offered: Option<u8>,
}

impl Vmpl2 {
    /// Of the first processor. Called once.
    pub fn first(memory: &Memory) -> Self {
        CPUID.call_once(|| memory.read(CPUID_PAGE));
        Self::new(0)
    }

    /// Called once a processor, after `first`.
    pub fn new(index: usize) -> Self {
        let (ghcb_virt, ghcb_gpa) = context::ghcb(index);
        // SAFETY: VMPL 0; this processor's GHCB is shared, registered and mapped there, and its
        // handles never meet in it; the VMSA's page is nothing else's.
        let (ghcb, msr, rmp, vmsa) = unsafe {
            let page = SharedPage::new(ghcb_virt, ghcb_gpa);
            (
                GhcbPage::new(page),
                GhcbMsrPort::new(),
                RmpPort::new(),
                OwnPage::new(room::of(index) + room::LOWER),
            )
        };
        Self {
            apic_id: index as u32,
            ghcb,
            msr,
            rmp,
            cpuid: CPUID.get().expect("the first processor read it"),
            vmsa,
            registered: false,
            lower_ghcb: room::of(index) + room::LOWER_GHCB,
            open: false,
            offered: None,
        }
    }

    fn permit(&mut self, virt: u64, large: bool, permissions: u8) -> Result<(), Refusal> {
        rmp::rmpadjust(&mut self.rmp, virt, large, LOWER, permissions, false)
            .map_err(|_| Refusal::RmpadjustFailed)
    }

    /// What VMPL 2 left in its VMSA; a wake-up without an exit leaves INVALID there.
    fn exit(&mut self) -> Result<Option<Exit>, NotServed> {
        let area = self.vmsa.get_mut();
        let code = core::mem::replace(&mut area.guest_exit_code, vc::INVALID);
        let interrupted = core::mem::take(&mut area.guest_exit_int_info);
        area.vintr_ctrl &= !vintr::BUSY;
        if interrupted & event::VALID != 0 {
            area.event_inj = interrupted;
        }
        if code == vc::INVALID {
            return Ok(None);
        }
        let event = reflected(code, area.guest_exit_info1, area.guest_exit_info2)?;
        let ahead = area.guest_nrip.wrapping_sub(area.rip);
        let length = match event {
            // HLT is an automatic exit, and RIP is behind it already (OpenVMM, SNP's HLT exit).
            Event::Halt => Some(0).filter(|_| ahead == 0),
            // The next RIP is not noted; the instruction is decoded.
            Event::Mmio { .. } => Some(0),
            _ => u8::try_from(ahead).ok().filter(|n| (1..=15).contains(n)),
        };
        let length = length.ok_or(NotServed::Unknown(code))?;
        let ring = area.cpl;
        Ok(Some(Exit {
            event,
            length,
            ring,
            hint: false,
        }))
    }
}

impl LowerGuest for Vmpl2 {
    /// Keeps the secrets page, and leaves a copy without the keys of VMPL 0 and 1.
    fn hide_secrets(&mut self, memory: &Memory) {
        let mut secrets: SecretsPage = memory.read(SECRETS_PAGE);
        memory.write(SECRETS_COPY, &secrets);
        secrets.vmpck[0] = [0; 32];
        secrets.vmpck[1] = [0; 32];
        memory.write(SECRETS_PAGE, &secrets);
    }

    fn grant(&mut self, pages: Pages, access: Grant) -> Result<(), Refusal> {
        let permissions = match access {
            Grant::Read => PERM_READ,
            Grant::All => PERM_ALL,
        };
        let mut pieces = pages.pieces();
        pieces.try_for_each(|piece| self.permit(piece.virt, piece.large, permissions))
    }

    fn build(&mut self, context: &InitialVpContext) -> Result<(), Refusal> {
        *self.vmsa.get_mut() = vmsa::lower(context);
        self.offered = None;
        if self.registered {
            return Ok(());
        }
        let virt = crate::memory::virt(self.vmsa.gpa());
        rmp::rmpadjust(&mut self.rmp, virt, false, LOWER, 0, true)
            .map_err(|_| Refusal::RmpadjustFailed)?;
        request::ap_create(
            &mut self.ghcb,
            self.apic_id,
            LOWER,
            self.vmsa.gpa(),
            LOWER_FEATURES,
            false,
        )
        .map_err(|_| Refusal::LowerContextRefused)?;
        self.registered = true;
        Ok(())
    }

    fn enter(&mut self) -> Result<Option<Exit>, NotServed> {
        // A host that does not run the context refuses it, whatever its code.
        ghcb_msr::run_vmpl(&mut self.msr, LOWER).map_err(|_| Error::Platform {
            operation: "run-VMPL",
            status: LOWER.into(),
        })?;
        self.exit()
    }

    fn registers(&self) -> GuestRegisters {
        let a = self.vmsa.get();
        GuestRegisters {
            general: [
                a.rax, a.rcx, a.rdx, a.rbx, a.rsp, a.rbp, a.rsi, a.rdi, a.r8, a.r9, a.r10, a.r11,
                a.r12, a.r13, a.r14, a.r15,
            ],
            rip: a.rip,
        }
    }

    fn set_registers(&mut self, registers: &GuestRegisters) {
        let a = self.vmsa.get_mut();
        [
            a.rax, a.rcx, a.rdx, a.rbx, a.rsp, a.rbp, a.rsi, a.rdi, a.r8, a.r9, a.r10, a.r11,
            a.r12, a.r13, a.r14, a.r15,
        ] = registers.general;
        a.rip = registers.rip;
        // The instruction is done, so that no shadow of it is left.
        a.vintr_ctrl &= !vintr::SHADOW;
    }

    /// The processor waits for RFLAGS.IF itself. Priorities are the APIC's.
    fn offer(&mut self, vector: Option<u8>) {
        if self.offered == vector {
            return;
        }
        self.offered = vector;
        let area = self.vmsa.get_mut();
        let kept = area.vintr_ctrl & (vintr::SHADOW | vintr::BUSY);
        area.vintr_ctrl = kept
            | vector.map_or(0, |vector| {
                let (priority, vector) = (u64::from(vector >> 4), u64::from(vector));
                vintr::IRQ
                    | vintr::GIF
                    | vintr::IGNORE_TPR
                    | priority << vintr::PRIORITY_SHIFT
                    | vector << vintr::VECTOR_SHIFT
            });
    }

    /// The processor clears the request when it delivers the interrupt.
    fn taken(&mut self) -> Option<u8> {
        match self.vmsa.get().vintr_ctrl & vintr::IRQ {
            0 => self.offered.take(),
            _ => None,
        }
    }

    fn tables(&mut self) -> u64 {
        self.vmsa.get().cr3
    }

    fn open_host_calls(&mut self, visibility: &mut dyn PageVisibility) -> Result<(), Refusal> {
        if !self.open {
            ghcb::open(&mut self.ghcb, self.lower_ghcb, visibility)?;
            self.open = true;
        }
        Ok(())
    }

    /// The input travels in the GHCB.
    fn hypercall_of_host(
        &mut self,
        control: u64,
        input: &[u8],
        _: &mut SharedPage,
    ) -> tessera_protocol::error::Result<u64> {
        hypercall::hypercall(&mut self.ghcb, control, input, 0)
    }

    /// VMMCALL.
    fn hypercall_instruction(&self) -> [u8; 3] {
        [0x0F, 0x01, 0xD9]
    }

    fn takes_nmi(&self) -> bool {
        self.vmsa.get().event_inj & event::VALID == 0
    }

    fn inject(&mut self, injection: Injection) {
        let area = self.vmsa.get_mut();
        match injection {
            Injection::GeneralProtection => {
                let kind = event::TYPE_EXCEPTION << event::TYPE_SHIFT;
                area.event_inj = event::VALID | event::ERROR_VALID | kind | u64::from(vector::GP);
            }
            Injection::InvalidOpcode => {
                let kind = event::TYPE_EXCEPTION << event::TYPE_SHIFT;
                area.event_inj = event::VALID | kind | u64::from(vector::UD);
            }
            Injection::Nmi => {
                let kind = event::TYPE_NMI << event::TYPE_SHIFT;
                area.event_inj = event::VALID | kind | u64::from(vector::NMI);
            }
        }
    }

    /// From the page that the security processor vetted.
    fn cpuid(&self, leaf: u32, subleaf: u32) -> [u32; 4] {
        let mut functions = self.cpuid.functions.iter().take(self.cpuid.count as usize);
        let found = functions
            .find(|f| f.eax_in == leaf && (!INDEXED.contains(&leaf) || f.ecx_in == subleaf));
        found.map_or([0; 4], |f| [f.eax, f.ebx, f.ecx, f.edx])
    }

    /// The processor's registers never leave VMPL 2.
    fn rdmsr(&mut self, _: u32) -> Option<u64> {
        None
    }

    fn wrmsr(&mut self, _: u32, _: u64) -> Option<()> {
        None
    }
}
