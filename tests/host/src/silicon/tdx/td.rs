//! One TD as the module knows it.

use super::{mrtd::Mrtd, sept::Sept, ve::Info};

/// The TD.
#[derive(Clone, Debug)]
pub struct Td {
    /// TDCS.ATTRIBUTES.
    pub attributes: u64,
    /// TDCS.NUM_L2_VMS.
    pub l2_vms: u64,
    /// Processors.
    pub vcpus: u32,
    /// Private memory.
    pub sept: Sept,
    /// Launch measurement.
    pub mrtd: Mrtd,
    /// Run-time measurements.
    pub rtmr: [[u8; 48]; 4],
    /// #VE information that was not fetched yet.
    pub ve: Option<Info>,
}

impl Td {
    /// A TD of one L1 VM with `pages` pages of RAM.
    pub fn new(pages: u64) -> Self {
        Self {
            attributes: 0,
            l2_vms: 0,
            vcpus: 1,
            sept: Sept::new(pages),
            mrtd: Mrtd::default(),
            rtmr: [[0; 48]; 4],
            ve: None,
        }
    }
}
