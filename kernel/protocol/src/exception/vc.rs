//! #VC: from the error code (an SVM exit code) and the bytes at RIP. Nothing else is reported
//! to the guest itself, so port and size come from the instruction. A ReflectVC exit also has
//! EXITINFO1. Source: APM vol. 2, 15.35.5 and appendix C.

use crate::exception::event::{Event, NotServed};
use crate::insn;
use crate::registers::{RDX, Registers};
use tessera_defs::snp::vc::{self, io};

/// Event and length of the instruction, for the exit code `code` of a #VC in this context.
/// `bytes` is what stands at RIP (up to 15 bytes); `gpa` where CR2's page lies, for MMIO.
pub fn event(
    code: u64,
    bytes: &[u8],
    registers: &impl Registers,
    gpa: u64,
) -> Result<(Event, u8), NotServed> {
    let two = |event, opcode: [u8; 2]| matches(event, bytes, &opcode);
    match code {
        vc::CPUID => two(Event::Cpuid, [0x0F, 0xA2]),
        vc::MSR if bytes.starts_with(&[0x0F, 0x30]) => Ok((Event::WriteMsr, 2)),
        vc::MSR => two(Event::ReadMsr, [0x0F, 0x32]),
        vc::WBINVD => two(Event::Wbinvd, [0x0F, 0x09]),
        vc::HLT => matches(Event::Halt, bytes, &[0xF4]),
        vc::VMMCALL => matches(Event::Hypercall, bytes, &[0x0F, 0x01, 0xD9]),
        vc::IOIO => port_io(bytes, registers),
        vc::NPF => Ok((Event::Mmio { gpa }, insn::decode(bytes)?.length)),
        vc::PAGE_NOT_VALIDATED => Err(NotServed::PageNotValidated(gpa)),
        other => Err(NotServed::Unknown(other)),
    }
}

/// The same for an exit of a lower context with ReflectVC: `info1`, `info2` as its VMSA gives
/// them (IOIO: information; MSR: 1 write; NPF: info2 the GPA).
pub fn reflected(code: u64, info1: u64, info2: u64) -> Result<Event, NotServed> {
    match code {
        vc::CPUID => Ok(Event::Cpuid),
        vc::MSR if info1 & 1 == 1 => Ok(Event::WriteMsr),
        vc::MSR => Ok(Event::ReadMsr),
        vc::WBINVD => Ok(Event::Wbinvd),
        vc::HLT => Ok(Event::Halt),
        vc::VMMCALL => Ok(Event::Hypercall),
        vc::IOIO => io_information(info1),
        vc::NPF => Ok(Event::Mmio { gpa: info2 }),
        vc::PAGE_NOT_VALIDATED => Err(NotServed::PageNotValidated(info2)),
        other => Err(NotServed::Unknown(other)),
    }
}

/// The host chose the exit code; the instruction must be the one that it names.
fn matches(event: Event, bytes: &[u8], opcode: &[u8]) -> Result<(Event, u8), NotServed> {
    if bytes.starts_with(opcode) {
        Ok((event, opcode.len() as u8))
    } else {
        Err(NotServed::Mismatch(event))
    }
}

/// IN and OUT: E4-E7 imm8, EC-EF DX, with or without 66.
fn port_io(bytes: &[u8], registers: &impl Registers) -> Result<(Event, u8), NotServed> {
    let operand16 = bytes.first() == Some(&0x66);
    let prefix = usize::from(operand16);
    let truncated = NotServed::Instruction(insn::Refused::Truncated);
    let opcode = *bytes.get(prefix).ok_or(truncated)?;
    let size = match (opcode & 1, operand16) {
        (0, _) => 1,
        (_, true) => 2,
        (_, false) => 4,
    };
    let (port, length) = match opcode {
        0xE4..=0xE7 => (u16::from(*bytes.get(prefix + 1).ok_or(truncated)?), 2),
        0xEC..=0xEF => (registers.register(RDX) as u16, 1),
        0x6C..=0x6F | 0xF2 | 0xF3 => return Err(NotServed::StringIo),
        other => return Err(insn::Refused::Opcode(other.into()).into()),
    };
    let event = if opcode & 2 == 0 {
        Event::In { port, size }
    } else {
        Event::Out { port, size }
    };
    Ok((event, (prefix + length) as u8))
}

fn io_information(info: u64) -> Result<Event, NotServed> {
    if info & (io::STRING | io::REP) != 0 {
        return Err(NotServed::StringIo);
    }
    let size = match info & (io::SZ8 | io::SZ16 | io::SZ32) {
        io::SZ8 => 1,
        io::SZ16 => 2,
        io::SZ32 => 4,
        _ => return Err(NotServed::Unknown(info)),
    };
    let port = (info >> io::PORT_SHIFT) as u16;
    let read = info & io::IN != 0;
    Ok(if read {
        Event::In { port, size }
    } else {
        Event::Out { port, size }
    })
}
