//! The test host's program. It runs on bare metal (QEMU) only.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]

#[cfg(target_os = "none")]
use tessera_test_host as _;

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("tessera-test-host is a bare-metal program: `tessera run` boots it in QEMU.");
    std::process::exit(2);
}
