//! System calls: `tessera_abi`. Addresses from a process are allegations.

mod devices;
mod entry;
mod inspect;
mod memory;
mod objects;
mod system;
mod user;

pub use entry::entry;
pub use system::install;
