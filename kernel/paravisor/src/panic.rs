//! A panic is a bug of ours; it leaves by the architectural door.

use tessera_defs::refusal::GUEST_PANIC;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    tessera_hw::exit::fatal(GUEST_PANIC)
}
