//! What a bad host does: the names of `lie=` and one line each. Data only; the matrix reads it.

/// One lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lie {
    /// Name in a scenario.
    pub name: &'static str,
    /// What the host does.
    pub what: &'static str,
}

macro_rules! lies {
    ($($konst:ident $name:literal $what:literal;)*) => {
        $(#[doc = $what] pub const $konst: &str = $name;)*
        /// Every lie, in the order of the table. Injections are `inject-<vector>`, see
        /// `Scenario::inject`.
        pub const ALL: &[Lie] = &[$(Lie { name: $name, what: $what }),*];
    };
}

lies! {
    NONE "none" "the host is honest";
    LEAF_OTHER_VENDOR "leaf-other-vendor" "the isolation leaf names the other vendor's type";
    PARAVISOR_REQUESTED "paravisor-requested" "the isolation leaf requests a paravisor whatever the mode";
    PARAVISOR_NOT_REQUESTED "paravisor-not-requested" "the isolation leaf requests no paravisor whatever the mode";
    NO_MULTI_VMPL "no-multi-vmpl" "a paravisor is requested, but the platform offers no VMPLs or L2 VMs";
    MSR_DISAGREES "msr-disagrees" "the isolation MSR says something else than the leaf";
    UNKNOWN_ISOLATION "unknown-isolation" "the isolation leaf names type 7";
    LEAVES_TRUNCATED "leaves-truncated" "the isolation leaf is announced above the highest leaf";
    DEBUG_POLICY "debug-policy" "the guest is launched with debugging allowed";
    BYTE_CHANGED "byte-changed" "one byte of a measured kernel page differs from the file";
    PAGE_REMAPPED "page-remapped" "after validation a page is mapped to another, fresh frame";
    PAGE_SWAPPED "page-swapped" "after validation the frames of two pages are exchanged";
    DOUBLE_VALIDATE "double-validate" "a page of ordinary memory comes validated or accepted already";
    PAGE_WITHHELD "page-withheld" "a page that the memory map promises is never backed";
    CPUID_TAMPERED "cpuid-tampered" "the CPUID page has a reserved field set and moves the C-bit";
    VISIBILITY_REFUSED "visibility-refused" "every visibility change is refused";
    PSC_HALF "psc-half" "page-state changes stop half way and never make progress";
    PSC_RANGE "psc-range" "a page-state change reports an entry behind the last one as the next";
    PSC_LIES "psc-lies" "visibility changes are reported done without being done";
    SIZE_MISMATCH "size-mismatch" "memory promised as 2 MiB pages is backed by 4 KiB pages";
    SPURIOUS_WAKE "spurious-wake" "VMPL 0 or L1 is woken without an exit of the lower context";
    ASYNC_RETURN "async-return" "L1 is resumed in the middle of the L2 VM, and gets interrupts that nobody asked for";
    GHCB_OUT_OF_RANGE "ghcb-out-of-range" "replies of the host carry values out of range";
    HYPERCALL_REPLY "hypercall-reply" "a hypercall's result counts repetitions that nobody asked for";
    MEMORY_MAP_OVERLAP "memory-map-overlap" "the memory map covers the image twice";
    MEMORY_MAP_HUGE "memory-map-huge" "the memory map reaches past the address width";
    GUEST_REQUEST_DENIED "guest-request-denied" "guest messages to the security processor are refused";
    BINDING_DENIED "binding-denied" "guest messages to the security processor are refused after the first one";
    SECRETS_PAGE_EMPTY "secrets-page-empty" "the secrets page is left without version and keys";
    REPORT_REPLAYED "report-replayed" "the first response of the security processor is given again to every later request";
    COMMAND_LINE_GARBAGE "command-line-garbage" "the command line is noise without an end";
    PROCESSOR_WITHHELD "processor-withheld" "a processor that the guest starts never runs";
    PROCESSOR_TWICE "processor-twice" "a processor that runs is started again";
    PROCESSOR_OTHER "processor-other" "a processor is started with another context than the guest asked for";
    IPIS_LOST "ipis-lost" "what processors send each other never arrives";
    IPIS_UNASKED "ipis-unasked" "processors get interrupts that nobody sent";
    PROXY_ANY "proxy-any" "the paravisor is told of interrupts for its guest that no source asked for";
    TIMERS_LOST "timers-lost" "the timers of all processors but the first never fire";
    TIMERS_HURRIED "timers-hurried" "timers fire four times as often as they were set to";
    ACPI_GARBAGE "acpi-garbage" "the MADT is noise";
}

/// Lies of the isolation leaf alone.
pub const ISOLATION_LEAF: &[&str] = &[
    LEAF_OTHER_VENDOR,
    PARAVISOR_REQUESTED,
    PARAVISOR_NOT_REQUESTED,
    UNKNOWN_ISOLATION,
];

/// Lies after which a processor waits for another one in vain.
pub const PROCESSOR_LIES: &[&str] = &[
    PROCESSOR_WITHHELD,
    PROCESSOR_TWICE,
    PROCESSOR_OTHER,
    IPIS_LOST,
];

/// Lies after which a page is not where, or not what, the guest was told.
pub const PAGE_LIES: &[&str] = &[
    PAGE_REMAPPED,
    PAGE_SWAPPED,
    DOUBLE_VALIDATE,
    PSC_LIES,
    PSC_HALF,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for (i, lie) in ALL.iter().enumerate() {
            assert!(
                ALL[i + 1..].iter().all(|other| other.name != lie.name),
                "{}",
                lie.name
            );
        }
    }
}
