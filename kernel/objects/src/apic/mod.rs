//! Interrupt controllers, and what local APICs send each other, for whoever emulates them.

pub mod command;
pub mod inbox;
pub mod io;
pub mod local;
