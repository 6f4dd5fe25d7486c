//! TDVMCALL<GetQuote> and <SetupEventNotifyInterrupt>: the host takes the buffer, works on it while
//! the guest goes on, and says by an interrupt that it is done. Source: GHCI 348552, 3.3 and 3.5.

use super::Vmm;
use alloc::vec::Vec;
use tessera_defs::tdx::vmcall;

/// Exits of the TD that pass before a quote is done. Who looks before then finds it in flight.
const WORK: u32 = 4;
/// Buffers that the host works on at once; one more must be asked for again.
const AT_ONCE: usize = 4;

/// A buffer that the host works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Address, without the shared bit.
    pub gpa: u64,
    /// Bytes.
    pub len: u64,
    left: u32,
}

/// What the host knows of quotes.
#[derive(Clone, Debug, Default)]
pub struct Quoting {
    buffers: Vec<Buffer>,
    /// Processor and vector that are told of the end.
    notify: Option<(usize, u8)>,
}

impl Quoting {
    /// Takes a buffer; the status of the call.
    pub fn take(&mut self, gpa: u64, len: u64) -> u64 {
        if self.buffers.iter().any(|buffer| buffer.gpa == gpa) {
            return vmcall::GPA_IN_USE;
        }
        if self.buffers.len() == AT_ONCE {
            return vmcall::RETRY;
        }
        let left = WORK;
        self.buffers.push(Buffer { gpa, len, left });
        vmcall::SUCCESS
    }

    /// One exit passes, or the guest has nothing else to do: a buffer that is done.
    pub fn done(&mut self, idle: bool) -> Option<Buffer> {
        let first = self.buffers.first_mut()?;
        first.left = if idle {
            0
        } else {
            first.left.saturating_sub(1)
        };
        (first.left == 0).then(|| self.buffers.remove(0))
    }
}

impl Vmm {
    /// SetupEventNotifyInterrupt by the current processor: status.
    pub fn set_notify(&mut self, vector: u64) -> u64 {
        let current = self.current();
        self.quoting.notify = match vector {
            0 => None,
            32..=255 => Some((current, vector as u8)),
            _ => return vmcall::INVALID_OPERAND,
        };
        vmcall::SUCCESS
    }

    /// Says that a quote is done.
    pub fn notify_quote(&mut self) {
        if let Some((processor, vector)) = self.quoting.notify
            && let Some(vp) = self.vps.get_mut(processor)
        {
            vp.apic.request(vector);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_in_flight_for_some_exits_and_once() {
        let mut quoting = Quoting::default();
        assert_eq!(quoting.done(true), None);
        assert_eq!(quoting.take(0x1000, 4096), vmcall::SUCCESS);
        assert_eq!(quoting.take(0x1000, 4096), vmcall::GPA_IN_USE);
        for _ in 1..WORK {
            assert_eq!(quoting.done(false), None);
        }
        assert_eq!(quoting.done(false).unwrap().gpa, 0x1000);
        for at in 1..=AT_ONCE as u64 {
            assert_eq!(quoting.take(at << 12, 4096), vmcall::SUCCESS);
        }
        assert_eq!(quoting.take(0x9000, 4096), vmcall::RETRY);
        assert_eq!(quoting.done(true).unwrap().gpa, 0x1000);
    }
}
