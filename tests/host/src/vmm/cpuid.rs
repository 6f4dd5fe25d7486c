//! CPUID as the host answers it: the machine's leaves below, with the hypervisor's on top.

use super::{Vmm, clocks, lies};
use tessera_defs::{
    hyperv::{self, synic},
    mode::{HostProfile, Mode},
    snp::status,
};

/// EAX of leaf 1 of the simulated SNP processor: EPYC Milan, family 25, model 1, stepping 1
/// (55898, "Processor Programming Reference", CPUID_Fn00000001_EAX).
pub const MILAN: u32 = 0x00A0_0F11;

/// Highest standard leaf of an SNP guest. Every SNP processor has XSAVEC and XSAVES, and a guest
/// may insist; QEMU has neither, so that XSAVE and what needs it are not offered.
const SNP_LEAVES: u32 = 0xC;
/// Leaf 1, ECX: FMA, XSAVE, OSXSAVE, AVX, F16C.
const NEEDS_XSAVE: u32 = 1 << 12 | 1 << 26 | 1 << 27 | 1 << 28 | 1 << 29;

/// What the host would have a guest do (TLFS 2.4.5).
const HINTS: u32 = hyperv::HINT_EAX_FLUSHES | hyperv::HINT_EAX_CLUSTER_IPI | hyperv::HINT_EAX_SETS;

/// Isolation type of a mode in the isolation leaf.
fn isolation_type(mode: Mode) -> u32 {
    match mode {
        Mode::None => hyperv::ISOLATION_NONE,
        Mode::Snp | Mode::SnpParavisor => hyperv::ISOLATION_SNP,
        Mode::Tdx | Mode::TdxParavisor => hyperv::ISOLATION_TDX,
    }
}

impl Vmm {
    /// EAX, EBX, ECX, EDX of a leaf. `machine` is what the processor below answers.
    pub fn cpuid(&self, leaf: u32, machine: [u32; 4]) -> [u32; 4] {
        match leaf {
            0x4000_0000..=0x4FFF_FFFF => self.hypervisor_leaf(leaf),
            _ => self.processor_leaf(leaf, machine),
        }
    }

    fn snp(&self) -> bool {
        matches!(self.scenario.mode, Mode::Snp | Mode::SnpParavisor)
    }

    fn tdx(&self) -> bool {
        matches!(self.scenario.mode, Mode::Tdx | Mode::TdxParavisor)
    }

    fn processors(&self) -> u32 {
        self.scenario.smp
    }

    /// Bits of an APIC id that tell the processors apart.
    fn id_bits(&self) -> u32 {
        self.processors().next_power_of_two().trailing_zeros()
    }

    /// Extended topology (Intel SDM vol. 2, CPUID leaf 0BH; APM vol. 3, E.3.9).
    fn topology(&self, level: u32, id: u32) -> [u32; 4] {
        match level {
            0 => [0, 1, 1 << 8, id],
            1 => [self.id_bits(), self.processors(), 2 << 8 | 1, id],
            _ => [0, 0, level, id],
        }
    }

    fn processor_leaf(&self, leaf: u32, mut r: [u32; 4]) -> [u32; 4] {
        let id = self.current() as u32;
        match leaf {
            0 | 0x8000_0000 => {
                let vendor: &[u8; 12] = if self.tdx() {
                    b"GenuineIntel"
                } else {
                    b"AuthenticAMD"
                };
                let word = |i: usize| u32::from_le_bytes([0, 1, 2, 3].map(|j| vendor[i + j]));
                if leaf == 0 || !self.tdx() {
                    (r[1], r[3], r[2]) = (word(0), word(4), word(8));
                }
                match (leaf, self.snp()) {
                    (0, true) => r[0] = r[0].min(SNP_LEAVES),
                    (_, true) => r[0] = r[0].max(status::CPUID_ENCRYPTION),
                    _ => {}
                }
            }
            // Initial APIC id, number of processors; hypervisor, x2APIC present; MONITOR, VMX absent.
            1 => {
                if self.snp() {
                    r[0] = MILAN;
                }
                r[1] = r[1] & 0xFFFF | (self.processors().min(255) << 16) | id << 24;
                r[3] |= u32::from(self.processors() > 1) << 28;
                r[2] = r[2] & !(1 << 3 | 1 << 5) | 1 << 31 | 1 << 21;
                // KVM offers the APIC's TSC-deadline mode, Hyper-V does not.
                r[2] &= if self.snp() { !NEEDS_XSAVE } else { !0 };
                let kvm = self.scenario.profile == HostProfile::Kvm;
                r[2] |= u32::from(kvm) << 24;
            }
            // Processors of the package that share nothing, by Intel's cache leaf.
            4 if self.tdx() => {
                let cores = self.processors().min(64) - 1;
                r[0] = r[0] & 0x3FFF | if r[0] & 0x1F != 0 { cores << 26 } else { 0 };
            }
            // One thread a core, all cores in one package; QEMU names the level in ECX.
            0xB => r = self.topology(r[2] & 0xFF, id),
            // LA57 is the host's own.
            7 => {
                r[2] &= !(1 << 16);
                if self.snp() {
                    // AVX2, MPX, AVX-512; PKU, OSPKE, VAES, VPCLMULQDQ.
                    r[1] &= !(1 << 5 | 1 << 14 | 1 << 16);
                    r[2] &= !(1 << 3 | 1 << 4 | 1 << 9 | 1 << 10);
                }
            }
            // Time stamp: 25 MHz crystal times 40, as a TD sees it (348549, "CPUID").
            0x15 if self.tdx() => r = [1, 40, 25_000_000, 0],
            // Beyond QEMU's own last leaf, where it would repeat that.
            0x16 if self.tdx() => r = [1000, 1000, 25, 0],
            0xE..=0x14 | 0x17..=0x20 if self.tdx() => r = [0; 4],
            // The time stamp runs at one rate in every state.
            0x8000_0007 => r[3] |= 1 << 8,
            // SVM is not offered.
            0x8000_0001 => r[2] &= !(1 << 2),
            0x8000_0008 => {
                r[0] = r[0] & !0xFFFF | 48 << 8 | 48;
                if !self.tdx() {
                    r[2] = self.id_bits() << 12 | (self.processors().min(256) - 1);
                }
            }
            0x8000_000A => r = [0; 4],
            // SEV, SEV-ES, SEV-SNP, VMPL, RMPQUERY; C-bit; four VMPLs.
            status::CPUID_ENCRYPTION if self.snp() => {
                r = [
                    1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | status::RMPQUERY,
                    status::C_BIT | 4 << 12,
                    0,
                    0,
                ];
            }
            status::CPUID_ENCRYPTION | 0x21 => r = [0; 4],
            _ => {}
        }
        r
    }

    fn hypervisor_leaf(&self, leaf: u32) -> [u32; 4] {
        if self.scenario.profile == HostProfile::Kvm {
            return match leaf {
                0x4000_0000 => [0x4000_0001, 0x4B4D_564B, 0x564B_4D56, 0x4D],
                // A TD has its time from leaf 0x15: KVM offers it no clock.
                0x4000_0001 if !self.tdx() => [clocks::KVM_FEATURES, 0, 0, 0],
                _ => [0; 4],
            };
        }
        let [b, c, d] = hyperv::VENDOR_SIGNATURE;
        let truncated = self.scenario.lies(lies::LEAVES_TRUNCATED);
        match leaf {
            hyperv::CPUID_VENDOR if self.tells(lies::LEAVES_TRUNCATED) => {
                [hyperv::CPUID_RECOMMENDATIONS, b, c, d]
            }
            hyperv::CPUID_VENDOR => [hyperv::CPUID_ISOLATION, b, c, d],
            hyperv::CPUID_INTERFACE => [hyperv::INTERFACE_SIGNATURE, 0, 0, 0],
            hyperv::CPUID_VERSION => [20348, 10 << 16, 0, 0],
            // No number of spins after which to notify.
            hyperv::CPUID_RECOMMENDATIONS => [HINTS, u32::MAX, 0, 0],
            hyperv::CPUID_FEATURES => [
                hyperv::FEATURE_EAX_HYPERCALL
                    | hyperv::FEATURE_EAX_VP_INDEX
                    | hyperv::FEATURE_EAX_TIME_REF_COUNT
                    | hyperv::FEATURE_EAX_INTERRUPT_CONTROL
                    | hyperv::FEATURE_EAX_FREQUENCIES
                    | synic::FEATURE_EAX_SYNIC
                    | synic::FEATURE_EAX_TIMERS
                    | synic::FEATURE_EAX_REFERENCE_TSC,
                hyperv::FEATURE_EBX_ISOLATION
                    | synic::FEATURE_EBX_POST_MESSAGES
                    | synic::FEATURE_EBX_SIGNAL_EVENTS,
                0,
                hyperv::FEATURE_EDX_FREQUENCIES | synic::FEATURE_EDX_DIRECT_TIMERS,
            ],
            // Virtual and logical processors at most.
            hyperv::CPUID_LIMITS => [64, 64, 0, 0],
            hyperv::CPUID_ISOLATION if !truncated => {
                let [eax, ebx] = self.isolation();
                [eax, ebx, 0, 0]
            }
            _ => [0; 4],
        }
    }

    /// EAX and EBX of the isolation leaf.
    pub fn isolation(&self) -> [u32; 2] {
        let mut kind = isolation_type(self.scenario.mode);
        if lies::ISOLATION_LEAF.contains(&self.scenario.lie) {
            self.tell();
        }
        match self.scenario.lie {
            lies::LEAF_OTHER_VENDOR if kind == hyperv::ISOLATION_SNP => {
                kind = hyperv::ISOLATION_TDX;
            }
            lies::LEAF_OTHER_VENDOR => kind = hyperv::ISOLATION_SNP,
            lies::UNKNOWN_ISOLATION => kind = 7,
            _ => {}
        }
        if !self.scenario.paravisor() {
            return [0, kind];
        }
        let bits = if self.tdx() { 47 } else { status::VTOM_BIT };
        let boundary =
            hyperv::ISOLATION_EBX_BOUNDARY_ACTIVE | bits << hyperv::ISOLATION_EBX_BOUNDARY_SHIFT;
        [hyperv::ISOLATION_EAX_PARAVISOR, kind | boundary]
    }
}

#[cfg(test)]
mod tests {
    use super::super::scenario::Scenario;
    use super::*;

    fn vmm(text: &str) -> Vmm {
        Vmm::new(Scenario::parse(text).unwrap(), crate::machine::FAKE)
    }

    #[test]
    fn linux_would_print_these_groups() {
        assert_eq!(vmm("mode=snp-paravisor").isolation(), [1, 0xBA2]);
        assert_eq!(vmm("mode=tdx-paravisor").isolation(), [1, 0xBE3]);
        assert_eq!(vmm("mode=snp").isolation(), [0, 2]);
        assert_eq!(vmm("mode=none").isolation(), [0, 0]);
    }

    #[test]
    fn every_processor_finds_its_own_id() {
        let mut host = vmm("mode=none smp=3");
        host.vps[2].activity = super::super::vp::Activity::Runs;
        host.next_turn().unwrap();
        assert_eq!(host.current(), 2);
        assert_eq!(host.cpuid(1, [0; 4])[1] >> 16, 2 << 8 | 3);
        assert_eq!(host.cpuid(0xB, [9; 4])[1..], [0, 9, 2]);
        assert_eq!(host.cpuid(0xB, [0, 0, 1, 0]), [2, 3, 0x201, 2]);
        assert_eq!(host.cpuid(0x8000_0008, [0; 4])[2], 2 << 12 | 2);
    }

    #[test]
    fn kvm_has_no_hyperv_leaves() {
        let host = vmm("mode=snp profile=kvm");
        assert_eq!(host.cpuid(hyperv::CPUID_INTERFACE, [0; 4])[0], 0x0100_0008);
        assert_eq!(host.cpuid(hyperv::CPUID_FEATURES, [0; 4]), [0; 4]);
        assert_eq!(host.cpuid(0x8000_001F, [0; 4])[1] & 0x3F, 51);
    }
}
