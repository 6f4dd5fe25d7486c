//! Breaches of protocol by a guest that the test host reports by name: one table for the
//! host, the matrix and `tessera explain`.

/// A breach: what the guest did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Name in reports.
    pub name: &'static str,
    /// What happened.
    pub cause: &'static str,
    /// What the guest's author should do.
    pub remedy: &'static str,
}

macro_rules! breaches {
    ($($konst:ident $name:literal $cause:literal $remedy:literal;)*) => {
        $(#[doc = $cause] pub const $konst: Breach =
            Breach { name: $name, cause: $cause, remedy: $remedy };)*
        /// Every breach, in the order of the table.
        pub const ALL: &[Breach] = &[$($konst),*];
    };
}

breaches! {
    UNVALIDATED_ACCESS "unvalidated-access"
        "the guest touched private memory that it had not validated or accepted, and did not handle the exception"
        "validate (PVALIDATE) or accept (TDG.MEM.PAGE.ACCEPT) before the first access";
    DOUBLE_VALIDATION "double-validation"
        "the guest validated or accepted a page that was valid already, which lets a host swap pages"
        "keep a bitmap of accepted pages and treat a second acceptance as an attack";
    C_BIT_MISSING "c-bit-missing"
        "the guest accessed a private page through a shared mapping"
        "set the C-bit (SNP) or clear the shared bit (TDX) in page tables for private memory";
    SHARED_AS_PRIVATE "shared-as-private"
        "the guest accessed a shared page through a private mapping"
        "clear the C-bit (SNP) or set the shared bit (TDX) for shared memory";
    PRIVATE_DATA_SHARED "private-data-shared"
        "the guest made a page with private data visible to the host"
        "clear a page before it becomes shared";
    GHCB_NOT_REGISTERED "ghcb-not-registered"
        "the guest used a GHCB page that it had not registered"
        "use the register-GHCB request of the GHCB MSR protocol first";
    GHCB_NOT_SHARED "ghcb-not-shared"
        "the guest named a private page as its GHCB"
        "make the page shared before registering it";
    GHCB_MALFORMED "ghcb-malformed"
        "a GHCB request lacks a field that its event needs in the valid bitmap, or has an unknown version or usage"
        "fill in version, usage, exit code, both infos and the event's fields, and their valid bits";
    GHCB_MSR_UNKNOWN "ghcb-msr-unknown"
        "a GHCB MSR request is not in the protocol"
        "use the requests of the GHCB specification, section 2.3.1";
    PSC_MALFORMED "psc-malformed"
        "a page-state change has a wrong header, count, operation or alignment"
        "follow the structure of the GHCB specification, table 8";
    PVALIDATE_INPUT "pvalidate-input"
        "PVALIDATE was given an unaligned or unmapped address or a reserved size, and the guest ignored the error"
        "check EAX and CF after PVALIDATE";
    RMPADJUST_DENIED "rmpadjust-denied"
        "the guest tried to change permissions of a VMPL that is not below its own, and ignored the error"
        "only adjust numerically higher VMPLs";
    VMPL_PERMISSION "vmpl-permission"
        "the lower guest touched memory that its VMPL or L2 attributes deny"
        "stay out of the paravisor's memory";
    VMPCK_EXPOSED "vmpck-exposed"
        "the lower guest can read a platform communication key of VMPL 0 or 1"
        "wipe VMPCK 0 and 1 from the secrets page before the lower guest runs";
    VMSA_INVALID "vmsa-invalid"
        "a VMSA that is to run is not a VMSA page, or EFER.SVME or SNPActive is missing in it"
        "set the VMSA attribute by RMPADJUST, EFER.SVME and SEV_FEATURES before AP creation";
    UNALIGNED_ACCEPT "unaligned-accept"
        "TDG.MEM.PAGE.ACCEPT was given an unaligned address or an unknown level"
        "align the address to the size of the level";
    TDCALL_OPERAND "tdcall-operand"
        "a TDCALL leaf was given an invalid operand"
        "see the leaf in the TDX module ABI specification";
    TDCALL_UNKNOWN "tdcall-unknown"
        "a TDCALL leaf does not exist"
        "see the leaves in the TDX module ABI specification";
    VMCALL_MALFORMED "vmcall-malformed"
        "a TDVMCALL has an unknown sub-function or exposes the wrong registers"
        "see the GHCI specification, chapter 3";
    VMCALL_LEAK "vmcall-leak"
        "a TDVMCALL shows the host registers that its sub-function does not use, and that are not zero"
        "expose only what the sub-function needs, or clear the rest";
    MAP_GPA_INPUT "map-gpa-input"
        "MapGPA was given an unaligned or out-of-range address"
        "align to 4 KiB and stay below the guest's physical limit";
    L2_STATE_INVALID "l2-state-invalid"
        "TDG.VP.ENTER was given a state that cannot be entered"
        "set up the L2 VMCS and L2_ENTER_GUEST_STATE as the TD partitioning specification says";
    L2_ENTER_OPERAND "l2-enter-operand"
        "TDG.VP.ENTER was given an unaligned or shared state, a VM that does not exist, or no virtual-APIC page"
        "align the state to 256 bytes, name VM 1 in RCX[53:52], and set the L2 VMCS's virtual-APIC page";
    METADATA_DENIED "metadata-denied"
        "TDG.VP.RD or TDG.VP.WR was given a field that the module does not let L1 read or change so"
        "write only the bits that the L2 VMCS's table lists for L1, with a mask of those bits";
    PAGE_ATTR_INPUT "page-attr-input"
        "TDG.MEM.PAGE.ATTR.WR was given attributes of L1 or of a VM that does not exist, or ones that no page can have"
        "give attributes of L2 VMs only, with VALID, and W only with R";
    UNHANDLED_EXCEPTION "unhandled-exception"
        "the guest had a triple fault: an exception that its IDT does not handle"
        "install handlers for #VC (SNP) or #VE (TDX) before the first instruction that needs them";
    FOREIGN_INSTRUCTION "foreign-instruction"
        "the guest used an isolation instruction of another vendor"
        "select strategies by evidence, not by guess";
    GUEST_REQUEST_PRIVATE "guest-request-private"
        "request or response page of an SNP guest request is private, so that the host cannot carry it"
        "share both pages first";
    GUEST_REQUEST_MALFORMED "guest-request-malformed"
        "the two pages of an SNP guest request are not aligned, or are one page"
        "give two page addresses";
    GUEST_MESSAGE_INVALID "guest-message-invalid"
        "the security processor cannot take a guest message: wrong key, tag, header, size, or a sequence number that is not the next"
        "number messages by the secrets page, one up for the request and one for the response, and never go on after a failure";
    HYPERCALL_MALFORMED "hypercall-malformed"
        "a Hyper-V hypercall has a reserved bit, an unknown code or a misaligned input"
        "see the TLFS, chapter 3";
    HYPERCALL_PAGE_MISSING "hypercall-page-missing"
        "a hypercall was made before the guest identified itself (GUEST_OS_ID)"
        "write GUEST_OS_ID first";
    RUN_VMPL_DENIED "run-vmpl-denied"
        "a lower VMPL asked the host to run a VMPL, or one that has no VMSA"
        "register the lower VMSA by AP creation, and run it from VMPL 0";
    PROCESSOR_UNKNOWN "processor-unknown"
        "the guest named a virtual processor that does not exist"
        "start the processors that the host claims, each by its own APIC id or VP index";
    PROCESSOR_RUNS "processor-runs"
        "the guest started a virtual processor that runs, or destroyed the one that asks"
        "start a processor once, and destroy it from another one after it stopped";
    VMSA_IN_USE "vmsa-in-use"
        "the guest changed the VMSA of a context that runs: by RMPADJUST, PVALIDATE, a page-state change, or by starting a second processor from it"
        "give every processor a VMSA of its own, and destroy the context before the page is used again";
    SEV_FEATURES_DIFFER "sev-features-differ"
        "RAX of an AP creation is not the SEV_FEATURES of the VMSA"
        "give the host the SEV_FEATURES that stand in the VMSA";
    OUT_OF_RANGE "out-of-range"
        "the guest touched an address that is neither memory nor a device"
        "stay inside the memory map";
    USER_STACK_IN_KERNEL "user-stack-in-kernel"
        "the kernel took an exception on the stack pointer of ring 3: an event hit it between SYSCALL and its stack switch"
        "give every vector that a host can inject an interrupt stack (IST)";
    WX_VIOLATION "wx-violation"
        "the guest executes memory that it can also write"
        "map code read-only and data no-execute";
}
