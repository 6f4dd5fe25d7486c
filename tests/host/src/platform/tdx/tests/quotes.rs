//! GetQuote: only reports of the module, in shared memory, and while the TD goes on.

use super::*;
use crate::{memory::frames::PAGE, silicon::tdx::report};
use tessera_defs::tdx::quote::buffer_status;

const BUFFER: u64 = 0x60_0000;
const LEN: u64 = 8192;
const VECTOR: u8 = 0x51;

impl Guest {
    /// R10 of a standard call.
    fn standard(&mut self, function: u64, operands: [u64; 2]) -> u64 {
        let [first, second] = operands;
        let regs = [0, function, first, second];
        let step = self.tdcall(tdcall::VP_VMCALL, vmcall::STANDARD_MASK, regs);
        assert_eq!(step, Step::Continue);
        self.tdx.vcpu.regs[10]
    }

    fn buffer(&mut self) -> &mut [u8; PAGE] {
        let frame = self.memory.frame(BUFFER / PAGE as u64).unwrap();
        self.memory.page(frame).unwrap()
    }

    fn status(&mut self) -> u64 {
        u64::from_le_bytes(self.buffer()[8..16].try_into().unwrap())
    }

    /// Puts a request with a report of this TD there.
    fn fill(&mut self) {
        let data = 0x40_0000;
        self.tdx.td.sept.add(data / PAGE as u64, 0x400);
        let made = report::report(&self.tdx.td, &mut self.memory, data, data + 1024, 0);
        assert_eq!(made, status::SUCCESS);
        let report = self.memory.page(0x400).unwrap()[..1024].to_vec();
        let page = self.buffer();
        page.fill(0);
        (page[0], page[17]) = (1, 4);
        page[24..1048].copy_from_slice(&report);
    }
}

fn with_buffer() -> Guest {
    let mut td = guest("mode=tdx", TDCALL);
    assert_eq!(td.standard(vmcall::MAP_GPA, [BUFFER | SHARED, LEN]), 0);
    td.fill();
    td
}

#[test]
fn a_quote_comes_while_the_td_goes_on_and_an_interrupt_says_so() {
    let mut td = with_buffer();
    let notify = vmcall::SETUP_EVENT_NOTIFY;
    assert_eq!(td.standard(notify, [31, 0]), vmcall::INVALID_OPERAND);
    assert_eq!(td.standard(notify, [u64::from(VECTOR), 0]), 0);
    assert_eq!(td.standard(vmcall::GET_QUOTE, [BUFFER | SHARED, LEN]), 0);
    assert_eq!(td.status(), buffer_status::IN_FLIGHT);
    let again = td.standard(vmcall::GET_QUOTE, [BUFFER | SHARED, LEN]);
    assert_eq!(again, vmcall::GPA_IN_USE);
    assert!(td.vmm.pending_interrupt().is_none());
    td.vmm.vp().apic.write(0x80F, 0x1FF, 0).unwrap();
    // Who halts waits for it.
    assert_eq!(td.standard(vmcall::HLT, [0, 0]), 0);
    assert_eq!(td.status(), buffer_status::SUCCESS);
    assert_eq!(td.vmm.pending_interrupt(), Some(VECTOR));
    let len = u32::from_le_bytes(td.buffer()[20..24].try_into().unwrap());
    assert!((4000..5000).contains(&len));
    assert_eq!((td.buffer()[24], td.buffer()[28]), (4, 0x81));
}

#[test]
fn buffers_that_are_none_are_refused() {
    let mut td = with_buffer();
    let mut ask = |gpa, len| td.standard(vmcall::GET_QUOTE, [gpa, len]);
    assert_eq!(ask(BUFFER | SHARED | 8, LEN), vmcall::ALIGN_ERROR);
    assert_eq!(ask(BUFFER | SHARED, 100), vmcall::ALIGN_ERROR);
    assert_eq!(ask(BUFFER | SHARED, 0), vmcall::INVALID_OPERAND);
    assert_eq!(ask(BUFFER, LEN), vmcall::INVALID_OPERAND, "private");
    assert_eq!(ask(BUFFER | SHARED, LEN + 4096), vmcall::INVALID_OPERAND);
    assert_eq!(ask(1 << 40 | SHARED, LEN), vmcall::INVALID_OPERAND);
}

#[test]
fn a_report_that_the_module_did_not_make_gets_no_quote() {
    for byte in [0, 16, 24 + 128, 24 + 512, 24 + 1000] {
        let mut td = with_buffer();
        td.buffer()[byte] ^= 2;
        assert_eq!(td.standard(vmcall::GET_QUOTE, [BUFFER | SHARED, LEN]), 0);
        td.standard(vmcall::HLT, [0, 0]);
        assert_eq!(td.status(), buffer_status::ERROR, "byte {byte}");
    }
}
