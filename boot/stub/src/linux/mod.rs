//! Linux as the image's guest: the stub does for it what a firmware does.

mod accept;
mod enter;
mod mailbox;
mod ranges;
mod tables;
mod window;

pub use enter::enter;

use crate::platform::Platform;
use bootloader_api::info::MemoryRegion;
use ranges::Ranges;
use tessera_defs::hyperv::{CPUID_FEATURES, synic::FEATURE_EAX_SYNIC};
use tessera_defs::refusal::Refusal;
use tessera_handoff::{launch::LaunchBlock, layout::LINUX_MAILBOX};

/// Makes everything ready; Linux' entry. `comes_private`: memory outside the image is the
/// guest's already. `hyperv`: the hypervisor has Hyper-V's interface. Our paravisor has that, too, but a synthetic
/// interrupt controller, without which there is no VMBus, only where its host has one. Errors: what `Ranges`, `tables` and `accept` name.
pub fn prepare(
    launch: &LaunchBlock,
    regions: &[MemoryRegion],
    platform: &mut Platform,
    comes_private: bool,
    hyperv: bool,
) -> Result<u64, Refusal> {
    let ranges = Ranges::new(launch, regions, accept::needed(platform))?;
    let snp = matches!(platform, Platform::Snp(_));
    let mailbox = matches!(platform, Platform::Tdx).then_some(LINUX_MAILBOX);
    let below = matches!(platform, Platform::Vmpl2 | Platform::L2);
    let vmbus = hyperv && (!below || platform.cpuid(CPUID_FEATURES)?[0] & FEATURE_EAX_SYNIC != 0);
    tables::write(&ranges, snp, mailbox, vmbus)?;
    accept::accept(&ranges, platform, comes_private)?;
    if mailbox.is_some() {
        mailbox::open();
    }
    Ok(launch.kernel.entry)
}
