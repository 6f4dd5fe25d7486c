//! A panic is a bug of ours: it is shown and leaves by the architectural door.

use tessera_defs::refusal::GUEST_PANIC;

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    crate::console::emergency(format_args!("tessera: {info}\n"));
    tessera_hw::exit::fatal(GUEST_PANIC)
}
