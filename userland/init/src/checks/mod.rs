//! System calls with bad arguments: each must return its documented error. One file for each kind
//! of thing that is tried; `check` is what they share.

mod all;
mod check;
mod creation;
mod devices;
mod handles;
mod maps;
mod messages;
mod rest;
mod system;
mod table;

pub use all::run;
