//! A gate through which processors enter a guest, and which one of them closes while nobody may be inside. One word:
//! a bit for each processor that is inside, and one for the gate; each change of it says what was there before, so that
//! who enters and who closes cannot miss each other.

use core::sync::atomic::{AtomicU32, Ordering};

/// A word that several processors use; `loom` replaces it in the tests.
pub trait Flags {
    /// Sets bits; the value before. What was done before is seen by who loads or sets after it.
    fn set(&self, bits: u32) -> u32;
    /// Clears bits, likewise.
    fn clear(&self, bits: u32);
    /// The value.
    fn load(&self) -> u32;
}

impl Flags for AtomicU32 {
    fn set(&self, bits: u32) -> u32 {
        self.fetch_or(bits, Ordering::AcqRel)
    }
    fn clear(&self, bits: u32) {
        self.fetch_and(!bits, Ordering::AcqRel);
    }
    fn load(&self) -> u32 {
        AtomicU32::load(self, Ordering::Acquire)
    }
}

const CLOSED: u32 = 1 << 31;
/// Processors that it has a bit for.
pub const MOST: usize = 31;

/// The gate.
#[derive(Debug, Default)]
pub struct Gate<W = AtomicU32>(pub W);

impl<W: Flags> Gate<W> {
    /// Processor `who` (below `MOST`) goes in; `false` where it is closed.
    pub fn enter(&self, who: usize) -> bool {
        let open = self.0.set(1 << who) & CLOSED == 0;
        if !open {
            self.0.clear(1 << who);
        }
        open
    }

    /// It came out.
    pub fn leave(&self, who: usize) {
        self.0.clear(1 << who);
    }

    /// Nobody goes in from now on: who is inside still, a bit each. One at a time may close it.
    pub fn close(&self) -> u32 {
        self.0.set(CLOSED) & !CLOSED
    }

    /// Who is inside, a bit each; one that tries to go in may be shown, too.
    pub fn inside(&self) -> u32 {
        self.0.load() & !CLOSED
    }

    /// Everybody may go in.
    pub fn open(&self) {
        self.0.clear(CLOSED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicU32 as Loom;

    impl Flags for Loom {
        fn set(&self, bits: u32) -> u32 {
            self.fetch_or(bits, Ordering::AcqRel)
        }
        fn clear(&self, bits: u32) {
            self.fetch_and(!bits, Ordering::AcqRel);
        }
        fn load(&self) -> u32 {
            Loom::load(self, Ordering::Acquire)
        }
    }

    /// A page that becomes valid first and usable then. Who meets it in between is lost: those accesses are relaxed.
    struct Machine {
        gate: Gate<Loom>,
        valid: Loom,
        usable: Loom,
    }

    /// Touches the page; whether it could be used.
    fn touch(machine: &Machine, who: usize) -> Option<bool> {
        machine.gate.enter(who).then(|| {
            let valid = machine.valid.load(Ordering::Relaxed) == 1;
            let usable = machine.usable.load(Ordering::Relaxed) == 1;
            assert!(!valid || usable, "a fault that only the host sees");
            machine.gate.leave(who);
            usable
        })
    }

    fn accept(machine: &Machine) {
        machine.gate.close();
        while machine.gate.inside() != 0 {
            loom::thread::yield_now();
        }
        machine.valid.store(1, Ordering::Relaxed);
        machine.usable.store(1, Ordering::Relaxed);
        machine.gate.open();
    }

    #[test]
    fn nobody_is_inside_while_it_is_closed() {
        loom::model(|| {
            let machine = Arc::new(Machine {
                gate: Gate(Loom::new(0)),
                valid: Loom::new(0),
                usable: Loom::new(0),
            });
            let other = {
                let machine = machine.clone();
                loom::thread::spawn(move || {
                    touch(&machine, 1);
                    touch(&machine, 1)
                })
            };
            accept(&machine);
            assert_eq!(touch(&machine, 0), Some(true), "it stays closed");
            other.join().unwrap();
            assert_eq!(machine.gate.inside(), 0);
        });
    }
}
