//! Ctrl-C and its like: boots end at once, and leave neither QEMU nor files behind.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::{
    io,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
};

static ASKED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// From now on a first SIGINT, SIGTERM or SIGHUP is noted in place of ending this program; a
/// second one ends it.
pub fn watch() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&ASKED))?;
        signal_hook::flag::register(signal, Arc::clone(&ASKED))?;
    }
    Ok(())
}

/// Whether such a signal came.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
