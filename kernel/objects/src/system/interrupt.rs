//! Interrupts as objects: who is told, and whether one may come again.

use super::handles::Object;
use super::objects::{Header, System};
use super::thread::Context;
use tessera_abi::{error::Error, kind::Kind, rights};

/// Lines of the IOAPIC: interrupts 1 to this.
pub const LINES: u8 = 24;
/// Interrupts, those for messages behind the lines; number 0 is nobody.
pub const INTERRUPTS: u8 = 33;

/// One interrupt.
#[derive(Clone, Copy, Debug)]
pub struct Interrupt {
    pub(super) header: Header,
    /// The notification that is told; 0 for none.
    notification: u8,
    /// Generation of `notification`.
    generation: u32,
    bits: u64,
    /// It came and was not acknowledged: it must not come again.
    pub waits: bool,
    /// Deliveries.
    pub count: u64,
}

impl Interrupt {
    pub(super) const EMPTY: Self = Self {
        header: Header::EMPTY,
        notification: 0,
        generation: 0,
        bits: 0,
        waits: false,
        count: 0,
    };

    /// Whether it exists.
    pub fn used(&self) -> bool {
        self.header.used
    }
}

impl<C: Context> System<C> {
    /// Makes interrupt `index`, or, for 0, the first free one for messages. The handle and the
    /// index. Errors: `Busy`, `OutOfMemory`, `TableFull`.
    pub fn create_interrupt(&mut self, index: u8) -> Result<(u32, u8), Error> {
        let free = |at: &u8| !self.interrupts[usize::from(*at)].header.used;
        let index = match index {
            0 => (LINES + 1..INTERRUPTS)
                .find(free)
                .ok_or(Error::OutOfMemory)?,
            line => Some(line).filter(free).ok_or(Error::Busy)?,
        };
        let kind = Kind::Interrupt;
        let generation = self.interrupts[usize::from(index)].header.generation;
        let object = Object {
            kind,
            index,
            generation,
        };
        let handle = self.hold(object)?;
        let header = self.interrupts[usize::from(index)].header;
        self.interrupts[usize::from(index)] = Interrupt {
            header,
            ..Interrupt::EMPTY
        };
        Ok((handle, index))
    }

    /// `attach` by the running thread; its index, for the kernel to let it come.
    pub fn attach(&mut self, handle: u64, notification: u64, bits: u64) -> Result<u8, Error> {
        let index = self.object(handle, Kind::Interrupt, rights::RECEIVE)?;
        let (told, generation) = match notification {
            0 => (0, 0),
            told => {
                let told = self.object(told, Kind::Notification, rights::SEND)?;
                let header = self.notifications[usize::from(told)].header;
                (told, header.generation)
            }
        };
        let interrupt = &mut self.interrupts[usize::from(index)];
        interrupt.notification = told;
        interrupt.generation = generation;
        interrupt.bits = bits;
        interrupt.waits = false;
        Ok(index)
    }

    pub(super) fn detach(&mut self, index: u8) {
        self.interrupts[usize::from(index)].notification = 0;
    }

    /// `acknowledge` by the running thread; its index, for the kernel to let it come.
    pub fn acknowledge(&mut self, handle: u64) -> Result<u8, Error> {
        let index = self.object(handle, Kind::Interrupt, rights::RECEIVE)?;
        self.interrupts[usize::from(index)].waits = false;
        Ok(index)
    }

    /// Whether somebody would be told if interrupt `index` came.
    pub fn attached(&self, index: u8) -> bool {
        let interrupt = &self.interrupts[usize::from(index)];
        let header = self.notifications[usize::from(interrupt.notification)].header;
        let told = interrupt.notification != 0 && header.used;
        interrupt.header.used && told && header.generation == interrupt.generation
    }

    /// Interrupt `index` came: tells who waits for it. False where nobody does, or where it must not
    /// come now: it is to be counted and dropped.
    pub fn deliver_interrupt(&mut self, index: u8) -> bool {
        if !self.attached(index) || self.interrupts[usize::from(index)].waits {
            return false;
        }
        let interrupt = &mut self.interrupts[usize::from(index)];
        interrupt.waits = true;
        interrupt.count += 1;
        let (told, bits) = (interrupt.notification, interrupt.bits);
        self.raise(told, bits);
        self.preempt();
        true
    }
}
