//! Kinds of objects that a handle can name.

/// What a handle names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Page tables, a handle table, a quota: a process.
    AddressSpace = 1,
    /// A thread of an address space.
    Thread = 2,
    /// Where synchronous calls meet the thread that serves them.
    Endpoint = 3,
    /// 64 bits that are set without waiting and taken all at once.
    Notification = 4,
    /// Pages of memory.
    Region = 5,
    /// An interrupt that a driver waits for: a line of the IOAPIC, or a vector for messages.
    Interrupt = 6,
    /// The right to make one kind of host call.
    HostChannel = 7,
    /// The right to be attested.
    Evidence = 8,
    /// The right to read the system's state: log, processes, interrupts.
    Inspection = 9,
}

impl Kind {
    /// The kind of a number.
    pub const fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            1 => Self::AddressSpace,
            2 => Self::Thread,
            3 => Self::Endpoint,
            4 => Self::Notification,
            5 => Self::Region,
            6 => Self::Interrupt,
            7 => Self::HostChannel,
            8 => Self::Evidence,
            9 => Self::Inspection,
            _ => return None,
        })
    }
}
