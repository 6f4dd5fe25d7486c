//! Claims: what the host (or, in a lower context, the paravisor) says. Believed by nobody.

use tessera_defs::hyperv as hv;

/// CPUID leaf 1, ECX: a hypervisor is present (APM vol. 3, E.3.2).
const HYPERVISOR_PRESENT: u32 = 1 << 31;
/// Highest leaf that the Hyper-V range can hold; the next range begins behind it.
const LAST_LEAF: u32 = 0x4000_00FF;

/// Everything that `select` hears from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// What the hypervisor leaves say.
    pub leaves: LeafClaim,
    /// The isolation MSR (EAX low, EBX high); `None` where reading it raises #GP, as is normal.
    pub msr: Option<u64>,
}

/// What the hypervisor leaves say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeafClaim {
    /// CPUID says that there is no hypervisor.
    Absent,
    /// A hypervisor without the Hv#1 interface (KVM, plain QEMU).
    NotHyperV,
    /// Hv#1 without an isolation leaf: it claims that nobody isolates.
    Plain,
    /// Leaves are announced that the maximum leaf does not cover.
    Truncated,
    /// Leaves that cannot be true together.
    Contradictory,
    /// The isolation leaf.
    Isolation(IsolationClaim),
}

/// CPUID 0x4000_000C, decoded. Reserved bits are dropped and never compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IsolationClaim {
    /// EAX[0]: a paravisor is present; at VMPL 0 and in L1 it is a request.
    pub paravisor: bool,
    /// EBX[3:0]: `hyperv::ISOLATION_*`.
    pub isolation_type: u32,
    /// EBX[5]: the shared-GPA boundary is active.
    pub boundary_active: bool,
    /// EBX[11:6]: position of the boundary bit.
    pub boundary_bits: u32,
}

impl IsolationClaim {
    /// Decodes EAX and EBX of the leaf.
    pub const fn from_words(eax: u32, ebx: u32) -> Self {
        Self {
            paravisor: eax & hv::ISOLATION_EAX_PARAVISOR != 0,
            isolation_type: ebx & hv::ISOLATION_EBX_TYPE,
            boundary_active: ebx & hv::ISOLATION_EBX_BOUNDARY_ACTIVE != 0,
            boundary_bits: ebx >> hv::ISOLATION_EBX_BOUNDARY_SHIFT
                & hv::ISOLATION_EBX_BOUNDARY_MASK,
        }
    }

    /// Decodes the MSR: EAX in the low half, EBX in the high half.
    pub const fn from_msr(value: u64) -> Self {
        Self::from_words(value as u32, (value >> 32) as u32)
    }
}

impl LeafClaim {
    /// Reads the claim through `cpuid(leaf) -> [EAX, EBX, ECX, EDX]` (sub-leaf 0). Asks only for
    /// leaf 1 and for leaves that the host announces.
    pub fn read(cpuid: &mut dyn FnMut(u32) -> [u32; 4]) -> LeafClaim {
        let hypervisor = cpuid(1)[2] & HYPERVISOR_PRESENT != 0;
        let [max, vendor @ ..] = cpuid(hv::CPUID_VENDOR);
        let microsoft = vendor == hv::VENDOR_SIGNATURE;
        let in_range = (hv::CPUID_VENDOR..=LAST_LEAF).contains(&max);
        if !in_range || max < hv::CPUID_INTERFACE {
            return if microsoft {
                LeafClaim::Truncated
            } else {
                silent(hypervisor)
            };
        }
        let hv1 = cpuid(hv::CPUID_INTERFACE)[0] == hv::INTERFACE_SIGNATURE;
        match (hv1, microsoft, hypervisor) {
            (false, false, _) => silent(hypervisor),
            (false, true, _) | (true, _, false) => LeafClaim::Contradictory,
            (true, _, true) => read_hyperv(max, cpuid),
        }
    }
}

fn silent(hypervisor: bool) -> LeafClaim {
    if hypervisor {
        LeafClaim::NotHyperV
    } else {
        LeafClaim::Absent
    }
}

fn read_hyperv(max: u32, cpuid: &mut dyn FnMut(u32) -> [u32; 4]) -> LeafClaim {
    if max < hv::CPUID_FEATURES {
        return LeafClaim::Truncated;
    }
    let announced = cpuid(hv::CPUID_FEATURES)[1] & hv::FEATURE_EBX_ISOLATION != 0;
    let covered = max >= hv::CPUID_ISOLATION;
    match (announced, covered) {
        (true, false) => LeafClaim::Truncated,
        (false, false) => LeafClaim::Plain,
        (announced, true) => read_isolation(announced, cpuid(hv::CPUID_ISOLATION)),
    }
}

fn read_isolation(announced: bool, [eax, ebx, ..]: [u32; 4]) -> LeafClaim {
    let claim = IsolationClaim::from_words(eax, ebx);
    match (announced, claim == IsolationClaim::default()) {
        (true, _) => LeafClaim::Isolation(claim),
        (false, true) => LeafClaim::Plain,
        (false, false) => LeafClaim::Contradictory,
    }
}
