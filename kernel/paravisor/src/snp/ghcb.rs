//! The GHCB of the lower context: a page that the paravisor shares with the host and registers for
//! VMPL 2, so that a guest with vTOM can call its host directly. Its address, in the shared half, is
//! what the guest finds in MSR C001_0130. Sources: OpenVMM `virt_mshv_vtl` (SNP, direct overlays),
//! Linux `arch/x86/hyperv/hv_init.c` (`hyperv_init_ghcb`).

use crate::grant::pages;
use tessera_defs::hyperv::{
    GUEST_OS_ID, MSR_GUEST_OS_ID, REGISTER_GHCB, SET_REGISTERS_ENTRY, SET_REGISTERS_HEADER,
};
use tessera_defs::refusal::Refusal;
use tessera_defs::snp::ghcb_msr::REGISTER_GHCB_REQUEST;
use tessera_defs::snp::status::VTOM_BIT;
use tessera_hw::ghcb_page::GhcbPage;
use tessera_isolation::strategy::traits::PageVisibility;
use tessera_protocol::ghcb::{hypercall, request};
use tessera_protocol::hyperv;

/// Shares the page at `gpa` and registers it. A host without Hyper-V's interface has no such guests:
/// there the MSR stays 0. Errors: the host refuses the page or the register.
pub fn open(
    ghcb: &mut GhcbPage,
    gpa: u64,
    visibility: &mut dyn PageVisibility,
) -> Result<(), Refusal> {
    if request::wrmsr(ghcb, MSR_GUEST_OS_ID, GUEST_OS_ID).is_err() {
        return Ok(());
    }
    visibility.rescind(pages(gpa, gpa + 4096))?;
    visibility.share(pages(gpa, gpa + 4096))?;
    let register = (REGISTER_GHCB, gpa | 1 << VTOM_BIT | REGISTER_GHCB_REQUEST);
    let mut input = [0; SET_REGISTERS_HEADER + SET_REGISTERS_ENTRY];
    let done = hyperv::registers_input(&mut input, &[register]).and_then(|(_, control)| {
        let result = hypercall::hypercall(ghcb, control, &input, 0)?;
        hyperv::check(control, result)
    });
    done.map_err(|_| Refusal::GhcbRegistrationRefused)
}
