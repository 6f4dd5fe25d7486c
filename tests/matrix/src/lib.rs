//! Boots the one image in every mode on friendly and hostile hosts, and judges how each boot
//! ended. `tessera matrix` and `cargo test` are its thin callers.

pub mod bench;
pub mod binding;
pub mod broken;
pub mod checks;
pub mod console;
pub mod dialogue;
pub mod direct;
mod failed;
pub mod foreign;
pub mod hosted;
mod inject;
pub mod interrupt;
pub mod json;
pub mod junit;
pub mod operations;
pub mod outcome;
pub mod probes;
pub mod qemu;
pub mod report;
pub mod row;
pub mod run;
pub mod scenario;
mod sizes;
pub mod stock;
pub mod symbols;
pub mod table;
pub mod weight;
