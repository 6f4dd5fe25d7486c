//! SEV-SNP: AP creation, now or at INIT; Hyper-V's start call, which names a save area too. Each
//! processor has a GHCB of its own.
#![allow(unsafe_code)] // reason: RMPADJUST, VMGEXIT

use super::{Machine, calls, machine, work};
use crate::window::{self, FREE, put, touch};
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};
use tessera_defs::hyperv as hv;
use tessera_defs::snp::ghcb::{self, GhcbPage, ap_creation, exit};
use tessera_defs::snp::rmp::ATTR_VMSA;
use tessera_defs::snp::vmsa::{Segment, Vmsa};
use tessera_defs::snp::{ghcb_msr, status, vc};
use tessera_defs::start_vp::{InitialVpContext, StartVpInput};
use tessera_defs::x86::{MSR_EFER, efer};
use tessera_handoff::layout::DIRECT_MAP;
use tessera_hw::{instr, isolation};
use zerocopy::{FromZeros, IntoBytes};

const PAGE: u64 = 4096;
/// Save areas that were used.
static USED: AtomicU64 = AtomicU64::new(0);

/// Below a paravisor, whose page it is: address of processor 0's, in the shared half.
static LOWER: AtomicU64 = AtomicU64::new(0);

/// GPA of the GHCB of processor `index`; below a paravisor there is but that of processor 0.
pub fn ghcb(index: usize) -> u64 {
    match calls::is_below() {
        true => LOWER.load(Ordering::Relaxed),
        false => FREE + (8 + index as u64) * PAGE,
    }
}

/// Below a paravisor: finds the GHCB of processor 0, which runs this, and maps it in its place.
pub fn find_ghcb(machine: &mut Machine) {
    // SAFETY: the register that says where it is.
    let address = unsafe { instr::rdmsr(ghcb_msr::MSR_GHCB) };
    LOWER.store(address, Ordering::Relaxed);
    let gpa = address & !machine.guest.shared_bits();
    machine.guest.shared_at(1, gpa);
}

/// Shares the GHCB of processor `index`, mapped in its own place.
pub fn share_ghcb(machine: &mut Machine, index: usize) {
    crate::snp::share(ghcb(index));
    machine.guest.shared_at(1 + index, ghcb(index));
}

/// Registers the GHCB of processor `index`, which runs this.
pub fn register(index: usize) {
    crate::snp::ask(ghcb(index) | ghcb_msr::REGISTER_GHCB_REQUEST);
}

/// Starts processor `index` from a fresh save area: 2 at INIT, the last by Hyper-V's call.
pub fn start(machine: &mut Machine, index: usize) -> bool {
    let gpa = FREE + (16 + USED.fetch_add(1, Ordering::Relaxed)) * PAGE;
    let Some(features) = prepare(index, gpa) else {
        return false;
    };
    let vp = (index as u64) << 32;
    let create = |request| ap_creation(vp | request, gpa, features);
    match index {
        2 => {
            let asked = create(ap_creation::ON_INIT);
            calls::send(vp | 0x4500);
            asked
        }
        _ if machine.hyperv && index + 1 == machine.count => call(index, gpa),
        _ => {
            // One that does not exist is no reason to die.
            let unknown = !ap_creation(99 << 32 | ap_creation::CREATE, gpa, features);
            unknown && create(ap_creation::CREATE)
        }
    }
}

/// Makes the page a save area for processor `index`; its SEV_FEATURES.
pub fn prepare(index: usize, gpa: u64) -> Option<u64> {
    prepare_with(index, gpa, |_| {})
}

/// The same, changed.
pub fn prepare_with(index: usize, gpa: u64, change: impl FnOnce(&mut Vmsa)) -> Option<u64> {
    let mut area = save_area(index);
    change(&mut area);
    for (n, word) in area.as_bytes().chunks(8).enumerate() {
        let bytes = word.try_into().unwrap_or([0; 8]);
        put(DIRECT_MAP + gpa + n as u64 * 8, u64::from_le_bytes(bytes));
    }
    // SAFETY: nothing of Rust's stands in the page.
    let status = unsafe { isolation::rmpadjust(DIRECT_MAP + gpa, false, ATTR_VMSA | 1) };
    (status == 0).then_some(area.sev_features)
}

/// Destroys what runs on processor `index`.
pub fn stop(_: &Machine, index: usize) -> bool {
    ap_creation((index as u64) << 32 | ap_creation::DESTROY, 0, 0)
}

/// 64-bit mode at `work::begin`, on the tables of the processor that starts it.
fn save_area(index: usize) -> Vmsa {
    let segment = |selector, attrib| Segment {
        selector,
        attrib,
        limit: u32::MAX,
        base: 0,
    };
    let mut area = Vmsa::new_zeroed();
    let data = segment(16, 0xC93);
    (area.ds, area.es, area.ss, area.fs, area.gs) = (data, data, data, data, data);
    (area.cs, area.tr, area.ldtr) = (segment(8, 0xA9B), segment(0, 0x8B), segment(0, 0x82));
    (area.cr0, area.cr3, area.cr4) = (instr::cr0(), instr::cr3(), instr::cr4());
    // SAFETY: the processor's own registers.
    let (features, own) = unsafe { (instr::rdmsr(status::MSR_SEV_STATUS), instr::rdmsr(MSR_EFER)) };
    area.efer = own | efer::SVME;
    area.sev_features = features >> 2;
    (area.dr6, area.dr7, area.rflags) = (0xFFFF_0FF0, 0x400, 2);
    area.g_pat = 0x0007_0406_0007_0406;
    (area.xcr0, area.mxcsr, area.x87_fcw) = (1, 0x1F80, 0x37F);
    area.rip = work::begin as *const () as u64;
    area.rsp = machine::stack(index) - 8;
    area.rdi = index as u64;
    area
}

/// Asks for AP creation; whether it was done.
pub fn ap_creation(info: u64, gpa: u64, features: u64) -> bool {
    instr::without_interrupts(|| {
        let page = exchange(
            [exit::AP_CREATION, info, gpa],
            &[(offset_of!(GhcbPage, rax), features)],
        );
        touch(page + offset_of!(GhcbPage, sw_exit_info1) as u64) as u32 == 0
    })
}

/// The call by a hypercall page: input at its start, control and result near its end.
fn call(index: usize, gpa: u64) -> bool {
    let start = |vp: u32| {
        let input = StartVpInput {
            partition: hv::PARTITION_SELF,
            vp_index: vp,
            target_vtl: 0,
            reserved: [0; 3],
            context: InitialVpContext {
                rip: gpa | 1,
                ..InitialVpContext::default()
            },
        };
        instr::without_interrupts(|| {
            let page = clear();
            for (n, word) in input.as_bytes().chunks(8).enumerate() {
                let bytes = word.try_into().unwrap_or([0; 8]);
                put(page + n as u64 * 8, u64::from_le_bytes(bytes));
            }
            let control = page + ghcb::HYPERCALL_CONTROL as u64;
            put(control, hv::HVCALL_START_VP.into());
            trailer(page, ghcb::USAGE_HYPERCALL);
            crate::snp::ask(ghcb(calls::me()));
            touch(control)
        })
    };
    start(99) == hv::HV_STATUS_INVALID_VP_INDEX.into() && start(index as u32) == 0
}

/// RDMSR or WRMSR of the host's.
pub fn msr(register: u32, value: Option<u64>) -> u64 {
    let (low, high) = value.map_or((0, 0), |value| (value & 0xFFFF_FFFF, value >> 32));
    let mut fields = [(offset_of!(GhcbPage, rcx), register.into()); 3];
    if value.is_some() {
        fields[1] = (offset_of!(GhcbPage, rax), low);
        fields[2] = (offset_of!(GhcbPage, rdx), high);
    }
    instr::without_interrupts(|| {
        let page = exchange([vc::MSR, value.is_some().into(), 0], &fields);
        let word = |at: usize| touch(page + at as u64);
        word(offset_of!(GhcbPage, rdx)) << 32 | word(offset_of!(GhcbPage, rax)) & 0xFFFF_FFFF
    })
}

/// A hypercall by the GHCB, the input in it; the result value.
pub fn hypercall(control: u64, input: &[u64]) -> u64 {
    hypercall_to(control, input, 0)
}

/// The same, with a place for its output.
pub fn hypercall_to(control: u64, input: &[u64], output: u64) -> u64 {
    instr::without_interrupts(|| {
        let page = clear();
        input
            .iter()
            .enumerate()
            .for_each(|(n, word)| put(page + n as u64 * 8, *word));
        let result = page + ghcb::HYPERCALL_CONTROL as u64;
        put(page + ghcb::HYPERCALL_OUTPUT_GPA as u64, output);
        put(result, control);
        trailer(page, ghcb::USAGE_HYPERCALL);
        crate::snp::ask(ghcb(calls::me()));
        touch(result)
    })
}

/// Whether the host has the guest raise #GP(0) for RDMSR, or WRMSR of a value of 32 bits.
pub fn msr_denied(register: u32, value: Option<u32>) -> bool {
    let fields = [
        (offset_of!(GhcbPage, rcx), register.into()),
        (offset_of!(GhcbPage, rax), value.unwrap_or(0).into()),
        (offset_of!(GhcbPage, rdx), 0),
    ];
    instr::without_interrupts(|| {
        let page = exchange([vc::MSR, value.is_some().into(), 0], &fields);
        let word = |at: usize| touch(page + at as u64);
        let told = [
            word(offset_of!(GhcbPage, sw_exit_info1)),
            word(offset_of!(GhcbPage, sw_exit_info2)),
        ];
        told == [ghcb::answer::INJECT, 0x8000_0B0D]
    })
}

/// OUT.
pub fn port_out(info: u64, value: u64) {
    instr::without_interrupts(|| {
        exchange([vc::IOIO, info, 0], &[(offset_of!(GhcbPage, rax), value)]);
    });
}

/// NMI complete.
pub fn nmi_complete() {
    instr::without_interrupts(|| exchange([exit::NMI_COMPLETE, 0, 0], &[]));
}

/// EBX of leaf 1 as the host says it.
pub fn leaf_1_ebx() -> u32 {
    instr::without_interrupts(|| {
        crate::snp::ask(1 << 32 | 1 << 30 | ghcb_msr::CPUID_REQUEST);
        // SAFETY: the answer.
        let answer = unsafe { instr::rdmsr(ghcb_msr::MSR_GHCB) };
        (answer >> 32) as u32
    })
}

/// A leaf as the host says it.
pub fn cpuid(leaf: u32) -> [u32; 4] {
    let fields = [
        (offset_of!(GhcbPage, rax), leaf.into()),
        (offset_of!(GhcbPage, rcx), 0),
    ];
    instr::without_interrupts(|| {
        let page = exchange([vc::CPUID, 0, 0], &fields);
        [
            offset_of!(GhcbPage, rax),
            offset_of!(GhcbPage, rbx),
            offset_of!(GhcbPage, rcx),
            offset_of!(GhcbPage, rdx),
        ]
        .map(|at| touch(page + at as u64) as u32)
    })
}

/// One exchange by the GHCB of the processor that asks; the page's address.
fn exchange(request: [u64; 3], fields: &[(usize, u64)]) -> u64 {
    clear();
    send(request, fields, ghcb::USAGE_STANDARD)
}

/// The same, on the page as it is.
pub fn send([code, info1, info2]: [u64; 3], fields: &[(usize, u64)], usage: u32) -> u64 {
    let page = window::place(1 + calls::me());
    let always = [
        (offset_of!(GhcbPage, sw_exit_code), code),
        (offset_of!(GhcbPage, sw_exit_info1), info1),
        (offset_of!(GhcbPage, sw_exit_info2), info2),
    ];
    let mut valid = [0u64; 2];
    for (at, value) in always.iter().chain(fields) {
        put(page + *at as u64, *value);
        valid[at / 512] |= 1 << (at / 8 % 64);
    }
    let bitmap = page + offset_of!(GhcbPage, valid_bitmap) as u64;
    put(bitmap, valid[0]);
    put(bitmap + 8, valid[1]);
    trailer(page, usage);
    crate::snp::ask(ghcb(calls::me()));
    page
}

/// Empties the GHCB of the processor that asks; its address.
pub fn clear() -> u64 {
    let page = window::place(1 + calls::me());
    (0..512).for_each(|word| put(page + word * 8, 0));
    page
}

/// The last word: protocol version in 31:16, usage above.
fn trailer(page: u64, usage: u32) {
    let version = u64::from(ghcb::PROTOCOL_VERSION) << 16;
    put(page + 0xFF8, version | u64::from(usage) << 32);
}
