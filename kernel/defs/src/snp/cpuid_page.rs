//! The CPUID page. Source: 56860 rev. 1.58, table 68 and 69.

use crate::assert_layout;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Functions at most.
pub const MAX_FUNCTIONS: usize = 64;

/// One function.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[allow(missing_docs)]
pub struct CpuidFunction {
    pub eax_in: u32,
    pub ecx_in: u32,
    pub xcr0_in: u64,
    pub xss_in: u64,
    pub eax: u32,
    pub ebx: u32,
    pub ecx: u32,
    pub edx: u32,
    pub reserved: u64,
}

/// CPUID page, 4 KiB: vetted by the security processor, not measured.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs)]
pub struct CpuidPage {
    pub count: u32,
    pub reserved_4: u32,
    pub reserved_8: u64,
    pub functions: [CpuidFunction; MAX_FUNCTIONS],
    pub reserved_c10: [u8; 0x3F0],
}

assert_layout!(CpuidFunction, size 0x30, eax @ 0x18, reserved @ 0x28);
assert_layout!(CpuidPage, size 4096, functions @ 0x10, reserved_c10 @ 0xC10);
