//! Linux as the image's guest: the stub does for it what a firmware does.

mod enter;
mod tables;

pub use enter::enter;
pub use tables::prepare;
