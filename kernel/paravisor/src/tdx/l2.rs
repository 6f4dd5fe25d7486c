//! L2 VM 1: page attributes give it pages, TDG.VP.ENTER runs it and brings its exits. Sources:
//! 354807 (TD partitioning), 348551 (TDG.VP.ENTER, TDG.MEM.PAGE.ATTR.WR).
#![allow(unsafe_code)] // reason: TDCALL of the L1, and the page it lends

use super::entry_state::{self, CR4_FIXED};
use crate::lower::{Exit, Grant, GuestRegisters, Injection, LowerGuest};
use crate::memory::{Memory, OwnPage};
use tessera_defs::refusal::Refusal;
use tessera_defs::start_vp::InitialVpContext;
use tessera_defs::tdx::field::vmcs1;
use tessera_defs::tdx::page::{SHARED_BIT, attr};
use tessera_defs::tdx::tdcall::{L2_VM, L2EnterState};
use tessera_defs::vmx::{self, control::primary, event, interruptibility, vmcs};
use tessera_defs::x86::{MSR_EFER, MSR_PAT, MSR_TSC_AUX, efer, vector};
use tessera_handoff::layout::room;
use tessera_hw::host::TdcallPort;
use tessera_hw::instr;
use tessera_hw::shared::SharedPage;
use tessera_isolation::strategy::traits::Pages;
use tessera_protocol::error::Result as Protocol;
use tessera_protocol::exception::event::{Event, NotServed};
use tessera_protocol::exception::ve;
use tessera_protocol::tdx::lower::{self, L2Exit};
use tessera_protocol::tdx::memory as page;
use tessera_protocol::tdx::module::{vp_rd, vp_wr};
use tessera_protocol::tdx::vmcall::VmcallHypercall;
use tessera_protocol::traits::Hypercall;
use zerocopy::FromZeros;

const RFLAGS_IF: u64 = 1 << 9;

/// Bits of CPUID leaves, EAX to EDX: FMA, XSAVE, OSXSAVE, AVX, F16C; AVX2, MPX, AVX-512, PKU,
/// VAES, VPCLMULQDQ, AMX and their kin in all subleaves; the state components. SDM vol. 2, CPUID.
const NEEDS_XSAVE: [(u32, [u32; 4]); 3] = [
    (1, [0, 0, 1 << 12 | 0b111 << 26 | 1 << 29, 0]),
    (7, [1 << 4 | 1 << 5, 0xDC23_4020, 0x5E5A, 0x0340_010C]),
    (0xD, [u32::MAX; 4]),
];

/// An event for the next entry: entry interruption information, error code, and the length of
/// a software interrupt's instruction.
#[derive(Clone, Copy)]
struct Injected {
    information: u32,
    error: u32,
    length: u32,
}

/// The lower guest in L2 VM 1, on one virtual processor.
pub struct L2Vm {
    call: TdcallPort,
    state: OwnPage<L2EnterState>,
    /// The virtual-APIC page: the module demands one; the guest's x2APIC accesses exit.
    apic_page: u64,
    /// What the next entry injects.
    injection: Option<Injected>,
    /// The last exit's instruction is done, so that no shadow of it is left.
    stepped: bool,
    /// An exit was asked for as soon as the guest takes interrupts.
    window: bool,
    /// The interrupt that goes in.
    given: Option<u8>,
}

impl L2Vm {
    /// Called once a processor.
    pub fn new(index: usize) -> Self {
        let room = room::of(index);
        // SAFETY: L1 of a TD; the page of the state is nothing else's.
        let (call, state) = unsafe { (TdcallPort::new(), OwnPage::new(room + room::LOWER)) };
        Self {
            call,
            state,
            apic_page: room + room::APIC,
            injection: None,
            stepped: false,
            window: false,
            given: None,
        }
    }

    fn write(&mut self, encoding: u32, value: u64, mask: u64) -> Protocol<()> {
        vp_wr(&mut self.call, vmcs1(encoding), value, mask)?;
        Ok(())
    }

    /// Asks for an exit once the guest takes interrupts, or no longer.
    fn request_window(&mut self, wanted: bool) {
        let bit = u64::from(primary::INTERRUPT_WINDOW);
        let value = if wanted { bit } else { 0 };
        if self.window != wanted && self.write(vmcs::PRIMARY_CONTROLS, value, bit).is_ok() {
            self.window = wanted;
        }
    }

    /// Whether an external interrupt can be injected now.
    fn takes_interrupts(&mut self) -> bool {
        let shadow = u64::from(interruptibility::STI | interruptibility::MOV_SS);
        let field = vmcs1(vmcs::GUEST_INTERRUPTIBILITY);
        let blocked = if self.stepped {
            vp_wr(&mut self.call, field, 0, shadow).is_err()
        } else {
            !vp_rd(&mut self.call, field).is_ok_and(|bits| bits & shadow == 0)
        };
        let open = self.state.get().rflags & RFLAGS_IF != 0;
        open && !blocked && self.injection.is_none()
    }

    /// Injects an event without an error code, or with 0.
    fn inject_event(&mut self, what: u32) {
        self.injection = Some(Injected {
            information: event::VALID | what,
            error: 0,
            length: 0,
        });
    }

    /// The event for the next entry; none leaves the field invalid.
    fn load_injection(&mut self) -> Protocol<()> {
        if let Some(event) = self.injection {
            let mut write = |field, value: u32| self.write(field, value.into(), 0xFFFF_FFFF);
            write(vmcs::ENTRY_EXCEPTION_ERROR_CODE, event.error)?;
            write(vmcs::ENTRY_INSTRUCTION_LENGTH, event.length)?;
            write(vmcs::ENTRY_INTERRUPTION_INFO, event.information)?;
        }
        Ok(())
    }

    /// The L2 ran. What was injected is delivered; an event whose delivery this exit interrupted
    /// goes in again.
    fn interrupted(&mut self, exit: &L2Exit) {
        let (vectoring, error) = (exit.vectoring as u32, (exit.vectoring >> 32) as u32);
        self.injection = (vectoring & event::VALID != 0).then_some(Injected {
            information: vectoring & !event::RESERVED,
            error,
            length: exit.length,
        });
    }

    /// What an exit of the L2 asks for.
    fn exit(&mut self, exit: &L2Exit) -> Result<Option<Exit>, NotServed> {
        if exit.reason & vmx::ENTRY_FAILURE != 0 {
            return Err(NotServed::Unknown(exit.reason.into()));
        }
        match exit.reason & vmx::BASIC_REASON {
            vmx::EXTERNAL_INTERRUPT | vmx::INTERRUPT_WINDOW => Ok(None),
            // Ring 0's instruction: a process of the guest must not end the guest by it.
            vmx::TDCALL if exit.cpl != 0 => {
                self.inject(Injection::GeneralProtection);
                Ok(None)
            }
            // TDG.VP.VMCALL is the host's; nothing else is served.
            vmx::TDCALL => Err(NotServed::Unknown(vmx::TDCALL.into())),
            vmx::CR_ACCESS => self.write_cr4(exit),
            reason => {
                let event = ve::event(reason, exit.qualification, exit.gpa)?;
                let event = ve::shared_only(event, 1 << SHARED_BIT)?;
                let length = u8::try_from(exit.length).ok().filter(|n| *n <= 15);
                let length = length.filter(|n| *n > 0 || matches!(event, Event::Mmio { .. }));
                let length = length.ok_or(NotServed::Unknown(exit.reason.into()))?;
                let ring = exit.cpl;
                Ok(Some(Exit {
                    event,
                    length,
                    ring,
                    hint: false,
                }))
            }
        }
    }
}

/// The host has no page for a private address, and resumed L1: a device of the paravisor's may
/// stand there, or the host only says so.
fn host_routed(exit: &L2Exit) -> Option<Exit> {
    (exit.reason & vmx::BASIC_REASON == vmx::EPT_VIOLATION).then_some(Exit {
        event: Event::Mmio { gpa: exit.gpa },
        length: 0,
        ring: exit.cpl,
        hint: true,
    })
}

impl L2Vm {
    /// MOV to CR4 that changes a bit which is fixed in an L2 VM: the guest sees it as it wrote it. No
    /// other access exits. Qualification: SDM vol. 3, table 28-3.
    fn write_cr4(&mut self, exit: &L2Exit) -> Result<Option<Exit>, NotServed> {
        const MOV_TO: u64 = 4;
        if exit.qualification & 0xFF != MOV_TO {
            return Err(NotServed::Unknown(vmx::CR_ACCESS.into()));
        }
        let mut registers = self.registers();
        let value = registers.general[(exit.qualification >> 8 & 0xF) as usize];
        let real = value | CR4_FIXED;
        if self.write(vmcs::GUEST_CR4, real, u64::MAX).is_err() {
            self.inject(Injection::GeneralProtection);
            return Ok(None);
        }
        self.write(vmcs::CR4_READ_SHADOW, value, u64::MAX)?;
        registers.rip = registers.rip.wrapping_add(exit.length.into());
        self.set_registers(&registers);
        Ok(None)
    }
}

impl LowerGuest for L2Vm {
    /// The image has no secrets on TDX: keys come by TDCALL, which is L1's.
    fn hide_secrets(&mut self, _: &Memory) {}

    /// The module does not say by its status whether attributes were set, so they are compared.
    fn grant(&mut self, pages: Pages, access: Grant) -> Result<(), Refusal> {
        let bits = match access {
            Grant::Read => attr::R,
            Grant::All => attr::RWX,
        };
        let mut pieces = pages.pieces();
        pieces.try_for_each(|piece| {
            page::grant(&mut self.call, piece.gpa, piece.large, bits)
                .map_err(|_| Refusal::TdcallFailed)
        })
    }

    fn build(&mut self, context: &InitialVpContext) -> Result<(), Refusal> {
        entry_state::write(&mut self.call, context, self.apic_page)
            .map_err(|_| Refusal::LowerContextRefused)?;
        let mut state = L2EnterState::new_zeroed();
        (state.rip, state.rsp) = (context.rip, context.rsp);
        state.rflags = context.rflags | 2;
        *self.state.get_mut() = state;
        (self.injection, self.given, self.stepped) = (None, None, false);
        self.request_window(false);
        Ok(())
    }

    fn enter(&mut self) -> Result<Option<Exit>, NotServed> {
        self.load_injection()?;
        let left = lower::enter(&mut self.call, L2_VM, self.state.gpa())?;
        self.stepped = false;
        match left {
            lower::Exit::NotEntered => Ok(None),
            lower::Exit::PendingInterrupt(exit) => {
                self.interrupted(&exit);
                Ok(None)
            }
            lower::Exit::HostRouted(exit) => {
                self.interrupted(&exit);
                Ok(host_routed(&exit))
            }
            lower::Exit::L2(exit) => {
                self.interrupted(&exit);
                self.exit(&exit)
            }
        }
    }

    fn registers(&self) -> GuestRegisters {
        let s = self.state.get();
        GuestRegisters {
            general: [
                s.rax, s.rcx, s.rdx, s.rbx, s.rsp, s.rbp, s.rsi, s.rdi, s.r8, s.r9, s.r10, s.r11,
                s.r12, s.r13, s.r14, s.r15,
            ],
            rip: s.rip,
        }
    }

    fn set_registers(&mut self, registers: &GuestRegisters) {
        let s = self.state.get_mut();
        [
            s.rax, s.rcx, s.rdx, s.rbx, s.rsp, s.rbp, s.rsi, s.rdi, s.r8, s.r9, s.r10, s.r11,
            s.r12, s.r13, s.r14, s.r15,
        ] = registers.general;
        s.rip = registers.rip;
        self.stepped = true;
    }

    fn offer(&mut self, vector: Option<u8>) {
        let Some(vector) = vector else {
            return self.request_window(false);
        };
        let takes = self.takes_interrupts();
        self.request_window(!takes);
        if takes {
            self.inject_event(event::EXTERNAL | u32::from(vector));
            self.given = Some(vector);
        }
    }

    /// What was injected is delivered, whatever interrupts it.
    fn taken(&mut self) -> Option<u8> {
        self.given.take()
    }

    fn tables(&mut self) -> u64 {
        vp_rd(&mut self.call, vmcs1(vmcs::GUEST_CR3)).unwrap_or(0)
    }

    fn hypercall_of_host(
        &mut self,
        control: u64,
        input: &[u8],
        page: &mut SharedPage,
    ) -> Protocol<u64> {
        page.write(0, input);
        Ok(VmcallHypercall(&mut self.call).hypercall(control, page.gpa(), 0))
    }

    /// VMCALL.
    fn hypercall_instruction(&self) -> [u8; 3] {
        [0x0F, 0x01, 0xC1]
    }

    fn takes_nmi(&self) -> bool {
        self.injection.is_none()
    }

    fn inject(&mut self, injection: Injection) {
        let what = match injection {
            Injection::GeneralProtection => {
                event::EXCEPTION | event::ERROR_CODE | u32::from(vector::GP)
            }
            Injection::InvalidOpcode => event::EXCEPTION | u32::from(vector::UD),
            Injection::Nmi => event::NMI | u32::from(vector::NMI),
        };
        self.inject_event(what);
    }

    /// The module answers L1's CPUID itself, but for the hypervisor's leaves. XSETBV of an L2 VM
    /// exits to L1 (SDM vol. 3, 26.1.2), which does not serve it: XSAVE and what needs it are not
    /// offered.
    fn cpuid(&self, leaf: u32, subleaf: u32) -> [u32; 4] {
        let answer = instr::cpuid(leaf, subleaf);
        let mut values = [answer.eax, answer.ebx, answer.ecx, answer.edx];
        let hidden = NEEDS_XSAVE.iter().find(|(hidden, _)| *hidden == leaf);
        if let Some((_, bits)) = hidden {
            values
                .iter_mut()
                .zip(bits)
                .for_each(|(value, bits)| *value &= !bits);
        }
        values
    }

    fn rdmsr(&mut self, msr: u32) -> Option<u64> {
        let field = match msr {
            MSR_EFER => vmcs::GUEST_EFER,
            MSR_PAT => vmcs::GUEST_PAT,
            // SAFETY: the module switches it between TDs, not between the VMs of one; L1 uses it
            // for nothing.
            MSR_TSC_AUX => return Some(unsafe { instr::rdmsr(MSR_TSC_AUX) }),
            _ => return None,
        };
        vp_rd(&mut self.call, vmcs1(field)).ok()
    }

    /// Of EFER only SCE changes: the guest stays in long mode, NXE is fixed.
    fn wrmsr(&mut self, msr: u32, value: u64) -> Option<()> {
        match msr {
            MSR_EFER if value & !efer::SCE == efer::LME | efer::LMA | efer::NXE => {
                self.write(vmcs::GUEST_EFER, value, efer::SCE).ok()
            }
            MSR_PAT => self.write(vmcs::GUEST_PAT, value, u64::MAX).ok(),
            MSR_TSC_AUX if value >> 32 == 0 => {
                // SAFETY: as above.
                unsafe { instr::wrmsr(MSR_TSC_AUX, value) };
                Some(())
            }
            _ => None,
        }
    }
}
