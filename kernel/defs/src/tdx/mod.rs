//! Intel TDX. Sources: TDX module ABI (348551, 1.5), TD partitioning (354807),
//! guest-host communication interface GHCI (348552, 1.5).

pub mod cpuid;
pub mod field;
pub mod measure;
pub mod msr;
pub mod page;
pub mod quote;
pub mod report;
pub mod status;
pub mod tdcall;
pub mod vmcall;
