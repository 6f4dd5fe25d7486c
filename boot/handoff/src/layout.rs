//! Where the image stands in guest physical memory, and where things are mapped.
//!
//! The same for every mode. All of it is measured or loaded by the host as the IGVM file says,
//! so all of `IMAGE_START..IMAGE_END` is private and accepted at the first instruction.

/// First byte of the image.
pub const IMAGE_START: u64 = 0x0010_0000;
/// The boot stub is linked here (identity).
pub const STUB_BASE: u64 = IMAGE_START;
/// End of the room for the stub, its stack included.
pub const STUB_END: u64 = 0x0017_0000;
/// Identity page tables of the first instruction: PML4, PDPT, PD (first GiB by 2 MiB pages).
/// One variant with the C-bit (SNP), one without (TDX, native).
pub const BOOT_TABLES: u64 = 0x0017_0000;
/// The measured launch block, one page.
pub const LAUNCH_BLOCK: u64 = 0x0018_0000;
/// Parameter area: IGVM memory map, one page, host-provided.
pub const PARAM_MEMORY_MAP: u64 = 0x0018_1000;
/// Parameter area: IGVM VP count (u32 at 0) and environment info (u32 at 4), one page.
pub const PARAM_VP: u64 = 0x0018_2000;
/// Parameter area: MADT, one page.
pub const PARAM_MADT: u64 = 0x0018_3000;
/// Parameter area: command line, one page.
pub const PARAM_COMMAND_LINE: u64 = 0x0018_4000;
/// SNP: the page of guest messages to the security processor, shared with the host.
pub const MESSAGE_REQUEST: u64 = 0x0018_5000;
/// SNP: the page of its responses, shared with the host.
pub const MESSAGE_RESPONSE: u64 = 0x0018_6000;
/// The event log of VMPL 0 or L1 (`defs::binding`), readable by a lower guest.
pub const EVENT_LOG: u64 = 0x0018_7000;
/// SNP secrets page.
pub const SECRETS_PAGE: u64 = 0x0018_8000;
/// SNP CPUID page.
pub const CPUID_PAGE: u64 = 0x0018_9000;
/// The page that the stub, then the kernel or paravisor, turns into its GHCB.
pub const GHCB_PAGE: u64 = 0x0018_A000;
/// A page for hypercall input.
pub const EXCHANGE_PAGE: u64 = 0x0018_B000;
/// What VMPL 0 of an SNP guest shares with the host from the stub on.
pub const SHARED_PAGES: [u64; 3] = [GHCB_PAGE, MESSAGE_REQUEST, MESSAGE_RESPONSE];
/// Hand-over page written by the stub: `Handoff`, then bootloader_api's BootInfo.
pub const HANDOFF_PAGE: u64 = 0x0018_C000;
/// bootloader_api memory regions and the ACPI tables that the stub builds: two pages.
pub const HANDOFF_DATA: u64 = 0x0018_D000;
/// The paravisor's feature table (`defs::pfe`), readable by the guest.
pub const PFE_PAGE: u64 = 0x0018_F000;
/// A page through which a lower guest asks its paravisor for evidence.
pub const EVIDENCE_PAGE: u64 = 0x0019_0000;
/// A page through which a lower guest asks its paravisor to start a processor.
pub const START_PAGE: u64 = 0x0019_1000;
/// Page-table pool: zero pages from which the stub builds the kernel's or paravisor's tables;
/// what is left goes to the kernel.
pub const POOL_START: u64 = 0x0019_2000;
/// End of the pool.
pub const POOL_END: u64 = 0x001F_0000;
/// Kernel stack, `STACK_PAGES` pages.
pub const STACK_START: u64 = 0x001F_0000;
/// Pages of a stack (kernel or paravisor).
pub const STACK_PAGES: u64 = 8;
/// The kernel's segments, in place.
pub const KERNEL_BASE: u64 = 0x0020_0000;
/// End of the room for the kernel.
pub const KERNEL_END: u64 = 0x0040_0000;
/// The measured bundle (`crate::bundle`).
pub const BUNDLE_BASE: u64 = 0x0040_0000;
/// End of the room for the bundle.
pub const BUNDLE_END: u64 = 0x0050_0000;
/// The paravisor's own memory: segments in place, then its private pages. Nothing below VMPL 0
/// / L1 may touch it. Given back to the kernel where no paravisor runs.
pub const PARAVISOR_BASE: u64 = 0x0050_0000;
/// Rooms of the paravisor's virtual processors, `PARAVISOR_ROOM` bytes each, inside its own memory.
pub const PARAVISOR_ROOMS: u64 = 0x0054_0000;
/// Virtual processors that the paravisor has room for.
pub const PARAVISOR_VPS: usize = 8;
/// A room: a stack of `STACK_PAGES`, then one page each of `room`.
pub const PARAVISOR_ROOM: u64 = (STACK_PAGES + 4) * 4096;
/// Stack of the paravisor on its first processor.
pub const PARAVISOR_STACK: u64 = PARAVISOR_ROOMS;
/// Page-table pool of the paravisor, inside its own memory.
pub const PARAVISOR_POOL: u64 = 0x005A_0000;
/// The paravisor's copy of the real secrets page; more pages of its own follow.
pub const PARAVISOR_PAGES: u64 = 0x005E_0000;
/// TDX: the page of TDREPORTs and RTMR extensions, of paravisor or enlightened kernel.
pub const TDREPORT_PAGE: u64 = PARAVISOR_PAGES + 0x3000;
/// Pages of the paravisor's processors that it shares with a host of Hyper-V's interface: three each, of `synic`.
pub const PARAVISOR_SYNIC: u64 = PARAVISOR_PAGES + 0x8000;
/// End of the paravisor's memory and of the image.
pub const PARAVISOR_END: u64 = 0x0060_0000;
/// End of the image.
pub const IMAGE_END: u64 = PARAVISOR_END;

/// Where the image's guest is Linux, the rooms of kernel, bundle and paravisor hold what a
/// firmware gives it. Linux' zero page (boot_params), measured without what the host claims.
pub const LINUX_BOOT_PARAMS: u64 = KERNEL_BASE;
/// Its command line, measured, one page.
pub const LINUX_COMMAND_LINE: u64 = LINUX_BOOT_PARAMS + 0x1000;
/// The ACPI tables that the stub builds, two pages.
pub const LINUX_ACPI: u64 = LINUX_BOOT_PARAMS + 0x2000;
/// Pages of the ACPI tables.
pub const LINUX_ACPI_PAGES: u64 = 2;
/// Confidential-computing blob, one page.
pub const LINUX_CC_BLOB: u64 = LINUX_BOOT_PARAMS + 0x4000;
/// EFI system table, configuration table and memory map, two pages.
pub const LINUX_EFI: u64 = LINUX_BOOT_PARAMS + 0x5000;
/// The table of unaccepted memory, two pages.
pub const LINUX_UNACCEPTED: u64 = LINUX_BOOT_PARAMS + 0x7000;
/// The TDX mailbox and the code that other processors wait in, one page each.
pub const LINUX_MAILBOX: u64 = LINUX_BOOT_PARAMS + 0x9000;

/// `UnknownBios` kind of memory regions that stand in the place of a PC's ROMs: private memory that
/// nobody uses, but that guests scan.
pub const REGION_FIRMWARE: u32 = 2;

/// TDX reset vector page. Processors but the first wait in it until their word of `WAKE` is an entry:
/// 64-bit, on `RESET_TABLES`, ESI their index, no stack. In the page and its tables nobody but L1
/// can write: an L2 VM is never given them.
pub const RESET_PAGE: u64 = 0xFFFF_F000;
/// Tables on which they wait, PML4 and PDPT: the last GiB below 4 GiB, identity. Who wakes a processor
/// puts its own upper half into the PML4 first.
pub const RESET_TABLES: u64 = 0xFFFF_D000;
/// One `u64` a processor, by its index: the entry's address, 0 while it is to wait.
pub const WAKE: u64 = RESET_PAGE;
/// Words of `WAKE`. A processor with a higher index waits for ever.
pub const WAKE_WORDS: u64 = 256;
/// Code of the waiting processors: copied from the stub's `entry_reset`, `RESET_CODE_BYTES`.
pub const RESET_CODE: u64 = RESET_PAGE + WAKE_WORDS * 8;
/// Bytes of it.
pub const RESET_CODE_BYTES: usize = 128;

/// Kernel and paravisor are linked here; physical = virtual - this + their base.
pub const KERNEL_VIRT: u64 = 0xFFFF_FFFF_8000_0000;
/// Direct map of private memory (bootloader_api `physical_memory_offset`).
pub const DIRECT_MAP: u64 = 0xFFFF_8000_0000_0000;
/// Shared pages are mapped from here on: `SHARED_MAP + gpa`.
pub const SHARED_MAP: u64 = 0xFFFF_A000_0000_0000;
/// Top of the stack of kernel or paravisor; the page below its last one is not mapped.
pub const STACK_TOP: u64 = 0xFFFF_FFFF_C000_0000;
/// User processes are linked here.
pub const USER_BASE: u64 = 0x0000_0000_0040_0000;
/// The first process finds the bundle here, read-only.
pub const BUNDLE_VIRT: u64 = 0x0000_1000_0000_0000;
/// Top of the user stack.
pub const USER_STACK_TOP: u64 = 0x0000_7FFF_FFFF_0000;
/// A service finds the state that outlives it here: where the stack's page table serves it too.
pub const STATE_BASE: u64 = 0x0000_7FFF_FFE0_0000;

const _: () = assert!(STACK_START + STACK_PAGES * 4096 <= KERNEL_BASE);
const _: () = assert!(room::of(PARAVISOR_VPS) <= PARAVISOR_POOL);
const _: () = assert!(synic::of(PARAVISOR_VPS) <= PARAVISOR_END);

/// Pages of a room of the paravisor.
pub mod room {
    use super::{PARAVISOR_ROOM, PARAVISOR_ROOMS, STACK_PAGES};

    /// SNP: GHCB of a processor but the first, shared with the host once it is started.
    pub const GHCB: u64 = STACK_PAGES * 4096;
    /// SNP: VMSA of VMPL 0 of a processor but the first.
    pub const VMSA: u64 = GHCB + 0x1000;
    /// The lower context: VMSA of VMPL 2, or registers of the L2 VM.
    pub const LOWER: u64 = GHCB + 0x2000;
    /// TDX: virtual-APIC page of the L2 VM.
    pub const APIC: u64 = GHCB + 0x3000;
    /// SNP: GHCB of the lower context, shared with the host.
    pub const LOWER_GHCB: u64 = APIC;

    /// The room of a processor.
    pub const fn of(index: usize) -> u64 {
        PARAVISOR_ROOMS + index as u64 * PARAVISOR_ROOM
    }
}

/// Pages of synthetic interrupt controllers of a processor of the paravisor's.
pub mod synic {
    use super::PARAVISOR_SYNIC;

    /// Messages to the paravisor.
    pub const OWN_MESSAGES: u64 = 0;
    /// Messages to the lower guest.
    pub const MESSAGES: u64 = 0x1000;
    /// Event flags of the lower guest.
    pub const EVENTS: u64 = 0x2000;
    /// Bytes of a processor's.
    pub const BYTES: u64 = 0x3000;

    /// The first page of a processor.
    pub const fn of(index: usize) -> u64 {
        PARAVISOR_SYNIC + index as u64 * BYTES
    }
}
