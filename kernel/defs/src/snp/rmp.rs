//! PVALIDATE and RMPADJUST. Source: APM vol. 3 (24594), the instructions' pages.

/// Result in EAX: success.
pub const SUCCESS: u32 = 0;
/// Result in EAX: FAIL_INPUT.
pub const FAIL_INPUT: u32 = 1;
/// Result in EAX: FAIL_PERMISSION.
pub const FAIL_PERMISSION: u32 = 2;
/// Result in EAX: FAIL_INUSE.
pub const FAIL_INUSE: u32 = 3;
/// Result in EAX: FAIL_SIZEMISMATCH.
pub const FAIL_SIZEMISMATCH: u32 = 6;

/// RMPADJUST attributes (RDX): bits 7:0 target VMPL, 15:8 permission mask, 16 VMSA.
pub const ATTR_VMSA: u64 = 1 << 16;
/// Shift of the permission mask in RDX.
pub const ATTR_PERM_SHIFT: u32 = 8;
/// Permission: read.
pub const PERM_READ: u8 = 1 << 0;
/// Permission: write.
pub const PERM_WRITE: u8 = 1 << 1;
/// Permission: execute at CPL 3.
pub const PERM_USER_EXEC: u8 = 1 << 2;
/// Permission: execute at CPL 0..2.
pub const PERM_KERNEL_EXEC: u8 = 1 << 3;
/// Every permission.
pub const PERM_ALL: u8 = 0xF;
