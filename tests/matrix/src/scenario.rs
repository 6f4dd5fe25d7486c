//! The table of scenarios: what each stands for, and the one outcome per mode.

use crate::{inject, outcome::Expected};
use std::sync::LazyLock;
use tessera_defs::{
    mode::{HostProfile, Mode},
    refusal::Refusal,
};
use tessera_image_builder::{
    build::{Placement, PolicyName},
    image::Policy,
};

/// A policy that the one image is assembled with; the programs in it stay the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variant {
    /// The developer's default: everything allowed.
    Demo,
    /// Neither `none` nor debugging.
    Production,
    /// Everything allowed, but never a paravisor.
    Direct,
    /// Everything allowed, but always with the paravisor.
    Paravisor,
    /// As `Demo`, with a bundle in which a service has ten times as many others ended.
    Havoc,
}

/// A scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    /// Name that users type.
    pub name: &'static str,
    /// What it stands for, for people.
    pub what: &'static str,
    /// `lie=` of the test host.
    pub lie: &'static str,
    /// Further words for the test host.
    pub words: &'static str,
    /// Silicon keeps the lie from the guest: it must have been tried, and never told.
    pub stopped: bool,
    /// Part of the quick tier.
    pub quick: bool,
    /// What the host looks like.
    pub profile: HostProfile,
    /// The policy in the image.
    pub variant: Variant,
    /// Memory of the guest in MiB.
    pub memory: u32,
    /// Virtual processors.
    pub processors: u32,
    /// `log=` of the command line that the host gives the guest; none if empty.
    pub log: &'static str,
    /// What is typed at the guest's console from the start on.
    pub typed: &'static str,
    /// Seed of the machine's random numbers.
    pub seed: u32,
    /// Without the test host: the PVH entry on plain QEMU.
    pub direct: bool,
    /// Modes it is run in, each with its outcome.
    pub modes: &'static [(Mode, Expected)],
}

/// What most scenarios are.
pub(crate) const BASE: Scenario = Scenario {
    name: "",
    what: "",
    lie: "none",
    words: "",
    stopped: false,
    quick: true,
    profile: HostProfile::HyperV,
    variant: Variant::Demo,
    memory: 64,
    processors: 1,
    log: "",
    typed: "",
    seed: 1,
    direct: false,
    modes: &[],
};

/// Each command of the monitor, nonsense, and what lets the system end.
const TYPED: &str = "\nhelp\nps\nmem\nirq\nlog\nservices\nnonsense\x07\nquit\n";

const fn havoc(name: &'static str, seed: u32) -> Scenario {
    Scenario {
        name,
        what: "an honest host; other random numbers, so that other services end at other moments",
        quick: false,
        seed,
        modes: &[
            (NONE, RUNS),
            (SNP, RUNS),
            (TDX, RUNS),
            (SNPP, RUNS),
            (TDXP, RUNS),
        ],
        ..BASE
    }
}

const fn lie(
    name: &'static str,
    what: &'static str,
    modes: &'static [(Mode, Expected)],
) -> Scenario {
    Scenario {
        name,
        what,
        lie: name,
        modes,
        ..BASE
    }
}

/// The lie begins with acceptance ahead.
pub const LATE: &str = "late=1";

const fn late(
    name: &'static str,
    what: &'static str,
    lie: &'static str,
    profile: HostProfile,
    modes: &'static [(Mode, Expected)],
) -> Scenario {
    Scenario {
        name,
        what,
        lie,
        words: LATE,
        profile,
        processors: 2,
        modes,
        ..BASE
    }
}

/// The lie begins with pages that a process shares, or with their way back.
const SHARING: &str = "late=2";
const TAKING_BACK: &str = "late=3";

const fn late_shared(
    name: &'static str,
    what: &'static str,
    lie: &'static str,
    words: &'static str,
    modes: &'static [(Mode, Expected)],
) -> Scenario {
    Scenario {
        words,
        ..late(name, what, lie, HostProfile::HyperV, modes)
    }
}

const RUNS: Expected = Expected::Runs;
const fn refuses(refusal: Refusal) -> Expected {
    Expected::Refuses(refusal)
}
const NONE: Mode = Mode::None;
const SNP: Mode = Mode::Snp;
const TDX: Mode = Mode::Tdx;
const SNPP: Mode = Mode::SnpParavisor;
const TDXP: Mode = Mode::TdxParavisor;

/// Every scenario that the code supports, friendly ones first, the family of injections last.
pub static ALL: LazyLock<Vec<Scenario>> =
    LazyLock::new(|| TABLE.iter().copied().chain(inject::family()).collect());

#[rustfmt::skip]
static TABLE: &[Scenario] = &[
    Scenario { name: "friendly", what: "an honest host with Hyper-V's interface",
        modes: &[(NONE, RUNS), (SNP, RUNS), (TDX, RUNS), (SNPP, RUNS), (TDXP, RUNS)], ..BASE },
    Scenario { name: "friendly-kvm", what: "an honest host without Hyper-V's interface",
        profile: HostProfile::Kvm, modes: &[(NONE, RUNS), (SNP, RUNS), (TDX, RUNS)], ..BASE },
    Scenario { name: "friendly-direct", what: "plain QEMU without the test host, PVH entry",
        profile: HostProfile::Kvm, direct: true, modes: &[(NONE, RUNS)], ..BASE },
    Scenario { name: "friendly-smp", what: "an honest host with four processors",
        processors: 4, modes: &[(NONE, RUNS), (SNP, RUNS), (TDX, RUNS), (SNPP, RUNS), (TDXP, RUNS)], ..BASE },
    Scenario { name: "friendly-two", what: "an honest host with two processors; the paravisor runs on both",
        processors: 2, modes: &[(SNPP, RUNS), (TDXP, RUNS)], ..BASE },
    Scenario { name: "friendly-smp-kvm", what: "the same without Hyper-V's interface: an SNP launch digest over four save areas",
        processors: 4, profile: HostProfile::Kvm, modes: &[(NONE, RUNS), (SNP, RUNS), (TDX, RUNS)], ..BASE },
    Scenario { name: "friendly-smp-direct", what: "plain QEMU with four processors at the same time, PVH entry",
        processors: 4, profile: HostProfile::Kvm, direct: true, modes: &[(NONE, RUNS)], ..BASE },
    Scenario { name: "friendly-two-direct", what: "the same with two processors",
        processors: 2, profile: HostProfile::Kvm, direct: true, modes: &[(NONE, RUNS)], ..BASE },
    Scenario { name: "friendly-many-direct", what: "the same with more processors than the kernel uses",
        processors: 10, profile: HostProfile::Kvm, direct: true, modes: &[(NONE, RUNS)], ..BASE },
    Scenario { name: "two-processors", what: "an honest host with two processors",
        processors: 2, modes: &[(NONE, RUNS), (SNP, RUNS), (TDX, RUNS)], ..BASE },
    Scenario { name: "two-processors-kvm", what: "the same without Hyper-V's interface",
        processors: 2, profile: HostProfile::Kvm, modes: &[(SNP, RUNS), (TDX, RUNS), (NONE, RUNS)], ..BASE },
    Scenario { name: "processor-withheld", what: "a processor that never comes: the guest goes on without it",
        lie: "processor-withheld", processors: 2,
        modes: &[(NONE, RUNS), (SNP, RUNS), (TDX, RUNS), (SNPP, RUNS), (TDXP, RUNS)], ..BASE },
    Scenario { name: "processor-twice", what: "a host that starts a running processor again",
        lie: "processor-twice", processors: 2, stopped: true, modes: &[(SNP, RUNS), (TDX, RUNS), (SNPP, RUNS), (TDXP, RUNS)], ..BASE },
    Scenario { name: "processor-other", what: "a host that starts a processor with other registers",
        lie: "processor-other", processors: 2, stopped: true, modes: &[(TDX, RUNS), (SNP, RUNS), (SNPP, RUNS), (TDXP, RUNS)], ..BASE },
    Scenario { name: "ipis-lost", what: "what processors send each other never arrives: their timers make them look",
        lie: "ipis-lost", processors: 2, modes: &[(SNP, RUNS), (TDX, RUNS), (SNPP, RUNS), (TDXP, RUNS)], ..BASE },
    Scenario { name: "timers-lost", what: "only the first processor's timer fires: what processors send each other is enough",
        lie: "timers-lost", processors: 4, modes: &[(NONE, RUNS), (SNP, RUNS), (TDX, RUNS), (SNPP, RUNS), (TDXP, RUNS)], ..BASE },
    Scenario { name: "timers-hurried", what: "timers fire four times as often as they were set to: in a TD nobody sleeps less for it",
        lie: "timers-hurried", modes: &[(NONE, RUNS), (SNP, RUNS), (TDX, RUNS), (SNPP, RUNS), (TDXP, RUNS)], ..BASE },
    Scenario { name: "ipis-unasked", what: "interrupts that nobody sent: counted, dropped",
        lie: "ipis-unasked", processors: 2, modes: &[(NONE, RUNS), (SNP, RUNS), (TDX, RUNS), (SNPP, RUNS), (TDXP, RUNS)], ..BASE },
    Scenario { name: "proxy-any", what: "the paravisor is told of interrupts that its guest never asked for, and of other things: none comes through",
        lie: "proxy-any", processors: 2, modes: &[(SNPP, RUNS), (TDXP, RUNS)], ..BASE },
    Scenario { name: "monitor-direct", what: "somebody types at the console of plain QEMU",
        typed: TYPED, profile: HostProfile::Kvm, direct: true, modes: &[(NONE, RUNS)], ..BASE },
    Scenario { name: "monitor", what: "somebody types at the console: the monitor answers, and changes nothing",
        typed: TYPED, modes: &[(NONE, RUNS), (SNP, RUNS), (TDX, RUNS), (SNPP, RUNS), (TDXP, RUNS)], ..BASE },
    havoc("havoc-2", 2),
    Scenario { name: "havoc", what: "an honest host; 200 services are ended in one boot, while all are at work",
        variant: Variant::Havoc, words: "max_exits=2000000", quick: false,
        modes: &[(NONE, RUNS), (SNP, RUNS), (TDX, RUNS), (SNPP, RUNS), (TDXP, RUNS)], ..BASE },
    Scenario { name: "havoc-smp", what: "the same on four processors",
        variant: Variant::Havoc, words: "max_exits=2000000", quick: false, processors: 4, seed: 3,
        modes: &[(NONE, RUNS), (SNP, RUNS), (TDX, RUNS)], ..BASE },
    Scenario { name: "command-line-off", what: "a command line that asks for a silent log",
        log: "off", modes: &[(NONE, RUNS), (SNP, RUNS), (TDX, RUNS), (SNPP, RUNS), (TDXP, RUNS)], ..BASE },
    Scenario { name: "command-line-debug", what: "a command line that asks for a loud log",
        log: "debug", modes: &[(NONE, RUNS), (SNP, RUNS), (TDX, RUNS), (SNPP, RUNS), (TDXP, RUNS)], ..BASE },
    lie("command-line-garbage", "a command line that is noise without an end",
        &[(NONE, RUNS), (SNP, RUNS), (TDX, RUNS), (SNPP, RUNS), (TDXP, RUNS)]),
    Scenario { name: "placement-direct", what: "an owner who never wants a paravisor, and none asked for",
        variant: Variant::Direct, modes: &[(NONE, RUNS), (SNP, RUNS), (TDX, RUNS)], ..BASE },
    Scenario { name: "production", what: "an owner who demands isolation without debugging",
        variant: Variant::Production,
        modes: &[(NONE, refuses(Refusal::ModeForbidden)), (SNP, RUNS), (TDX, RUNS), (SNPP, RUNS), (TDXP, RUNS)], ..BASE },
    Scenario { name: "paravisor-forbidden", what: "the host asks for a paravisor, and the owner never wants one",
        lie: "paravisor-requested", variant: Variant::Direct,
        modes: &[(SNP, refuses(Refusal::PlacementContradicts)), (TDX, refuses(Refusal::PlacementContradicts))], ..BASE },
    lie("leaf-other-vendor", "the isolation leaf names a vendor's type that the processor does not have",
        &[(NONE, refuses(Refusal::IsolationTypeMismatch)), (SNP, refuses(Refusal::IsolationTypeMismatch)), (TDX, refuses(Refusal::IsolationTypeMismatch)), (SNPP, refuses(Refusal::IsolationTypeMismatch)), (TDXP, refuses(Refusal::IsolationTypeMismatch))]),
    lie("paravisor-requested", "the host asks for a paravisor where none can run",
        &[(NONE, refuses(Refusal::LeavesContradictory)), (TDX, refuses(Refusal::ParavisorUnavailable))]),
    lie("no-multi-vmpl", "the host asks for a paravisor and offers no VMPLs",
        &[(SNP, refuses(Refusal::ParavisorUnavailable)), (SNPP, refuses(Refusal::ParavisorUnavailable)), (TDXP, refuses(Refusal::ParavisorUnavailable))]),
    lie("msr-disagrees", "isolation MSR and leaf say different things",
        &[(NONE, refuses(Refusal::MsrDisagrees)), (SNP, refuses(Refusal::MsrDisagrees)), (TDX, refuses(Refusal::MsrDisagrees)), (SNPP, refuses(Refusal::MsrDisagrees)), (TDXP, refuses(Refusal::MsrDisagrees))]),
    lie("unknown-isolation", "an isolation type from the future",
        &[(NONE, refuses(Refusal::IsolationTypeUnknown)), (SNP, refuses(Refusal::IsolationTypeUnknown)), (TDX, refuses(Refusal::IsolationTypeUnknown)), (SNPP, refuses(Refusal::IsolationTypeUnknown)), (TDXP, refuses(Refusal::IsolationTypeUnknown))]),
    lie("leaves-truncated", "a host that announces a leaf and hides it",
        &[(NONE, refuses(Refusal::LeavesTruncated)), (SNP, refuses(Refusal::LeavesTruncated)), (TDX, refuses(Refusal::LeavesTruncated)), (SNPP, refuses(Refusal::LeavesTruncated)), (TDXP, refuses(Refusal::LeavesTruncated))]),
    lie("memory-map-overlap", "a memory map that hands out the image's own memory a second time",
        &[(NONE, refuses(Refusal::MemoryMapOverlapsImage)), (SNP, refuses(Refusal::MemoryMapOverlapsImage)), (TDX, refuses(Refusal::MemoryMapOverlapsImage)), (SNPP, refuses(Refusal::MemoryMapOverlapsImage)), (TDXP, refuses(Refusal::MemoryMapOverlapsImage))]),
    lie("memory-map-huge", "a memory map that reaches past the address width",
        &[(NONE, refuses(Refusal::MemoryMapInvalid)), (SNP, refuses(Refusal::MemoryMapInvalid)), (TDX, refuses(Refusal::MemoryMapInvalid)), (SNPP, refuses(Refusal::MemoryMapInvalid)), (TDXP, refuses(Refusal::MemoryMapInvalid))]),
    Scenario { name: "memory-small", what: "a host that gives less memory than the image needs",
        memory: 8, modes: &[(NONE, refuses(Refusal::MemoryTooSmall)), (SNP, refuses(Refusal::MemoryTooSmall)), (TDX, refuses(Refusal::MemoryTooSmall)), (SNPP, refuses(Refusal::MemoryTooSmall)), (TDXP, refuses(Refusal::MemoryTooSmall))], ..BASE },
    lie("acpi-garbage", "processor tables that are noise: claims that nothing depends on",
        &[(NONE, RUNS), (SNP, RUNS), (TDX, RUNS), (SNPP, RUNS), (TDXP, RUNS)]),
    lie("byte-changed", "a loader that changes one byte of the kernel",
        &[(SNP, Expected::Unmeasured), (TDX, Expected::Unmeasured), (SNPP, Expected::Unmeasured), (TDXP, Expected::Unmeasured)]),
    // The C-bit is the first thing that the stub reads there.
    lie("cpuid-tampered", "a CPUID page that the security processor would not pass",
        &[(SNP, refuses(Refusal::CBitMismatch)), (SNPP, refuses(Refusal::CBitMismatch))]),
    lie("double-validate", "ordinary memory that is validated before the guest did it",
        &[(SNP, refuses(Refusal::PageAlreadyValidated)), (SNPP, Expected::Denied), (TDXP, refuses(Refusal::PageAlreadyValidated)), (TDX, refuses(Refusal::PageAlreadyValidated))]),
    lie("page-remapped", "an accepted page is replaced by a fresh one",
        &[(SNP, refuses(Refusal::PageRemapped)), (TDX, refuses(Refusal::PageRemapped)), (SNPP, refuses(Refusal::PageRemapped)), (TDXP, refuses(Refusal::PageRemapped))]),
    lie("page-swapped", "two accepted pages change places",
        &[(SNP, refuses(Refusal::PageRemapped)), (TDX, refuses(Refusal::PageRemapped)), (SNPP, refuses(Refusal::PageRemapped)), (TDXP, refuses(Refusal::PageRemapped))]),
    lie("page-withheld", "memory that is promised and never given",
        &[(SNP, Expected::Denied), (TDX, Expected::Denied), (SNPP, Expected::Denied), (TDXP, Expected::Denied)]),
    lie("visibility-refused", "a host that lets no page change hands",
        &[(SNP, refuses(Refusal::VisibilityRefused)), (TDX, refuses(Refusal::VisibilityRefused)), (SNPP, refuses(Refusal::VisibilityRefused)), (TDXP, refuses(Refusal::VisibilityRefused))]),
    lie("psc-lies", "a visibility change that is reported done and was not done: no shared page works",
        &[(SNP, Expected::Denied), (TDX, Expected::Denied), (SNPP, Expected::Denied), (TDXP, Expected::Denied)]),
    late("visibility-refused-late", "while idle processors accept all memory, the host gives no page any more", "visibility-refused",
        HostProfile::Kvm, &[(SNP, refuses(Refusal::VisibilityRefused))]),
    late("psc-half-late", "the same, of each batch a part", "psc-half",
        HostProfile::Kvm, &[(SNP, refuses(Refusal::PscIncomplete))]),
    late("psc-lies-late", "the same, pages that it says are the guest's", "psc-lies",
        HostProfile::Kvm, &[(SNP, Expected::Denied)]),
    Scenario { processors: 1, ..late("page-withheld-late", "the same of one processor, pages that it promised", "page-withheld",
        HostProfile::HyperV, &[(SNP, Expected::Denied), (TDX, Expected::Denied), (SNPP, Expected::Denied), (TDXP, Expected::Denied)]) },
    late_shared("shared-refused-late", "while a process shares pages, the host lets none change hands any more", "visibility-refused", SHARING,
        &[(SNP, refuses(Refusal::VisibilityRefused)), (TDX, refuses(Refusal::VisibilityRefused)), (SNPP, refuses(Refusal::VisibilityRefused)), (TDXP, refuses(Refusal::VisibilityRefused))]),
    late_shared("shared-half-late", "the same, begins each change and never ends it; a paravisor tells its guest", "psc-half", SHARING,
        &[(SNP, refuses(Refusal::PscIncomplete)), (TDX, refuses(Refusal::PscIncomplete)), (SNPP, refuses(Refusal::VisibilityRefused)), (TDXP, refuses(Refusal::VisibilityRefused))]),
    late_shared("shared-lies-late", "the same, says that it is done, and it is not", "psc-lies", SHARING,
        &[(SNP, Expected::Denied), (TDX, Expected::Denied), (SNPP, Expected::Denied), (TDXP, Expected::Denied)]),
    late_shared("unshared-refused-late", "a process gives its shared pages back, and the host keeps them", "visibility-refused", TAKING_BACK,
        &[(SNP, refuses(Refusal::VisibilityRefused)), (TDX, refuses(Refusal::VisibilityRefused)), (SNPP, refuses(Refusal::VisibilityRefused)), (TDXP, refuses(Refusal::VisibilityRefused))]),
    late_shared("unshared-lies-late", "the same, and says that it does not", "psc-lies", TAKING_BACK,
        &[(SNP, Expected::Denied), (TDX, Expected::Denied), (SNPP, Expected::Denied), (TDXP, Expected::Denied)]),
    late("size-mismatch-late", "the same, 4 KiB pages for 2 MiB: it takes longer", "size-mismatch",
        HostProfile::Kvm, &[(SNP, RUNS), (TDX, RUNS)]),
    lie("size-mismatch", "2 MiB pages that are 4 KiB pages underneath",
        &[(SNP, RUNS), (TDX, RUNS), (SNPP, RUNS), (TDXP, RUNS)]),
    lie("ghcb-out-of-range", "replies through the GHCB with values that cannot be",
        &[(SNP, refuses(Refusal::GhcbReplyInvalid)), (SNPP, refuses(Refusal::GhcbReplyInvalid)), (TDX, refuses(Refusal::VmcallReplyInvalid)), (TDXP, refuses(Refusal::VmcallReplyInvalid))]),
    Scenario { name: "placement-paravisor", what: "an owner who always wants the paravisor, and a host that offers it",
        variant: Variant::Paravisor, modes: &[(SNPP, RUNS), (TDXP, RUNS)], ..BASE },
    Scenario { name: "placement-paravisor-smp-kvm", what: "four processors without Hyper-V's interface: VMPL 0 of each by AP creation",
        variant: Variant::Paravisor, profile: HostProfile::Kvm, processors: 4, modes: &[(SNPP, RUNS), (TDXP, RUNS)], ..BASE },
    Scenario { name: "placement-paravisor-kvm", what: "the same on a host without Hyper-V's interface: policy alone decides",
        variant: Variant::Paravisor, profile: HostProfile::Kvm, modes: &[(SNPP, RUNS), (TDXP, RUNS)], ..BASE },
    Scenario { name: "paravisor-not-requested", what: "a host that leaves out the paravisor that the owner demands",
        lie: "paravisor-not-requested", variant: Variant::Paravisor,
        modes: &[(SNPP, refuses(Refusal::PlacementContradicts)), (TDXP, refuses(Refusal::PlacementContradicts))], ..BASE },
    // A paravisor's own change is the first one: of its guest's GHCB in SNP, of its SynIC's pages in a TD.
    lie("psc-half", "a visibility change of which only a part is done",
        &[(SNP, refuses(Refusal::PscIncomplete)), (TDX, refuses(Refusal::PscIncomplete)), (SNPP, refuses(Refusal::PscIncomplete)), (TDXP, refuses(Refusal::PscIncomplete))]),
    Scenario { name: "psc-half-kvm", what: "the same where the guest's own change is the first one: its paravisor tells it, and it stops",
        lie: "psc-half", profile: HostProfile::Kvm, variant: Variant::Paravisor,
        modes: &[(TDXP, refuses(Refusal::VisibilityRefused))], ..BASE },
    lie("psc-range", "a visibility change that is done past its end",
        &[(SNP, refuses(Refusal::GhcbReplyInvalid)), (SNPP, refuses(Refusal::GhcbReplyInvalid))]),
    lie("hypercall-reply", "a hypercall of which the host reports what it cannot have done",
        &[(NONE, refuses(Refusal::HypercallReplyInvalid)), (SNP, refuses(Refusal::HypercallReplyInvalid)), (TDX, refuses(Refusal::HypercallReplyInvalid))]),
    lie("spurious-wake", "VMPL 0 or L1 is woken though the lower guest did not exit",
        &[(SNPP, RUNS), (TDXP, RUNS)]),
    lie("async-return", "L1 is resumed in the middle of its L2 VM, and gets interrupts that nobody asked for",
        &[(TDXP, RUNS)]),
    Scenario { name: "debug-forbidden", what: "a host that can debug the guest, against the owner's policy",
        lie: "debug-policy", variant: Variant::Production,
        modes: &[(TDX, refuses(Refusal::DebugForbidden)), (SNP, refuses(Refusal::DebugForbidden)), (SNPP, refuses(Refusal::DebugForbidden)), (TDXP, refuses(Refusal::DebugForbidden))], ..BASE },
    Scenario { name: "debug-allowed", what: "a host that can debug the guest, and an owner who allows it",
        lie: "debug-policy", modes: &[(TDX, RUNS), (SNP, RUNS), (SNPP, RUNS), (TDXP, RUNS)], ..BASE },
    lie("guest-request-denied", "messages to the security processor are not carried",
        &[(SNP, refuses(Refusal::GuestRequestRefused)), (SNPP, refuses(Refusal::GuestRequestRefused))]),
    lie("binding-denied", "messages to the security processor are carried until the mode is to be bound",
        &[(SNP, refuses(Refusal::BindingFailed)), (SNPP, refuses(Refusal::BindingFailed))]),
    lie("report-replayed", "the answer to an earlier message to the security processor, once more",
        &[(SNP, refuses(Refusal::GuestMessageInvalid)), (SNPP, refuses(Refusal::GuestMessageInvalid))]),
    lie("secrets-page-empty", "a loader that leaves the secrets page empty: no key to the security processor",
        &[(SNP, refuses(Refusal::SecretsPageInvalid)), (SNPP, refuses(Refusal::SecretsPageInvalid))]),
];

/// One boot to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boot {
    /// The mode that the host offers.
    pub mode: Mode,
    /// The scenario.
    pub scenario: &'static Scenario,
    /// How it must end.
    pub expected: Expected,
}

impl Boot {
    /// `none-friendly`: what folders and test cases are called.
    pub fn name(&self) -> String {
        format!("{}-{}", self.mode.name(), self.scenario.name)
    }
}

/// How much is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Every friendly scenario in each of its modes, every other one in one mode, in turn; a
    /// part of the family of injections.
    Quick,
    /// Everything.
    Full,
}

/// What of the table is run. Empty lists choose everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Modes.
    pub modes: Vec<Mode>,
    /// Scenario names.
    pub scenarios: Vec<String>,
    /// How much. Scenarios that are named run in each of their modes.
    pub tier: Tier,
}

impl Selection {
    /// The boots, in table order, mode by mode within a scenario. Errors: a sentence that names
    /// a scenario that does not exist, or says that nothing is left.
    pub fn boots(&self) -> Result<Vec<Boot>, String> {
        let known = |name: &&String| ALL.iter().any(|scenario| scenario.name == **name);
        if let Some(name) = self.scenarios.iter().find(|name| !known(name)) {
            return Err(format!("there is no scenario `{name}`"));
        }
        let mut boots = Vec::new();
        for (turn, scenario) in ALL.iter().enumerate() {
            boots.extend(self.of(turn, scenario));
        }
        if boots.is_empty() {
            return Err("no scenario is left: none of the chosen ones has a chosen mode".into());
        }
        Ok(boots)
    }

    fn of(&self, turn: usize, scenario: &'static Scenario) -> Vec<Boot> {
        let named = self.scenarios.iter().any(|name| name == scenario.name);
        if !named && !self.scenarios.is_empty() {
            return Vec::new();
        }
        let chosen = |mode: &Mode| self.modes.is_empty() || self.modes.contains(mode);
        let pairs = scenario.modes.iter().filter(|(mode, _)| chosen(mode));
        let boots: Vec<_> = pairs
            .map(|&(mode, expected)| Boot {
                mode,
                scenario,
                expected,
            })
            .collect();
        if !(named || scenario.quick || self.tier == Tier::Full) {
            return Vec::new();
        }
        let all = named || self.tier == Tier::Full || scenario.name.starts_with("friendly");
        match boots.len() {
            0 => boots,
            _ if all => boots,
            len => vec![boots[turn % len]],
        }
    }
}

impl Variant {
    /// Every variant.
    pub const ALL: [Variant; 5] = [
        Variant::Demo,
        Variant::Production,
        Variant::Direct,
        Variant::Paravisor,
        Variant::Havoc,
    ];

    /// Name in file names.
    pub const fn name(self) -> &'static str {
        match self {
            Variant::Demo => "demo",
            Variant::Production => "production",
            Variant::Direct => "direct",
            Variant::Paravisor => "paravisor",
            Variant::Havoc => "havoc",
        }
    }

    /// The policy that is measured into the image.
    pub fn policy(self) -> Policy {
        match self {
            Variant::Demo | Variant::Havoc => Policy::of(PolicyName::Demo),
            Variant::Production => Policy::of(PolicyName::Production),
            Variant::Direct => Policy {
                placement: Placement::Direct,
                ..Policy::of(PolicyName::Demo)
            },
            Variant::Paravisor => Policy {
                placement: Placement::Paravisor,
                ..Policy::of(PolicyName::Demo)
            },
        }
    }
}

#[cfg(test)]
#[path = "scenario_tests.rs"]
mod tests;
