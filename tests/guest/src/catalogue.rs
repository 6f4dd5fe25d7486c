//! Every act and every probe, for the guest and for the tests that boot it.

use tessera_defs::breach::{self, Breach};
use tessera_defs::mode::Mode;
use tessera_defs::refusal::Refusal;
use tessera_defs::snp::status::features;

/// How an act must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// The test host reports this.
    Breach(&'static Breach),
    /// The paravisor stops the guest with this.
    Refusal(Refusal),
    /// The host withholds what this lie names.
    Denied(&'static str),
    /// Nothing is wrong.
    Shutdown,
}

/// One wrong thing.
#[derive(Clone, Copy, Debug)]
pub struct Act {
    /// Name, which is the image's commit text: at most 40 bytes.
    pub name: &'static str,
    /// Where the guest runs.
    pub mode: Mode,
    /// How it must end.
    pub ends: Ends,
}

const fn act(mode: Mode, breach: &'static Breach) -> Act {
    named(mode, breach.name, breach)
}

const fn named(mode: Mode, name: &'static str, breach: &'static Breach) -> Act {
    let ends = Ends::Breach(breach);
    Act { name, mode, ends }
}

const fn refused(mode: Mode, name: &'static str, refusal: Refusal) -> Act {
    let ends = Ends::Refusal(refusal);
    Act { name, mode, ends }
}

/// Stands as L1 of a partitioned TD.
const fn l1(name: &'static str, ends: Ends) -> Act {
    let mode = Mode::TdxParavisor;
    Act { name, mode, ends }
}

/// Whether the act of this name is done by an L1 that has no paravisor of ours: the host offers
/// L2 VMs, and the owner wants no paravisor.
pub fn stands_as_l1(name: &str) -> bool {
    name.starts_with("l1-")
}

/// The act of a guest that starts the other processors, and probes the host with them.
pub const PROCESSORS: &str = "processors";
/// The same on a host without Hyper-V's interface.
pub const PROCESSORS_KVM: &str = "processors-kvm";

/// The name of the guest that probes the host by `models`.
pub const CONFORMANCE: &str = "conformance";
/// The same on a host without Hyper-V's interface.
pub const CONFORMANCE_KVM: &str = "conformance-kvm";

/// The acts of an image whose save area has another SEV_FEATURES: the stub refuses it.
pub const RESTRICTED: &str = "launch-restricted";
/// See `RESTRICTED`.
pub const ALTERNATE: &str = "launch-alternate";

/// SEV_FEATURES that the act's image has beside SNPActive.
pub fn launch_features(name: &str) -> u64 {
    match name {
        RESTRICTED => features::RESTRICTED_INJECTION,
        ALTERNATE => features::ALTERNATE_INJECTION,
        _ => 0,
    }
}

/// `PROCESSORS` on a host that starts a processor again, or with other registers, where silicon lets it.
pub const LIED_TWICE: &str = "lied-twice";
/// See `LIED_TWICE`.
pub const LIED_OTHER: &str = "lied-other";
/// The act of a guest that waits for a processor which never comes.
pub const LIED_WITHHELD: &str = "lied-withheld";
/// The act of a guest that waits for an interrupt of another processor which never comes.
pub const LIED_LOST: &str = "lied-lost";

/// The host's lie in an act of several processors.
pub fn lie(name: &str) -> Option<&'static str> {
    Some(match name {
        LIED_TWICE => "processor-twice",
        LIED_OTHER => "processor-other",
        LIED_WITHHELD => "processor-withheld",
        LIED_LOST => "ipis-lost",
        _ => return None,
    })
}

const fn denied(mode: Mode, name: &'static str, lie: &'static str) -> Act {
    let ends = Ends::Denied(lie);
    Act { name, mode, ends }
}

/// An honest guest of several processors.
const fn processors(mode: Mode, name: &'static str) -> Act {
    let ends = Ends::Shutdown;
    Act { name, mode, ends }
}

/// The act of an L1 that probes the host's L2 VM.
pub const L1_PROBES: &str = "l1-probes";

const SNP: Mode = Mode::Snp;
const TDX: Mode = Mode::Tdx;
/// Below our paravisor on AMD.
const VMPL2: Mode = Mode::SnpParavisor;
/// Below our paravisor on Intel.
const L2: Mode = Mode::TdxParavisor;

/// All acts.
pub static ALL: &[Act] = &[
    processors(Mode::None, PROCESSORS),
    processors(Mode::None, PROCESSORS_KVM),
    processors(SNP, PROCESSORS),
    processors(SNP, PROCESSORS_KVM),
    refused(SNP, RESTRICTED, Refusal::SevFeaturesUnexpected),
    refused(SNP, ALTERNATE, Refusal::SevFeaturesUnexpected),
    processors(TDX, PROCESSORS),
    processors(TDX, PROCESSORS_KVM),
    processors(VMPL2, PROCESSORS),
    processors(L2, PROCESSORS),
    processors(VMPL2, PROCESSORS_KVM),
    processors(L2, PROCESSORS_KVM),
    processors(VMPL2, LIED_TWICE),
    processors(VMPL2, LIED_OTHER),
    denied(VMPL2, LIED_WITHHELD, "processor-withheld"),
    denied(VMPL2, LIED_LOST, "ipis-lost"),
    processors(L2, LIED_TWICE),
    processors(L2, LIED_OTHER),
    denied(L2, LIED_WITHHELD, "processor-withheld"),
    denied(L2, LIED_LOST, "ipis-lost"),
    processors(Mode::None, LIED_TWICE),
    processors(SNP, LIED_TWICE),
    processors(SNP, LIED_OTHER),
    denied(Mode::None, LIED_WITHHELD, "processor-withheld"),
    denied(SNP, LIED_WITHHELD, "processor-withheld"),
    processors(TDX, LIED_TWICE),
    processors(TDX, LIED_OTHER),
    denied(TDX, LIED_WITHHELD, "processor-withheld"),
    denied(Mode::None, LIED_LOST, "ipis-lost"),
    denied(SNP, LIED_LOST, "ipis-lost"),
    denied(TDX, LIED_LOST, "ipis-lost"),
    act(SNP, &breach::UNVALIDATED_ACCESS),
    act(SNP, &breach::DOUBLE_VALIDATION),
    act(SNP, &breach::C_BIT_MISSING),
    act(SNP, &breach::SHARED_AS_PRIVATE),
    act(SNP, &breach::PRIVATE_DATA_SHARED),
    act(SNP, &breach::GHCB_NOT_REGISTERED),
    act(SNP, &breach::GHCB_NOT_SHARED),
    act(SNP, &breach::GHCB_MALFORMED),
    act(SNP, &breach::GHCB_MSR_UNKNOWN),
    act(SNP, &breach::PSC_MALFORMED),
    act(SNP, &breach::PVALIDATE_INPUT),
    act(SNP, &breach::RMPADJUST_DENIED),
    act(SNP, &breach::VMSA_INVALID),
    act(SNP, &breach::RUN_VMPL_DENIED),
    act(SNP, &breach::PROCESSOR_UNKNOWN),
    act(SNP, &breach::PROCESSOR_RUNS),
    act(SNP, &breach::VMSA_IN_USE),
    named(SNP, "vmsa-shared", &breach::VMSA_IN_USE),
    act(SNP, &breach::SEV_FEATURES_DIFFER),
    act(SNP, &breach::GUEST_REQUEST_PRIVATE),
    act(SNP, &breach::GUEST_REQUEST_MALFORMED),
    act(SNP, &breach::GUEST_MESSAGE_INVALID),
    named(SNP, "pvalidate-shared", &breach::SHARED_AS_PRIVATE),
    refused(SNP, "terminate-by-msr", Refusal::Starved),
    refused(SNP, "terminate-by-page", Refusal::Starved),
    act(SNP, &breach::FOREIGN_INSTRUCTION),
    act(SNP, &breach::UNHANDLED_EXCEPTION),
    act(SNP, &breach::OUT_OF_RANGE),
    act(TDX, &breach::UNVALIDATED_ACCESS),
    act(TDX, &breach::DOUBLE_VALIDATION),
    act(TDX, &breach::C_BIT_MISSING),
    act(TDX, &breach::SHARED_AS_PRIVATE),
    act(TDX, &breach::UNALIGNED_ACCEPT),
    act(TDX, &breach::TDCALL_UNKNOWN),
    refused(TDX, "fatal-error", Refusal::Starved),
    act(TDX, &breach::TDCALL_OPERAND),
    act(TDX, &breach::VMCALL_MALFORMED),
    act(TDX, &breach::VMCALL_LEAK),
    act(TDX, &breach::MAP_GPA_INPUT),
    act(TDX, &breach::PROCESSOR_RUNS),
    act(TDX, &breach::FOREIGN_INSTRUCTION),
    act(TDX, &breach::UNHANDLED_EXCEPTION),
    act(TDX, &breach::OUT_OF_RANGE),
    named(VMPL2, "read-paravisor", &breach::VMPL_PERMISSION),
    named(VMPL2, "write-paravisor", &breach::VMPL_PERMISSION),
    named(VMPL2, "run-paravisor", &breach::VMPL_PERMISSION),
    named(VMPL2, "read-lower-state", &breach::VMPL_PERMISSION),
    named(VMPL2, "read-secrets-copy", &breach::VMPL_PERMISSION),
    named(VMPL2, "write-enumeration", &breach::VMPL_PERMISSION),
    named(VMPL2, "write-event-log", &breach::VMPL_PERMISSION),
    named(VMPL2, "read-ghcb", &breach::SHARED_AS_PRIVATE),
    named(VMPL2, "shared-as-private", &breach::SHARED_AS_PRIVATE),
    named(VMPL2, "private-as-shared", &breach::C_BIT_MISSING),
    refused(VMPL2, "out-of-range", Refusal::LowerExitInvalid),
    named(VMPL2, "unhandled-exception", &breach::UNHANDLED_EXCEPTION),
    named(VMPL2, "run-vmpl-1", &breach::RUN_VMPL_DENIED),
    named(VMPL2, "run-vmpl-2", &breach::RUN_VMPL_DENIED),
    named(VMPL2, "ghcb-of-its-own", &breach::GHCB_NOT_REGISTERED),
    named(VMPL2, "ghcb-msr-unknown", &breach::GHCB_MSR_UNKNOWN),
    named(VMPL2, "share-paravisor-page", &breach::PRIVATE_DATA_SHARED),
    named(VMPL2, "foreign-instruction", &breach::FOREIGN_INSTRUCTION),
    refused(VMPL2, "string-io", Refusal::LowerExitInvalid),
    refused(VMPL2, "monitor", Refusal::LowerExitInvalid),
    refused(L2, "read-paravisor", Refusal::LowerGuestFault),
    refused(L2, "write-paravisor", Refusal::LowerGuestFault),
    refused(L2, "run-paravisor", Refusal::LowerGuestFault),
    refused(L2, "read-lower-state", Refusal::LowerGuestFault),
    refused(L2, "write-enumeration", Refusal::LowerGuestFault),
    named(L2, "private-as-shared", &breach::C_BIT_MISSING),
    named(L2, "out-of-range", &breach::OUT_OF_RANGE),
    refused(L2, "unhandled-exception", Refusal::LowerExitInvalid),
    refused(L2, "string-io", Refusal::LowerExitInvalid),
    l1("l1-enter-operand", Ends::Breach(&breach::L2_ENTER_OPERAND)),
    l1("l1-state-invalid", Ends::Breach(&breach::L2_STATE_INVALID)),
    l1(
        "l1-event-malformed",
        Ends::Breach(&breach::L2_STATE_INVALID),
    ),
    l1("l1-metadata-denied", Ends::Breach(&breach::METADATA_DENIED)),
    l1("l1-page-attr-input", Ends::Breach(&breach::PAGE_ATTR_INPUT)),
    l1("l1-deaf", Ends::Breach(&breach::SHARED_AS_PRIVATE)),
    l1(L1_PROBES, Ends::Shutdown),
];

/// Commit text of an image whose guest probes the paravisor.
pub const PROBE: &str = "probe-paravisor";
/// Before the name of a probe on the console.
pub const PROBE_LINE: &str = "probe: ";
/// After it, where all is well.
pub const PROBE_OK: &str = " ok";

/// A probe below the paravisor.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// Name on the console.
    pub name: &'static str,
    /// The only mode that has it; all if none.
    pub only: Option<Mode>,
}

const fn probe(name: &'static str) -> Probe {
    Probe { name, only: None }
}

const fn vmpl2(name: &'static str) -> Probe {
    let only = Some(VMPL2);
    Probe { name, only }
}

/// All probes: services that are advertised, then what fails as documented.
pub static PROBES: &[Probe] = &[
    probe("enumeration"),
    probe("cpuid"),
    probe("isolation-leaf"),
    probe("isolation-msr"),
    probe("console"),
    probe("visibility"),
    probe("timer"),
    probe("halt"),
    probe("io-apic"),
    probe("hypercall-page"),
    probe("clocks"),
    probe("ports"),
    probe("host-calls"),
    probe("sources"),
    probe("device-memory"),
    probe("accepted-memory"),
    probe("evidence"),
    probe("start-processor"),
    probe("interrupt-commands"),
    probe("shutdown"),
    probe("hypercall-before-identity"),
    probe("unknown-msr-read"),
    probe("unknown-msr-write"),
    probe("msr-value-denied"),
    probe("unknown-port-read"),
    probe("unknown-port-write"),
    probe("unknown-hypercall"),
    probe("unknown-leaf"),
    probe("visibility-outside-memory"),
    probe("visibility-of-the-paravisor"),
    probe("visibility-input-misaligned"),
    probe("visibility-input-of-the-paravisor"),
    probe("visibility-input-shared"),
    probe("visibility-input-malformed"),
    probe("evidence-denied"),
    probe("start-processor-denied"),
    vmpl2("keys-of-the-paravisor"),
    vmpl2("rmpadjust-of-its-own"),
    vmpl2("pvalidate"),
];
