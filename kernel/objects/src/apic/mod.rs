//! What local APICs send each other, for whoever emulates them.

pub mod command;
pub mod inbox;
