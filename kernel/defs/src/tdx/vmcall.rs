//! TDG.VP.VMCALL sub-functions. Source: GHCI 348552, chapter 3. RCX is the mask of exposed
//! registers, R10 = 0 selects the standard (R10 != 0 is vendor-defined), R11 the sub-function.

/// GetTdVmCallInfo.
pub const GET_TD_VM_CALL_INFO: u64 = 0x10000;
/// MapGPA: R12 GPA with or without the shared bit, R13 bytes; on RETRY, R11 is where to go on.
pub const MAP_GPA: u64 = 0x10001;
/// GetQuote: R12 GPA with the shared bit, R13 bytes, both multiples of 4,096; see `quote`.
pub const GET_QUOTE: u64 = 0x10002;
/// ReportFatalError: R12 code (bits 31:0), bit 63 a GPA follows in R13.
pub const REPORT_FATAL_ERROR: u64 = 0x10003;
/// SetupEventNotifyInterrupt: R12 vector, 32 to 255; 0 is none.
pub const SETUP_EVENT_NOTIFY: u64 = 0x10004;
/// CPUID: R12 leaf, R13 sub-leaf; out R12..R15 EAX..EDX.
pub const CPUID: u64 = 10;
/// HLT: R12 interrupt-blocked flag.
pub const HLT: u64 = 12;
/// Port I/O: R12 size, R13 0 in / 1 out, R14 port, R15 data out; in: R11.
pub const IO: u64 = 30;
/// RDMSR: R12 index; out R11.
pub const RDMSR: u64 = 31;
/// WRMSR: R12 index, R13 value.
pub const WRMSR: u64 = 32;
/// MMIO (#VE.RequestMMIO): R12 size, R13 0 read / 1 write, R14 GPA, R15 data; in: R11.
pub const MMIO: u64 = 48;

/// R10 result: done.
pub const SUCCESS: u64 = 0;
/// R10 result: call again.
pub const RETRY: u64 = 1;
/// R10 result: invalid operand.
pub const INVALID_OPERAND: u64 = 0x8000_0000_0000_0000;
/// R10 result: GPA in use.
pub const GPA_IN_USE: u64 = 0x8000_0000_0000_0001;
/// R10 result: misaligned.
pub const ALIGN_ERROR: u64 = 0x8000_0000_0000_0002;

/// Fatal-error code space of Tessera's refusals: code = base | refusal code.
pub const FATAL_TESSERA: u64 = 0x5445_0000;

/// Hyper-V hypercall by TDVMCALL (Linux `arch/x86/hyperv/ivm.c`): R10 the hypercall input
/// value (never 0), RDX input GPA, R8 output GPA; result in R11.
/// Mask of the registers that it exposes: RDX, R8, R10, R11.
pub const HYPERCALL_MASK: u64 = 1 << 2 | 1 << 8 | 1 << 10 | 1 << 11;
/// Mask of the standard sub-functions: R10..R15.
pub const STANDARD_MASK: u64 = 0xFC00;
