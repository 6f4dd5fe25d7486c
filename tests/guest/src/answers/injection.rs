//! Restricted injection.

use super::Probe;

pub const ALL: &[(&str, Probe)] = &[];
