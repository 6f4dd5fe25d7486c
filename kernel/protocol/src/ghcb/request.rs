//! Requests by the GHCB page, one function each. Source: 56421 rev. 2.04, table 6.

use crate::error::{GuestFault, HostFault, Result, guest, host};
use crate::ghcb::frame::GhcbFrame;
use crate::traits::Vmgexit;
use tessera_defs::snp::ghcb::{ap_creation, exit};
use tessera_defs::snp::vc::{self, io};

/// CPUID: EAX, EBX, ECX, EDX by the host's word. `xcr0` is sent for leaf 0Dh.
pub fn cpuid(host_call: &mut impl Vmgexit, leaf: u32, subleaf: u32, xcr0: u64) -> Result<[u32; 4]> {
    let mut frame = GhcbFrame::new(vc::CPUID, 0, 0);
    frame.rax = Some(leaf.into());
    frame.rcx = Some(subleaf.into());
    frame.xcr0 = (leaf == 0xD).then_some(xcr0);
    frame.exchange(host_call)?;
    let mut out = [0; 4];
    for (value, register) in out
        .iter_mut()
        .zip([frame.rax, frame.rbx, frame.rcx, frame.rdx])
    {
        *value = narrow(vc::CPUID, frame.need(register)?, 4)? as u32;
    }
    Ok(out)
}

/// RDMSR by the host's word. Errors: `Inject(13)` where the host has no such register.
pub fn rdmsr(host_call: &mut impl Vmgexit, msr: u32) -> Result<u64> {
    let mut frame = GhcbFrame::new(vc::MSR, 0, 0);
    frame.rcx = Some(msr.into());
    frame.exchange(host_call)?;
    let low = narrow(vc::MSR, frame.need(frame.rax)?, 4)?;
    Ok(low | narrow(vc::MSR, frame.need(frame.rdx)?, 4)? << 32)
}

/// WRMSR.
pub fn wrmsr(host_call: &mut impl Vmgexit, msr: u32, value: u64) -> Result<()> {
    let mut frame = GhcbFrame::new(vc::MSR, 1, 0);
    frame.rcx = Some(msr.into());
    frame.rax = Some(value & 0xFFFF_FFFF);
    frame.rdx = Some(value >> 32);
    frame.exchange(host_call)
}

/// IN of `size` bytes (1, 2, 4).
pub fn io_in(host_call: &mut impl Vmgexit, port: u16, size: u8) -> Result<u32> {
    let mut frame = GhcbFrame::new(vc::IOIO, io_info(port, size)? | io::IN, 0);
    frame.rax = Some(0);
    frame.exchange(host_call)?;
    Ok(narrow(vc::IOIO, frame.need(frame.rax)?, size)? as u32)
}

/// OUT of `size` bytes (1, 2, 4).
pub fn io_out(host_call: &mut impl Vmgexit, port: u16, size: u8, value: u32) -> Result<()> {
    let mut frame = GhcbFrame::new(vc::IOIO, io_info(port, size)?, 0);
    frame.rax = Some(u64::from(value) & mask(size));
    frame.exchange(host_call)
}

/// MMIO read of `size` bytes (1, 2, 4, 8) at `gpa`.
pub fn mmio_read(host_call: &mut impl Vmgexit, gpa: u64, size: u8) -> Result<u64> {
    let mut frame = GhcbFrame::new(exit::MMIO_READ, gpa, mmio_size(size)?);
    frame.set_buffer(&[0; 8][..size.into()])?;
    frame.exchange(host_call)?;
    let mut bytes = [0; 8];
    bytes[..size.into()].copy_from_slice(&frame.buffer[..size.into()]);
    Ok(u64::from_le_bytes(bytes))
}

/// MMIO write of `size` bytes (1, 2, 4, 8) at `gpa`.
pub fn mmio_write(host_call: &mut impl Vmgexit, gpa: u64, size: u8, value: u64) -> Result<()> {
    let mut frame = GhcbFrame::new(exit::MMIO_WRITE, gpa, mmio_size(size)?);
    frame.set_buffer(&value.to_le_bytes()[..size.into()])?;
    frame.exchange(host_call)
}

/// SNP guest request: encrypted message in the shared page `request_gpa`, answer in
/// `response_gpa`. Errors: `Refused` with SW_EXITINFO2 (firmware error 31:0, host's 63:32).
pub fn guest_request(
    host_call: &mut impl Vmgexit,
    request_gpa: u64,
    response_gpa: u64,
) -> Result<()> {
    let mut frame = GhcbFrame::new(exit::GUEST_REQUEST, request_gpa, response_gpa);
    frame.exchange(host_call)?;
    if frame.info2 != 0 {
        return host(HostFault::Refused {
            request: exit::GUEST_REQUEST,
            code: frame.info2,
        });
    }
    Ok(())
}

/// Registers and starts a processor context in `vmpl` with the VMSA page `vmsa_gpa`
/// (56421, 4.1.9); RAX carries its SEV_FEATURES.
pub fn ap_create(
    host_call: &mut impl Vmgexit,
    apic_id: u32,
    vmpl: u8,
    vmsa_gpa: u64,
    sev_features: u64,
    on_init: bool,
) -> Result<()> {
    if vmpl > 3 || vmsa_gpa & 0xFFF != 0 {
        return guest(GuestFault::BadAddress(vmsa_gpa));
    }
    let request = if on_init {
        ap_creation::ON_INIT
    } else {
        ap_creation::CREATE
    };
    let info1 = u64::from(apic_id) << 32 | u64::from(vmpl) << 16 | request;
    let mut frame = GhcbFrame::new(exit::AP_CREATION, info1, vmsa_gpa);
    frame.rax = Some(sev_features);
    frame.exchange(host_call)
}

/// Runs the context in `vmpl` until it exits to this one.
pub fn run_vmpl(host_call: &mut impl Vmgexit, vmpl: u8) -> Result<()> {
    GhcbFrame::new(exit::RUN_VMPL, vmpl.into(), 0).exchange(host_call)
}

/// The hypervisor's feature bitmap, its claim.
pub fn features(host_call: &mut impl Vmgexit) -> Result<u64> {
    let mut frame = GhcbFrame::new(exit::HV_FEATURES, 0, 0);
    frame.exchange(host_call)?;
    Ok(frame.info2)
}

fn io_info(port: u16, size: u8) -> Result<u64> {
    let size = match size {
        1 => io::SZ8,
        2 => io::SZ16,
        4 => io::SZ32,
        other => return guest(GuestFault::BadLength(other.into())),
    };
    Ok(u64::from(port) << io::PORT_SHIFT | size)
}

fn mmio_size(size: u8) -> Result<u64> {
    match size {
        1 | 2 | 4 | 8 => Ok(size.into()),
        other => guest(GuestFault::BadLength(other.into())),
    }
}

/// Ones for `size` bytes.
pub(crate) const fn mask(size: u8) -> u64 {
    if size >= 8 {
        u64::MAX
    } else {
        (1 << (size as u32 * 8)) - 1
    }
}

/// `value` if it fits in `size` bytes. Errors: `OutOfRange`.
pub(crate) fn narrow(request: u64, value: u64, size: u8) -> Result<u64> {
    if value & !mask(size) != 0 {
        host(HostFault::OutOfRange { request, value })
    } else {
        Ok(value)
    }
}
