//! Acceptance of what Linux uses before it accepts by itself, by the kernel's own strategies.
#![allow(unsafe_code)] // ports of the platform, in whose door this was entered

use super::ranges::{Range, Ranges};
use super::window;
use crate::{memory_map, platform::Platform};
use tessera_defs::refusal::Refusal;
use tessera_handoff::layout::SHARED_PAGES;
use tessera_hw::host::{GhcbMsrPort, RmpPort, TdcallPort};
use tessera_isolation::strategy::{
    ghcb::PscVisibility,
    tdvmcall::AcceptVisibility,
    traits::{PageVisibility, Pages},
};
use tessera_protocol::ghcb_msr;

/// Whether memory must be accepted on this platform.
pub fn needed(platform: &Platform) -> bool {
    matches!(platform, Platform::Snp(_) | Platform::Tdx)
}

/// Accepts `ranges.now()` without what was loaded, and takes back what the stub shares. Errors:
/// the strategies'.
pub fn accept(
    ranges: &Ranges<'_>,
    platform: &mut Platform,
    comes_private: bool,
) -> Result<(), Refusal> {
    match platform {
        Platform::Snp(Some(shared)) => {
            // SAFETY: SNP was entered through its own door; only memory outside the image.
            let rmp = unsafe { RmpPort::new() };
            let mut strategy = PscVisibility {
                ghcb: shared.ghcb.handle(),
                rmp,
                comes_private,
            };
            each(ranges, |range| {
                window::each(range, |pages| strategy.accept(pages))
            })?;
            // The GHCB's own page is among them, so this goes by the MSR protocol.
            // SAFETY: as above; the stub uses none of these pages again.
            let mut msr = unsafe { GhcbMsrPort::new() };
            for gpa in SHARED_PAGES {
                ghcb_msr::page_state(&mut msr, gpa, ghcb_msr::PageState::Private)
                    .map_err(|_| Refusal::VisibilityRefused)?;
                strategy.accept_again(pages((gpa, gpa + 4096)))?;
            }
            Ok(())
        }
        Platform::Tdx => {
            // SAFETY: TDX was entered through its own door; only memory outside the image.
            let mut strategy = AcceptVisibility(unsafe { TdcallPort::new() });
            memory_map::firmware().try_for_each(|range| strategy.accept(pages(range)))?;
            each(ranges, |range| strategy.accept(pages(range)))
        }
        _ => Ok(()),
    }
}

fn each(
    ranges: &Ranges<'_>,
    mut accept: impl FnMut(Range) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    for (mut start, end) in ranges.now() {
        for loaded in ranges.loaded {
            if start < loaded.1 && loaded.0 < end {
                accept((start, loaded.0))?;
                start = loaded.1;
            }
        }
        accept((start, end))?;
    }
    Ok(())
}

/// The stub's map is the identity.
fn pages((start, end): Range) -> Pages {
    Pages {
        gpa: start,
        virt: start,
        count: end.saturating_sub(start) / 4096,
    }
}
