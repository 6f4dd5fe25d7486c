//! Starting further processors where somebody isolates: SNP's save areas and a TD's reset page.

use super::traits::{Pages, Processors, SendIpi, Start};
use crate::refusal::Refusal;
use tessera_defs::hyperv::{GUEST_OS_ID, MSR_GUEST_OS_ID};
use tessera_defs::snp::vmsa::{ATTRIB_CODE64, ATTRIB_DATA, ATTRIB_LDT, ATTRIB_TSS, Segment, Vmsa};
use tessera_defs::start_vp::InitialVpContext;
use tessera_defs::x86::efer;
use tessera_handoff::layout::{RESET_PAGE, RESET_TABLES, WAKE_WORDS};
use tessera_protocol::error::Result as Answer;
use tessera_protocol::ghcb::{hypercall, request};
use tessera_protocol::traits::{Rmp, Vmgexit};
use tessera_protocol::{hyperv, rmp, start_vp};
use zerocopy::{FromZeros, IntoBytes};

/// A private page that a strategy fills.
pub trait Fill {
    /// Writes the whole page at `virt`.
    fn fill(&mut self, virt: u64, page: &[u8; 4096]);
}

/// SNP, VMPL 0: a save area for each processor, made by the guest, run by the host.
#[derive(Debug)]
pub struct SaveAreas<V, R, F> {
    /// The GHCB page.
    pub ghcb: V,
    /// RMPADJUST.
    pub rmp: R,
    /// Where save areas are written.
    pub memory: F,
    /// SEV_FEATURES of the image's own save area, by SEV_STATUS.
    pub features: u64,
    /// Hyper-V has a call of its own.
    pub hyperv: bool,
    /// Numbers whose save area is made; whom the host runs.
    pub made: [u64; 2],
}

impl<V: Vmgexit + Send, R: Rmp + Send, F: Fill + Send> Processors for SaveAreas<V, R, F> {
    fn start(
        &mut self,
        number: u8,
        apic_id: u32,
        start: &Start,
        room: Pages,
        _: SendIpi<'_>,
    ) -> Result<(), Refusal> {
        let bit = 1 << (number & 63);
        let [made, runs] = self.made;
        // A save area that the host may be running is not touched again, nor asked for.
        if runs & bit != 0 {
            return Ok(());
        }
        if made & bit == 0 {
            let area = save_area(start, self.features);
            let bytes = area.as_bytes().first_chunk();
            self.memory
                .fill(room.virt, bytes.ok_or(Refusal::RmpadjustFailed)?);
            rmp::rmpadjust(&mut self.rmp, room.virt, false, 1, 0, true)
                .map_err(|_| Refusal::RmpadjustFailed)?;
            self.made[0] |= bit;
        }
        self.ask(apic_id, room.gpa)
            .map_err(|_| Refusal::ProcessorNotStarted)?;
        self.made[1] |= bit;
        Ok(())
    }
}

impl<V: Vmgexit, R, F> SaveAreas<V, R, F> {
    fn ask(&mut self, apic_id: u32, area: u64) -> Answer<()> {
        let ghcb = &mut self.ghcb;
        if !self.hyperv {
            return request::ap_create(ghcb, apic_id, 0, area, self.features, false);
        }
        // Hypercalls are served to those who say who they are (TLFS 3.13).
        request::wrmsr(ghcb, MSR_GUEST_OS_ID, GUEST_OS_ID)?;
        let context = InitialVpContext {
            rip: area | 1,
            ..InitialVpContext::default()
        };
        let input = start_vp::input(apic_id, context);
        let result = hypercall::hypercall(ghcb, start_vp::CONTROL, input.as_bytes(), 0)?;
        hyperv::check(start_vp::CONTROL, result)
    }
}

/// 64-bit mode at `start.rip`, VMPL 0, interrupts off. What is not set is as after a reset (APM vol. 2,
/// table 14-1).
fn save_area(start: &Start, features: u64) -> Vmsa {
    let flat = |selector, attrib| Segment {
        selector,
        attrib,
        limit: u32::MAX,
        base: 0,
    };
    let mut area = Vmsa::new_zeroed();
    let data = flat(0x10, ATTRIB_DATA);
    (area.ds, area.es, area.ss, area.fs, area.gs) = (data, data, data, data, data);
    area.cs = flat(0x08, ATTRIB_CODE64);
    (area.ldtr, area.tr) = (flat(0, ATTRIB_LDT), flat(0, ATTRIB_TSS));
    area.efer = start.efer | efer::SVME;
    (area.cr0, area.cr3, area.cr4) = (start.cr0, start.cr3, start.cr4);
    (area.rip, area.rflags) = (start.rip, 2);
    (area.dr6, area.dr7) = (0xFFFF_0FF0, 0x400);
    area.g_pat = 0x0007_0406_0007_0406;
    (area.xcr0, area.mxcsr, area.x87_fcw) = (1, 0x1F80, 0x37F);
    area.sev_features = features;
    area
}

/// The pages in which the other processors of a TD wait (`handoff::layout::WAKE`).
pub trait ResetPage {
    /// Gives the tables on which they wait the kernel's half of the tables at `cr3`.
    fn show(&mut self, cr3: u64);
    /// Writes the word of a processor.
    fn wake(&mut self, index: u32, entry: u64);
}

/// TDX: every processor waits for its word from the launch on. Its index is its APIC id: the host
/// made the processors in that order.
#[derive(Debug)]
pub struct WakeWords<P>(pub P);

impl<P: ResetPage + Send> Processors for WakeWords<P> {
    /// The tables, and the page of the words.
    fn pages(&self) -> (u64, u64) {
        (RESET_TABLES, (RESET_PAGE - RESET_TABLES) / 4096 + 1)
    }
    fn start(
        &mut self,
        _: u8,
        apic_id: u32,
        start: &Start,
        _: Pages,
        _: SendIpi<'_>,
    ) -> Result<(), Refusal> {
        if u64::from(apic_id) >= WAKE_WORDS {
            return Err(Refusal::ProcessorNotStarted);
        }
        self.0.show(start.cr3);
        self.0.wake(apic_id, start.rip);
        Ok(())
    }
}
