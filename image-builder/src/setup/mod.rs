//! What this machine needs: a bare-metal toolchain and QEMU. Found, or installed after asking.

mod detect;
mod host;
mod install;
mod plan;
mod qemu;
mod run;
mod sysroot;
mod toolchain;

pub use detect::{Debian, State, Ways, detect};
pub use host::{Host, is_executable};
pub use plan::{Action, plan};
pub use qemu::Qemu;
pub use run::{Options, Ready, run, toolchain};
pub use toolchain::{Kind, TARGET, Toolchain};
