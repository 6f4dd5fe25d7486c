//! What the manifest grants a service beside endpoints. The first process makes it and keeps it, so that
//! it outlives the service.

use tessera_abi::error::Error;
use tessera_abi::{number, rights};
use tessera_handoff::bundle::{Service, grant};
use tessera_runtime::device::{Channel, Evidence, Inspection, Interrupt};
use tessera_runtime::handle::Handle;
use tessera_runtime::{process, shared};

/// Handles in the order in which they are given (`service::granted`), each with its rights.
#[derive(Clone, Copy)]
pub struct Grants([(Handle, u8); 5]);

impl Grants {
    /// Nothing.
    pub const NONE: Self = Self([(Handle::NONE, 0); 5]);

    /// What the manifest says. A line that this system does not have is left out: the service sees
    /// that. Errors: those of the calls.
    pub fn new(service: &Service) -> Result<Self, Error> {
        let has = |bit| service.grants & bit != 0;
        let mut grants = Self::NONE;
        let [channel, evidence, inspection, interrupt, memory] = &mut grants.0;
        let range = service.channel;
        if range.kind != 0 {
            let made = Channel::new(range.kind.into(), range.first, range.count.into())?;
            *channel = (made.0, rights::SEND | rights::RECEIVE);
        }
        if has(grant::EVIDENCE) {
            *evidence = (Evidence::new()?.0, rights::SEND);
        }
        if has(grant::INSPECTION) {
            *inspection = (Inspection::new()?.0, rights::RECEIVE);
        }
        if let Some(line) = service.line.checked_sub(1) {
            let trigger = u64::from(service.trigger) * number::INTERRUPT_LEVEL;
            match Interrupt::new(u64::from(line) | trigger) {
                Err(Error::NotCreatable) => {}
                made => *interrupt = (made?.0, rights::RECEIVE),
            }
        }
        if service.shared != 0 {
            let made = shared::region(service.shared.into(), Handle::NONE)?;
            *memory = (made, rights::WRITE);
        }
        Ok(grants)
    }

    /// Gives them to a process. Errors: `number::GIVE`.
    pub fn give(&self, space: Handle) -> Result<(), Error> {
        let made = self.0.iter().filter(|(handle, _)| *handle != Handle::NONE);
        for (handle, rights) in made {
            process::give(space, *handle, *rights, 0)?;
        }
        Ok(())
    }

    /// Its handles, `Handle::NONE` for what is not there.
    pub fn handles(self) -> impl Iterator<Item = Handle> {
        self.0.into_iter().map(|(handle, _)| handle)
    }
}
