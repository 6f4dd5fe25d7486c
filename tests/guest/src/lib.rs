//! What the broken guest can do wrong, for the guest and for the test that boots it.
#![no_std]

pub mod catalogue;
pub mod models;
