//! Refusals: every reason for which the stub, the kernel or the paravisor stops by itself.
//! One table for them, the test host, the matrix and `tessera explain`.
//!
//! A refusal leaves through the architectural door: GHCB termination request with set
//! `TERMINATE_SET_TESSERA` and the code, or TDVMCALL ReportFatalError with
//! `FATAL_TESSERA | code`. Codes are stable: a code is never given a second meaning.

/// Code with which a guest panic leaves through the same door. Never a refusal.
pub const GUEST_PANIC: u8 = 0xFE;

/// Who is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guilty {
    /// The host: hypervisor, loader, or what they configured.
    Host,
    /// Our own code inside the guest.
    Guest,
    /// The paravisor below this guest.
    Paravisor,
    /// The image or the policy measured into it.
    Image,
}

impl Guilty {
    /// The word that users read.
    pub const fn name(self) -> &'static str {
        match self {
            Guilty::Host => "host",
            Guilty::Guest => "guest",
            Guilty::Paravisor => "paravisor",
            Guilty::Image => "image",
        }
    }
}

/// One row of the table.
struct Row {
    name: &'static str,
    guilty: Guilty,
    cause: &'static str,
    remedy: &'static str,
}

macro_rules! refusals {
    ($($code:literal $variant:ident $name:literal $guilty:ident $cause:literal $remedy:literal;)*) => {
        /// Why it stopped. The discriminant is the code, 1..=0x7F.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Refusal { $(#[doc = $cause] $variant = $code,)* }

        impl Refusal {
            /// Every refusal, in ascending order of code.
            pub const ALL: &'static [Refusal] = &[$(Refusal::$variant),*];

            const fn row(self) -> &'static Row {
                match self {
                    $(Refusal::$variant => &Row {
                        name: $name, guilty: Guilty::$guilty, cause: $cause, remedy: $remedy,
                    },)*
                }
            }
        }
    };
}

// Codes 0x01..0x1F: the decision. 0x20..0x3F: the image and what the loader gave with it.
// 0x40..0x5F: memory and calls to the host. 0x60..0x7F: exceptions and the lower context.
refusals! {
    0x01 DebugForbidden "debug-forbidden" Host
        "the host can debug this guest, and the measured policy forbids debugging"
        "launch without the debug attribute, or build with a policy that allows debugging";
    0x02 ModeForbidden "mode-forbidden" Host
        "the host offers a mode that the measured policy does not allow"
        "run the image on a host that offers an allowed mode, or build with a policy that lists this one";
    0x03 PlacementContradicts "placement-contradicts" Host
        "the host wants a paravisor where the measured policy says direct, or none where it says paravisor"
        "configure the host as the policy says, or build with placement host-chooses";
    0x04 ParavisorUnavailable "paravisor-unavailable" Host
        "a paravisor is demanded, but the platform cannot run one: no multi-VMPL bit in the GHCB features, or NUM_L2_VMS is 0"
        "enable VMPLs or TD partitioning on the host, or choose placement direct";
    0x05 LeavesTruncated "leaves-truncated" Host
        "the host announces Hyper-V leaves or an isolation leaf, but its highest leaf is too small to hold them"
        "publish CPUID 0x40000000 with a maximum that covers every announced leaf";
    0x06 LeavesContradictory "leaves-contradictory" Host
        "the host's hypervisor leaves contradict each other"
        "publish the vendor, the Hv#1 signature, the HV_ISOLATION feature bit and leaf 0x4000000C consistently";
    0x07 MsrDisagrees "msr-disagrees" Host
        "the isolation MSR and CPUID leaf 0x4000000C say different things"
        "make the MSR an exact alias of the leaf, or do not offer it";
    0x08 IsolationTypeUnknown "isolation-type-unknown" Host
        "the isolation leaf names a type that this image does not know"
        "publish type 0 (none), 2 (SNP) or 3 (TDX)";
    0x09 IsolationTypeMismatch "isolation-type-mismatch" Host
        "the isolation leaf names another type than the processor shows"
        "publish the isolation type with which the guest was really launched";
    0x0A BoundaryMismatch "boundary-mismatch" Host
        "the shared-GPA boundary of the isolation leaf is not the one of this processor, or is missing beside a paravisor"
        "publish an active boundary of 46 bits on SNP and of 47 bits on TDX";
    0x0B LowerContextInvalid "lower-context-invalid" Paravisor
        "this context is not in VMPL 0 or L1, and not what a paravisor must build: VMPL 2 with vTOM, ReflectVC and AlternateInjection"
        "fix the paravisor that started this context";
    0x0C ParavisorLeafInvalid "paravisor-leaf-invalid" Paravisor
        "below a paravisor the isolation leaf, which the paravisor answers, does not describe this context"
        "fix the paravisor: paravisor bit, type, boundary and MSR must fit the lower context";
    0x0D EntryContradicts "entry-contradicts" Host
        "the entry path belongs to a platform that the processor does not confirm"
        "launch the image as its IGVM platform headers say";
    0x0E SevFeaturesUnexpected "sev-features-unexpected" Host
        "SEV_STATUS shows features that the measured VMSA does not ask for and that this image leaves unused"
        "launch with SEV_FEATURES exactly 1, as the image's VMSA says";
    0x0F CBitMismatch "c-bit-mismatch" Host
        "the C-bit is not at bit 51, for which the image's page tables were built"
        "use a host whose C-bit is bit 51, or do not alter the CPUID page and the GHCB's answer";
    0x10 GpawMismatch "gpaw-mismatch" Host
        "the guest-physical address width of the TD is not 48, for which the image was built"
        "launch the TD with GPAW 48";
    0x11 ProtectionUnused "protection-unused" Host
        "the guest was entered as a plain machine, but the processor shows an isolation that would be left unused"
        "launch the image as its IGVM platform headers say";
    0x12 ProtocolVersion "protocol-version" Host
        "the host does not speak a version of the GHCB or TDVMCALL protocol that this image needs"
        "use a host that offers GHCB protocol version 2, or GHCI 1.0 or newer";
    0x20 LaunchBlockInvalid "launch-block-invalid" Image
        "the measured launch block is malformed: magic, version, flags, modes, placement or components"
        "build the image again with this version of tessera";
    0x22 ComponentInvalid "component-invalid" Image
        "a component's segments or its ELF file cannot be mapped as described"
        "build the image again with this version of tessera";
    0x23 MemoryMapInvalid "memory-map-invalid" Host
        "the memory map is empty, not ordered, wraps around, or reaches past the address width"
        "publish an ordered memory map of page-aligned ranges";
    0x24 MemoryMapOverlapsImage "memory-map-overlaps-image" Host
        "the memory map does not list the image's own memory as memory, or covers it twice"
        "publish the image's range exactly once, as memory";
    0x25 MemoryTooSmall "memory-too-small" Host
        "the memory map offers less memory than the image needs"
        "give the guest at least 64 MiB";
    0x26 CpuidPageInvalid "cpuid-page-invalid" Host
        "the CPUID page has an impossible count, a non-zero reserved field, or lacks a leaf that every processor has"
        "let the security processor fill in the CPUID page, and do not alter it";
    0x27 SecretsPageInvalid "secrets-page-invalid" Host
        "the secrets page is empty or of an unknown version"
        "load the secrets page as the IGVM file says";
    0x28 ParameterInvalid "parameter-invalid" Host
        "a parameter of the loader, such as the processor count or the command line, is out of range"
        "fill in the IGVM parameter areas as the IGVM specification says";
    0x40 VisibilityRefused "visibility-refused" Host
        "the host refused to make a page shared or private"
        "let the guest change the visibility of its own pages";
    0x41 VisibilityLied "visibility-lied" Host
        "the host said that a visibility change was done, but the page is not in that state"
        "change the page before answering success";
    0x42 PscIncomplete "psc-incomplete" Host
        "the host answered a page-state change without doing all of it, and made no progress when asked again"
        "process every entry, or report the entry at which to go on";
    0x43 PageAlreadyValidated "page-already-validated" Host
        "a page that the guest never accepted is validated or accepted already: it may have been swapped"
        "add guest memory as not yet validated pages only";
    0x44 PageNotGranted "page-not-granted" Host
        "a page that the memory map promises could not be validated or accepted"
        "back the whole memory map with guest memory";
    0x45 PageRemapped "page-remapped" Host
        "a page that was accepted is no longer validated: the host removed, swapped or remapped it"
        "leave the guest's private pages where they are";
    0x46 GhcbReplyInvalid "ghcb-reply-invalid" Host
        "a reply through the GHCB or its MSR has a missing or out-of-range field"
        "answer as the GHCB specification says";
    0x47 GhcbRegistrationRefused "ghcb-registration-refused" Host
        "the host refused the GHCB page that the guest registered, or named another one"
        "accept the GHCB page of the guest";
    0x48 VmcallReplyInvalid "vmcall-reply-invalid" Host
        "a reply to a TDVMCALL has an unknown status or an out-of-range field"
        "answer as the GHCI specification says";
    0x49 TdcallFailed "tdcall-failed" Host
        "the TDX module answered a call with an error that a correct host never causes"
        "check the TD's parameters and the TDX module's version";
    0x4A HypercallReplyInvalid "hypercall-reply-invalid" Host
        "a hypercall's reply has an impossible status or repetition count"
        "answer as the Hypervisor Top Level Functional Specification says";
    0x4B HostCallDenied "host-call-denied" Host
        "the host refused a call without which the guest cannot go on"
        "serve CPUID, MSR, port I/O and MMIO requests of the guest";
    0x4C RmpadjustFailed "rmpadjust-failed" Host
        "RMPADJUST failed on a page that the guest owns"
        "leave the guest's private pages assigned and validated";
    0x4D MmioDecodeFailed "mmio-decode-failed" Guest
        "an access to a device uses an instruction that the exception handler does not know"
        "use plain moves for device memory; report this with the address";
    0x4E GuestRequestRefused "guest-request-refused" Host
        "a message to the security processor came back unserved, with an error of the host or of the firmware"
        "carry SNP guest requests to the security processor, unchanged";
    0x4F GuestMessageInvalid "guest-message-invalid" Host
        "the answer to a message to the security processor is not its answer to this message: old, altered or forged"
        "give the guest the response that the security processor wrote, once";
    0x60 UnexpectedVc "unexpected-vc" Host
        "a #VC was raised with a code that nothing the guest did explains"
        "do not inject #VC, and do not take back validated pages";
    0x61 UnexpectedVe "unexpected-ve" Host
        "a #VE was raised with a reason that nothing the guest did explains"
        "do not take back accepted pages; set SEPT_VE_DISABLE";
    0x62 UnexpectedException "unexpected-exception" Guest
        "an exception that correct code of this image never raises"
        "report it with the address; a host that injects exceptions causes it too";
    0x63 InjectedInterrupt "injected-interrupt" Host
        "an exception or an interrupt arrived that the guest's own state rules out: the host injected it"
        "inject only interrupts that the guest enabled";
    0x64 LowerContextRefused "lower-context-refused" Host
        "the host or the TDX module refused to register or to run the lower context"
        "support AP creation and run-VMPL for VMPL 2, or VP.ENTER for L2 VM 1";
    0x65 LowerExitInvalid "lower-exit-invalid" Host
        "the lower context returned with an exit that its state does not explain"
        "do not alter the exit, and run only the VMPL that was asked for";
    0x66 LowerGuestFault "lower-guest-fault" Guest
        "the guest above the paravisor did what the paravisor does not serve"
        "use only what the paravisor's feature enumeration lists";
    0x67 PfeInvalid "pfe-invalid" Paravisor
        "the paravisor's feature enumeration is malformed or names another mode"
        "fix the paravisor's feature enumeration: docs/pfe.md";
    0x68 HandoffInvalid "handoff-invalid" Guest
        "the hand-over between boot stub, paravisor and kernel is malformed"
        "build stub, paravisor and kernel from the same commit";
    0x69 Starved "starved" Host
        "the host answered so many times without progress that the guest gave up"
        "make progress, or stop the guest";
    0x6A BindingFailed "binding-failed" Host
        "the mode could not be bound into what the hardware signs (REPORT_DATA or RTMR)"
        "let the guest reach the security processor or the TDX module";
    0x6B ProcessorNotStarted "processor-not-started" Host
        "a processor that the host claims did not arrive, or did not answer an interrupt"
        "claim only processors that run, and deliver interrupts between them";
}

impl Refusal {
    /// The stable code, 1..=0x7F.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The refusal of a code, if it is one.
    pub fn from_code(code: u8) -> Option<Refusal> {
        Refusal::ALL.iter().copied().find(|r| r.code() == code)
    }

    /// The refusal of a name, if it is one.
    pub fn from_name(name: &str) -> Option<Refusal> {
        Refusal::ALL.iter().copied().find(|r| r.name() == name)
    }

    /// Name in kebab-case.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Who is at fault.
    pub const fn guilty(self) -> Guilty {
        self.row().guilty
    }

    /// What happened.
    pub const fn cause(self) -> &'static str {
        self.row().cause
    }

    /// What to do about it.
    pub const fn remedy(self) -> &'static str {
        self.row().remedy
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}
