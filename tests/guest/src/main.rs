//! The broken guest: does the one wrong thing that the commit text of its image names.
#![no_std]
#![no_main]

mod snp;
mod tdx;
mod window;

use tessera_defs::mode::Mode;
use tessera_handoff::handoff::Handoff;
use window::Guest;

/// Does something wrong.
type Deed = fn(&mut Guest);

/// The stub calls this in place of the kernel's entry, with the same state.
#[allow(unsafe_code)] // the one symbol that the linker script names
#[unsafe(no_mangle)]
extern "sysv64" fn guest_entry(_info: u64, handoff: &'static Handoff) -> ! {
    window::forget_handlers();
    let deeds = match Mode::from_u32(handoff.mode) {
        Some(Mode::Snp) => snp::DEEDS,
        Some(Mode::Tdx) => tdx::DEEDS,
        _ => &[],
    };
    let commit = &handoff.launch.commit;
    let len = commit.iter().position(|byte| *byte == 0);
    let name = &commit[..len.unwrap_or(commit.len())];
    match deeds
        .iter()
        .find(|(known, _)| known.name.as_bytes() == name)
    {
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
