//! `tessera setup`.

use crate::args::Setup;
use tessera_image_builder::{
    Result,
    setup::{self, Host, Kind},
};

/// Brings what is missing and says what there is.
pub fn run(host: &Host, options: &Setup) -> Result<()> {
    let limits = setup::Options {
        check: options.check,
        no_install: options.no_install,
        offline: options.offline,
    };
    let ready = setup::run(host, limits)?;
    let way = match ready.toolchain.kind {
        Kind::Plain => "the compiler on PATH",
        Kind::Debian => "Debian's compiler and a cached core library",
    };
    let version = ready.toolchain.rustc_version();
    super::say(&format!(
        "Ready.\n  bare metal: {way}, {}\n  emulator:   {}\n",
        version.as_deref().unwrap_or("version unknown"),
        ready.qemu.display(),
    ))
}
