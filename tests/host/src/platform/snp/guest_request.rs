//! SNP guest request: the vmm carries pages between the guest and the security processor.
//! Source: 56421 rev. 2.04, 4.1.7 and 4.1.8.

use super::{Access, Snp, Technology};
use crate::{
    memory::frames::{Memory, PAGE},
    report::End,
    vmm::{Vmm, certificates, lies},
};
use alloc::vec::Vec;
use tessera_defs::{
    breach,
    snp::ghcb::{answer, guest_request},
};

/// The hypervisor's error where it just will not (KVM: SNP_GUEST_VMM_ERR_GENERIC).
const VMM_GENERIC: u64 = 0xFFFF_FFFF;

impl Snp {
    /// The same with certificates: `place` is RAX, the address of the first page for them, and
    /// RBX, their number. The third value: RBX of the answer, where the pages are too few.
    pub(super) fn extended_request(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        pages: [u64; 2],
        place: [u64; 2],
    ) -> Result<(u64, u64, Option<u64>), End> {
        let table = certificates::table();
        let needed = table.len().div_ceil(PAGE) as u64;
        if place[1] < needed {
            let error = u64::from(guest_request::VMM_INVALID_LEN) << guest_request::VMM_SHIFT;
            return Ok((answer::OK, error, Some(needed)));
        }
        let page = PAGE as u64;
        let frames = (0..needed).map(|i| {
            let at = place[0].checked_add(i * page)?;
            self.host_access(memory, at, Access::Write)
        });
        let frames: Option<Vec<u32>> = frames.collect();
        let (true, Some(frames)) = (place[0].is_multiple_of(page), frames) else {
            return Err(End::Breach(&breach::GUEST_REQUEST_PRIVATE));
        };
        let (info1, info2) = self.guest_request(vmm, memory, pages)?;
        if info2 == 0 {
            for (frame, bytes) in frames.into_iter().zip(table.chunks_exact(PAGE)) {
                if let Some(to) = memory.page(frame) {
                    to.copy_from_slice(bytes);
                }
            }
        }
        Ok((info1, info2, None))
    }

    /// SW_EXITINFO1 and 2 of the answer.
    pub(super) fn guest_request(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        [request, response]: [u64; 2],
    ) -> Result<(u64, u64), End> {
        vmm.note("guest-request");
        let aligned = |gpa: u64| gpa.is_multiple_of(PAGE as u64);
        if !aligned(request) || !aligned(response) || request == response {
            return Err(End::Breach(&breach::GUEST_REQUEST_MALFORMED));
        }
        let private = End::Breach(&breach::GUEST_REQUEST_PRIVATE);
        let from = self.host_access(memory, request, Access::Read);
        let to = self.host_access(memory, response, Access::Write);
        let (from, to) = (from.ok_or(private)?, to.ok_or(private)?);
        let later = self.old_response.is_some();
        if vmm.tells(lies::GUEST_REQUEST_DENIED) || later && vmm.tells(lies::BINDING_DENIED) {
            return Ok((answer::OK, VMM_GENERIC << guest_request::VMM_SHIFT));
        }
        let message = *memory.page(from).ok_or(private)?;
        let replayed = self.old_response.as_deref().copied();
        let reply = match replayed.filter(|_| vmm.tells(lies::REPORT_REPLAYED)) {
            Some(old) => old,
            None => match self.processor.request(&message) {
                Ok(reply) => reply,
                Err(error) if !self.blames(vmm) => return Ok((answer::OK, error.into())),
                // This host changed nothing on the way, so the guest's message was wrong.
                Err(_) => return Err(End::Breach(&breach::GUEST_MESSAGE_INVALID)),
            },
        };
        *memory.page(to).ok_or(private)? = reply;
        self.old_response = Some(alloc::boxed::Box::new(reply));
        Ok((answer::OK, 0))
    }
}
