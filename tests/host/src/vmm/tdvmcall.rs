//! TDVMCALL: what the host answers. It sees only the registers that the TD exposes.
//! Source: GHCI 348552, chapter 3.

use super::{Vmm, lies, missing::Request};
use crate::report::End;
use tessera_defs::{
    breach,
    mode::HostProfile,
    snp::ghcb_msr::TERMINATE_SET_TESSERA,
    tdx::{msr::virtual_apic, page::SHARED_BIT, vmcall},
    x86::MSR_APIC_BASE,
};

/// R10 to R15, in order.
pub type Registers = [u64; 6];

/// What a call comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// New values of R10 to R15.
    Done(Registers),
    /// MapGPA: pages change hands first.
    MapGpa {
        /// Address, with the shared bit where the TD wants the pages shared.
        gpa: u64,
        /// Bytes.
        len: u64,
    },
    /// GetQuote: the buffer is the TD's memory.
    GetQuote {
        /// Address.
        gpa: u64,
        /// Bytes.
        len: u64,
    },
    /// A Hyper-V hypercall: control in R10.
    Hypercall,
    /// The run is over.
    End(End),
}

/// R10 = status, R11 = value, the rest unchanged.
pub fn answer(mut registers: Registers, status: u64, value: u64) -> Registers {
    (registers[0], registers[1]) = (status, value);
    registers
}

impl Vmm {
    /// Serves a call; `mask` is RCX, and registers that it does not expose are zero here.
    pub fn tdvmcall(&mut self, mask: u64, registers: Registers) -> Answer {
        let [r10, r11, ..] = registers;
        self.note("tdvmcall");
        if r10 != 0 {
            return self.vendor_call(mask, registers);
        }
        if mask & vmcall::STANDARD_MASK != vmcall::STANDARD_MASK {
            return Answer::End(End::Breach(&breach::VMCALL_MALFORMED));
        }
        // A fatal error may carry words for people in every register (GHCI 1.5, 3.4).
        let words = r11 == vmcall::REPORT_FATAL_ERROR;
        if !words && mask & !vmcall::STANDARD_MASK != 0 {
            return Answer::End(End::Breach(&breach::VMCALL_LEAK));
        }
        match r11 {
            vmcall::MAP_GPA => Answer::MapGpa {
                gpa: registers[2],
                len: registers[3],
            },
            vmcall::REPORT_FATAL_ERROR => Answer::End(fatal(registers[2])),
            vmcall::GET_QUOTE => Answer::GetQuote {
                gpa: registers[2],
                len: registers[3],
            },
            vmcall::SETUP_EVENT_NOTIFY => {
                let status = self.set_notify(registers[2]);
                Answer::Done(answer(registers, status, 0))
            }
            vmcall::HLT => self.td_halt(registers),
            _ => Answer::Done(self.td_service(registers)),
        }
    }

    fn vendor_call(&mut self, mask: u64, registers: Registers) -> Answer {
        if self.scenario.profile != HostProfile::HyperV {
            return Answer::Done(answer(registers, vmcall::INVALID_OPERAND, 0));
        }
        match mask & !(vmcall::HYPERCALL_MASK | vmcall::STANDARD_MASK) {
            0 => Answer::Hypercall,
            _ => Answer::End(End::Breach(&breach::VMCALL_LEAK)),
        }
    }

    /// R12: interrupts are blocked, so that only an NMI would end the wait.
    fn td_halt(&mut self, registers: Registers) -> Answer {
        self.halt(registers[2] & 1 == 0);
        Answer::Done(answer(registers, vmcall::SUCCESS, 0))
    }

    fn td_service(&mut self, registers: Registers) -> Registers {
        let [_, function, r12, r13, r14, r15] = registers;
        let refused = answer(registers, vmcall::INVALID_OPERAND, 0);
        match function {
            vmcall::GET_TD_VM_CALL_INFO if r12 == 0 => [0; 6],
            vmcall::CPUID => {
                let (leaf, sub) = (r12 as u32, r13 as u32);
                let [a, b, c, d] = self.cpuid(leaf, (self.machine.cpuid)(leaf, sub));
                let high = u64::from(self.tells(lies::GHCB_OUT_OF_RANGE)) << 32;
                [
                    vmcall::SUCCESS,
                    function,
                    high | u64::from(a),
                    b.into(),
                    c.into(),
                    d.into(),
                ]
            }
            // No host reaches what the processor virtualises, and x2APIC is a TD's only mode.
            vmcall::RDMSR | vmcall::WRMSR if virtual_apic(r12 as u32) => refused,
            vmcall::WRMSR if r12 as u32 == MSR_APIC_BASE => refused,
            vmcall::RDMSR => match self.read_msr(r12 as u32) {
                Some(value) => answer(registers, vmcall::SUCCESS, value),
                None => refused,
            },
            vmcall::WRMSR => match self.write_msr(r12 as u32, r13) {
                Some(()) => answer(registers, vmcall::SUCCESS, 0),
                None => refused,
            },
            vmcall::IO if matches!(r12, 1 | 2 | 4) && r13 <= 1 && r14 <= 0xFFFF => {
                let (port, size) = (r14 as u16, r12 as u8);
                let value = if r13 == 0 {
                    self.port_in(port, size)
                } else {
                    self.port_out(port, size, r15 as u32);
                    0
                };
                answer(registers, vmcall::SUCCESS, value.into())
            }
            vmcall::MMIO if matches!(r12, 1 | 2 | 4 | 8) && r13 <= 1 => {
                // With or without the shared bit.
                let gpa = r14 & !(1 << SHARED_BIT);
                let done = match r13 {
                    0 => self.mmio_read(gpa),
                    _ => self.mmio_write(gpa, r15).map(|()| 0),
                };
                done.map_or(refused, |value| answer(registers, vmcall::SUCCESS, value))
            }
            _ => {
                self.offence = Some(&breach::VMCALL_MALFORMED);
                self.unsupported(Request::Tdvmcall(function), [function, r12, r13, r14]);
                refused
            }
        }
    }
}

/// R12: code in 31:0.
fn fatal(code: u64) -> End {
    let code = code & 0xFFFF_FFFF;
    match code & !0xFF {
        vmcall::FATAL_TESSERA => End::Terminated {
            set: TERMINATE_SET_TESSERA,
            code: code & 0xFF,
        },
        _ => End::Terminated { set: 0, code },
    }
}

#[cfg(test)]
mod tests {
    use super::super::scenario::Scenario;
    use super::*;

    fn host(text: &str) -> Vmm {
        Vmm::new(Scenario::parse(text).unwrap(), crate::machine::FAKE)
    }

    #[test]
    fn masks_are_checked() {
        let mut vmm = host("mode=tdx");
        let call = [0, vmcall::CPUID, 0, 0, 0, 0];
        let breach = |b| Answer::End(End::Breach(b));
        assert_eq!(vmm.tdvmcall(0xFC04, call), breach(&breach::VMCALL_LEAK));
        assert_eq!(
            vmm.tdvmcall(0x0C00, call),
            breach(&breach::VMCALL_MALFORMED)
        );
    }

    #[test]
    fn services_answer_in_their_registers() {
        let mut vmm = host("mode=tdx");
        let leaf = vmm.tdvmcall(0xFC00, [0, vmcall::CPUID, 0x4000_000C, 0, 0, 0]);
        assert_eq!(leaf, Answer::Done([0, vmcall::CPUID, 0, 3, 0, 0]));
        let Answer::Done(msr) = vmm.tdvmcall(0xFC00, [0, vmcall::RDMSR, 0xDEAD, 0, 0, 0]) else {
            panic!("RDMSR must be answered");
        };
        assert_eq!(msr[0], vmcall::INVALID_OPERAND);
        // EOI, and APIC_BASE: the processor's and the module's.
        for (function, msr) in [(vmcall::WRMSR, 0x80B), (vmcall::WRMSR, 0x1B)] {
            let Answer::Done(end) = vmm.tdvmcall(0xFC00, [0, function, msr, 0, 0, 0]) else {
                panic!("WRMSR must be answered");
            };
            assert_eq!(end[0], vmcall::INVALID_OPERAND);
        }
        let Answer::Done(io) = vmm.tdvmcall(0xFC00, [0, vmcall::IO, 1, 0, 0x3FD, 0]) else {
            panic!("IN must be answered");
        };
        assert_eq!(io[..2], [0, 0x60]);
    }

    #[test]
    fn a_fatal_error_ends_the_run_with_its_code() {
        let mut vmm = host("mode=tdx");
        let call = [
            0,
            vmcall::REPORT_FATAL_ERROR,
            vmcall::FATAL_TESSERA | 7,
            0,
            0,
            0,
        ];
        let end = End::Terminated {
            set: TERMINATE_SET_TESSERA,
            code: 7,
        };
        assert_eq!(vmm.tdvmcall(0xFC00, call), Answer::End(end));
    }
}
