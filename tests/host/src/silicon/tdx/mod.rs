//! TDX: secure EPT, measurement, the module's leaves, #VE, the L2 VM. Sources: 348549, 348551, 354807.

pub mod accept;
pub mod attr;
pub mod invalidate;
pub mod l2;
pub mod leaves;
pub mod mrtd;
pub mod quote;
pub mod report;
pub mod sept;
pub mod state;
pub mod system;
pub mod td;
pub mod ve;
pub mod view;
