//! The host's part of quotes: reads the TD's report out of shared memory, lets the quoting enclave
//! sign it, and writes the quote back. Source: GHCI 348552, 3.3.

use super::Tdx;
use crate::{
    memory::frames::{Memory, PAGE},
    platform::{Access, Technology},
    silicon::tdx::{quote, view::SHARED},
    vmm::{Vmm, quoting::Buffer},
};
use alloc::vec::Vec;
use core::mem::offset_of;
use tessera_defs::tdx::{
    quote::{BUFFER_VERSION, QuoteBuffer, buffer_status},
    report::TdReport,
    vmcall,
};
use zerocopy::FromBytes;

/// Largest buffer, in bytes.
const MOST: u64 = 1 << 20;
const HEAD: u64 = size_of::<QuoteBuffer>() as u64;
const STATUS: u64 = offset_of!(QuoteBuffer, status) as u64;

impl Tdx {
    /// Takes the buffer: status of the call. The quote comes later.
    pub(super) fn get_quote(
        &mut self,
        vmm: &mut Vmm,
        memory: &mut Memory,
        gpa: u64,
        len: u64,
    ) -> u64 {
        vmm.note("get-quote");
        let (start, page) = (gpa & !SHARED, PAGE as u64);
        if !(gpa | len).is_multiple_of(page) {
            return vmcall::ALIGN_ERROR;
        }
        let inside = gpa & SHARED != 0 && (1..=MOST).contains(&len) && start < memory.size();
        let pages = start..start.saturating_add(len);
        let shared = |at| self.host_access(memory, at, Access::Write).is_some();
        if !inside || !pages.step_by(PAGE).all(shared) {
            return vmcall::INVALID_OPERAND;
        }
        let status = vmm.quoting.take(start, len);
        if status == vmcall::SUCCESS {
            let flying = buffer_status::IN_FLIGHT.to_le_bytes();
            self.show(memory, start + STATUS, &flying);
        }
        status
    }

    /// Work on quotes goes on; `idle`: the guest waits for what may be their end.
    pub(super) fn quotes(&mut self, vmm: &mut Vmm, memory: &mut Memory, idle: bool) {
        let Some(buffer) = vmm.quoting.done(idle) else {
            return;
        };
        let made = self.made(memory, buffer);
        let status = match &made {
            Some(_) => buffer_status::SUCCESS,
            None => buffer_status::ERROR,
        };
        let quote = made.unwrap_or_default();
        self.show(memory, buffer.gpa + HEAD, &quote);
        let len = (quote.len() as u32).to_le_bytes();
        let out = offset_of!(QuoteBuffer, out_len) as u64;
        self.show(memory, buffer.gpa + out, &len);
        // Last: who sees this sees all of it.
        self.show(memory, buffer.gpa + STATUS, &status.to_le_bytes());
        vmm.notify_quote();
    }

    fn made(&self, memory: &mut Memory, buffer: Buffer) -> Option<Vec<u8>> {
        let head = self.seen(memory, buffer.gpa, HEAD as usize)?;
        let head = QuoteBuffer::read_from_bytes(&head).ok()?;
        if head.version != BUFFER_VERSION || head.in_len as usize != size_of::<TdReport>() {
            return None;
        }
        let report = self.seen(memory, buffer.gpa + HEAD, head.in_len as usize)?;
        quote::quote(&report).filter(|quote| quote.len() as u64 + HEAD <= buffer.len)
    }

    /// Bytes of shared memory; `None` where the TD took a page back.
    fn seen(&self, memory: &mut Memory, gpa: u64, len: usize) -> Option<Vec<u8>> {
        let byte = |at: u64| {
            let frame = self.host_access(memory, at, Access::Read)?;
            Some(memory.page(frame)?[at as usize % PAGE])
        };
        (gpa..gpa + len as u64).map(byte).collect()
    }

    /// Writes into shared memory; what is no longer shared stays as it is.
    fn show(&self, memory: &mut Memory, gpa: u64, bytes: &[u8]) {
        for (at, byte) in (gpa..).zip(bytes) {
            let frame = self.host_access(memory, at, Access::Write);
            if let Some(page) = frame.and_then(|frame| memory.page(frame)) {
                page[at as usize % PAGE] = *byte;
            }
        }
    }
}
