//! Interrupts of devices: from a vector to the object whose driver is told.

use crate::cpu::Kernel;
use crate::{apic, host, ioapic, processors, timer};
use core::sync::atomic::{AtomicU32, Ordering};
use tessera_defs::hyperv::synic::{SINT_PROXY, SOURCES};
use tessera_isolation::strategy::traits::HostCalls;
use tessera_objects::system::interrupt::{INTERRUPTS, LINES};

/// Vector of interrupt 1.
const FIRST: u64 = 0x50;
/// Their vectors.
pub const VECTORS: core::ops::Range<u64> = FIRST..FIRST + INTERRUPTS as u64 - 1;
const _: () = assert!(VECTORS.end <= 0x80 && FIRST > timer::VECTOR as u64);
const _: () = assert!(FIRST > processors::VECTOR as u64);

/// Messages; each has a source of its own below a paravisor, from the last one down.
const MESSAGES: u32 = (INTERRUPTS - 1 - LINES) as u32;
const _: () = assert!(MESSAGES as usize <= SOURCES);
/// Register of the paravisor's first source; 0 where it has none.
static SINT0: AtomicU32 = AtomicU32::new(0);

/// A paravisor passes on only those interrupts of the host's devices for which a source asks: its registers begin here.
pub fn admit_by(sint0: u32) {
    SINT0.store(sint0, Ordering::Relaxed);
}

/// Asks it on this processor for the vectors of messages. A host that has no such interrupts is no fault.
pub fn admit() {
    let sint0 = SINT0.load(Ordering::Relaxed);
    let ask = |host: &mut dyn HostCalls| {
        let mut messages = 0..MESSAGES;
        messages.try_for_each(|n| {
            let vector = VECTORS.end - 1 - u64::from(n);
            host.wrmsr(sint0 + SOURCES as u32 - 1 - n, SINT_PROXY | vector)
        })
    };
    if sint0 != 0 && host::with(ask).is_none_or(|asked| asked.is_err()) {
        log::info!("interrupts: no messages of the host's devices");
    }
}

/// The vector of an interrupt.
pub fn vector(index: u8) -> u32 {
    FIRST as u32 + u32::from(index) - 1
}

/// One of `VECTORS` came. Its driver is told, and until that one acknowledges it does not come again: a
/// line is masked, a message is dropped. What nobody waits for is counted and dropped.
pub fn came(kernel: &mut Kernel, vector: u64) {
    let index = (vector - FIRST) as u8 + 1;
    end(index);
    if kernel.system.deliver_interrupt(index) {
        apic::end_of_interrupt();
    } else {
        timer::unasked_interrupt();
    }
}

/// Lets interrupt `index` come.
pub fn begin(index: u8) {
    if index <= LINES {
        ioapic::open(u32::from(index) - 1);
    }
}

/// Keeps interrupt `index` from coming.
pub fn end(index: u8) {
    if index <= LINES {
        ioapic::close(u32::from(index) - 1);
    }
}
