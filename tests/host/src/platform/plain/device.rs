//! Memory of a plain machine that is no RAM: devices, and what answers with ones.

use super::Plain;
use crate::{
    memory::{
        frames::Memory,
        mmio::{self, Operand},
    },
    platform::Step,
    report::End,
    svm::{exit, npt},
    vmm::{Vmm, apic, missing::Request},
};
use tessera_defs::breach;

/// What is not RAM below this address answers as a bus does.
const BUS_END: u64 = 1 << 32;
const READ_ONLY: npt::Access = npt::Access {
    write: false,
    execute: false,
};

/// By what a read where nothing is counts: a page, or 128 KiB of a PC's empty ROM sockets.
fn area(gpa: u64) -> u64 {
    gpa & if gpa < 1 << 20 { !0x1_FFFF } else { !0xFFF }
}

impl Plain {
    /// An access to `gpa`, where no RAM is.
    pub(super) fn outside(&mut self, vmm: &mut Vmm, memory: &mut Memory, gpa: u64) -> Step {
        let info = self.vcpu.vmcb.control.exit_info_1;
        if gpa >= BUS_END || info & (exit::NPF_FETCH | exit::NPF_WALK) != 0 {
            return Step::End(End::Breach(&breach::OUT_OF_RANGE));
        }
        let write = info & exit::NPF_WRITE != 0;
        if !write && !vmm.device_page(gpa) && gpa & !0xFFF != apic::BASE {
            // Any instruction may read there: a page of ones.
            vmm.missed(Request::MmioRead(area(gpa)));
            return match self.ones(memory) {
                Some(frame) => {
                    self.npt.map(gpa, memory.address(frame), READ_ONLY);
                    Step::Continue
                }
                None => Step::End(End::Breach(&breach::OUT_OF_RANGE)),
            };
        }
        match self.emulate(vmm, memory, gpa) {
            Some(()) => Step::Continue,
            None => Step::End(End::Breach(&breach::OUT_OF_RANGE)),
        }
    }

    fn ones(&mut self, memory: &mut Memory) -> Option<u32> {
        if self.ones.is_none() {
            let frame = memory.spare()?;
            memory.page(frame)?.fill(0xFF);
            self.ones = Some(frame);
        }
        self.ones
    }

    /// `None`: an instruction that is not decoded.
    fn emulate(&mut self, vmm: &mut Vmm, memory: &mut Memory, gpa: u64) -> Option<()> {
        let access = mmio::decode(&self.code(memory))?;
        let mask = u64::MAX >> (64 - 8 * u32::from(access.size));
        match access.operand {
            Operand::Load { .. } => {
                let value = vmm.mmio_read(gpa).unwrap_or(u64::MAX) & mask;
                mmio::load(&mut self.vcpu.regs, access, value);
            }
            Operand::Store { register, high } => {
                let value = self.vcpu.regs[register] >> if high { 8 } else { 0 };
                // A write where no device is goes nowhere, as on a real bus.
                let _ = vmm.mmio_write(gpa, value & mask);
            }
            Operand::Immediate(value) => {
                let _ = vmm.mmio_write(gpa, value & mask);
            }
        }
        self.vcpu.skip(access.length);
        Some(())
    }
}
