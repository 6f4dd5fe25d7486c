//! A plain machine: every page is as visible as every other.

use super::traits::{PageVisibility, Pages};
use crate::refusal::Refusal;

/// Nothing to do, because nobody isolates.
#[derive(Debug)]
pub struct Plain;

impl PageVisibility for Plain {
    fn accept(&mut self, _: Pages) -> Result<(), Refusal> {
        Ok(())
    }
    fn rescind(&mut self, _: Pages) -> Result<(), Refusal> {
        Ok(())
    }
    fn share(&mut self, _: Pages) -> Result<(), Refusal> {
        Ok(())
    }
    fn unshare(&mut self, _: Pages) -> Result<(), Refusal> {
        Ok(())
    }
    fn accept_again(&mut self, _: Pages) -> Result<(), Refusal> {
        Ok(())
    }
}
