//! One virtual processor context: VMCB, general registers, floating-point state.

use super::{bitmaps::Bitmaps, vmcb};
use alloc::boxed::Box;
use tessera_defs::snp::{vc::event, vmsa::Segment};

/// Register numbers as instructions encode them.
#[allow(missing_docs)]
pub mod reg {
    pub const RAX: usize = 0;
    pub const RCX: usize = 1;
    pub const RDX: usize = 2;
    pub const RBX: usize = 3;
    pub const RSP: usize = 4;
    pub const RBP: usize = 5;
    pub const RSI: usize = 6;
    pub const RDI: usize = 7;
    pub const R8: usize = 8;
}

const RFLAGS_IF: u64 = 1 << 9;
/// L, in the attributes of a code segment.
const CODE_LONG: u16 = 1 << 9;

/// XSAVE area: the FXSAVE area (APM vol. 2, figure 11-9), the header, and what comes behind it.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
pub struct Fpu(pub [u8; 4096]);

impl Fpu {
    /// x87 and SSE state in the area count: XSTATE_BV bits 0 and 1 (11.5.2).
    pub fn holds_legacy(&mut self) {
        self.0[512] |= 3;
    }
}

/// A context that SVM can run.
#[derive(Debug)]
pub struct Vcpu {
    /// Control block; RAX and RSP of the save area follow `regs` at entry and exit.
    pub vmcb: Box<vmcb::Vmcb>,
    /// General registers, numbered as in `reg`; RIP and RFLAGS are in the VMCB.
    pub regs: [u64; 16],
    /// x87, SSE and extended state.
    pub fpu: Box<Fpu>,
    /// XCR0 and TSC_AUX, which VMRUN does not switch.
    pub unswitched: [u64; 2],
    /// Ticks that the context itself had between its last entry and exit, without the host's.
    pub ran: u64,
    /// RIP was moved behind an instruction whose interrupt goes in again.
    pub behind: bool,
    /// An NMI is served: the next one waits for its end.
    nmi: Nmi,
    /// Which is what the guest says, and not IRET.
    pub nmi_ends_by_event: bool,
}

/// Blocking by NMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nmi {
    Open,
    Served,
    /// IRET is the next instruction.
    Ends,
}

impl Vcpu {
    /// A context at reset values of an SVM guest, with every intercept that a model needs.
    /// `bitmaps` must outlive the context.
    pub fn new(bitmaps: &'static Bitmaps, npt_root: u64) -> Self {
        // Every field is an integer, and a zero byte is a valid value of each.
        let mut vmcb = Box::new(zeroed_vmcb());
        let control = &mut vmcb.control;
        control.intercept_exceptions = vmcb::INTERCEPT_EXCEPTIONS;
        control.intercept_1 = vmcb::INTERCEPT_1;
        control.intercept_2 = vmcb::INTERCEPT_2;
        control.iopm_base = bitmaps.io.as_ptr() as u64;
        control.msrpm_base = bitmaps.msr.as_ptr() as u64;
        control.asid = 1;
        control.int_ctl = vmcb::V_INTR_MASKING | vmcb::V_IGN_TPR;
        control.np_enable = 1;
        control.n_cr3 = npt_root;
        vmcb.save.g_pat = 0x0007_0406_0007_0406;
        vmcb.save.dr6 = 0xFFFF_0FF0;
        vmcb.save.dr7 = 0x400;
        vmcb.save.rflags = 2;
        let mut fpu = Box::new(Fpu([0; 4096]));
        fpu.0[..2].copy_from_slice(&0x37Fu16.to_le_bytes());
        fpu.0[24..28].copy_from_slice(&0x1F80u32.to_le_bytes());
        fpu.holds_legacy();
        Self {
            vmcb,
            regs: [0; 16],
            fpu,
            unswitched: [1, 0],
            ran: 0,
            behind: false,
            nmi: Nmi::Open,
            nmi_ends_by_event: false,
        }
    }

    /// Injects an NMI at the next entry; `false` where another event goes first, or NMIs are blocked.
    pub fn inject_nmi(&mut self) -> bool {
        if self.nmi == Nmi::Ends {
            self.nmi = Nmi::Open;
            return false;
        }
        let control = &mut self.vmcb.control;
        if self.nmi != Nmi::Open || control.event_inj & event::VALID != 0 {
            return false;
        }
        control.event_inj = event::VALID | event::TYPE_NMI << event::TYPE_SHIFT | 2;
        if !self.nmi_ends_by_event {
            control.intercept_1 |= vmcb::INTERCEPT_1_IRET;
        }
        self.nmi = Nmi::Served;
        true
    }

    /// The guest says that it served the NMI.
    pub fn complete_nmi(&mut self) {
        if self.nmi_ends_by_event {
            self.nmi = Nmi::Open;
        }
    }

    /// The handler of an NMI is at its IRET.
    pub fn end_nmi(&mut self) {
        self.nmi = Nmi::Ends;
        self.vmcb.control.intercept_1 &= !vmcb::INTERCEPT_1_IRET;
    }

    /// PAUSE exits, or not.
    pub fn watch_pause(&mut self, watched: bool) {
        let control = &mut self.vmcb.control;
        control.intercept_1 &= !vmcb::INTERCEPT_1_PAUSE;
        control.intercept_1 |= if watched { vmcb::INTERCEPT_1_PAUSE } else { 0 };
    }

    /// The linear address of RIP: in 64-bit mode CS has no base.
    pub fn linear_rip(&self) -> u64 {
        let save = &self.vmcb.save;
        let long = self.long_mode() && save.cs.attrib & CODE_LONG != 0;
        save.rip.wrapping_add(if long { 0 } else { save.cs.base })
    }

    /// INIT: the state of a processor that waits for its startup IPI (APM vol. 2, table 14-1);
    /// x87 and SSE state stays. `signature` is EAX of CPUID leaf 1.
    pub fn init(&mut self, signature: u32) {
        let save = &mut self.vmcb.save;
        let real = |selector: u16, attrib| Segment {
            selector,
            attrib,
            limit: 0xFFFF,
            base: u64::from(selector) << 4,
        };
        save.cs = Segment {
            base: 0xFFFF_0000,
            ..real(0xF000, 0x9B)
        };
        let data = real(0, 0x93);
        (save.ds, save.es, save.ss, save.fs, save.gs) = (data, data, data, data, data);
        (save.gdtr, save.idtr) = (real(0, 0), real(0, 0));
        (save.ldtr, save.tr) = (real(0, 0x82), real(0, 0x8B));
        (save.rip, save.rflags, save.cpl) = (0xFFF0, 2, 0);
        (save.cr0, save.cr2, save.cr3, save.cr4) = (1 << 4, 0, 0, 0);
        (save.dr6, save.dr7) = (0xFFFF_0FF0, 0x400);
        save.efer = tessera_defs::x86::efer::SVME;
        self.regs = [0; 16];
        self.regs[reg::RDX] = signature.into();
        let control = &mut self.vmcb.control;
        (control.event_inj, control.interrupt_shadow) = (0, 0);
        control.intercept_1 &= !vmcb::INTERCEPT_1_IRET;
        (self.behind, self.nmi) = (false, Nmi::Open);
    }

    /// A startup IPI after INIT: real mode at the start of 4 KiB page `page`.
    pub fn start_up(&mut self, page: u8) {
        let save = &mut self.vmcb.save;
        save.cs.selector = u16::from(page) << 8;
        save.cs.base = u64::from(page) << 12;
        save.rip = 0;
    }

    /// Moves RIP past an instruction of `length` bytes, and ends an interrupt shadow.
    pub fn skip(&mut self, length: u64) {
        self.vmcb.save.rip = self.vmcb.save.rip.wrapping_add(length);
        self.vmcb.control.interrupt_shadow = 0;
    }

    /// Injects an exception at the next entry, with its error code where it has one.
    pub fn inject_exception(&mut self, vector: u8, error: Option<u32>) {
        let mut event = event::VALID | event::TYPE_EXCEPTION << event::TYPE_SHIFT;
        event |= u64::from(vector);
        if let Some(error) = error {
            event |= event::ERROR_VALID | u64::from(error) << 32;
        }
        self.vmcb.control.event_inj = event;
    }

    /// Offers an external interrupt: taken when the guest's IF allows it.
    pub fn offer_interrupt(&mut self, vector: Option<u8>) {
        let control = &mut self.vmcb.control;
        control.int_ctl &= !(vmcb::V_IRQ | 0xF_0000);
        if let Some(vector) = vector {
            control.int_ctl |= vmcb::V_IRQ | u32::from(vector >> 4) << 16;
            control.int_vector = u32::from(vector);
        }
    }

    /// An offered interrupt that the guest takes before its next instruction becomes an injected
    /// event: QEMU runs one block after VMRUN before it looks at V_IRQ, the processor looks
    /// first (APM vol. 2, 15.21.4), and the next instruction may be CLI.
    pub fn take_at_once(&mut self) {
        let open = self.vmcb.save.rflags & RFLAGS_IF != 0;
        let control = &mut self.vmcb.control;
        let busy = control.event_inj & event::VALID != 0 || control.interrupt_shadow & 1 != 0;
        let watched = control.intercept_1 & vmcb::INTERCEPT_1_VINTR != 0;
        if open && !busy && !watched && control.int_ctl & vmcb::V_IRQ != 0 {
            control.int_ctl &= !vmcb::V_IRQ;
            control.event_inj = event::VALID | u64::from(control.int_vector);
        }
    }

    /// Whether the interrupt offered before this exit was taken.
    pub fn interrupt_taken(&self) -> bool {
        self.vmcb.control.int_ctl & vmcb::V_IRQ == 0
    }

    /// The event whose delivery this exit interrupted, as a processor notes it. QEMU notes an
    /// interrupt that it took by V_IRQ, and an NMI, as exceptions, and leaves V_IRQ set.
    pub fn name_interrupted(&mut self) {
        let control = &mut self.vmcb.control;
        let pending = control.exit_int_info;
        let kind = match (pending as u8, pending >> event::TYPE_SHIFT & 7) {
            (2, event::TYPE_EXCEPTION) => event::TYPE_NMI,
            (32.., event::TYPE_EXCEPTION) => event::TYPE_INTR,
            _ => return,
        };
        if pending & event::VALID != 0 {
            let rest = pending & !(7 << event::TYPE_SHIFT);
            control.exit_int_info = rest | kind << event::TYPE_SHIFT;
            if kind == event::TYPE_INTR {
                control.int_ctl &= !vmcb::V_IRQ;
            }
        }
    }

    /// An event whose delivery was interrupted by this exit goes in again.
    pub fn reinject(&mut self) {
        let pending = self.vmcb.control.exit_int_info;
        if pending & event::VALID != 0 {
            self.vmcb.control.event_inj = pending;
        }
    }

    /// The guest is in 64-bit or compatibility mode.
    pub fn long_mode(&self) -> bool {
        self.vmcb.save.efer & tessera_defs::x86::efer::LMA != 0
    }

    /// Low halves of RAX and RDX as one value, as RDMSR/WRMSR use them.
    pub fn edx_eax(&self) -> u64 {
        self.regs[reg::RDX] << 32 | self.regs[reg::RAX] & 0xFFFF_FFFF
    }

    /// Sets RAX and RDX as RDMSR does.
    pub fn set_edx_eax(&mut self, value: u64) {
        self.regs[reg::RAX] = value & 0xFFFF_FFFF;
        self.regs[reg::RDX] = value >> 32;
    }
}

fn zeroed_vmcb() -> vmcb::Vmcb {
    let none = tessera_defs::snp::vmsa::Segment::default();
    vmcb::Vmcb {
        control: vmcb::Control {
            intercept_cr: 0,
            intercept_dr: 0,
            intercept_exceptions: 0,
            intercept_1: 0,
            intercept_2: 0,
            intercept_3: 0,
            reserved_018: [0; 0x28],
            iopm_base: 0,
            msrpm_base: 0,
            tsc_offset: 0,
            asid: 0,
            tlb_control: 0,
            int_ctl: 0,
            int_vector: 0,
            interrupt_shadow: 0,
            exit_code: 0,
            exit_info_1: 0,
            exit_info_2: 0,
            exit_int_info: 0,
            np_enable: 0,
            reserved_098: [0; 0x10],
            event_inj: 0,
            n_cr3: 0,
            lbr: 0,
            clean: 0,
            reserved_0c4: 0,
            nrip: 0,
            reserved_0d0: [0; 0x330],
        },
        save: vmcb::Save {
            es: none,
            cs: none,
            ss: none,
            ds: none,
            fs: none,
            gs: none,
            gdtr: none,
            ldtr: none,
            idtr: none,
            tr: none,
            reserved_0a0: [0; 0x2B],
            cpl: 0,
            reserved_0cc: 0,
            efer: 0,
            reserved_0d8: [0; 0x70],
            cr4: 0,
            cr3: 0,
            cr0: 0,
            dr7: 0,
            dr6: 0,
            rflags: 0,
            rip: 0,
            reserved_180: [0; 0x58],
            rsp: 0,
            reserved_1e0: [0; 0x18],
            rax: 0,
            star: 0,
            lstar: 0,
            cstar: 0,
            sfmask: 0,
            kernel_gs_base: 0,
            sysenter_cs: 0,
            sysenter_esp: 0,
            sysenter_eip: 0,
            cr2: 0,
            reserved_248: [0; 0x20],
            g_pat: 0,
            reserved_270: [0; 0x990],
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_event_goes_in_again_as_what_it_is() {
        let mut vcpu = Vcpu::new(Box::leak(Bitmaps::new()), 0);
        for (noted, again, taken) in [
            (0x8000_0340, 0x8000_0040, true),
            (0x8000_0302, 0x8000_0202, false),
            (0x7_8000_0B0E, 0x7_8000_0B0E, false),
            (0x0000_0340, 0, false),
        ] {
            vcpu.offer_interrupt(Some(0x40));
            vcpu.vmcb.control.exit_int_info = noted;
            vcpu.vmcb.control.event_inj = 0;
            vcpu.name_interrupted();
            vcpu.reinject();
            assert_eq!(vcpu.vmcb.control.event_inj, again, "{noted:#x}");
            assert_eq!(vcpu.interrupt_taken(), taken, "{noted:#x}");
        }
    }

    #[test]
    fn an_nmi_waits_for_the_iret_of_the_one_before() {
        let mut vcpu = Vcpu::new(Box::leak(Bitmaps::new()), 0);
        assert!(vcpu.inject_nmi());
        vcpu.vmcb.control.event_inj = 0;
        assert!(!vcpu.inject_nmi(), "the first is served");
        vcpu.end_nmi();
        assert!(!vcpu.inject_nmi(), "its IRET comes first");
        assert!(vcpu.inject_nmi());
    }

    #[test]
    fn a_startup_begins_in_real_mode_at_its_page() {
        let mut vcpu = Vcpu::new(Box::leak(Bitmaps::new()), 0);
        vcpu.vmcb.save.efer = 0x1500;
        vcpu.init(0xA00F11);
        vcpu.start_up(8);
        assert_eq!((vcpu.linear_rip(), vcpu.vmcb.save.cr0), (0x8000, 0x10));
        assert_eq!(vcpu.vmcb.save.cs.selector, 0x800);
        assert_eq!(vcpu.regs[reg::RDX], 0xA00F11);
    }
}
