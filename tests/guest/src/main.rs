//! The guest that does one wrong thing, or probes the paravisor below it: what the commit text
//! of its image names.
#![no_std]
#![no_main]

mod answers;
mod conformance;
mod l1;
mod lower;
mod processors;
mod snp;
mod tdx;
mod window;

use tessera_defs::mode::Mode;
use tessera_guest::catalogue::{
    self, CONFORMANCE, CONFORMANCE_KVM, PROBE, PROCESSORS, PROCESSORS_KVM,
};
use tessera_handoff::handoff::Handoff;
use window::Guest;

/// Does something wrong.
type Deed = fn(&mut Guest);
/// Deeds by the name of their act.
type Deeds = &'static [(&'static str, Deed)];

/// The stub calls this in place of the kernel's entry, with the same state.
#[allow(unsafe_code)] // the one symbol that the linker script names
#[unsafe(no_mangle)]
extern "sysv64" fn guest_entry(
    info: &'static mut bootloader_api::BootInfo,
    handoff: &'static Handoff,
) -> ! {
    window::forget_handlers();
    let deeds: [Deeds; 2] = match Mode::from_u32(handoff.mode) {
        Some(Mode::Snp) => [snp::DEEDS, &[]],
        Some(Mode::Tdx) => [tdx::DEEDS, l1::deeds::DEEDS],
        Some(Mode::SnpParavisor) => [lower::acts::DEEDS, lower::vmpl2::DEEDS],
        Some(Mode::TdxParavisor) => [lower::acts::DEEDS, &[]],
        _ => [&[], &[]],
    };
    let commit = &handoff.launch.commit;
    let len = commit.iter().position(|byte| *byte == 0);
    let name = &commit[..len.unwrap_or(commit.len())];
    if name == PROBE.as_bytes() {
        lower::probes::run(info, handoff);
    }
    let act = core::str::from_utf8(name).unwrap_or("");
    if [PROCESSORS, PROCESSORS_KVM].contains(&act) || catalogue::lie(act).is_some() {
        processors::run(handoff, act);
    }
    if [CONFORMANCE, CONFORMANCE_KVM].contains(&act) {
        conformance::run(handoff);
    }
    let mut all = deeds.into_iter().flatten();
    match all.find(|(known, _)| known.as_bytes() == name) {
        Some((_, deed)) => deed(&mut Guest::new(handoff)),
        // No death here: it would be taken for the breach `unhandled-exception`.
        None => spin(),
    }
    // Whoever ignores what the platform said dies of it sooner or later; here at once.
    window::die()
}

fn spin() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    spin()
}
