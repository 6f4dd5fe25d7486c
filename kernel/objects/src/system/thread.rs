//! A thread, and the registers that the kernel keeps of it.

/// Threads at most, thread 0 included, which is nobody: an index is a `u8` and needs no check.
pub const THREADS: usize = 256;

/// The saved registers of a thread, as far as IPC needs them. `tessera_abi::message` has the
/// table of registers.
pub trait Context: Copy {
    /// All zero.
    const EMPTY: Self;
    /// First argument: the handle.
    fn handle(&self) -> u64;
    /// The tag.
    fn tag(&self) -> u64;
    /// Takes the words of `from`'s message, with this badge and tag, and result `MESSAGE`.
    fn deliver(&mut self, from: &Self, badge: u64, tag: u64);
    /// The same with words 0 to 3 only, and result `SHORT`.
    fn deliver_short(&mut self, from: &Self, badge: u64, tag: u64);
    /// The first two words of a message.
    fn first_words(&self) -> [u64; 2];
    /// Takes these words as words 0 to 3, with this badge and tag, and result `SHORT`.
    fn deliver_words(&mut self, words: [u64; 4], badge: u64, tag: u64);
    /// The result of the system call.
    fn set_result(&mut self, result: u64);
    /// Result `NOTIFIED` with these bits.
    fn set_notified(&mut self, bits: u64);
}

/// What a thread waits for that touched a page which a pager brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// First address of the page.
    pub address: u64,
    /// Which page of the region.
    pub page: u32,
    /// `message::TOUCH_*`.
    pub touch: u8,
    /// Which region; 0: the thread waits for no page.
    pub region: u8,
}

impl Fault {
    /// None.
    pub const NONE: Self = Self {
        address: 0,
        page: 0,
        touch: 0,
        region: 0,
    };
}

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// No thread.
    Free = 0,
    /// In a ready queue.
    Ready,
    /// On a processor.
    Running,
    /// In an endpoint's queue, with a message.
    Sending,
    /// In an endpoint's queue, for a message.
    Receiving,
    /// Its message was taken by thread `peer`; waits for the reply.
    Awaiting,
    /// Waits for notification `peer`.
    Waiting,
    /// Waits for its deadline only.
    Sleeping,
}

/// One thread.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
pub struct Thread<C> {
    /// Saved registers. First, so that the address of a thread is that of its registers.
    pub context: C,
    /// Root of the page tables of its space, for the kernel.
    pub tables: u64,
    /// FS base.
    pub tls: u64,
    /// When its wait ends; 0: never.
    pub deadline: u64,
    /// Badge of the handle by which it calls, while `Sending`.
    pub(super) badge: u64,
    /// The page that it waits for.
    pub fault: Fault,
    /// The page that no pager brings it; 0 for none.
    pub(super) refused: u64,
    /// Changes when the slot is used again.
    pub generation: u32,
    /// What it does.
    pub state: State,
    /// Its address space.
    pub space: u8,
    /// Priority that it was made with.
    pub base: u8,
    /// Priority that it has: the highest of its own and of those who wait for it.
    pub effective: u8,
    /// Thread that waits for its reply; 0 for none.
    pub caller: u8,
    /// Endpoint, notification or thread that it waits for.
    pub(super) peer: u8,
    /// Endpoint by which `caller` came.
    pub(super) serving: u8,
    /// Notification bound to it; 0 for none.
    pub(super) bound: u8,
    /// What is left of its slice, after it was preempted; 0: a whole one.
    pub(super) left: u8,
    /// The processor in whose queue it is, or that had it last.
    pub(super) home: u8,
    /// Sends and takes short messages in its present call.
    pub(super) short: bool,
    pub(super) next: u8,
    pub(super) previous: u8,
}

impl<C> Thread<C> {
    /// Whether it waits for a page.
    pub fn faults(&self) -> bool {
        self.fault.region != 0
    }
}

impl<C: Context> Thread<C> {
    pub(super) const EMPTY: Self = Self {
        context: C::EMPTY,
        tables: 0,
        tls: 0,
        deadline: 0,
        badge: 0,
        fault: Fault::NONE,
        refused: 0,
        generation: 0,
        state: State::Free,
        space: 0,
        base: 0,
        effective: 0,
        caller: 0,
        peer: 0,
        serving: 0,
        bound: 0,
        left: 0,
        home: 0,
        short: false,
        next: 0,
        previous: 0,
    };
}
