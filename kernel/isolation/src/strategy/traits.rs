//! What the kernel asks of a mode.

use crate::refusal::Refusal;
use tessera_protocol::exception::serve::Service;

/// Calls that leave the guest: CPUID, MSRs, ports, MMIO, halting, hypercalls.
pub trait HostCalls: Service + Send {}
impl<T: Service + Send> HostCalls for T {}

/// A run of small pages: guest physical address, where it is mapped private, count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    /// Guest physical address of the first one.
    pub gpa: u64,
    /// Virtual address of the first one in a private mapping.
    pub virt: u64,
    /// How many, contiguous in both.
    pub count: u64,
}

/// Who may see a page. Every error names the party at fault.
pub trait PageVisibility: Send {
    /// Makes pages that were never used private and accepted.
    fn accept(&mut self, pages: Pages) -> Result<(), Refusal>;
    /// First half of sharing: gives up the guest's own claim. The mapping goes away next.
    fn rescind(&mut self, pages: Pages) -> Result<(), Refusal>;
    /// Second half: asks the host to share pages that are mapped nowhere.
    fn share(&mut self, gpa: u64) -> Result<(), Refusal>;
    /// Asks the host to make a page private that is mapped nowhere; `accept_again` follows.
    fn unshare(&mut self, gpa: u64) -> Result<(), Refusal>;
    /// Accepts a page that was shared and is mapped private again.
    fn accept_again(&mut self, pages: Pages) -> Result<(), Refusal>;
}
