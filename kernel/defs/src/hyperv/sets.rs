//! Hypercalls to sets of virtual processors: flushes of their translations, and interrupts. Source: TLFS 6.0b,
//! 9.4 ("HvCallFlushVirtualAddressSpace" and its siblings), 10.5 ("HvCallSendSyntheticClusterIpi"), 7.8.7
//! (HV_VP_SET); reserved fields: Microsoft's public `hvdef`.

/// Simple. Input: address space (CR3) u64, flags u64, processors u64, a bit each.
pub const HVCALL_FLUSH_SPACE: u16 = 0x0002;
/// Rep. The same input, then one range (u64) per rep: page address, and how many more pages in 11:0.
pub const HVCALL_FLUSH_LIST: u16 = 0x0003;
/// Simple, may be fast. Input: vector u32, VTL u8, flags u8, reserved u16, processors u64, a bit each.
pub const HVCALL_SEND_IPI: u16 = 0x000B;
/// `HVCALL_FLUSH_SPACE` with a set of processors: format u64, valid banks u64, then, as variable header, one
/// u64 for each bank.
pub const HVCALL_FLUSH_SPACE_EX: u16 = 0x0013;
/// `HVCALL_FLUSH_LIST` with a set of processors.
pub const HVCALL_FLUSH_LIST_EX: u16 = 0x0014;
/// `HVCALL_SEND_IPI` with a set of processors; never fast here.
pub const HVCALL_SEND_IPI_EX: u16 = 0x0015;

/// Flush flag: of all processors, whatever the set says.
pub const FLUSH_ALL_PROCESSORS: u64 = 1 << 0;
/// Flush flag: of all address spaces.
pub const FLUSH_ALL_SPACES: u64 = 1 << 1;
/// Flush flag: not the global pages.
pub const FLUSH_NON_GLOBAL: u64 = 1 << 2;
/// Flush flag of lists: ranges may name large pages.
pub const FLUSH_EXTENDED_RANGES: u64 = 1 << 3;

/// Format of a set: the banks that are valid, 64 processors each.
pub const SET_SPARSE: u64 = 0;
/// Format of a set: all processors; no banks.
pub const SET_ALL: u64 = 1;
/// Processors of a bank.
pub const BANK: usize = 64;

/// Hypercall input value: 64-bit words of the variable header.
pub const VARIABLE_HEADER_SHIFT: u32 = 17;
/// Its bits.
pub const VARIABLE_HEADER: u64 = 0x3FF << VARIABLE_HEADER_SHIFT;
