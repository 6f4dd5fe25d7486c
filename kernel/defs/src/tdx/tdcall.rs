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
/// TDG.VM.RD: RDX field; value in R8.
pub const VM_RD: u64 = 7;
/// TDG.VM.WR.
pub const VM_WR: u64 = 8;
/// TDG.VP.RD: RDX field; value in R8.
pub const VP_RD: u64 = 9;
/// TDG.VP.WR: RDX field, R8 value, R9 write mask; old value in R8.
pub const VP_WR: u64 = 10;
/// TDG.SYS.RD.
pub const SYS_RD: u64 = 11;
/// TDG.MEM.PAGE.ATTR.RD: RCX GPA; out RCX mapping, RDX attributes.
pub const MEM_PAGE_ATTR_RD: u64 = 23;
/// TDG.MEM.PAGE.ATTR.WR: RCX GPA and level, RDX attributes, R8 mask.
pub const MEM_PAGE_ATTR_WR: u64 = 24;
/// TDG.VP.ENTER: RCX flags and VM index (53:52), RDX GPA of `L2EnterState`.
pub const VP_ENTER: u64 = 25;
/// TDG.VP.INVEPT: RCX bitmap of VMs.
pub const VP_INVEPT: u64 = 26;
/// TDG.VP.INVGLA.
pub const VP_INVGLA: u64 = 27;

/// VM index of VP.ENTER: bits 53:52 of RCX.
pub const ENTER_VM_SHIFT: u32 = 52;
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

/// L2_ENTER_GUEST_STATE (354807, table of TDG.VP.ENTER): 256-byte aligned.
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
