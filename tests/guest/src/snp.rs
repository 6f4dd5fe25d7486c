//! What a guest can do wrong on SEV-SNP.
#![allow(unsafe_code)] // reason: breaks the promises of tessera-hw on purpose

use crate::window::{BEYOND, FREE, Guest, RAM, put, touch};
use core::mem::offset_of;
use tessera_defs::breach;
use tessera_defs::refusal::Refusal;
use tessera_defs::snp::ghcb::{self, GhcbPage};
use tessera_defs::snp::ghcb_msr as msr;
use tessera_defs::snp::vmsa::BSP_VMSA_GPA;
use tessera_defs::tdx::tdcall::TdcallRegs;
use tessera_handoff::layout::{MESSAGE_REQUEST, MESSAGE_RESPONSE};
use tessera_hw::{instr, isolation};

/// Why some of them end themselves.
const STARVED: u8 = Refusal::Starved.code();

/// Every deed by its act, which is named after its breach.
pub const DEEDS: crate::Deeds = &[
    (breach::UNVALIDATED_ACCESS.name, |guest| {
        touch(guest.private(RAM));
    }),
    (breach::DOUBLE_VALIDATION.name, |guest| {
        let page = guest.private(FREE);
        pvalidate(page);
        pvalidate(page);
    }),
    (breach::C_BIT_MISSING.name, |guest| {
        touch(guest.shared(FREE));
    }),
    (breach::SHARED_AS_PRIVATE.name, |guest| {
        share(FREE);
        touch(guest.private(FREE));
    }),
    (breach::PRIVATE_DATA_SHARED.name, |guest| {
        put(guest.private(FREE), 0x5EC2E7);
        share(FREE);
    }),
    (breach::GHCB_NOT_REGISTERED.name, |_| {
        share(FREE);
        ask(FREE);
    }),
    (breach::GHCB_NOT_SHARED.name, |_| ask(FREE)),
    (breach::GHCB_MALFORMED.name, |_| {
        // All zero: no valid bits, and no version that exists.
        register(FREE);
        ask(FREE);
    }),
    (breach::GHCB_MSR_UNKNOWN.name, |_| ask(0xEEE)),
    (breach::PSC_MALFORMED.name, |_| {
        ask(FREE | 0xF << 52 | msr::PSC_REQUEST)
    }),
    (breach::PVALIDATE_INPUT.name, |guest| {
        pvalidate(guest.private(FREE) + 8)
    }),
    (breach::RMPADJUST_DENIED.name, |guest| {
        // SAFETY: VMPL 0 cannot change its own permissions.
        unsafe { isolation::rmpadjust(guest.private(FREE), false, 0x300) };
    }),
    (breach::VMSA_INVALID.name, create_from_no_vmsa),
    (breach::PROCESSOR_UNKNOWN.name, |guest| {
        let create = 99 << 32 | ghcb::ap_creation::CREATE;
        by_page(guest, [ghcb::exit::AP_CREATION, create, FREE + 4096]);
    }),
    (breach::PROCESSOR_RUNS.name, |guest| {
        let destroy = ghcb::ap_creation::DESTROY;
        by_page(guest, [ghcb::exit::AP_CREATION, destroy, 0]);
    }),
    (breach::VMSA_IN_USE.name, |guest| {
        // SAFETY: the save area is not Rust's; it is what this processor runs from.
        unsafe { isolation::rmpadjust(guest.private(BSP_VMSA_GPA), false, 0x101) };
    }),
    ("vmsa-shared", |_| share(BSP_VMSA_GPA)),
    (breach::SEV_FEATURES_DIFFER.name, |guest| {
        let gpa = FREE + 4096;
        let features = crate::processors::snp::prepare(0, gpa).unwrap_or(0);
        let create = [ghcb::exit::AP_CREATION, ghcb::ap_creation::CREATE, gpa];
        by_page_with(guest, create, Some(features | 1 << 7));
    }),
    (breach::RUN_VMPL_DENIED.name, |_| {
        ask(1 << 32 | msr::RUN_VMPL_REQUEST)
    }),
    (breach::GUEST_REQUEST_PRIVATE.name, |guest| {
        message(guest, [FREE + 4096, FREE + 8192]);
    }),
    (breach::GUEST_REQUEST_MALFORMED.name, |guest| {
        message(guest, [MESSAGE_REQUEST; 2]);
    }),
    // What stands there is the stub's message, whose number was used.
    (breach::GUEST_MESSAGE_INVALID.name, |guest| {
        message(guest, [MESSAGE_REQUEST, MESSAGE_RESPONSE]);
    }),
    // Not the guest's any more: the processor stops for the host.
    ("pvalidate-shared", |guest| {
        share(FREE);
        pvalidate(guest.private(FREE));
    }),
    ("terminate-by-msr", |_| {
        let (set, code) = (u64::from(msr::TERMINATE_SET_TESSERA), u64::from(STARVED));
        ask(code << 16 | set << 12 | msr::TERMINATE);
    }),
    ("terminate-by-page", |guest| {
        let (set, code) = (u64::from(msr::TERMINATE_SET_TESSERA), u64::from(STARVED));
        by_page(guest, [ghcb::exit::TERMINATE, code << 4 | set, 0]);
    }),
    (breach::FOREIGN_INSTRUCTION.name, |_| {
        // SAFETY: TDCALL is undefined here.
        unsafe { isolation::tdcall(&mut TdcallRegs::default()) };
    }),
    (breach::UNHANDLED_EXCEPTION.name, |_| crate::window::die()),
    (breach::OUT_OF_RANGE.name, |guest| {
        touch(guest.private(BEYOND));
    }),
];

/// One request of the GHCB MSR protocol, or the GHCB at this address; the answer is ignored.
pub fn ask(request: u64) {
    // SAFETY: no request here takes memory that Rust owns.
    unsafe {
        instr::wrmsr(msr::MSR_GHCB, request);
        isolation::vmgexit();
    }
}

/// Asks for a page to become shared.
pub fn share(gpa: u64) {
    ask(gpa | msr::PSC_SHARED << 52 | msr::PSC_REQUEST);
}

fn register(gpa: u64) {
    share(gpa);
    ask(gpa | msr::REGISTER_GHCB_REQUEST);
}

/// Validates, and looks at nothing that comes back.
fn pvalidate(virt: u64) {
    // SAFETY: the window never shows memory that Rust owns.
    unsafe { isolation::pvalidate(virt, false, true) };
}

/// A good GHCB that asks to create a context from a page without the VMSA attribute.
fn create_from_no_vmsa(guest: &mut Guest) {
    let create = [
        ghcb::exit::AP_CREATION,
        ghcb::ap_creation::CREATE,
        FREE + 4096,
    ];
    by_page_with(guest, create, Some(1));
}

/// A good GHCB that asks for a message to be carried from one page to the other.
fn message(guest: &mut Guest, [request, response]: [u64; 2]) {
    by_page(guest, [ghcb::exit::GUEST_REQUEST, request, response]);
}

/// A good GHCB with an exit code and its infos.
fn by_page(guest: &mut Guest, request: [u64; 3]) {
    by_page_with(guest, request, None);
}

/// The same with RAX.
fn by_page_with(guest: &mut Guest, [code, info1, info2]: [u64; 3], rax: Option<u64>) {
    register(FREE);
    let page = guest.shared(FREE);
    let fields = [
        (offset_of!(GhcbPage, sw_exit_code), code),
        (offset_of!(GhcbPage, sw_exit_info1), info1),
        (offset_of!(GhcbPage, sw_exit_info2), info2),
    ];
    let mut valid = [0; 2];
    let rax = rax.map(|value| (offset_of!(GhcbPage, rax), value));
    for (at, value) in fields.into_iter().chain(rax) {
        put(page + at as u64, value);
        valid[at / 512] |= 1 << (at / 8 % 64);
    }
    let bitmap = page + offset_of!(GhcbPage, valid_bitmap) as u64;
    put(bitmap, valid[0]);
    put(bitmap + 8, valid[1]);
    // The last word of the page: version in bits 31:16, usage 0 above.
    put(page + 0xFF8, u64::from(ghcb::PROTOCOL_VERSION) << 16);
    ask(FREE);
}
