//! The unsafe floor: privileged instructions, descriptor tables, page tables, entry paths.
//! What each part promises and why it is sound: `README.md`.
#![no_std]

#[cfg(test)]
extern crate std;

pub mod compose;
pub mod exit;
pub mod fpu;
pub mod gdt;
pub mod ghcb_page;
pub mod host;
pub mod idt;
pub mod instr;
pub mod isolation;
pub mod message_pages;
pub mod native;
pub mod probe;
pub mod processors;
pub mod protect;
mod registers;
pub mod shared;
pub mod start;
pub mod trap;
pub mod user;
pub mod ve;
