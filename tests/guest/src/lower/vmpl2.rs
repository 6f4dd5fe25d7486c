//! What only VMPL 2 of an SNP guest can try: its secrets page, the isolation instructions, and
//! the host's door.
#![allow(unsafe_code)] // reason: breaks the promises of tessera-hw on purpose

use super::machine::Lower;
use super::probes::{Probe, Result};
use crate::snp::{ask, share};
use crate::window::{Guest, RAM, put, touch};
use core::arch::asm;
use tessera_defs::hyperv as hv;
use tessera_defs::snp::{ghcb_msr as msr, rmp, secrets::SecretsPage};
use tessera_defs::tdx::tdcall::TdcallRegs;
use tessera_handoff::layout::{
    DIRECT_MAP, EXCHANGE_PAGE, GHCB_PAGE, PARAVISOR_BASE, PARAVISOR_PAGES, SECRETS_PAGE,
};
use tessera_hw::{instr, isolation};
use zerocopy::FromBytes;

/// Probes by name.
pub const PROBES: &[(&str, Probe)] = &[
    ("keys-of-the-paravisor", keys),
    ("rmpadjust-of-its-own", rmpadjust),
    ("pvalidate", pvalidate),
];

/// Deeds by act.
pub const DEEDS: crate::Deeds = &[
    ("read-secrets-copy", |guest| {
        touch(guest.private(PARAVISOR_PAGES));
    }),
    ("read-ghcb", |guest| {
        touch(guest.private(GHCB_PAGE));
    }),
    ("shared-as-private", |guest| {
        visible(RAM);
        touch(guest.private(RAM));
    }),
    ("run-vmpl-1", |_| ask(1 << 32 | msr::RUN_VMPL_REQUEST)),
    ("run-vmpl-2", |_| ask(2 << 32 | msr::RUN_VMPL_REQUEST)),
    ("ghcb-of-its-own", |_| {
        visible(RAM);
        ask(RAM);
    }),
    ("ghcb-msr-unknown", |_| ask(0xEEE)),
    // The host could do it alone, and sees ciphertext; that the guest asks for it is the breach.
    ("share-paravisor-page", |_| {
        (PARAVISOR_BASE..PARAVISOR_PAGES)
            .step_by(4096)
            .for_each(share);
        instr::cpuid(0, 0);
    }),
    ("foreign-instruction", |_| {
        // SAFETY: TDCALL is undefined here.
        unsafe { isolation::tdcall(&mut TdcallRegs::default()) };
    }),
    ("monitor", |_| {
        // SAFETY: watches a line of the stack.
        unsafe { asm!("monitor", in("rax") 0, in("ecx") 0, in("edx") 0) }
    }),
    ("read-keys", |guest: &mut Guest| {
        touch(guest.private(SECRETS_PAGE));
    }),
];

/// The visibility hypercall for one page.
fn visible(gpa: u64) {
    let header = [hv::PARTITION_SELF, hv::VISIBILITY_SHARED.into(), gpa >> 12];
    for (n, word) in header.into_iter().enumerate() {
        put(DIRECT_MAP + EXCHANGE_PAGE + n as u64 * 8, word);
    }
    let code = hv::HVCALL_MODIFY_SPARSE_GPA_PAGE_HOST_VISIBILITY;
    let control = u64::from(code) | 1 << hv::HYPERCALL_REP_COUNT_SHIFT;
    // SAFETY: the page is nobody's.
    unsafe {
        instr::wrmsr(hv::MSR_GUEST_OS_ID, hv::GUEST_OS_ID);
        isolation::vmmcall(control, EXCHANGE_PAGE, 0);
    }
}

/// The guest's secrets page has the keys of VMPL 2 and 3 only.
fn keys(lower: &mut Lower) -> Result {
    let bytes = lower.guest.bytes(SECRETS_PAGE, size_of::<SecretsPage>());
    let page = SecretsPage::read_from_bytes(bytes).map_err(|_| "its length")?;
    let empty = page.vmpck.map(|key| key == [0; 32]);
    match empty {
        [true, true, false, false] => Ok(()),
        [true, true, ..] => Err("the guest's own keys are missing"),
        _ => Err("a key of VMPL 0 or 1 can be read"),
    }
}

/// No VMPL changes what it, or a higher one, may do.
fn rmpadjust(lower: &mut Lower) -> Result {
    let page = lower.guest.private(RAM);
    for target in [0, 1, 2] {
        let attributes = target | u64::from(rmp::PERM_ALL) << rmp::ATTR_PERM_SHIFT;
        // SAFETY: must fail; nothing stands in the page.
        let status = unsafe { isolation::rmpadjust(page, false, attributes) };
        if status != rmp::FAIL_PERMISSION {
            return Err("not FAIL_PERMISSION");
        }
    }
    Ok(())
}

/// Only VMPL 0 validates.
fn pvalidate(lower: &mut Lower) -> Result {
    let page = lower.guest.private(RAM);
    // SAFETY: must fail; nothing stands in the page.
    let (status, _) = unsafe { isolation::pvalidate(page, false, false) };
    if status == rmp::FAIL_PERMISSION {
        Ok(())
    } else {
        Err("not FAIL_PERMISSION")
    }
}
