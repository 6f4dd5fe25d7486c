//! The five ways to run, and what hosts look like.

/// How this guest is run. The numbers are ABI: handoff, evidence, system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Mode {
    /// Plain virtual machine, nobody isolates. Development only.
    None = 0,
    /// SEV-SNP, VMPL 0, fully enlightened (M1).
    Snp = 1,
    /// TDX, L1 TD, fully enlightened (M2).
    Tdx = 2,
    /// SEV-SNP, VMPL 2 with vTOM under our paravisor in VMPL 0 (M3).
    SnpParavisor = 3,
    /// TDX, L2 VM under our paravisor in the L1 TD (M4).
    TdxParavisor = 4,
}

impl Mode {
    /// All modes, in table order.
    pub const ALL: [Mode; 5] = [
        Mode::None,
        Mode::Snp,
        Mode::Tdx,
        Mode::SnpParavisor,
        Mode::TdxParavisor,
    ];

    /// The name users type: `none`, `snp`, `tdx`, `snp-paravisor`, `tdx-paravisor`.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::None => "none",
            Mode::Snp => "snp",
            Mode::Tdx => "tdx",
            Mode::SnpParavisor => "snp-paravisor",
            Mode::TdxParavisor => "tdx-paravisor",
        }
    }

    /// The mode of a user's word, if it is one.
    pub fn from_name(name: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|m| m.name() == name)
    }

    /// The mode of an ABI number, if it is one.
    pub fn from_u32(value: u32) -> Option<Mode> {
        Mode::ALL.into_iter().find(|m| *m as u32 == value)
    }

    /// Bit of this mode in a policy's mode mask.
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// What the host looks like, by its own claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum HostProfile {
    /// No hypervisor leaves that we use (KVM, plain QEMU).
    Kvm = 0,
    /// Hyper-V interface leaves ("Hv#1").
    HyperV = 1,
}

impl HostProfile {
    /// The name users type: `kvm`, `hyperv`.
    pub const fn name(self) -> &'static str {
        match self {
            HostProfile::Kvm => "kvm",
            HostProfile::HyperV => "hyperv",
        }
    }
}
