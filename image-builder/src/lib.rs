//! Sets the machine up, builds the bare-metal programs and assembles the one image.
//!
//! The `tessera` command (`image-builder/cli`) and the matrix (`tests/matrix`) are its users.

pub mod build;
mod failure;
pub mod image;
pub mod linux;
pub mod progress;
pub mod setup;

pub use failure::{Failure, Party, Result};
