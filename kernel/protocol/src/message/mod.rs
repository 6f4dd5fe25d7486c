//! Guest messages to the security processor. Source: 56860 rev. 1.58, SNP_GUEST_REQUEST.

pub mod channel;
pub mod key;
pub mod report;
pub mod seal;
