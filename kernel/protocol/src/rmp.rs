//! Validation and permissions. Source: APM vol. 3 (24594), PVALIDATE and RMPADJUST.

use crate::error::{Error, HostFault, Result, host};
use crate::traits::{Rmp, RmpOperation};
use tessera_defs::snp::rmp::{
    ATTR_PERM_SHIFT, ATTR_VMSA, FAIL_PERMISSION, FAIL_SIZEMISMATCH, SUCCESS,
};
use tessera_defs::x86::{LARGE_PAGE_SIZE, PAGE_SIZE};

/// Validates (or un-validates) the page at `virt`; a 2 MiB page that the host backs by 4 KiB
/// pages is done in 512 steps. Errors: `DoubleValidation` where a page was in that state
/// already, which means that the host swapped pages; `Platform` with EAX.
pub fn pvalidate(rmp: &mut impl Rmp, virt: u64, large: bool, validate: bool) -> Result<()> {
    let operation = RmpOperation::Pvalidate { validate };
    match rmp.execute(operation, virt, large) {
        (SUCCESS, false) => Ok(()),
        (SUCCESS, true) => host(HostFault::DoubleValidation(virt)),
        (FAIL_SIZEMISMATCH, _) if large => (0..LARGE_PAGE_SIZE / PAGE_SIZE)
            .try_for_each(|i| pvalidate(rmp, virt + i * PAGE_SIZE, false, validate)),
        (status, _) => Err(Error::Platform {
            operation: "PVALIDATE",
            status: status.into(),
        }),
    }
}

/// Gives `permissions` (`defs::snp::rmp::PERM_*`) on the page to `vmpl`; `vmsa` makes it a VMSA
/// page. A 2 MiB page that is backed smaller is done in 512 steps. Errors: `Platform` with EAX.
pub fn rmpadjust(
    rmp: &mut impl Rmp,
    virt: u64,
    large: bool,
    vmpl: u8,
    permissions: u8,
    vmsa: bool,
) -> Result<()> {
    let vmsa_bit = if vmsa { ATTR_VMSA } else { 0 };
    let attributes = u64::from(vmpl) | u64::from(permissions) << ATTR_PERM_SHIFT | vmsa_bit;
    match rmp
        .execute(RmpOperation::Rmpadjust { attributes }, virt, large)
        .0
    {
        SUCCESS => Ok(()),
        FAIL_SIZEMISMATCH if large => (0..LARGE_PAGE_SIZE / PAGE_SIZE)
            .try_for_each(|i| rmpadjust(rmp, virt + i * PAGE_SIZE, false, vmpl, permissions, vmsa)),
        status => Err(Error::Platform {
            operation: "RMPADJUST",
            status: status.into(),
        }),
    }
}

/// True where this context is in VMPL 0: only VMPL 0 may adjust permissions of VMPL 1. The
/// page at `virt` keeps the permissions given here, so use one that VMPL 1 may have none of.
/// Errors: `Platform` with an EAX that does not answer the question.
pub fn in_vmpl0(rmp: &mut impl Rmp, virt: u64) -> Result<bool> {
    match rmpadjust(rmp, virt, false, 1, 0, false) {
        Ok(()) => Ok(true),
        Err(Error::Platform { status, .. }) if status == u64::from(FAIL_PERMISSION) => Ok(false),
        Err(error) => Err(error),
    }
}
