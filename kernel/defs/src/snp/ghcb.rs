//! The GHCB page. Source: 56421 rev. 2.04, table 3 (layout) and table 6 (events).

use crate::assert_layout;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Shared GHCB page, 4 KiB. Every `u64` from `rax` on has a bit in `valid_bitmap`:
/// bit `offset / 8`.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs)]
pub struct GhcbPage {
    pub reserved_000: [u8; 0xCB],
    pub cpl: u8,
    pub reserved_0cc: [u8; 0x74],
    pub xss: u64,
    pub reserved_148: [u8; 0x18],
    pub dr7: u64,
    pub reserved_168: [u8; 0x90],
    pub rax: u64,
    pub reserved_200: [u8; 0x108],
    pub rcx: u64,
    pub rdx: u64,
    pub rbx: u64,
    pub reserved_320: [u8; 0x70],
    pub sw_exit_code: u64,
    pub sw_exit_info1: u64,
    pub sw_exit_info2: u64,
    pub sw_scratch: u64,
    pub reserved_3b0: [u8; 0x38],
    pub xcr0: u64,
    pub valid_bitmap: [u64; 2],
    pub x87_state_gpa: u64,
    pub reserved_408: [u8; 0x3F8],
    pub shared_buffer: [u8; SHARED_BUFFER],
    pub reserved_ff0: [u8; 10],
    pub protocol_version: u16,
    pub ghcb_usage: u32,
}

assert_layout!(GhcbPage, size 4096, cpl @ 0xCB, xss @ 0x140, dr7 @ 0x160, rax @ 0x1F8,
    rcx @ 0x308, rdx @ 0x310, rbx @ 0x318, sw_exit_code @ 0x390, sw_exit_info1 @ 0x398,
    sw_exit_info2 @ 0x3A0, sw_scratch @ 0x3A8, xcr0 @ 0x3E8, valid_bitmap @ 0x3F0,
    x87_state_gpa @ 0x400, shared_buffer @ 0x800, protocol_version @ 0xFFA, ghcb_usage @ 0xFFC);

/// Bytes of the shared buffer.
pub const SHARED_BUFFER: usize = 0x7F0;
/// Offset of the shared buffer.
pub const SHARED_BUFFER_OFFSET: usize = 0x800;
/// Protocol version that we speak.
pub const PROTOCOL_VERSION: u16 = 2;
/// Usage 0: the layout above.
pub const USAGE_STANDARD: u32 = 0;
/// Usage 1: a Hyper-V hypercall page (Linux `arch/x86/hyperv/ivm.c`): input data in bytes
/// 0..4072, output GPA at 4072, hypercall input value / result at 4080.
pub const USAGE_HYPERCALL: u32 = 1;
/// Offset of the output GPA in a hypercall page.
pub const HYPERCALL_OUTPUT_GPA: usize = 4072;
/// Offset of the input value and of the result in a hypercall page.
pub const HYPERCALL_CONTROL: usize = 4080;

/// Software-defined exits (56421, table 6).
pub mod exit {
    /// MMIO read: info1 GPA, info2 bytes, data in the buffer at SW_SCRATCH.
    pub const MMIO_READ: u64 = 0x8000_0001;
    /// MMIO write.
    pub const MMIO_WRITE: u64 = 0x8000_0002;
    /// NMI complete.
    pub const NMI_COMPLETE: u64 = 0x8000_0003;
    /// AP reset hold.
    pub const AP_RESET_HOLD: u64 = 0x8000_0004;
    /// Page-state change; structure at SW_SCRATCH.
    pub const PSC: u64 = 0x8000_0010;
    /// SNP guest request: info1 request page GPA, info2 response page GPA, both shared. The answer
    /// is in info2, see `guest_request`.
    pub const GUEST_REQUEST: u64 = 0x8000_0011;
    /// The same with certificates: RAX GPA and RBX number of contiguous shared pages for them.
    pub const EXTENDED_GUEST_REQUEST: u64 = 0x8000_0012;
    /// SNP AP creation: info1 63:32 APIC id, 19:16 VMPL, 15:0 request; info2 VMSA GPA.
    pub const AP_CREATION: u64 = 0x8000_0013;
    /// #HV doorbell page: info1 `doorbell::request`, info2 its GPA. The answer is in info2.
    pub const HV_DOORBELL: u64 = 0x8000_0014;
    /// #HV IPI: info1 the interrupt command.
    pub const HV_IPI: u64 = 0x8000_0015;
    /// Run VMPL: info1 VMPL.
    pub const RUN_VMPL: u64 = 0x8000_0018;
    /// Hypervisor features: result in SW_EXITINFO2.
    pub const HV_FEATURES: u64 = 0x8000_FFFD;
    /// Terminate.
    pub const TERMINATE: u64 = 0x8000_FFFE;
    /// Unsupported event.
    pub const UNSUPPORTED: u64 = 0x8000_FFFF;
}

/// AP creation requests (56421, 4.1.9).
pub mod ap_creation {
    /// Create on INIT; RAX of the request carries SEV_FEATURES.
    pub const ON_INIT: u64 = 0;
    /// Create now.
    pub const CREATE: u64 = 1;
    /// Destroy.
    pub const DESTROY: u64 = 2;
}

/// SW_EXITINFO1[31:0] after an exit: the hypervisor's answer (56421, 4.1).
pub mod answer {
    /// Done.
    pub const OK: u64 = 0;
    /// Hypervisor asks the guest to raise the exception in SW_EXITINFO2.
    pub const INJECT: u64 = 1;
    /// Malformed input; SW_EXITINFO2 has the reason.
    pub const MALFORMED: u64 = 2;
}

/// SW_EXITINFO2 after `answer::MALFORMED` (56421, 4.1; numbers as in Linux `asm/sev-common.h`).
pub mod malformed {
    /// The GHCB is not registered.
    pub const NOT_REGISTERED: u64 = 1;
    /// Unknown GHCB_USAGE.
    pub const USAGE: u64 = 2;
    /// SW_SCRATCH names something outside the shared buffer.
    pub const SCRATCH: u64 = 3;
    /// A field that the event needs is not valid.
    pub const MISSING_INPUT: u64 = 4;
    /// A field has a value that the event does not know.
    pub const INPUT: u64 = 5;
    /// Unknown event.
    pub const EVENT: u64 = 6;
}

/// SW_EXITINFO2 after a guest request (56421, 4.1.7 and 4.1.8): firmware's error
/// (`message::firmware`) in 31:0, the hypervisor's in 63:32.
pub mod guest_request {
    /// Shift of the hypervisor's error.
    pub const VMM_SHIFT: u32 = 32;
    /// Extended only: too few pages for the certificates; RBX holds the number. The message was
    /// not given to the security processor.
    pub const VMM_INVALID_LEN: u32 = 1;
    /// Busy: the same message is to be sent again.
    pub const VMM_BUSY: u32 = 2;
}

/// Page-state change structure (56421, table 8): header then up to 253 entries.
pub mod psc {
    /// Entries at most.
    pub const MAX_ENTRIES: usize = 253;
    /// Header bytes: u16 current entry, u16 end entry, u32 reserved.
    pub const HEADER: usize = 8;
    /// Entry bit 56: page size 2 MiB. Bits 11:0 current page, 51:12 frame, 55:52 operation.
    pub const ENTRY_2M: u64 = 1 << 56;
    /// Entry bits 11:0: pages that are done; the hypervisor counts, and goes on from there.
    pub const CURRENT_PAGE: u64 = 0xFFF;
    /// Operation shift.
    pub const OP_SHIFT: u32 = 52;
    /// SW_EXITINFO2: the header is wrong (numbers as in Linux `asm/sev-common.h`).
    pub const INVALID_HEADER: u64 = 1 << 32 | 1;
    /// SW_EXITINFO2: the entry at the header's index is wrong.
    pub const INVALID_ENTRY: u64 = 1 << 32 | 2;
    /// SW_EXITINFO2: the hypervisor failed.
    pub const FAILED: u64 = 0x100 << 32;
}
const _: () = assert!(psc::HEADER + psc::MAX_ENTRIES * 8 <= SHARED_BUFFER);
