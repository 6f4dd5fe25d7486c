//! Every check, and that they leave nothing behind.

use super::check::Objects;
use super::{creation, devices, handles, maps, messages, rest, system, table};
use tessera_runtime::handle::Handle;
use tessera_runtime::process;

/// Runs every check; how many failed.
pub fn run() -> u64 {
    let before = process::usage(Handle::NONE);
    let Ok(o) = Objects::new() else { return 1 };
    let text = "x".as_ptr() as u64;
    let mut failed = system::run(text);
    failed += messages::run(&o);
    failed += handles::run(&o);
    failed += creation::run(&o);
    failed += maps::run(&o, text);
    failed += devices::run(&o, text);
    failed += rest::run(&o, text);
    failed += table::run();
    let same = o.drop_all().is_ok() && process::usage(Handle::NONE) == before;
    failed + u64::from(!same)
}
