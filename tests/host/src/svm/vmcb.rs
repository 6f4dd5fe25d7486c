//! The VMCB. Source: APM vol. 2 (24593), tables B-1 (control area) and B-2 (save area).

use tessera_defs::{assert_layout, snp::vmsa::Segment};

/// Control area, 1 KiB.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Control {
    pub intercept_cr: u32,
    pub intercept_dr: u32,
    pub intercept_exceptions: u32,
    pub intercept_1: u32,
    pub intercept_2: u32,
    pub intercept_3: u32,
    pub reserved_018: [u8; 0x28],
    pub iopm_base: u64,
    pub msrpm_base: u64,
    pub tsc_offset: u64,
    pub asid: u32,
    pub tlb_control: u32,
    /// V_TPR 7:0, V_IRQ 8, V_INTR_PRIO 19:16, V_IGN_TPR 20, V_INTR_MASKING 24.
    pub int_ctl: u32,
    pub int_vector: u32,
    pub interrupt_shadow: u64,
    pub exit_code: u64,
    pub exit_info_1: u64,
    pub exit_info_2: u64,
    pub exit_int_info: u64,
    pub np_enable: u64,
    pub reserved_098: [u8; 0x10],
    pub event_inj: u64,
    pub n_cr3: u64,
    pub lbr: u64,
    pub clean: u32,
    pub reserved_0c4: u32,
    pub nrip: u64,
    pub reserved_0d0: [u8; 0x330],
}

assert_layout!(Control, size 0x400, intercept_1 @ 0x00C, intercept_2 @ 0x010, iopm_base @ 0x040,
    msrpm_base @ 0x048, tsc_offset @ 0x050, asid @ 0x058, int_ctl @ 0x060, int_vector @ 0x064,
    interrupt_shadow @ 0x068, exit_code @ 0x070, exit_info_1 @ 0x078, exit_info_2 @ 0x080,
    exit_int_info @ 0x088, np_enable @ 0x090, event_inj @ 0x0A8, n_cr3 @ 0x0B0, clean @ 0x0C0,
    nrip @ 0x0C8);

/// State save area, 3 KiB.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Save {
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
    pub reserved_0a0: [u8; 0x2B],
    pub cpl: u8,
    pub reserved_0cc: u32,
    pub efer: u64,
    pub reserved_0d8: [u8; 0x70],
    pub cr4: u64,
    pub cr3: u64,
    pub cr0: u64,
    pub dr7: u64,
    pub dr6: u64,
    pub rflags: u64,
    pub rip: u64,
    pub reserved_180: [u8; 0x58],
    pub rsp: u64,
    pub reserved_1e0: [u8; 0x18],
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
    pub reserved_270: [u8; 0x990],
}

assert_layout!(Save, size 0xC00, gdtr @ 0x060, tr @ 0x090, cpl @ 0x0CB, efer @ 0x0D0,
    cr4 @ 0x148, cr3 @ 0x150, cr0 @ 0x158, dr7 @ 0x160, rflags @ 0x170, rip @ 0x178,
    rsp @ 0x1D8, rax @ 0x1F8, star @ 0x200, kernel_gs_base @ 0x220, cr2 @ 0x240, g_pat @ 0x268);

/// VMCB, 4 KiB.
#[repr(C, align(4096))]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Vmcb {
    pub control: Control,
    pub save: Save,
}

assert_layout!(Vmcb, size 4096, save @ 0x400);

/// `intercept_1`: INTR, NMI, CPUID, INVD, HLT, IOIO_PROT, MSR_PROT, SHUTDOWN.
pub const INTERCEPT_1: u32 =
    1 << 0 | 1 << 1 | 1 << 18 | 1 << 22 | 1 << 24 | 1 << 27 | 1 << 28 | 1 << 31;
/// `intercept_2`: VMRUN, VMMCALL, VMLOAD, VMSAVE, STGI, CLGI, SKINIT, WBINVD, MONITOR,
/// MWAIT.
pub const INTERCEPT_2: u32 =
    1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11;
/// `intercept_exceptions`: #UD, through which foreign and new instructions come.
pub const INTERCEPT_EXCEPTIONS: u32 = 1 << 6;
/// `int_ctl`: V_IRQ.
pub const V_IRQ: u32 = 1 << 8;
/// `int_ctl`: V_IGN_TPR.
pub const V_IGN_TPR: u32 = 1 << 20;
/// `int_ctl`: V_INTR_MASKING.
pub const V_INTR_MASKING: u32 = 1 << 24;
/// `intercept_1`: VINTR.
pub const INTERCEPT_1_VINTR: u32 = 1 << 4;
/// `intercept_1`: RDPMC.
pub const INTERCEPT_1_RDPMC: u32 = 1 << 15;
/// `intercept_dr`: reads (15:0) and writes (31:16) of DR7.
pub const INTERCEPT_DR7: u32 = 1 << 7 | 1 << 23;
/// `intercept_1`: IRET.
pub const INTERCEPT_1_IRET: u32 = 1 << 20;
/// `intercept_1`: PAUSE.
pub const INTERCEPT_1_PAUSE: u32 = 1 << 23;
/// `intercept_2`: XSETBV.
pub const INTERCEPT_2_XSETBV: u32 = 1 << 13;
/// `intercept_cr`: reads (15:0) and writes (31:16) of CR0 and CR4.
pub const INTERCEPT_CR0_CR4: u32 = 1 << 0 | 1 << 4 | 1 << 16 | 1 << 20;
