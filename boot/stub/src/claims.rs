//! Claims of the host, collected once and believed by nobody.

use crate::event_log::Heard;
use crate::memory;
use crate::platform::Platform;
use tessera_defs::hyperv::MSR_ISOLATION_CONFIG;
use tessera_defs::mode::HostProfile;
use tessera_defs::refusal::Refusal;
use tessera_handoff::launch::LaunchBlock;
use tessera_handoff::layout::{LAUNCH_BLOCK, PARAM_COMMAND_LINE, PARAM_MADT, PARAM_VP};
use tessera_isolation::claims::{Claims, LeafClaim};

/// The isolation claims, noted in `heard` as they came. Errors: what the platform could not be
/// asked.
pub fn isolation(platform: &mut Platform, heard: &mut Heard) -> Result<Claims, Refusal> {
    let mut failed = None;
    let leaves = LeafClaim::read(&mut |leaf| {
        let answer = platform.cpuid(leaf).unwrap_or_else(|refusal| {
            failed = Some(refusal);
            [0; 4]
        });
        heard.leaf(leaf, answer);
        answer
    });
    if let Some(refusal) = failed {
        return Err(refusal);
    }
    heard.msr = platform.rdmsr(MSR_ISOLATION_CONFIG)?;
    let msr = heard.msr;
    Ok(Claims { leaves, msr })
}

/// The measured launch block.
pub fn launch_block() -> LaunchBlock {
    memory::read(LAUNCH_BLOCK)
}

/// Virtual processors by the host's claim, 1 where it says nothing.
pub fn vp_count() -> u32 {
    memory::read::<u32>(PARAM_VP).max(1)
}

/// Whether memory outside the image is private already: Hyper-V-like hosts hand it over so.
pub fn comes_private(profile: HostProfile) -> bool {
    profile == HostProfile::HyperV
}

/// The command line, which only chooses how much is printed.
pub fn command_line() -> &'static [u8] {
    memory::bytes(PARAM_COMMAND_LINE, 4096)
}

/// The MADT's bytes if the host gave a table that is one.
pub fn madt() -> Option<&'static [u8]> {
    let page = memory::bytes(PARAM_MADT, 4096);
    let len = u32::from_le_bytes(page[4..8].try_into().ok()?) as usize;
    let table = page.get(..len).filter(|table| table.len() >= 44)?;
    let sum = table.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    (table.starts_with(b"APIC") && sum == 0).then_some(table)
}
