//! Launch: pages into the guest, the CPUID and secrets pages, memory that comes with it.

use super::{Context, Snp, processor::Processor, reset};
use crate::{
    memory::{
        frames::{Memory, PAGE},
        runs::BLOCK,
    },
    platform::{LaunchPage, PageKind},
    report,
    silicon::snp::{messages::SecurityProcessor, report::Guest},
    vmm::{Vmm, cpuid::MILAN, lies, parameters::FIRMWARE},
};
use alloc::{boxed::Box, format, string::String};
use tessera_defs::{
    mode::HostProfile,
    snp::{
        cpuid_page::{CpuidFunction, CpuidPage},
        launch::page_type,
        secrets::SecretsPage,
        status::POLICY_DEBUG,
        vmsa::BSP_VMSA_GPA,
    },
};
use tessera_handoff::layout;
use zerocopy::{FromZeros, IntoBytes};

/// Leaves of the CPUID page: (leaf, sub-leaf).
const LEAVES: [(u32, u32); 24] = [
    (0, 0),
    (1, 0),
    (2, 0),
    (6, 0),
    (7, 0),
    (0xB, 0),
    (0xB, 1),
    (0x8000_0000, 0),
    (0x8000_0001, 0),
    (0x8000_0002, 0),
    (0x8000_0003, 0),
    (0x8000_0004, 0),
    (0x8000_0005, 0),
    (0x8000_0006, 0),
    (0x8000_0007, 0),
    (0x8000_0008, 0),
    (0x8000_001F, 0),
    (0x4000_0000, 0),
    (0x4000_0001, 0),
    (0x4000_0002, 0),
    (0x4000_0003, 0),
    (0x4000_0004, 0),
    (0x4000_0005, 0),
    (0x4000_000C, 0),
];

impl Snp {
    /// SNP_LAUNCH_UPDATE of one page.
    pub(super) fn launch_page(
        &mut self,
        memory: &mut Memory,
        page: &LaunchPage<'_>,
    ) -> Result<(), String> {
        let gfn = page.gpa / PAGE as u64;
        let frame = match memory.frame(gfn) {
            Some(frame) => frame,
            None => memory.spare().ok_or("no frame is left for the image")?,
        };
        if self.rmp.get(frame).assigned {
            return Err(format!("the image gives page {:#x} twice", page.gpa));
        }
        memory.map(gfn, Some(frame));
        let bytes = memory.page(frame).ok_or("a frame outside the pool")?;
        bytes.fill(0);
        bytes[..page.content.len()].copy_from_slice(page.content);
        if page.kind == PageKind::Shared {
            return Ok(());
        }
        self.rmp.launch(frame, gfn, page.kind == PageKind::Context);
        match page.kind {
            PageKind::Normal if page.content.is_empty() => {
                self.digest.add_zeros(page_type::NORMAL, page.gpa);
            }
            PageKind::Normal => self.digest.add(page_type::NORMAL, page.gpa, Some(bytes)),
            PageKind::Context => {
                self.digest.add(page_type::VMSA, page.gpa, Some(bytes));
                let context = Context::new(memory, self.bitmaps, frame, 0, 1);
                self.vp.contexts[0] = Some(Box::new(context.ok_or("the VMSA cannot be run")?));
            }
            PageKind::Secrets => {
                self.digest.add(page_type::SECRETS, page.gpa, None);
                self.secrets = Some(frame);
            }
            PageKind::Cpuid => {
                self.digest.add(page_type::CPUID, page.gpa, None);
                self.cpuid = Some(frame);
            }
            _ => self.digest.add(page_type::UNMEASURED, page.gpa, None),
        }
        Ok(())
    }

    /// SNP_LAUNCH_FINISH, and the memory that the host gives or withholds.
    pub(super) fn finish_launch(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
    ) -> Result<String, String> {
        // KVM ends a launch with the save areas of all processors, in their order; the file's
        // was last before them.
        if vmm.scenario.profile == HostProfile::Kvm {
            let area = reset::save_area(MILAN);
            for _ in 1..vmm.scenario.smp {
                self.digest
                    .add(page_type::VMSA, BSP_VMSA_GPA, Some(area.as_bytes()));
            }
        }
        let secrets = secrets(vmm);
        self.keys = [secrets.vmpck[0], secrets.vmpck[1]];
        let place = self.secrets.and_then(|frame| memory.page(frame));
        if let Some(page) = place.filter(|_| !vmm.tells(lies::SECRETS_PAGE_EMPTY)) {
            page.copy_from_slice(secrets.as_bytes());
        }
        self.launch_guest(vmm, secrets.vmpck);
        if let Some(page) = self.cpuid.and_then(|frame| memory.page(frame)) {
            page.copy_from_slice(cpuid_page(vmm).as_bytes());
        }
        self.give_memory(vmm, memory);
        for _ in 1..vmm.scenario.smp {
            self.others.add(Processor::default());
        }
        let first = self.vp.contexts[0].as_mut();
        let first = first.ok_or("the image has no VMSA")?;
        first.hear_of_nmis(vmm.scenario.profile);
        self.features = first.features;
        Ok(report::hex(&self.digest.value()))
    }

    /// What the guest context holds from now on.
    fn launch_guest(&mut self, vmm: &mut Vmm, keys: [[u8; 32]; 4]) {
        if vmm.tells(lies::DEBUG_POLICY) {
            self.policy |= POLICY_DEBUG;
        }
        let guest = Guest {
            policy: self.policy,
            measurement: self.digest.value(),
            report_id: core::array::from_fn(|_| vmm.random() as u8),
        };
        self.processor = SecurityProcessor::new(keys, guest);
    }

    /// Memory outside the image: assigned by Hyper-V (2 MiB entries where they fit), the host's
    /// own by KVM.
    fn give_memory(&mut self, vmm: &Vmm, memory: &mut Memory) {
        let pages = memory.size() / PAGE as u64;
        let image_end = layout::IMAGE_END / PAGE as u64;
        if vmm.firmware_memory() {
            FIRMWARE.for_each(|gfn| memory.map(gfn, Some(gfn as u32)));
        }
        if vmm.scenario.lies(lies::PAGE_WITHHELD) {
            memory.withhold(image_end);
        }
        if vmm.tells(lies::DOUBLE_VALIDATE) {
            for gfn in image_end..image_end + 512 {
                if let Some(frame) = memory.frame(gfn) {
                    self.rmp.launch(frame, gfn, false);
                    self.digest
                        .add(page_type::UNMEASURED, gfn * PAGE as u64, None);
                }
            }
        }
        if vmm.memory_comes_shared() {
            return;
        }
        let small = vmm.scenario.lies(lies::SIZE_MISMATCH);
        let mut gfn = 0;
        while gfn < pages {
            let large = gfn >= image_end && !small && (gfn & !(BLOCK - 1)) + BLOCK <= pages;
            if large && self.give_block(memory, gfn, true) {
                gfn += BLOCK;
                continue;
            }
            let free = |frame: &u32| !self.rmp.get(*frame).assigned;
            if let Some(frame) = memory.frame(gfn).filter(free) {
                self.rmp.update(frame, Some(gfn), large);
            }
            gfn += 1;
        }
    }
}

/// Keys are pseudo-random by the seed.
fn secrets(vmm: &mut Vmm) -> SecretsPage {
    let mut page = SecretsPage::new_zeroed();
    page.version = 3;
    for key in page.vmpck.iter_mut().flatten() {
        *key = vmm.random() as u8;
    }
    page
}

fn cpuid_page(vmm: &Vmm) -> CpuidPage {
    let mut page = CpuidPage::new_zeroed();
    page.count = LEAVES.len() as u32;
    let tampered = vmm.tells(lies::CPUID_TAMPERED);
    for (place, (leaf, sub)) in page.functions.iter_mut().zip(LEAVES) {
        let [eax, ebx, ecx, edx] = vmm.cpuid(leaf, (vmm.machine.cpuid)(leaf, sub));
        *place = CpuidFunction {
            eax_in: leaf,
            ecx_in: sub,
            eax,
            ebx,
            ecx,
            edx,
            ..CpuidFunction::default()
        };
        if tampered {
            place.reserved = 1;
            if leaf == tessera_defs::snp::status::CPUID_ENCRYPTION {
                place.ebx ^= 1;
            }
        }
    }
    page
}
