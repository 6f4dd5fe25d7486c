//! The VMSA. Source: APM vol. 2, table B-4 (state save area of SEV-ES guests).

use crate::assert_layout;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Segment register image. `attrib` packs descriptor bits 55:52 and 47:40 into 12 bits.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[allow(missing_docs)]
pub struct Segment {
    pub selector: u16,
    pub attrib: u16,
    pub limit: u32,
    pub base: u64,
}

/// State save area of an SEV-ES/SNP virtual processor, 4 KiB.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs)]
pub struct Vmsa {
    pub es: Segment,
    pub cs: Segment,
    pub ss: Segment,
    pub ds: Segment,
    pub fs: Segment,
    pub gs: Segment,
    pub gdtr: Segment,
    pub ldtr: Segment,
    pub idtr: Segment,
    pub tr: Segment,
    pub pl_ssp: [u64; 4],
    pub u_cet: u64,
    pub reserved_0c8: [u8; 2],
    pub vmpl: u8,
    pub cpl: u8,
    pub reserved_0cc: [u8; 4],
    pub efer: u64,
    pub reserved_0d8: [u8; 0x68],
    pub xss: u64,
    pub cr4: u64,
    pub cr3: u64,
    pub cr0: u64,
    pub dr7: u64,
    pub dr6: u64,
    pub rflags: u64,
    pub rip: u64,
    pub dr: [u64; 4],
    pub dr_addr_mask: [u64; 4],
    pub reserved_1c0: [u8; 0x18],
    pub rsp: u64,
    pub s_cet: u64,
    pub ssp: u64,
    pub isst_addr: u64,
    pub rax: u64,
    pub star: u64,
    pub lstar: u64,
    pub cstar: u64,
    pub sfmask: u64,
    pub kernel_gs_base: u64,
    pub sysenter_cs: u64,
    pub sysenter_esp: u64,
    pub sysenter_eip: u64,
    pub cr2: u64,
    pub reserved_248: [u8; 0x20],
    pub g_pat: u64,
    pub dbgctl: u64,
    pub br_from: u64,
    pub br_to: u64,
    pub last_excp_from: u64,
    pub last_excp_to: u64,
    pub reserved_298: [u8; 0x50],
    pub pkru: u32,
    pub tsc_aux: u32,
    pub guest_tsc_scale: u64,
    pub guest_tsc_offset: u64,
    pub reg_prot_nonce: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rbx: u64,
    pub secure_avic_ctl: u64,
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
    pub reserved_380: [u8; 0x10],
    pub guest_exit_info1: u64,
    pub guest_exit_info2: u64,
    pub guest_exit_int_info: u64,
    pub guest_nrip: u64,
    pub sev_features: u64,
    pub vintr_ctrl: u64,
    pub guest_exit_code: u64,
    pub virtual_tom: u64,
    pub tlb_id: u64,
    pub pcpu_id: u64,
    pub event_inj: u64,
    pub xcr0: u64,
    pub reserved_3f0: [u8; 0x10],
    pub x87_dp: u64,
    pub mxcsr: u32,
    pub x87_ftw: u16,
    pub x87_fsw: u16,
    pub x87_fcw: u16,
    pub x87_fop: u16,
    pub x87_ds: u16,
    pub x87_cs: u16,
    pub x87_rip: u64,
    pub fpreg_x87: [u8; 80],
    pub fpreg_xmm: [u8; 256],
    pub fpreg_ymm: [u8; 256],
    pub reserved_670: [u8; 0x990],
}

assert_layout!(Vmsa, size 4096, es @ 0x000, cs @ 0x010, ss @ 0x020, ds @ 0x030, fs @ 0x040,
    gs @ 0x050, gdtr @ 0x060, ldtr @ 0x070, idtr @ 0x080, tr @ 0x090, pl_ssp @ 0x0A0,
    u_cet @ 0x0C0, vmpl @ 0x0CA, cpl @ 0x0CB, efer @ 0x0D0, xss @ 0x140, cr4 @ 0x148,
    cr3 @ 0x150, cr0 @ 0x158, dr7 @ 0x160, dr6 @ 0x168, rflags @ 0x170, rip @ 0x178,
    dr @ 0x180, rsp @ 0x1D8, rax @ 0x1F8, star @ 0x200, lstar @ 0x208, sfmask @ 0x218,
    kernel_gs_base @ 0x220, sysenter_cs @ 0x228, cr2 @ 0x240, g_pat @ 0x268, pkru @ 0x2E8,
    rcx @ 0x308, rdx @ 0x310, rbx @ 0x318, rbp @ 0x328, rsi @ 0x330, rdi @ 0x338, r8 @ 0x340,
    r15 @ 0x378, guest_exit_info1 @ 0x390, guest_exit_info2 @ 0x398,
    guest_exit_int_info @ 0x3A0, guest_nrip @ 0x3A8, sev_features @ 0x3B0, vintr_ctrl @ 0x3B8,
    guest_exit_code @ 0x3C0, virtual_tom @ 0x3C8, event_inj @ 0x3E0, xcr0 @ 0x3E8,
    x87_dp @ 0x400, mxcsr @ 0x408, x87_fcw @ 0x410, fpreg_xmm @ 0x470, fpreg_ymm @ 0x570);

/// GPA at which the BSP's VMSA stands in an IGVM file (QEMU's loader demands it).
pub const BSP_VMSA_GPA: u64 = 0xFFFF_FFFF_F000;
/// Register-image attributes: present, code, readable, accessed, long.
pub const ATTRIB_CODE64: u16 = 0xA9B;
/// Register-image attributes: present, data, writable, accessed, 4 KiB granularity, 32 bit.
pub const ATTRIB_DATA: u16 = 0xC93;
/// Register-image attributes: busy 64-bit TSS.
pub const ATTRIB_TSS: u16 = 0x8B;
/// Register-image attributes: LDT.
pub const ATTRIB_LDT: u16 = 0x82;

/// VINTR_CTRL, used with AlternateInjection: the context's interrupts by whoever may write its
/// save area, not by the host. Source: APM vol. 2, 15.36.16 and table B-4; positions checked
/// against OpenVMM (`SevVirtualInterruptControl`) and mushroom, which both run on hardware.
pub mod vintr {
    /// An interrupt is to be delivered as soon as RFLAGS.IF and its priority allow; cleared by
    /// the processor when it is.
    pub const IRQ: u64 = 1 << 8;
    /// Global interrupt flag.
    pub const GIF: u64 = 1 << 9;
    /// Interrupt shadow.
    pub const SHADOW: u64 = 1 << 10;
    /// Priority, 4 bits.
    pub const PRIORITY_SHIFT: u32 = 16;
    /// The priority is not compared with the TPR.
    pub const IGNORE_TPR: u64 = 1 << 20;
    /// Vector, 8 bits.
    pub const VECTOR_SHIFT: u32 = 32;
    /// An event whose delivery was interrupted stands in GUEST_EXITINTINFO; VMRUN refuses the
    /// context until this is cleared.
    pub const BUSY: u64 = 1 << 63;
}
