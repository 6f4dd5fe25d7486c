//! Probes of a host with Hyper-V's interface: leaves and registers.

use super::Probe;
use crate::answers::trap;
use crate::processors::calls::{host_read, host_write, is_below, way};
use crate::processors::{machine, snp as by_ghcb};
use crate::tdx::vmcall;
use core::sync::atomic::Ordering::SeqCst;
use tessera_defs::hyperv as hv;
use tessera_defs::mode::Mode;
use tessera_defs::tdx::vmcall as call;
use tessera_defs::x86::{MSR_APIC_BASE, vector, x2apic};
use tessera_hw::instr;

/// Shorthand of the interrupt command.
const TO_SELF: u64 = 1 << 18;
/// Hardware features, nested features (TLFS 2.4.6, 2.4.9, 2.4.10): this host has none.
const EMPTY: [u32; 3] = [0x4000_0006, 0x4000_0009, 0x4000_000A];
/// HV_X64_MSR_RESET, VP_RUNTIME, CRASH_P0 and CRASH_CTL, and the bits of `CPUID_FEATURES` that would announce them:
/// AccessVpRunTimeReg, AccessResetReg; GuestCrashMsrsAvailable (TLFS 6.0b, 2.4.2 and 2.4.3).
const ABSENT: [u32; 4] = [0x4000_0003, 0x4000_0010, 0x4000_0100, 0x4000_0105];
const ABSENT_EAX: u32 = 1 | 1 << 7;
const ABSENT_EDX: u32 = 1 << 10;

pub const ALL: &[(&str, Probe)] = &[
    ("hv-leaves", |_| {
        let last = leaf(hv::CPUID_VENDOR);
        let features = leaf(hv::CPUID_FEATURES);
        let isolation = leaf(hv::CPUID_ISOLATION);
        let kind = match way() {
            Mode::Snp => hv::ISOLATION_SNP,
            Mode::Tdx => hv::ISOLATION_TDX,
            _ => hv::ISOLATION_NONE,
        };
        let needed = hv::FEATURE_EAX_HYPERCALL | hv::FEATURE_EAX_VP_INDEX;
        last[0] >= hv::CPUID_ISOLATION
            && last[1..] == hv::VENDOR_SIGNATURE
            && leaf(hv::CPUID_INTERFACE)[0] == hv::INTERFACE_SIGNATURE
            && features[0] & needed == needed
            && isolation[1] & hv::ISOLATION_EBX_TYPE == kind
            && (isolation[0] & hv::ISOLATION_EAX_PARAVISOR != 0) == is_below()
            && EMPTY.iter().all(|number| leaf(*number) == [0; 4])
    }),
    ("hv-identity", |_| {
        host_write(hv::MSR_GUEST_OS_ID, hv::GUEST_OS_ID);
        host_read(hv::MSR_GUEST_OS_ID) == hv::GUEST_OS_ID && host_read(hv::MSR_VP_INDEX) == 0
    }),
    ("hv-clocks", |_| {
        let first = host_read(hv::MSR_TIME_REF_COUNT);
        let goes_on = (0..10_000).any(|_| host_read(hv::MSR_TIME_REF_COUNT) > first);
        let frequencies = [hv::MSR_TSC_FREQUENCY, hv::MSR_APIC_FREQUENCY];
        goes_on
            && frequencies
                .iter()
                .all(|register| host_read(*register) > 1_000_000)
    }),
    // The vector is one whose handler says so, and ends it by the APIC's own register.
    ("hv-apic", |_| {
        let came = || machine::COUNTS[0].signals.load(SeqCst);
        let before = came();
        host_write(hv::MSR_TPR, 0xF0);
        host_write(hv::MSR_ICR, u64::from(machine::SIGNAL) | TO_SELF);
        let held = (0..100).all(|_| host_read(hv::MSR_TPR) == 0xF0 && came() == before);
        host_write(hv::MSR_TPR, 0);
        let arrived = (0..10_000).any(|_| host_read(hv::MSR_TPR) == 0 && came() > before);
        host_write(hv::MSR_EOI, 0);
        held && arrived
            && host_read(hv::MSR_ICR) as u32 == u32::from(machine::SIGNAL) | TO_SELF as u32
    }),
    // The APIC of a paravisor's guest is not the hypervisor's.
    ("hv-apic-of-the-paravisor", |_| {
        let registers = [hv::MSR_TPR, hv::MSR_ICR, x2apic::TPR, MSR_APIC_BASE];
        registers.iter().all(denied)
    }),
    ("hv-absent", |_| {
        let bits = leaf(hv::CPUID_FEATURES);
        bits[0] & ABSENT_EAX == 0 && bits[3] & ABSENT_EDX == 0 && ABSENT.iter().all(denied)
    }),
    ("hv-assist", |_| {
        let old = host_read(hv::MSR_VP_ASSIST_PAGE);
        host_write(hv::MSR_VP_ASSIST_PAGE, 0x5000);
        let kept = host_read(hv::MSR_VP_ASSIST_PAGE) == 0x5000;
        host_write(hv::MSR_VP_ASSIST_PAGE, old);
        kept
    }),
];

/// Whether RDMSR of it is #GP.
fn denied(register: &u32) -> bool {
    match way() {
        Mode::Snp => by_ghcb::msr_denied(*register, None),
        Mode::Tdx => {
            vmcall([call::RDMSR, u64::from(*register), 0, 0, 0]).r10 == call::INVALID_OPERAND
        }
        _ => trap::caught(2, || _ = host_read(*register)) == Some((vector::GP.into(), 0)),
    }
}

/// Whether WRMSR of that value is #GP.
pub fn refused(register: u32, value: u32) -> bool {
    match way() {
        Mode::Snp => by_ghcb::msr_denied(register, Some(value)),
        Mode::Tdx => {
            let regs = vmcall([call::WRMSR, register.into(), value.into(), 0, 0]);
            regs.r10 == call::INVALID_OPERAND
        }
        _ => {
            let write = || host_write(register, value.into());
            trap::caught(2, write) == Some((vector::GP.into(), 0))
        }
    }
}

/// A leaf of the hypervisor's.
fn leaf(leaf: u32) -> [u32; 4] {
    match way() {
        Mode::Snp => by_ghcb::cpuid(leaf),
        Mode::Tdx => {
            let regs = vmcall([call::CPUID, leaf.into(), 0, 0, 0]);
            [regs.r12, regs.r13, regs.r14, regs.r15].map(|value| value as u32)
        }
        _ => {
            let found = instr::cpuid(leaf, 0);
            [found.eax, found.ebx, found.ecx, found.edx]
        }
    }
}
