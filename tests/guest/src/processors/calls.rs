//! How a processor reaches its APIC, MSRs and CPUID, and halts: by the instruction, its own GHCB, or
//! TDVMCALL. There are no handlers of #VC and #VE.
#![allow(unsafe_code)] // reason: MSRs, VMGEXIT and TDCALL

use super::machine::{self, MOST};
use super::{Machine, snp};
use crate::tdx::vmcall;
use core::sync::atomic::{AtomicU32, Ordering};
use tessera_defs::hyperv as hv;
use tessera_defs::mode::Mode;
use tessera_defs::port::{PM1A_CNT, PM1A_SOFT_OFF};
use tessera_defs::snp::ghcb_msr as msr;
use tessera_defs::snp::vc;
use tessera_defs::tdx::vmcall as call;
use tessera_defs::x86::x2apic;
use tessera_hw::instr;

static MODE: AtomicU32 = AtomicU32::new(0);

/// Where this runs.
pub fn mode() -> Mode {
    Mode::from_u32(MODE.load(Ordering::Relaxed)).unwrap_or(Mode::None)
}

/// The mode whose calls to the host these are: below a paravisor they go to it by the same ways.
pub fn way() -> Mode {
    match mode() {
        Mode::SnpParavisor => Mode::Snp,
        Mode::TdxParavisor => Mode::Tdx,
        mode => mode,
    }
}

/// A paravisor is below this guest.
pub fn is_below() -> bool {
    way() != mode()
}

/// Hypercalls are VMCALL here.
pub fn is_l2() -> bool {
    mode() == Mode::TdxParavisor
}

/// Of processor 0, once: its GHCB, its identity to the host, its APIC. Interrupts are on after it.
pub fn prepare(machine: &mut Machine) {
    MODE.store(machine.mode as u32, Ordering::Relaxed);
    if machine.mode == Mode::Snp {
        (0..machine.count.min(MOST)).for_each(|index| snp::share_ghcb(machine, index));
    }
    join(0);
    if machine.hyperv {
        msr_write(hv::MSR_GUEST_OS_ID, hv::GUEST_OS_ID);
    }
    apic_write(x2apic::SIVR, 0x1FF);
    // SAFETY: the handlers are installed.
    unsafe { core::arch::asm!("sti", options(nomem, nostack)) }
}

/// Of every processor: registers its GHCB, where it has one.
pub fn join(index: usize) {
    if mode() == Mode::Snp {
        snp::register(index);
    }
}

/// RDMSR, of a register that the host serves; below a paravisor the paravisor.
pub fn msr_read(register: u32) -> u64 {
    match is_below() {
        // SAFETY: a register without effect on memory.
        true => unsafe { instr::rdmsr(register) },
        false => host_read(register),
    }
}

/// WRMSR, likewise.
pub fn msr_write(register: u32, value: u64) {
    match is_below() {
        // SAFETY: as above.
        true => unsafe { instr::wrmsr(register, value) },
        false => host_write(register, value),
    }
}

/// RDMSR of the host's own register.
pub fn host_read(register: u32) -> u64 {
    match way() {
        Mode::Snp => snp::msr(register, None),
        Mode::Tdx => vmcall([call::RDMSR, register.into(), 0, 0, 0]).r11,
        // SAFETY: as above.
        _ => unsafe { instr::rdmsr(register) },
    }
}

/// WRMSR, likewise.
pub fn host_write(register: u32, value: u64) {
    match way() {
        Mode::Snp => drop(snp::msr(register, Some(value))),
        Mode::Tdx => drop(vmcall([call::WRMSR, register.into(), value, 0, 0])),
        // SAFETY: as above.
        _ => unsafe { instr::wrmsr(register, value) },
    }
}

/// A register of the APIC.
pub fn apic_write(register: u32, value: u64) {
    msr_write(register, value);
}

/// Sends an interrupt command.
pub fn send(command: u64) {
    apic_write(x2apic::ICR, command);
}

/// A TD's EOI is the processor's.
pub fn end_of_interrupt() {
    match mode() {
        // SAFETY: ends the interrupt that came just now.
        Mode::Tdx => unsafe { instr::wrmsr(x2apic::EOI, 0) },
        _ => apic_write(x2apic::EOI, 0),
    }
}

/// Says that an NMI was served. Not from its handler, which may have come amid another exchange.
pub fn end_of_nmi() {
    if mode() == Mode::Snp {
        snp::nmi_complete();
    }
}

/// The APIC's own id.
pub fn apic_id() -> u64 {
    msr_read(x2apic::ID)
}

/// The APIC id that CPUID leaf 0xB says; in SNP the host answers leaf 1 by the MSR protocol.
pub fn cpuid_id() -> u32 {
    match mode() {
        Mode::Snp => snp::leaf_1_ebx() >> 24,
        _ => instr::cpuid(0xB, 0).edx,
    }
}

/// Waits for an interrupt, with interrupts on.
pub fn halt() {
    match mode() {
        Mode::Tdx => drop(vmcall([call::HLT, 0, 0, 0, 0])),
        // Automatic in SNP.
        _ => instr::hlt(),
    }
}

/// Soft off, or what did not work: by the vendor's door, of a plain machine by UD2.
pub fn end(mode: Mode, failed: Option<usize>) -> ! {
    let off = u64::from(PM1A_SOFT_OFF);
    match (mode, failed) {
        (Mode::Tdx, _) => crate::tdx::end(failed),
        (Mode::Snp, Some(number)) => {
            crate::snp::ask((number as u64 + 1) << 16 | msr::TERMINATE);
        }
        (Mode::Snp, None) => snp::port_out(
            u64::from(PM1A_CNT) << vc::io::PORT_SHIFT | vc::io::SZ16,
            off,
        ),
        // SAFETY: the machine is to stop.
        (_, None) => unsafe { instr::out16(PM1A_CNT, PM1A_SOFT_OFF) },
        (_, Some(number)) => crate::lower::machine::say(format_args!("probe {number} failed\n")),
    }
    crate::window::die()
}

/// The processor that asks.
pub fn me() -> usize {
    machine::me()
}
