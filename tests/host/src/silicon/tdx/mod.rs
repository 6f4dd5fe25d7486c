//! TDX: secure EPT, measurement, the module's leaves, #VE. Sources: 348549, 348551.

pub mod accept;
pub mod leaves;
pub mod mrtd;
pub mod report;
pub mod sept;
pub mod state;
pub mod td;
pub mod ve;
pub mod view;
