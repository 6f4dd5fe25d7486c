//! Linux as the guest: a bzImage, an initrd and our boot stub in one IGVM file.

mod assemble;
mod bzimage;
pub mod cpio;
pub mod debian;
mod initramfs;
mod modules;
mod vmlinux;

pub use assemble::{Inputs, assemble, fits};
pub use bzimage::{BzImage, parse};
pub use initramfs::{PROMPT, initramfs};
pub use vmlinux::vmlinux;
