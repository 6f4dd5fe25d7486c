//! One VMPL of the virtual processor: save area, nested tables, GHCB MSR.

use crate::{
    memory::frames::{Memory, PAGE},
    silicon::snp::{access::View, injection::Injection, vmsa},
    svm::{bitmaps::Bitmaps, npt::Npt, vcpu::Vcpu, vmcb},
};
use tessera_defs::{
    mode::HostProfile,
    snp::{
        status::features,
        vc::event,
        vmsa::{Vmsa, vintr},
    },
    x86::efer,
};
use zerocopy::{FromBytes, IntoBytes};

const CR0_PG: u64 = 1 << 31;
/// DR7 after a reset.
const DR7_RESET: u64 = 0x400;

/// Nested tables of a context at most, and how few they become with many processors: they are a cache.
const MOST_TABLES: usize = 2048;
const LEAST_TABLES: usize = 32;

/// A context that can run.
#[derive(Debug)]
pub struct Context {
    /// Frame of the save area.
    pub frame: u32,
    /// SEV_FEATURES.
    pub features: u64,
    /// How events reach it.
    pub injection: Injection,
    /// How it sees addresses.
    pub view: View,
    /// Registers while it runs.
    pub vcpu: Vcpu,
    /// Nested tables.
    pub npt: Npt,
    /// GHCB MSR.
    pub ghcb_msr: u64,
    /// Address of the GHCB that is registered for it.
    pub registered: Option<u64>,
    /// Address of its #HV doorbell page.
    pub doorbell: Option<u64>,
    /// DR7 as the guest said it to the host.
    pub dr7: u64,
}

impl Context {
    /// A context over the save area in `frame`. `None` where VMRUN would refuse it: EFER.SVME
    /// or SNPActive missing, two ways of injection, or another VMPL in it. `processors`: how many share
    /// the room for tables.
    pub fn new(
        memory: &mut Memory,
        bitmaps: &'static Bitmaps,
        frame: u32,
        vmpl: usize,
        processors: usize,
    ) -> Option<Self> {
        let tables = memory.size() as usize / (512 * PAGE) * 2 + 64;
        let npt = Npt::new(tables.min(MOST_TABLES / processors).max(LEAST_TABLES));
        let mut vcpu = Vcpu::new(bitmaps, npt.root());
        if vmpl == 0 {
            // As KVM has them for every SEV-ES guest.
            vcpu.vmcb.control.intercept_dr |= vmcb::INTERCEPT_DR7;
            vcpu.vmcb.control.intercept_1 |= vmcb::INTERCEPT_1_RDPMC;
        }
        let view = View {
            vmpl,
            vtom: None,
            unpaged: false,
        };
        let mut context = Self {
            frame,
            features: 0,
            injection: Injection::Open,
            view,
            vcpu,
            npt,
            ghcb_msr: 0,
            registered: None,
            doorbell: None,
            dr7: DR7_RESET,
        };
        context.load(memory).then_some(context)
    }

    /// KVM cannot see IRET of an SEV-ES guest: an NMI is served when the guest says so by its event. Other
    /// hosts, and VMPLs below, have NMIs that the processor ends.
    pub fn hear_of_nmis(&mut self, profile: HostProfile) {
        self.vcpu.nmi_ends_by_event = profile == HostProfile::Kvm && self.view.vmpl == 0;
    }

    /// Loads the save area. `false` where VMRUN would refuse it.
    pub fn load(&mut self, memory: &mut Memory) -> bool {
        let Some(area) = read(memory, self.frame) else {
            return false;
        };
        self.features = area.sev_features;
        let Some(injection) = Injection::of(self.features) else {
            return false;
        };
        self.injection = injection;
        let vtom = (area.sev_features & features::VTOM != 0).then_some(area.virtual_tom);
        if vtom != self.view.vtom {
            self.npt.clear();
            self.view.vtom = vtom;
        }
        vmsa::load(&area, &mut self.vcpu);
        self.note_paging();
        area.efer & efer::SVME != 0
            && area.sev_features & features::SNP_ACTIVE != 0
            && usize::from(area.vmpl) == self.view.vmpl
            && vtom.is_none_or(u64::is_power_of_two)
    }

    /// Paging went on or off: addresses mean something else now.
    pub fn note_paging(&mut self) {
        let unpaged = self.vcpu.vmcb.save.cr0 & CR0_PG == 0;
        if self.view.unpaged != unpaged {
            self.view.unpaged = unpaged;
            self.npt.clear();
        }
    }

    /// Stores the save area.
    pub fn store(&self, memory: &mut Memory) {
        if let Some(mut area) = read(memory, self.frame) {
            vmsa::store(&self.vcpu, &mut area);
            write(memory, self.frame, &area);
        }
    }

    /// Interrupts and events are those of the save area; the host's are ignored.
    pub fn alternate(&self) -> bool {
        self.injection == Injection::Alternate
    }

    /// A nested fault interrupted the delivery of an event. The host may not inject it again
    /// (`Vcpu::reinject`): it is noted in the save area, which is busy until VMPL 0 took it.
    /// Whether that was so.
    pub fn hold_event(&mut self, memory: &mut Memory) -> bool {
        let pending = self.vcpu.vmcb.control.exit_int_info;
        let held = self.alternate() && pending & event::VALID != 0;
        if held && let Some(mut area) = read(memory, self.frame) {
            self.vcpu.vmcb.control.event_inj = 0;
            area.guest_exit_int_info = pending;
            area.vintr_ctrl |= vintr::BUSY;
            write(memory, self.frame, &area);
        }
        held
    }

    /// VMRUN would leave at once: VMEXIT_BUSY.
    pub fn busy(&self, memory: &mut Memory) -> bool {
        let area = read(memory, self.frame);
        self.alternate() && area.is_some_and(|area| area.vintr_ctrl & vintr::BUSY != 0)
    }

    /// Writes what a reflected exit says: code, infos, interrupted event, next RIP.
    pub fn reflect(&self, memory: &mut Memory, code: u64, info: [u64; 2], nrip: u64) {
        if let Some(mut area) = read(memory, self.frame) {
            area.guest_exit_code = code;
            [area.guest_exit_info1, area.guest_exit_info2] = info;
            let pending = self.vcpu.vmcb.control.exit_int_info;
            let valid = pending & event::VALID != 0;
            area.guest_exit_int_info = if valid { pending } else { 0 };
            area.guest_nrip = nrip;
            write(memory, self.frame, &area);
        }
    }
}

fn read(memory: &mut Memory, frame: u32) -> Option<Vmsa> {
    Vmsa::read_from_bytes(memory.page(frame)?.as_slice()).ok()
}

fn write(memory: &mut Memory, frame: u32, area: &Vmsa) {
    if let Some(page) = memory.page(frame) {
        page.copy_from_slice(area.as_bytes());
    }
}
