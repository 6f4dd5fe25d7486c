//! Probes of a TDX module and its host: TDCALL leaves and TDG.VP.VMCALL sub-functions.
#![allow(unsafe_code)] // reason: TDCALL

use super::Probe;
use crate::answers::trap::caught;
use crate::tdx::vmcall;
use crate::window::{FREE, put, touch};
use core::arch::asm;
use tessera_defs::port::COM1;
use tessera_defs::tdx::page::{GPAW, SHARED_BIT};
use tessera_defs::tdx::tdcall::{self, TdcallRegs};
use tessera_defs::tdx::vmcall as call;
use tessera_defs::tdx::{field, status};
use tessera_defs::vmx;
use tessera_defs::x86::vector;
use tessera_hw::{instr, isolation};

/// Pages that nothing else uses.
const PAGE: u64 = FREE + 12 * 4096;
const SHARED: u64 = 1 << SHARED_BIT;
const IOAPIC: u64 = 0xFEC0_0000;
const NOTHING: u64 = 0xFEB0_0000;
/// A field that there is not.
const NO_FIELD: u64 = 0x7FFF_0000_0000;

/// Whether an instruction of `$length` bytes raises #VE for `$reason`, which is fetched.
macro_rules! raises {
    ($reason:expr, $length:literal, $($text:tt)*) => {{
        let came = caught($length, || asm!($($text)*));
        let info = leaf(tdcall::VP_VEINFO_GET, [0; 3]);
        came == Some((vector::VE.into(), 0))
            && (info.rax, info.rcx) == (0, u64::from($reason))
            && info.r10 as u32 == $length
    }};
}

pub const ALL: &[(&str, Probe)] = &[
    ("vp-info", |machine| {
        let regs = leaf(tdcall::VP_INFO, [0; 3]);
        let count = machine.count as u64;
        (regs.rax, regs.rcx & 0x3F) == (0, GPAW) && regs.r8 == count << 32 | count && regs.r9 == 0
    }),
    ("report", |machine| {
        let at = machine.guest.private(PAGE);
        (0..8).for_each(|word| put(at + 2048 + word * 8, 0x1122_3344 + word));
        let made = leaf(tdcall::MR_REPORT, [PAGE, PAGE + 2048, 0]).rax;
        let data = (0..8).all(|word| touch(at + 128 + word * 8) == 0x1122_3344 + word);
        let mac = (0..4).any(|word| touch(at + 224 + word * 8) != 0);
        let unaligned = leaf(tdcall::MR_REPORT, [PAGE + 512, PAGE + 2048, 0]).rax;
        let subtype = leaf(tdcall::MR_REPORT, [PAGE, PAGE + 2048, 1]).rax;
        made == 0
            && data
            && mac
            && touch(at) as u8 == 0x81
            && unaligned == status::OPERAND_INVALID | status::OPERAND_RCX
            && subtype == status::OPERAND_INVALID | status::OPERAND_R8
    }),
    ("rtmr-extend", |machine| {
        let at = machine.guest.private(PAGE);
        // RTMR 3 in TDINFO.
        let register = at + 512 + 208 + 3 * 48;
        let report = || leaf(tdcall::MR_REPORT, [PAGE, PAGE + 2048, 0]).rax == 0;
        let before = report().then(|| touch(register));
        let extended = leaf(tdcall::MR_RTMR_EXTEND, [PAGE + 2048, 3, 0]).rax;
        let after = report().then(|| touch(register));
        let none = leaf(tdcall::MR_RTMR_EXTEND, [PAGE + 2048, 4, 0]).rax;
        extended == 0
            && before.is_some()
            && after.is_some()
            && before != after
            && none == status::OPERAND_INVALID | status::OPERAND_RDX
    }),
    ("veinfo", |_| {
        leaf(tdcall::VP_VEINFO_GET, [0; 3]).rax == status::NO_VE_INFO
    }),
    ("vm-rd", |_| {
        let known = leaf(tdcall::VM_RD, [0, field::NUM_L2_VMS, 0]);
        let none = leaf(tdcall::VM_RD, [0, NO_FIELD, 9]);
        let operand = leaf(tdcall::VM_RD, [1, field::NUM_L2_VMS, 0]).rax;
        (known.rax, known.r8) == (0, 0)
            && (none.rax, none.r8) == (status::METADATA_FIELD_ID_INCORRECT, 0)
            && operand == status::OPERAND_INVALID | status::OPERAND_RCX
    }),
    ("vm-wr", |_| {
        let write = |field, value| {
            let regs = leaf(tdcall::VM_WR, [0, field, value]);
            (regs.rax, regs.r8)
        };
        // The mask is all ones; this one Linux clears.
        write(field::NOTIFY_ENABLES, 1) == (0, 0)
            && write(field::NOTIFY_ENABLES, 0) == (0, 1)
            && write(field::TD_CTLS, 1) == (status::METADATA_FIELD_VALUE_NOT_VALID, 0)
            && write(field::XFAM, 3) == (status::METADATA_FIELD_NOT_WRITABLE, 0)
            && write(NO_FIELD, 0) == (status::METADATA_FIELD_ID_INCORRECT, 0)
    }),
    ("sys-rd", |machine| {
        let vendor = leaf(tdcall::SYS_RD, [0, field::SYS_VENDOR, 0]);
        let none = leaf(tdcall::SYS_RD, [0, NO_FIELD, 9]);
        let list = machine.guest.private(PAGE);
        let all = leaf(tdcall::SYS_RDALL, [0, PAGE, field::NONE]);
        let first = touch(list + 8) == field::SYS_VENDOR && touch(list + 16) == vendor.r8;
        let unaligned = leaf(tdcall::SYS_RDALL, [0, PAGE + 8, field::NONE]).rax;
        (vendor.rax, vendor.r8) == (0, 0x8086)
            && vendor.rdx == field::SYS_BUILD_DATE
            && (none.rax, none.r8) == (status::METADATA_FIELD_ID_INCORRECT, 0)
            && (all.rax, all.r8, first) == (0, field::NONE, true)
            && unaligned == status::OPERAND_INVALID | status::OPERAND_RDX
    }),
    ("servtd", |_| {
        let read = leaf(tdcall::SERVTD_RD, [0, field::NUM_L2_VMS, 9]);
        let write = leaf(tdcall::SERVTD_WR, [0, field::NUM_L2_VMS, 9]);
        let refused = status::OPERAND_INVALID | status::OPERAND_RCX;
        (read.rax, read.rdx, read.r8) == (refused, field::NONE, 0)
            && (write.rax, write.r8) == (refused, 0)
    }),
    ("ve-instructions", |_| {
        let word = 0u64;
        let at = &raw const word;
        // SAFETY: none of them executes: the handler goes on behind it.
        unsafe {
            raises!(vmx::MONITOR, 3, "monitor", in("rax") at, in("ecx") 0, in("edx") 0)
                && raises!(vmx::MWAIT, 3, "mwait", in("eax") 0, in("ecx") 0)
                && raises!(vmx::WBINVD, 2, "wbinvd")
                && raises!(vmx::INVD, 2, "invd")
                && raises!(vmx::HLT, 1, "hlt")
                && raises!(vmx::VMCALL, 3, "vmcall")
        }
    }),
    ("ve-cpuid", |_| {
        // SAFETY: as above.
        unsafe {
            raises!(vmx::CPUID, 2, "push rbx", "cpuid", "pop rbx", inout("eax") 0x4000_0000 => _,
                inout("ecx") 0 => _, out("edx") _)
        }
    }),
    ("ve-port-msr", |_| {
        // SAFETY: as above.
        unsafe {
            raises!(vmx::IO, 1, "in al, dx", in("dx") COM1 + 7, out("al") _)
                && raises!(vmx::IO, 1, "out dx, al", in("dx") COM1 + 7, in("al") 0u8)
                && raises!(vmx::MSR_READ, 2, "rdmsr", in("ecx") 0x1234, out("eax") _, out("edx") _)
                && raises!(vmx::MSR_WRITE, 2, "wrmsr", in("ecx") 0x1234, in("eax") 0, in("edx") 0)
        }
    }),
    // The length of the instruction is the guest's to find out.
    ("ve-device-memory", |machine| {
        let at = machine.guest.shared(IOAPIC);
        let came = caught(2, || {
            // SAFETY: as above.
            unsafe { asm!("mov eax, [rcx]", in("rcx") at, out("eax") _) }
        });
        let info = leaf(tdcall::VP_VEINFO_GET, [0; 3]);
        came == Some((vector::VE.into(), 0))
            && (info.rax, info.rcx) == (0, u64::from(vmx::EPT_VIOLATION))
            && info.r9 & !SHARED == IOAPIC
    }),
    // One that is not fetched yet is lost otherwise.
    ("ve-double-fault", |_| {
        let asks = || {
            caught(3, || {
                // SAFETY: as above.
                unsafe { asm!("vmcall") }
            })
        };
        let (first, second) = (asks(), asks());
        let info = leaf(tdcall::VP_VEINFO_GET, [0; 3]);
        first == Some((vector::VE.into(), 0))
            && second == Some((vector::DF.into(), 0))
            && (info.rax, info.rcx) == (0, u64::from(vmx::VMCALL))
    }),
    ("no-counters", |_| {
        let came = caught(2, || {
            // SAFETY: as above.
            unsafe { asm!("rdpmc", in("ecx") 0, out("eax") _, out("edx") _) }
        });
        let info = leaf(tdcall::VP_VEINFO_GET, [0; 3]).rax;
        came == Some((vector::GP.into(), 0)) && info == status::NO_VE_INFO
    }),
    ("cpuid-ve", |_| {
        let set = |bits| leaf(tdcall::VP_CPUIDVE_SET, [bits, 0, 0]).rax;
        let asks = || {
            caught(2, || {
                instr::cpuid(0, 0);
            })
        };
        let invalid = set(4) == status::OPERAND_INVALID | status::OPERAND_RCX;
        let user = set(2) == 0 && asks().is_none();
        let supervisor = set(1) == 0 && asks() == Some((vector::VE.into(), 0));
        let reason = leaf(tdcall::VP_VEINFO_GET, [0; 3]).rcx;
        invalid && user && supervisor && reason == u64::from(vmx::CPUID) && set(0) == 0
    }),
    ("verify-report", |machine| {
        let at = machine.guest.private(PAGE);
        let made = leaf(tdcall::MR_REPORT, [PAGE, PAGE + 2048, 0]).rax;
        let verify = |gpa| leaf(tdcall::MR_VERIFYREPORT, [gpa, 0, 0]).rax;
        let genuine = verify(PAGE);
        put(at + 128, !touch(at + 128));
        (made, genuine) == (0, 0)
            && verify(PAGE) == status::INVALID_REPORTMACSTRUCT
            && verify(PAGE + 128) == status::OPERAND_INVALID | status::OPERAND_RCX
    }),
    ("vp-rd-wr", |_| {
        let none = leaf(tdcall::VP_RD, [0, NO_FIELD, 9]);
        let write = leaf(tdcall::VP_WR, [0, NO_FIELD, 9]);
        let incorrect = status::METADATA_FIELD_ID_INCORRECT;
        (none.rax, none.r8, write.rax) == (incorrect, 0, incorrect)
    }),
    ("accept", |_| {
        let again = leaf(tdcall::MEM_PAGE_ACCEPT, [PAGE, 0, 0]).rax & status::CLASS_MASK;
        let level = leaf(tdcall::MEM_PAGE_ACCEPT, [PAGE | 3, 0, 0]).rax & status::CLASS_MASK;
        (again, level) == (status::PAGE_ALREADY_ACCEPTED, status::OPERAND_INVALID)
    }),
    ("call-info", |_| {
        let regs = vmcall([call::GET_TD_VM_CALL_INFO, 0, 0, 0, 0]);
        (regs.rax, regs.r10) == (0, 0)
    }),
    ("call-map-gpa", |machine| {
        let at = PAGE + 8 * 4096;
        let map = |gpa| vmcall([call::MAP_GPA, gpa, 8192, 0, 0]).r10;
        let shared = map(at | SHARED);
        let seen = machine.guest.shared(at);
        put(seen, 0x77);
        let read = touch(seen);
        let private = map(at);
        let accepted = leaf(tdcall::MEM_PAGE_ACCEPT, [at, 0, 0]).rax;
        let cleared = touch(machine.guest.private(at));
        (shared, read, private, accepted, cleared) == (0, 0x77, 0, 0, 0)
            && map(at | 0x10) == call::ALIGN_ERROR
            && map(1 << 45) == call::INVALID_OPERAND
    }),
    ("call-get-quote", |machine| {
        let at = PAGE + 16 * 4096;
        let quote = |gpa, len| vmcall([call::GET_QUOTE, gpa, len, 0, 0]).r10;
        let private = quote(at, 8192);
        vmcall([call::MAP_GPA, at | SHARED, 8192, 0, 0]);
        let head = machine.guest.shared(at);
        put(head, 1);
        put(head + 16, 1024);
        // No report: it is taken, worked on, and fails.
        let taken = quote(at | SHARED, 8192);
        let flies = touch(head + 8) == u64::MAX;
        let ended = (0..64).any(|_| {
            vmcall([call::GET_TD_VM_CALL_INFO, 0, 0, 0, 0]);
            touch(head + 8) == 1 << 63
        });
        (private, taken) == (call::INVALID_OPERAND, 0)
            && flies
            && ended
            && quote(at | SHARED | 8, 8192) == call::ALIGN_ERROR
    }),
    ("call-notify", |_| {
        let set = |vector| vmcall([call::SETUP_EVENT_NOTIFY, vector, 0, 0, 0]).r10;
        let bad = call::INVALID_OPERAND;
        (set(31), set(256), set(0x61), set(0)) == (bad, bad, 0, 0)
    }),
    ("call-cpuid", |_| {
        let regs = vmcall([call::CPUID, 0x4000_0000, 0, 0, 0]);
        regs.r10 == 0 && regs.r12 >= 0x4000_0001 && regs.r12 >> 32 == 0
    }),
    ("call-port", |_| {
        let port = u64::from(COM1 + 7);
        let out = vmcall([call::IO, 1, 1, port, 0xA5]).r10;
        let back = vmcall([call::IO, 1, 0, port, 0]);
        (out, back.r10, back.r11) == (0, 0, 0xA5)
            && vmcall([call::IO, 3, 0, port, 0]).r10 == call::INVALID_OPERAND
    }),
    ("call-msr", |_| {
        let bad = call::INVALID_OPERAND;
        vmcall([call::RDMSR, 0x1234, 0, 0, 0]).r10 == bad
            && vmcall([call::WRMSR, 0x1234, 0, 0, 0]).r10 == bad
            && vmcall([call::WRMSR, 0x1B, 0, 0, 0]).r10 == bad
            && vmcall([call::RDMSR, 0x1B, 0, 0, 0]).r11 & 0xFFFF_F000 == 0xFEE0_0000
    }),
    ("call-mmio", |_| {
        let write = vmcall([call::MMIO, 4, 1, IOAPIC, 1]).r10;
        let read = vmcall([call::MMIO, 4, 0, IOAPIC + 0x10, 0]);
        (write, read.r10) == (0, 0)
            && read.r11 >> 16 & 0xFF == 23
            && vmcall([call::MMIO, 4, 0, NOTHING, 0]).r10 == call::INVALID_OPERAND
            && vmcall([call::MMIO, 3, 0, IOAPIC, 0]).r10 == call::INVALID_OPERAND
    }),
    ("call-unsupported", |_| {
        let functions = [54, 65, 0x10005, 0x10006, 0x10007, 0x1_7777];
        let answer = |function: &u64| vmcall([*function, 0, 0, 0, 0]).r10;
        functions
            .iter()
            .all(|function| answer(function) == call::INVALID_OPERAND)
    }),
];

fn leaf(rax: u64, [rcx, rdx, r8]: [u64; 3]) -> TdcallRegs {
    let mut regs = TdcallRegs {
        rax,
        rcx,
        rdx,
        r8,
        r9: u64::MAX,
        ..TdcallRegs::default()
    };
    // SAFETY: operands name pages that Rust does not own.
    unsafe { isolation::tdcall(&mut regs) };
    regs
}
