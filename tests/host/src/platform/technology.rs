//! What a technology gives the host.

use crate::{memory::frames::Memory, report::End, silicon::snp::messages::Issued, vmm::Vmm};
use alloc::string::String;

/// What a launch page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageKind {
    /// Measured content.
    Normal,
    /// Loaded, not measured.
    Unmeasured,
    /// SNP secrets page.
    Secrets,
    /// SNP CPUID page.
    Cpuid,
    /// SNP VMSA, or the native context (then `content` is `IgvmNativeVpContextX64`).
    Context,
    /// Shared page (none in our images).
    Shared,
}

/// One page of the IGVM file, in the order of its directives.
#[derive(Clone, Copy, Debug)]
pub struct LaunchPage<'a> {
    /// Guest-physical address, page aligned.
    pub gpa: u64,
    /// Kind.
    pub kind: PageKind,
    /// File data; empty means zeros.
    pub content: &'a [u8],
}

/// Direction of the host's own access to a guest page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read.
    Read,
    /// Write.
    Write,
}

/// What one step of a run loop came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Go on.
    Continue,
    /// The run is over.
    End(End),
}

/// One technology: a processor that silicon models, run by the vmm.
pub trait Technology {
    /// The guest policy of the IGVM file, before any page.
    fn policy(&mut self, policy: u64);

    /// Puts one page into the guest and measures it (SNP_LAUNCH_UPDATE, TDH.MEM.PAGE.ADD with
    /// MR.EXTEND). Errors: what the loader should report.
    fn add_page(&mut self, memory: &mut Memory, page: &LaunchPage<'_>) -> Result<(), String>;

    /// Ends the launch; the digest in hex, where there is one. After all pages.
    fn finish(&mut self, vmm: &mut Vmm, memory: &mut Memory) -> Result<Option<String>, String>;

    /// Enters the guest once and serves the exit.
    fn step(&mut self, vmm: &mut Vmm, memory: &mut Memory) -> Step;

    /// The frame that the host may touch at `gpa` (no C-bit or shared bit): only pages that the
    /// guest shares. `None` where silicon stops the host.
    fn host_access(&self, memory: &Memory, gpa: u64, access: Access) -> Option<u32>;

    /// RIP of the context that ran last.
    fn rip(&self) -> u64;

    /// Pages that the guest validated or accepted, and pages that it shared.
    fn pages(&self) -> (u64, u64);

    /// SNP: the attestation reports that the guest got, oldest first.
    fn reports(&self) -> &[Issued] {
        &[]
    }

    /// TDX: the run-time measurement registers.
    fn rtmr(&self) -> Option<&[[u8; 48]; 4]> {
        None
    }
}
