//! Rights of a handle: bits, of which a copy can only have fewer.

/// Endpoint: call. Notification: signal. Host channel: write, call. Evidence: ask for it.
pub const SEND: u8 = 1 << 0;
/// Endpoint: receive and reply. Notification: wait, bind. Interrupt: attach, acknowledge. Host
/// channel: read. Inspection: read.
pub const RECEIVE: u8 = 1 << 1;
/// Make copies of the handle in one's own table.
pub const DUPLICATE: u8 = 1 << 2;
/// Send the handle in a message, or give it to a child.
pub const TRANSFER: u8 = 1 << 3;
/// Revoke; address space: map, create in it, kill; thread: kill, cancel.
pub const MANAGE: u8 = 1 << 4;
/// Region: map writable.
pub const WRITE: u8 = 1 << 5;
/// Region: map executable.
pub const EXECUTE: u8 = 1 << 6;
/// Every right.
pub const ALL: u8 = 0x7F;
