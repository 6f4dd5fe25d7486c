//! `tessera demo`, which `cargo run` is: from a fresh machine to the table.

use super::{matrix, setup};
use crate::args::{Demo, Matrix, Setup};
use tessera_image_builder::{Result, setup::Host};

/// Sets up, builds, boots.
pub fn run(host: &Host, options: &Demo) -> Result<()> {
    let set_up = Setup {
        check: false,
        no_install: options.no_install,
        offline: options.offline,
    };
    setup::run(host, &set_up)?;
    let quick = Matrix {
        mode: Vec::new(),
        scenario: Vec::new(),
        full: false,
        list: false,
        jobs: None,
        json: false,
        junit: None,
        offline: options.offline,
    };
    matrix::run(host, &quick)
}
