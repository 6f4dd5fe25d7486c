//! Handles, and what can be done with any of them.

use crate::call::plain;
use tessera_abi::kind::Kind;
use tessera_abi::{error::Error, number};

/// A number of this process' handle table. It may be stale: the kernel says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(u32);

impl Handle {
    /// No handle.
    pub const NONE: Self = Self(0);

    /// By number: what a parent gave, what a message brought.
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0
    }

    fn new(result: u64) -> Self {
        Self(result as u32)
    }

    /// A new endpoint. Errors: `number::CREATE`.
    pub fn endpoint() -> Result<Self, Error> {
        plain(number::CREATE, Kind::Endpoint as u64, 0, 0).map(Self::new)
    }

    /// A new notification. Errors: `number::CREATE`.
    pub fn notification() -> Result<Self, Error> {
        plain(number::CREATE, Kind::Notification as u64, 0, 0).map(Self::new)
    }

    /// A copy. Errors: `number::DUPLICATE`.
    pub fn duplicate(self, rights: u8, badge: u64) -> Result<Self, Error> {
        plain(number::DUPLICATE, self.0.into(), rights.into(), badge).map(Self::new)
    }

    /// Forgets it. Errors: `number::CLOSE`.
    pub fn close(self) -> Result<(), Error> {
        plain(number::CLOSE, self.0.into(), 0, 0).map(|_| ())
    }

    /// Makes it the only one. Errors: `number::REVOKE`.
    pub fn revoke(self) -> Result<(), Error> {
        plain(number::REVOKE, self.0.into(), 0, 0).map(|_| ())
    }

    /// Sets bits of a notification. Errors: `number::SIGNAL`.
    pub fn signal(self, bits: u64) -> Result<(), Error> {
        plain(number::SIGNAL, self.0.into(), bits, 0).map(|_| ())
    }

    /// Receives on an endpoint end by this notification too. Errors: `number::BIND`.
    pub fn bind(self) -> Result<(), Error> {
        plain(number::BIND, self.0.into(), 0, 0).map(|_| ())
    }

    /// Ends a thread's wait. Errors: `number::CANCEL`.
    pub fn cancel(self) -> Result<(), Error> {
        plain(number::CANCEL, self.0.into(), 0, 0).map(|_| ())
    }
}
