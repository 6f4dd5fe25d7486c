//! Services behind which the host stands: its lines, ports, clocks, and calls that go to it.
#![allow(unsafe_code)] // reason: device registers, MSRs and ports are what is probed

use super::machine::{Lower, TIMER, enable_interrupts, ticks};
use super::probes::Result;
use crate::window::{RAM, put, touch};
use tessera_defs::hyperv as hv;
use tessera_defs::hyperv::synic::{FEATURE_EAX_SYNIC, MSR_SINT0, SINT_MASKED, SINT_PROXY, SOURCES};
use tessera_defs::mode::Mode;
use tessera_defs::pfe::Entry;
use tessera_defs::port::{CMOS_DATA, CMOS_INDEX, COM1};
use tessera_defs::snp::ghcb_msr::{INFO_MASK, MSR_GHCB, SEV_INFO_REQUEST, SEV_INFO_RESPONSE};
use tessera_defs::x86::{MSR_APIC_BASE, x2apic};
use tessera_handoff::layout::PARAVISOR_BASE;
use tessera_hw::ghcb_page::GhcbPage;
use tessera_hw::host::{GhcbMsrPort, TdcallPort};
use tessera_hw::shared::SharedPage;
use tessera_hw::{instr, probe};
use tessera_protocol::ghcb::request;
use tessera_protocol::tdx::vmcall;
use tessera_protocol::traits::GhcbMsr;

const IO_APIC: u64 = 0xFEC0_0000;
const LOCAL_APIC: u64 = 0xFEE0_0000;
/// Version 0x11, 24 pins.
const IO_APIC_VERSION: u32 = 0x0017_0011;
/// COM1's pin; its redirection entry.
const COM1_ENTRY: u32 = 0x10 + 2 * 4;
const MASKED: u32 = 1 << 16;
/// An identity that differs from the guest's own in its build number.
const OTHER_ID: u64 = hv::GUEST_OS_ID | 7;

fn check(good: bool, what: &'static str) -> Result {
    if good { Ok(()) } else { Err(what) }
}

fn rdmsr(msr: u32) -> Result<u64> {
    // SAFETY: reading has no effect on memory.
    unsafe { probe::rdmsr(msr) }.ok_or("#GP at a read")
}

fn wrmsr(msr: u32, value: u64) -> Result {
    // SAFETY: registers of this guest's; no memory that Rust owns is concerned.
    let done = unsafe { probe::wrmsr(msr, value) };
    check(done, "#GP at a write")
}

/// A register of a device in memory.
fn read(virt: u64) -> u32 {
    // SAFETY: the window shows the device.
    unsafe { (virt as *const u32).read_volatile() }
}

fn write(virt: u64, value: u32) {
    // SAFETY: as above.
    unsafe { (virt as *mut u32).write_volatile(value) }
}

/// Writes a register of the IOAPIC.
fn set(io_apic: u64, index: u32, value: u32) {
    write(io_apic, index);
    write(io_apic + 0x10, value);
}

/// Version, a line of the host's serial port, and the local APIC in its other mode.
pub fn io_apic(lower: &mut Lower, entry: &Entry) -> Result {
    let page = (IO_APIC / 4096) as u32;
    check((entry.first, entry.last) == (page, page), "the page")?;
    let io_apic = lower.guest.private(IO_APIC);
    write(io_apic, 1);
    check(read(io_apic + 0x10) == IO_APIC_VERSION, "the version")?;
    wrmsr(x2apic::SIVR, 1 << 8 | 0xFF)?;
    set(io_apic, COM1_ENTRY + 1, 0);
    set(io_apic, COM1_ENTRY, TIMER.into());
    let before = ticks();
    // SAFETY: the serial port's registers: OUT2 opens its line, an empty transmitter asks.
    unsafe {
        instr::out8(COM1 + 4, 8);
        instr::out8(COM1 + 1, 2);
    }
    enable_interrupts();
    let mut patience = 1_000_000u32;
    while ticks() == before && patience > 0 {
        patience -= 1;
    }
    instr::disable_interrupts();
    // SAFETY: as above.
    unsafe { instr::out8(COM1 + 1, 0) };
    set(io_apic, COM1_ENTRY, MASKED);
    check(ticks() == before + 1, "one interrupt of the line")?;
    xapic(lower)
}

/// The way to xAPIC mode and back leads through the disabled state.
fn xapic(lower: &mut Lower) -> Result {
    let base = rdmsr(MSR_APIC_BASE)?;
    let off = base & !(x2apic::BASE_EN | x2apic::BASE_EXTD);
    let direct = wrmsr(MSR_APIC_BASE, base & !x2apic::BASE_EXTD);
    check(direct.is_err(), "x2APIC becomes xAPIC at once")?;
    wrmsr(MSR_APIC_BASE, off)?;
    wrmsr(MSR_APIC_BASE, off | x2apic::BASE_EN)?;
    let local = lower.guest.private(LOCAL_APIC);
    write(local + 0x80, 0x20);
    let seen = (
        read(local + 0x20),
        read(local + 0x80),
        read(local + 0x30) & 0xFF,
    );
    let gone = rdmsr(x2apic::ID).is_err();
    wrmsr(MSR_APIC_BASE, base)?;
    check(seen == (0, 0x20, 0x14), "registers in memory")?;
    check(gone, "x2APIC registers in xAPIC mode")?;
    check(rdmsr(x2apic::TPR)? == 0x20, "the priority did not stay")?;
    wrmsr(x2apic::TPR, 0)
}

/// The page gets the vendor's instruction and RET; pages that are not the guest's are refused.
pub fn hypercall_page(lower: &mut Lower, entry: &Entry) -> Result {
    check(entry.first == hv::MSR_HYPERCALL, "the register")?;
    put(lower.guest.private(RAM), u64::MAX);
    wrmsr(hv::MSR_HYPERCALL, RAM | 1)?;
    check(rdmsr(hv::MSR_HYPERCALL)? == RAM | 1, "the register's value")?;
    let wanted = match lower.mode {
        Mode::TdxParavisor => 0xC3C1_010F,
        _ => 0xC3D9_010F,
    };
    let window = lower.guest.private(RAM);
    check(touch(window) == wanted, "the page's code")?;
    put(window, 0);
    wrmsr(hv::MSR_HYPERCALL, 0)?;
    let foreign = wrmsr(hv::MSR_HYPERCALL, PARAVISOR_BASE | 1);
    check(foreign.is_err(), "a page of the paravisor")
}

/// Frequencies are there, and the counter goes on.
pub fn clocks(_: &mut Lower, entry: &Entry) -> Result {
    let range = (hv::MSR_TIME_REF_COUNT, hv::MSR_APIC_FREQUENCY);
    check((entry.first, entry.last) == range, "the range")?;
    let features = instr::cpuid(hv::CPUID_FEATURES, 0);
    let wanted = hv::FEATURE_EAX_TIME_REF_COUNT | hv::FEATURE_EAX_FREQUENCIES;
    check(
        features.eax & wanted == wanted,
        "the clocks are not announced",
    )?;
    check(
        rdmsr(hv::MSR_TSC_FREQUENCY)? > 1_000_000,
        "the time stamp's frequency",
    )?;
    check(
        rdmsr(hv::MSR_APIC_FREQUENCY)? > 1_000_000,
        "the timer's frequency",
    )?;
    let first = rdmsr(hv::MSR_TIME_REF_COUNT)?;
    let mut patience = 100_000u32;
    while rdmsr(hv::MSR_TIME_REF_COUNT)? == first && patience > 0 {
        patience -= 1;
    }
    check(
        patience > 0 && rdmsr(hv::MSR_TIME_REF_COUNT)? > first,
        "the counter stands",
    )?;
    wrmsr(hv::MSR_TSC_INVARIANT_CONTROL, 1)?;
    check(
        wrmsr(hv::MSR_TSC_INVARIANT_CONTROL, 2).is_err(),
        "a reserved bit",
    )
}

/// A device that only the host has: its clock's minutes are no more than 59, in BCD.
pub fn ports(_: &mut Lower, entry: &Entry) -> Result {
    check((entry.first, entry.last) == (0, 0xFFFF), "the range")?;
    // SAFETY: selects and reads a register of the real-time clock.
    let minutes = unsafe {
        instr::out8(CMOS_INDEX, 2);
        instr::in8(CMOS_DATA)
    };
    check(minutes <= 0x59, "the real-time clock")
}

/// Each is masked first and keeps what it is given; the guest of `conformance` sees what comes of it.
pub fn sources(_: &mut Lower, entry: &Entry) -> Result {
    let last = MSR_SINT0 + SOURCES as u32 - 1;
    check((entry.first, entry.last) == (MSR_SINT0, last), "the range")?;
    let bits = instr::cpuid(hv::CPUID_FEATURES, 0).eax;
    check(bits & FEATURE_EAX_SYNIC != 0, "the feature bit")?;
    for source in entry.first..=entry.last {
        check(rdmsr(source)? == SINT_MASKED, "not masked")?;
        wrmsr(source, SINT_PROXY | 0x70)?;
        check(rdmsr(source)? == SINT_PROXY | 0x70, "not kept")?;
        check(wrmsr(source, 15).is_err(), "a vector below 16")?;
        wrmsr(source, SINT_MASKED)?;
    }
    check(rdmsr(last + 1).is_err(), "one too many")
}

/// The host's own IOAPIC stands in the shared half, where the paravisor's stands in the private one; and nothing
/// stands beside it.
pub fn device_memory(lower: &mut Lower, entry: &Entry) -> Result {
    check((entry.first, entry.last) == (0, u32::MAX), "the range")?;
    let io_apic = lower.guest.shared(IO_APIC);
    write(io_apic, 1);
    check(read(io_apic + 0x10) == IO_APIC_VERSION, "the version")?;
    let nothing = lower.guest.shared(IO_APIC - 4096);
    write(nothing, 0);
    check(read(nothing) == u32::MAX, "a device that there is not")
}

/// The identity is told to the host, without the paravisor, and read back.
pub fn calls(lower: &mut Lower, _: &Entry) -> Result {
    let told = match lower.mode {
        Mode::TdxParavisor => by_vmcall(),
        _ => by_ghcb(lower),
    };
    check(told? == OTHER_ID, "the host did not hear it")?;
    check(
        rdmsr(hv::MSR_GUEST_OS_ID)? == hv::GUEST_OS_ID,
        "the paravisor did",
    )
}

fn by_vmcall() -> Result<u64> {
    // SAFETY: below L1, which lets these calls go to the host; no memory is concerned.
    let call = &mut unsafe { TdcallPort::new() };
    vmcall::wrmsr(call, hv::MSR_GUEST_OS_ID, OTHER_ID).map_err(|_| "the write")?;
    vmcall::rdmsr(call, hv::MSR_GUEST_OS_ID).map_err(|_| "the read")
}

/// The GHCB MSR holds an address in the shared half; the protocol's version is asked by the MSR.
fn by_ghcb(lower: &mut Lower) -> Result<u64> {
    let (address, bit) = (rdmsr(MSR_GHCB)?, 1 << lower.shared_bit);
    check(address & (bit | 0xFFF) == bit, "the GHCB's address")?;
    // SAFETY: VMPL 2; no memory is concerned.
    let version = unsafe { GhcbMsrPort::new() }.exchange(SEV_INFO_REQUEST);
    check(version & INFO_MASK == SEV_INFO_RESPONSE, "the negotiation")?;
    let window = lower.guest.shared(address & !bit);
    // SAFETY: the page is the GHCB of this context, mapped in the window for as long.
    let page = &mut unsafe { GhcbPage::new(SharedPage::new(window, address)) };
    request::wrmsr(page, hv::MSR_GUEST_OS_ID, OTHER_ID).map_err(|_| "the write")?;
    request::rdmsr(page, hv::MSR_GUEST_OS_ID).map_err(|_| "the read")
}
