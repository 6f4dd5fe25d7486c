//! Messages: what `CALL`, `REPLY`, `RECEIVE` and `REPLY_RECEIVE` carry.
//!
//! A message is ten words (80 bytes) and a tag, in registers. All ten are always carried; a
//! sender zeroes what it does not use. Larger data go through regions.
//!
//! | register | sent | received |
//! |---|---|---|
//! | RDI | handle that is called or received on | badge of the caller's handle; 0 in a reply; the bits of a notification |
//! | RSI | tag | tag |
//! | RDX, R8, R9, R10, R12, R13, R14, R15, RBX, RBP | words 0 to 9 | the same |
//! | RAX | number and timeout | `MESSAGE`, `SHORT`, `NOTIFIED`, or an error |
//!
//! `CALL_SHORT` and `REPLY_RECEIVE_SHORT` send and take only words 0 to 3: whoever uses them keeps
//! R12 to R15, RBX and RBP. A message is short where either side is; RAX of the receiver is then
//! `SHORT`, and its other words are what it had there itself.
//!
//! Tag: bits 31:0 are the sender's label, unchanged; bits 63:32 are a handle that moves with the
//! message, 0 for none. A moved handle needs `TRANSFER`; it leaves the sender's table and gets a
//! new number in the receiver's, which is what the receiver sees in the tag.
//!
//! A **fault message** comes from the kernel to the pager of a region (`number::CREATE`), with the
//! badge of the endpoint handle that the region was made with, label `FAULT` and a short message's
//! words: address of the page, `TOUCH_*`, page of the region, number of the thread that waits (the
//! same for its life). A caller can send the same label: give it another badge. The reply's label
//! says what becomes of the thread: `FAULT_PAGE` hands a page in, word 0 being a handle of one of
//! the pager's zero-filled regions (right `WRITE`), word 1 the page of it that moves; `FAULT_END`
//! ends the process; with any other the thread touches its page again.

/// Words of a message.
pub const WORDS: usize = 10;
/// Words of a short message.
pub const SHORT_WORDS: usize = 4;
/// RAX of `RECEIVE` and `REPLY_RECEIVE`: a message, whose sender waits for a reply.
pub const MESSAGE: u64 = 0;
/// RAX of the same, and of a call: a message or reply of which only words 0 to 3 were carried.
pub const SHORT: u64 = 2;
/// RAX of `RECEIVE` and `REPLY_RECEIVE`: a notification; RDI has the bits, no reply is owed.
pub const NOTIFIED: u64 = 1;

/// Label of a fault message.
pub const FAULT: u32 = 0x8000_0000;
/// Label of its reply: the page of word 1 of the region of word 0 moves there.
pub const FAULT_PAGE: u32 = 1;
/// Label of its reply: there is no such page, the process ends with `STATUS_UNPAGED`.
pub const FAULT_END: u32 = 2;
/// The page was read.
pub const TOUCH_READ: u8 = 0;
/// The page was written.
pub const TOUCH_WRITE: u8 = 1;
/// The page was executed.
pub const TOUCH_EXECUTE: u8 = 2;

/// A tag of a label and a handle (0: none).
pub const fn tag(label: u32, handle: u32) -> u64 {
    label as u64 | (handle as u64) << 32
}
/// The label of a tag.
pub const fn label(tag: u64) -> u32 {
    tag as u32
}
/// The handle of a tag.
pub const fn handle(tag: u64) -> u32 {
    (tag >> 32) as u32
}
