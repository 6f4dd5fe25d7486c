//! Layouts and constants from the specifications, no behaviour.
//!
//! Every layout is asserted at compile time against the document it cites.
#![no_std]
#![forbid(unsafe_code)]

pub mod binding;
pub mod breach;
pub mod hyperv;
pub mod mode;
pub mod pfe;
pub mod port;
pub mod refusal;
pub mod snp;
pub mod start_vp;
pub mod tdx;
pub mod vmx;
pub mod x86;

/// Asserts size and field offsets of a layout at compile time.
#[macro_export]
macro_rules! assert_layout {
    ($t:ty, size $size:expr $(, $field:ident @ $off:expr)* $(,)?) => {
        const _: () = {
            assert!(core::mem::size_of::<$t>() == $size);
            $(assert!(core::mem::offset_of!($t, $field) == $off);)*
        };
    };
}
