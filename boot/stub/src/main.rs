//! The boot stub: runs once per context, collects claims and evidence, decides the mode, and
//! starts the kernel. `boot::run` is the whole story.
#![no_std]
#![no_main]

mod boot;
mod claims;
mod entry;
mod event_log;
mod guest_policy;
mod handover;
mod kernel_tables;
mod linux;
mod memory;
mod memory_map;
mod panic;
mod platform;
mod pvh;
mod reset;
mod snp;
mod traps;
