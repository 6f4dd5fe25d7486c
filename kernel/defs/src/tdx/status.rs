//! TDCALL completion status: class and name in RAX[63:32], details in RAX[31:0].
//! Source: 348551, table "Interface Function Completion Status Codes".

/// Mask of the part that names the status.
pub const CLASS_MASK: u64 = 0xFFFF_FFFF_0000_0000;
/// Done.
pub const SUCCESS: u64 = 0;
/// An operand is invalid; details name it.
pub const OPERAND_INVALID: u64 = 0xC000_0100 << 32;
/// An operand is busy.
pub const OPERAND_BUSY: u64 = 0x8000_0200 << 32;
/// The page walk failed.
pub const EPT_WALK_FAILED: u64 = 0xC000_0B00 << 32;
/// The page is not pending.
pub const PAGE_ALREADY_ACCEPTED: u64 = 0x0000_0B0A << 32;
/// The mapping is of another size.
pub const PAGE_SIZE_MISMATCH: u64 = 0xC000_0B0B << 32;
/// Page attributes invalid.
pub const PAGE_ATTR_INVALID: u64 = 0xC000_0B11 << 32;
/// No #VE information.
pub const NO_VE_INFO: u64 = 0xC000_0704 << 32;
/// Unknown field.
pub const METADATA_FIELD_ID_INCORRECT: u64 = 0xC000_0C00 << 32;
/// Field not writable.
pub const METADATA_FIELD_NOT_WRITABLE: u64 = 0xC000_0C01 << 32;
/// Field not readable.
pub const METADATA_FIELD_NOT_READABLE: u64 = 0xC000_0C02 << 32;
/// VP.ENTER: exit routed to the host, nothing for L1 (354807).
pub const L2_EXIT_HOST_ROUTED_ASYNC: u64 = 0x0000_1100 << 32;
/// VP.ENTER: L1 has a pending interrupt (354807).
pub const L2_EXIT_PENDING_INTERRUPT: u64 = 0x0000_1102 << 32;
/// VP.ENTER: not entered, an interrupt is pending (354807).
pub const PENDING_INTERRUPT: u64 = 0x0000_1120 << 32;
/// Operand identifiers in the details: RCX = 1, RDX = 2, R8 = 8, R9 = 9.
pub const OPERAND_RCX: u64 = 1;
/// Operand identifier of RDX.
pub const OPERAND_RDX: u64 = 2;
/// Operand identifier of R8.
pub const OPERAND_R8: u64 = 8;
/// Operand identifier of R9.
pub const OPERAND_R9: u64 = 9;
