//! TDCALL completion status: class and name in RAX[63:32], details in RAX[31:0].
//! Source: 348551, table "Interface Function Completion Status Codes"; values checked against
//! Intel's TDX module 1.5 and OpenVMM.

/// Mask of the part that names the status.
pub const CLASS_MASK: u64 = 0xFFFF_FFFF_0000_0000;
/// Bit 63: an error.
pub const ERROR: u64 = 1 << 63;
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
/// Page attributes invalid: RCX is 0, RDX the attributes as they are.
pub const PAGE_ATTR_INVALID: u64 = 0xC000_0B11 << 32;
/// No #VE information.
pub const NO_VE_INFO: u64 = 0xC000_0704 << 32;
/// Unknown field, or not the identifier of one element.
pub const METADATA_FIELD_ID_INCORRECT: u64 = 0xC000_0C00 << 32;
/// No bit of the mask is writable.
pub const METADATA_FIELD_NOT_WRITABLE: u64 = 0xC000_0C01 << 32;
/// Field not readable.
pub const METADATA_FIELD_NOT_READABLE: u64 = 0xC000_0C02 << 32;
/// The value is not allowed, or a bit that is in the mask and not writable would change.
pub const METADATA_FIELD_VALUE_NOT_VALID: u64 = 0xC000_0C03 << 32;
/// TDG.VP.RD of no field: RDX is the first that can be read.
pub const METADATA_FIRST_FIELD_ID_IN_CONTEXT: u64 = 0x0000_0C0B << 32;
/// TDG.MR.VERIFYREPORT: the report is of another processor's security version.
pub const INVALID_CPUSVN: u64 = 0xC000_1000 << 32;
/// TDG.MR.VERIFYREPORT: no report of this platform.
pub const INVALID_REPORTMACSTRUCT: u64 = 0xC000_1001 << 32;
/// TDG.VP.INVGLA: the address is not canonical.
pub const GLA_NOT_CANONICAL: u64 = 0xC000_1160 << 32;
/// VP.ENTER: the host took an exit of the L2 and then resumed L1 (354807).
pub const L2_EXIT_HOST_ROUTED_ASYNC: u64 = 0x0000_1100 << 32;
/// VP.ENTER: the same after a TDG.VP.VMCALL of the L2, which is done.
pub const L2_EXIT_HOST_ROUTED_TDVMCALL: u64 = 0x0000_1101 << 32;
/// VP.ENTER: the L2 was left because L1 has a pending interrupt (354807).
pub const L2_EXIT_PENDING_INTERRUPT: u64 = 0x0000_1102 << 32;
/// VP.ENTER: not entered, an interrupt of L1 is pending (354807). Only RAX is written.
pub const PENDING_INTERRUPT: u64 = 0x0000_1120 << 32;
/// Operand identifiers in the details: RAX.
pub const OPERAND_RAX: u64 = 0;
/// Operand identifier of RCX.
pub const OPERAND_RCX: u64 = 1;
/// Operand identifier of RDX.
pub const OPERAND_RDX: u64 = 2;
/// Operand identifier of R8.
pub const OPERAND_R8: u64 = 8;
/// Operand identifier of R9.
pub const OPERAND_R9: u64 = 9;
/// Operand identifier of the L2 VM's virtual-APIC page, which VP.ENTER finds missing.
pub const OPERAND_L2_VAPIC_GPA: u64 = 170;
