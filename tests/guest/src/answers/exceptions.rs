//! What raises #VC, with which code, and what does not (APM vol. 2, tables 15-35 and 15-36).
#![allow(unsafe_code)] // reason: the instructions that are probed

use super::trap::caught;
use crate::conformance::Probe;
use crate::processors::{calls, machine};
use crate::window::{RAM, touch};
use core::arch::asm;
use core::sync::atomic::Ordering::SeqCst;
use tessera_defs::snp::{status, vc};
use tessera_defs::x86::{vector, x2apic};
use tessera_hw::instr;

/// No memory is here.
const DEVICES: u64 = 0xFEC0_0000;

/// The code of #VC that an instruction of `$length` bytes raises.
macro_rules! code {
    ($length:literal, $($text:tt)*) => {{
        let came = caught($length, || {
            // SAFETY: the instruction does not execute: the handler goes on behind it.
            unsafe { asm!($($text)*) }
        });
        came.filter(|(number, _)| *number == u64::from(vector::VC)).map(|(_, code)| code)
    }};
}

pub const ALL: &[(&str, Probe)] = &[
    ("vc-cpuid", |_| {
        let came = code!(2, "push rbx", "cpuid", "pop rbx", inout("eax") 0 => _,
            inout("ecx") 0 => _, out("edx") _);
        came == Some(vc::CPUID)
    }),
    ("vc-rdmsr", |_| {
        let came = code!(2, "rdmsr", in("ecx") 0x1234, out("eax") _, out("edx") _);
        came == Some(vc::MSR)
    }),
    ("vc-wrmsr", |_| {
        code!(2, "wrmsr", in("ecx") 0x1234, in("eax") 0, in("edx") 0) == Some(vc::MSR)
    }),
    ("vc-port", |_| {
        code!(1, "in al, dx", in("dx") 0x70u16, out("al") _) == Some(vc::IOIO)
            && code!(1, "out dx, al", in("dx") 0x70u16, in("al") 0u8) == Some(vc::IOIO)
    }),
    // Everything but the code the guest decodes itself.
    ("vc-port-string", |_| {
        let mut bytes = [0u8; 4];
        let at = bytes.as_mut_ptr();
        code!(1, "insb", in("dx") 0x71u16, inout("rdi") at => _) == Some(vc::IOIO)
            && code!(1, "outsb", in("dx") 0x70u16, inout("rsi") at => _) == Some(vc::IOIO)
            && code!(2, "rep insb", in("dx") 0x71u16, inout("rdi") at => _,
                inout("rcx") 4u64 => _)
                == Some(vc::IOIO)
            && bytes == [0; 4]
    }),
    ("vc-caches", |_| {
        code!(2, "wbinvd") == Some(vc::WBINVD) && code!(2, "invd") == Some(vc::INVD)
    }),
    ("vc-monitor", |_| {
        let word = 0u64;
        let at = &raw const word;
        code!(3, "monitor", in("rax") at, in("ecx") 0, in("edx") 0) == Some(vc::MONITOR)
            && code!(3, "mwait", in("eax") 0, in("ecx") 0) == Some(vc::MWAIT)
    }),
    ("vc-vmmcall", |_| {
        code!(3, ".byte 0x0f, 0x01, 0xd9", inout("rax") 0u64 => _) == Some(vc::VMMCALL)
    }),
    ("vc-debug-control", |_| {
        code!(3, "mov rax, dr7", out("rax") _) == Some(vc::DR7_READ)
            && code!(3, "mov dr7, rax", in("rax") 0x400u64) == Some(vc::DR7_WRITE)
    }),
    ("vc-rdpmc", |_| {
        code!(2, "rdpmc", in("ecx") 0, out("eax") _, out("edx") _) == Some(vc::RDPMC)
    }),
    ("vc-device-memory", |machine| {
        let at = machine.guest.shared(DEVICES);
        code!(2, "mov eax, [rcx]", in("rcx") at, out("eax") _) == Some(vc::NPF)
    }),
    ("vc-not-validated", |machine| {
        let at = machine.guest.private(RAM);
        code!(2, "mov eax, [rcx]", in("rcx") at, out("eax") _) == Some(vc::PAGE_NOT_VALIDATED)
    }),
    // The timer's interrupt ends it, behind the instruction.
    ("vc-halt", |_| {
        let ticks = || machine::COUNTS[0].ticks.load(SeqCst);
        let before = ticks();
        let arm = [
            (x2apic::DIVIDE, 0xB),
            (x2apic::LVT_TIMER, u64::from(machine::TIMER)),
            (x2apic::INITIAL_COUNT, 100_000),
        ];
        let came = caught(1, || {
            arm.iter()
                .for_each(|(register, value)| calls::apic_write(*register, *value));
            instr::hlt();
        });
        came.is_none() && ticks() == before + 1
    }),
    // The rest is the processor's own.
    ("vc-no-exception", |machine| {
        let page = machine.guest.private(crate::window::FREE);
        let came = caught(2, || {
            touch(page);
            // SAFETY: reads registers.
            unsafe {
                asm!("rdtsc", "rdtscp", out("eax") _, out("ecx") _, out("edx") _);
                instr::rdmsr(status::MSR_SEV_STATUS);
            }
        });
        came.is_none()
    }),
];
