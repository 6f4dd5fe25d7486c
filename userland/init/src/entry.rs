//! Entry and panic of the process.
#![allow(unsafe_code)] // the symbol that the linker script names

use tessera_runtime::system;

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    system::exit(crate::main())
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    system::exit(3)
}
