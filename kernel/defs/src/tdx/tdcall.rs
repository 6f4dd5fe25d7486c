//! TDCALL leaves (RAX) and their register structures. Source: 348551, chapter 5.

use crate::assert_layout;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// TDG.VP.VMCALL.
pub const VP_VMCALL: u64 = 0;
/// TDG.VP.INFO: RCX GPAW (5:0), RDX attributes, R8 31:0 NUM_VCPUS, 63:32 MAX_VCPUS, R9 index.
pub const VP_INFO: u64 = 1;
/// TDG.MR.RTMR.EXTEND: RCX GPA of 48 bytes (64-byte aligned), RDX index.
pub const MR_RTMR_EXTEND: u64 = 2;
/// TDG.VP.VEINFO.GET.
pub const VP_VEINFO_GET: u64 = 3;
/// TDG.MR.REPORT: RCX GPA of 1,024 bytes, RDX GPA of 64 bytes, R8 0.
pub const MR_REPORT: u64 = 4;
/// TDG.MEM.PAGE.ACCEPT: RCX GPA and level (2:0).
pub const MEM_PAGE_ACCEPT: u64 = 6;
/// TDG.VM.RD: RCX 0, RDX field; value in R8 (0 on error).
pub const VM_RD: u64 = 7;
/// TDG.VM.WR: RCX 0, RDX field, R8 value, R9 write mask; old value in R8.
pub const VM_WR: u64 = 8;
/// TDG.VP.RD: RCX 0, RDX field; value in R8 (0 on error), RDX the next field (all ones on error).
pub const VP_RD: u64 = 9;
/// TDG.VP.WR: RCX 0, RDX field, R8 value, R9 write mask; old value in R8 (0 on error).
pub const VP_WR: u64 = 10;
/// TDG.VP.CPUIDVE.SET: RCX bit 0 in supervisor mode, bit 1 in user mode.
pub const VP_CPUIDVE_SET: u64 = 5;
/// TDG.SYS.RD: RDX field; value in R8 (0 on error), RDX the next field (all ones at the end and on error).
pub const SYS_RD: u64 = 11;
/// TDG.SYS.RDALL: RDX GPA of a page, R8 the first field; R8 the field that follows.
pub const SYS_RDALL: u64 = 12;
/// TDG.MR.VERIFYREPORT: RCX GPA of a REPORTMACSTRUCT, 256-byte aligned.
pub const MR_VERIFYREPORT: u64 = 22;
/// TDG.SERVTD.RD: RCX binding handle, RDX field, R10 to R13 the other TD's UUID; RDX next field, R8 value.
pub const SERVTD_RD: u64 = 18;
/// TDG.SERVTD.WR: the same, R8 value, R9 mask.
pub const SERVTD_WR: u64 = 20;
/// TDG.MEM.PAGE.ATTR.RD: RCX GPA; out RCX mapping (GPA, level, pending), RDX attributes; both
/// 0 on error.
pub const MEM_PAGE_ATTR_RD: u64 = 23;
/// TDG.MEM.PAGE.ATTR.WR: RCX GPA and level, RDX attributes, R8 mask (see `page::attr`); out RCX
/// mapping, RDX attributes. It is L1's to check RDX: success does not say that they were set.
pub const MEM_PAGE_ATTR_WR: u64 = 24;
/// TDG.VP.ENTER: RCX flags and VM index (53:52), RDX GPA of `L2EnterState`, private and 256-byte
/// aligned, which is written back on an exit. The L2 VM's virtual-APIC page must have been set.
///
/// Out, where RAX is success, `L2_EXIT_HOST_ROUTED_*` or `L2_EXIT_PENDING_INTERRUPT`: RAX[31:0]
/// exit reason, RCX exit qualification, RDX guest linear address, RSI[15:0] CS selector,
/// RSI[31:16] CS access rights, RSI[63:32] CS limit, RDI CS base, R8 guest physical address,
/// R9[31:0] interruption information, R9[63:32] its error code, R10[31:0] IDT-vectoring
/// information, R10[63:32] its error code, R11[31:0] instruction information, R11[63:32]
/// instruction length, R12[1:0] CPL, R13[3:0] extended qualification (`EXTENDED_PENDING`); RBX,
/// R14 and R15 are 0.
pub const VP_ENTER: u64 = 25;
/// TDG.VP.INVEPT: RCX bitmap of VMs; bit 0 and those of VMs that do not exist must be 0.
pub const VP_INVEPT: u64 = 26;
/// TDG.VP.INVGLA: RCX VM index (53:52) and bit 0 for a list; RDX one entry (63:12 first page,
/// 11:0 pages after it), or the list's GPA (51:12), first entry (8:0) and length (61:52).
pub const VP_INVGLA: u64 = 27;

/// VM index of VP.ENTER: bits 53:52 of RCX.
pub const ENTER_VM_SHIFT: u32 = 52;
/// Invalidation before entry, bits 1:0 of VP.ENTER's RCX: 0 nothing, 1 all of the VM's
/// translations, 2 its linear ones, 3 those without the global ones.
pub const ENTER_INVALIDATE: u64 = 3;
/// R13[3:0] after VP.ENTER: the EPT violation met a page that is pending.
pub const EXTENDED_PENDING: u64 = 6;
/// The L2 VM that our paravisor runs.
pub const L2_VM: u64 = 1;

/// Registers of a TDCALL, in and out. RAX holds the leaf on input, the status on output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TdcallRegs {
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rbx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
}

/// L2_ENTER_GUEST_STATE (354807, table of TDG.VP.ENTER): 256-byte aligned; 154 bytes are used.
#[repr(C, align(256))]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs)]
pub struct L2EnterState {
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rbx: u64,
    pub rsp: u64,
    pub rbp: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rflags: u64,
    pub rip: u64,
    pub ssp: u64,
    /// RVI (7:0), SVI (15:8).
    pub guest_interrupt_status: u16,
    pub reserved: [u8; 6],
    pub padding: [u64; 12],
}
assert_layout!(L2EnterState, size 256, rflags @ 128, rip @ 136, ssp @ 144,
    guest_interrupt_status @ 152);
