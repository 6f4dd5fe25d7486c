//! Waiting for nothing but time.

use crate::call::{bare, plain};
use tessera_abi::{error::Error, number};

/// Sleeps at least `microseconds` (not 0) of the mode's clock. Errors: `number::SLEEP`.
pub fn sleep(microseconds: u32) -> Result<(), Error> {
    plain(number::timeout(number::SLEEP, microseconds), 0, 0, 0).map(|_| ())
}

/// Lets others of the same priority run.
#[inline(always)]
pub fn yield_now() {
    bare(number::YIELD);
}
