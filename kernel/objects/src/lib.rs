//! Pure kernel algorithms, tested on the developer's machine.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod apic;
pub mod elf;
pub mod frames;
pub mod gate;
pub mod page_list;
pub mod page_set;
pub mod pair;
pub mod system;
pub mod tables;
pub mod turn;
pub mod walk;
