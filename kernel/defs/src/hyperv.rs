//! Hyper-V guest interface. Source: Hypervisor Top Level Functional Specification (TLFS) 6.0b;
//! isolation parts: Linux `include/hyperv/hvgdk.h` and Microsoft's public `hvdef`.

pub mod sets;
pub mod synic;

/// CPUID: vendor and maximum leaf.
pub const CPUID_VENDOR: u32 = 0x4000_0000;
/// CPUID: interface signature, EAX = "Hv#1".
pub const CPUID_INTERFACE: u32 = 0x4000_0001;
/// CPUID: version.
pub const CPUID_VERSION: u32 = 0x4000_0002;
/// CPUID: feature privileges.
pub const CPUID_FEATURES: u32 = 0x4000_0003;
/// CPUID: recommendations.
pub const CPUID_RECOMMENDATIONS: u32 = 0x4000_0004;
/// CPUID: implementation limits.
pub const CPUID_LIMITS: u32 = 0x4000_0005;
/// CPUID: isolation configuration, valid where `CPUID_FEATURES`.EBX[22] is set.
pub const CPUID_ISOLATION: u32 = 0x4000_000C;
/// EAX of `CPUID_INTERFACE`.
pub const INTERFACE_SIGNATURE: u32 = u32::from_le_bytes(*b"Hv#1");
/// EBX, ECX, EDX of `CPUID_VENDOR`.
pub const VENDOR_SIGNATURE: [u32; 3] = [
    u32::from_le_bytes(*b"Micr"),
    u32::from_le_bytes(*b"osof"),
    u32::from_le_bytes(*b"t Hv"),
];
/// `CPUID_FEATURES`.EBX: HV_ISOLATION, the isolation leaf exists.
pub const FEATURE_EBX_ISOLATION: u32 = 1 << 22;
/// `CPUID_FEATURES`.EAX: partition reference counter.
pub const FEATURE_EAX_TIME_REF_COUNT: u32 = 1 << 1;
/// `CPUID_FEATURES`.EAX: VP assist page and the APIC's MSRs.
pub const FEATURE_EAX_INTERRUPT_CONTROL: u32 = 1 << 4;
/// `CPUID_FEATURES`.EAX: frequency MSRs may be read; EDX bit 8: they exist.
pub const FEATURE_EAX_FREQUENCIES: u32 = 1 << 11;
/// `CPUID_FEATURES`.EAX: the time stamp runs at one rate, and `MSR_TSC_INVARIANT_CONTROL` says so.
pub const FEATURE_EAX_TSC_INVARIANT: u32 = 1 << 15;
/// `CPUID_FEATURES`.EDX: frequency MSRs exist.
pub const FEATURE_EDX_FREQUENCIES: u32 = 1 << 8;
/// `CPUID_FEATURES`.EAX: hypercall MSRs available.
pub const FEATURE_EAX_HYPERCALL: u32 = 1 << 5;
/// `CPUID_FEATURES`.EAX: VP index MSR available.
pub const FEATURE_EAX_VP_INDEX: u32 = 1 << 6;

/// `CPUID_RECOMMENDATIONS`.EAX: translations of other processors are flushed by hypercalls.
pub const HINT_EAX_FLUSHES: u32 = 1 << 2;
/// `CPUID_RECOMMENDATIONS`.EAX: interrupts to several processors are sent by hypercalls.
pub const HINT_EAX_CLUSTER_IPI: u32 = 1 << 10;
/// `CPUID_RECOMMENDATIONS`.EAX: those calls name sets of processors (`sets`).
pub const HINT_EAX_SETS: u32 = 1 << 11;
/// `CPUID_RECOMMENDATIONS`.EAX: no source shall end its interrupts by itself (AutoEOI).
pub const HINT_EAX_NO_AUTO_EOI: u32 = 1 << 9;

/// Isolation leaf, EAX: a paravisor is present.
pub const ISOLATION_EAX_PARAVISOR: u32 = 1 << 0;
/// Isolation leaf, EBX[3:0]: type.
pub const ISOLATION_EBX_TYPE: u32 = 0xF;
/// Isolation leaf, EBX[5]: the shared GPA boundary is active.
pub const ISOLATION_EBX_BOUNDARY_ACTIVE: u32 = 1 << 5;
/// Isolation leaf, EBX[11:6]: shared GPA boundary bits.
pub const ISOLATION_EBX_BOUNDARY_SHIFT: u32 = 6;
/// Isolation leaf, EBX[11:6], mask after shifting.
pub const ISOLATION_EBX_BOUNDARY_MASK: u32 = 0x3F;
/// Isolation type: none.
pub const ISOLATION_NONE: u32 = 0;
/// Isolation type: VBS.
pub const ISOLATION_VBS: u32 = 1;
/// Isolation type: SNP.
pub const ISOLATION_SNP: u32 = 2;
/// Isolation type: TDX.
pub const ISOLATION_TDX: u32 = 3;

/// Guest OS identity.
pub const MSR_GUEST_OS_ID: u32 = 0x4000_0000;
/// Hypercall page.
pub const MSR_HYPERCALL: u32 = 0x4000_0001;
/// Virtual processor index.
pub const MSR_VP_INDEX: u32 = 0x4000_0002;
/// Partition reference counter, in units of 100 ns.
pub const MSR_TIME_REF_COUNT: u32 = 0x4000_0020;
/// Frequency of the time stamp, in hertz.
pub const MSR_TSC_FREQUENCY: u32 = 0x4000_0022;
/// Frequency of the local APIC's timer, in hertz.
pub const MSR_APIC_FREQUENCY: u32 = 0x4000_0023;
/// VP assist page.
pub const MSR_VP_ASSIST_PAGE: u32 = 0x4000_0073;
/// HV_X64_MSR_EOI: ends the interrupt in service; write only. It and the next two go to the local APIC in either of
/// its modes (TLFS 6.0b, 10.2.3).
pub const MSR_EOI: u32 = 0x4000_0070;
/// HV_X64_MSR_ICR: both halves of the interrupt command.
pub const MSR_ICR: u32 = 0x4000_0071;
/// HV_X64_MSR_TPR: task priority.
pub const MSR_TPR: u32 = 0x4000_0072;
/// Bit 0: CPUID shows the invariant time stamp.
pub const MSR_TSC_INVARIANT_CONTROL: u32 = 0x4000_0118;
/// Alias of the isolation leaf: EAX in the low half, EBX in the high half.
/// No public number is known; this one is ours. Absence (#GP) is normal.
pub const MSR_ISOLATION_CONFIG: u32 = 0x4000_0209;

/// `HvCallModifySparseGpaPageHostVisibility`, a rep hypercall.
/// Input: partition id u64 (self = -1), host visibility u32 (bits 1:0), reserved u32, then one
/// GPA page number (u64) per rep.
pub const HVCALL_MODIFY_SPARSE_GPA_PAGE_HOST_VISIBILITY: u16 = 0x00DB;
/// Our paravisor's evidence service (`docs/pfe.md`); a code that the TLFS does not use. Input: 64
/// bytes; output: `binding::EvidenceHeader` and evidence; both at the start of a page.
pub const HVCALL_EVIDENCE: u16 = 0x7E01;
/// `HvCallStartVirtualProcessor` (TLFS 7.8.3), not fast. Input: partition id u64 (self = -1), VP
/// index u32, VTL u8, three bytes of padding, 224 bytes of `HV_INITIAL_VP_CONTEXT`; no output. An
/// enlightened SNP guest puts the address of a VMSA, with bit 0 set, into the first eight bytes of
/// the context (Linux `arch/x86/hyperv/ivm.c`).
pub const HVCALL_START_VP: u16 = 0x0099;
/// `HvCallSetVpRegisters`, a rep hypercall. Input: partition id u64, virtual processor u32, VTL u8
/// (bit 4: given in bits 3:0), three zero bytes, then per rep name u32, 12 zero bytes, value u128.
pub const HVCALL_SET_VP_REGISTERS: u16 = 0x0051;
/// Bytes before the registers in its input, and bytes of a register.
pub const SET_REGISTERS_HEADER: usize = 16;
/// Bytes of one register in its input.
pub const SET_REGISTERS_ENTRY: usize = 32;
/// The caller's own virtual processor.
pub const VP_SELF: u32 = 0xFFFF_FFFE;
/// VTL 0, said explicitly.
pub const VTL0: u8 = 1 << 4;
/// `HvX64RegisterGhcb`: as the GHCB MSR's registration request. Source: OpenVMM, `hvdef` and
/// `virt_mshv_vtl` (SNP, direct overlays).
pub const REGISTER_GHCB: u32 = 0x0009_0019;
/// `HvCallGetVpIndexFromApicId`, a rep hypercall. Input: partition id u64, VTL u8, seven bytes of
/// padding, then one APIC id (u32) per rep; output: one VP index (u32) per rep (Linux
/// `include/hyperv/hvgdk_mini.h`, `arch/x86/hyperv/ivm.c`).
pub const HVCALL_GET_VP_INDEX: u16 = 0x009A;
/// Partition id that means the caller.
pub const PARTITION_SELF: u64 = u64::MAX;
/// Visibility: private.
pub const VISIBILITY_PRIVATE: u32 = 0;
/// Visibility: host may read and write.
pub const VISIBILITY_SHARED: u32 = 3;
/// Bytes before the page list in the visibility hypercall's input.
pub const VISIBILITY_HEADER: usize = 16;

/// Hypercall input value, bits: call code 15:0, fast 16, rep count 43:32, rep start 59:48.
pub const HYPERCALL_REP_COUNT_SHIFT: u32 = 32;
/// Hypercall input value: input in registers (RDX, R8) instead of memory.
pub const HYPERCALL_FAST: u64 = 1 << 16;
/// `HvCallNotifyLongSpinWait`: input u32 spin count and u32 reserved; no output. May be fast.
pub const HVCALL_NOTIFY_LONG_SPIN_WAIT: u16 = 0x0008;
/// Hypercall status: success.
pub const HV_STATUS_SUCCESS: u16 = 0;
/// Hypercall status: unknown call code.
pub const HV_STATUS_INVALID_HYPERCALL_CODE: u16 = 2;
/// Hypercall status: malformed input value.
pub const HV_STATUS_INVALID_HYPERCALL_INPUT: u16 = 3;
/// Hypercall status: input not aligned.
pub const HV_STATUS_INVALID_ALIGNMENT: u16 = 4;
/// Hypercall status: invalid parameter.
pub const HV_STATUS_INVALID_PARAMETER: u16 = 5;
/// Hypercall status: access denied.
pub const HV_STATUS_ACCESS_DENIED: u16 = 6;
/// Hypercall status: the partition is not the caller's to name.
pub const HV_STATUS_INVALID_PARTITION_ID: u16 = 0xD;
/// Hypercall status: no such virtual processor.
pub const HV_STATUS_INVALID_VP_INDEX: u16 = 0xE;
/// Hypercall status: the virtual processor's state forbids it: it runs already.
pub const HV_STATUS_INVALID_VP_STATE: u16 = 0x15;
/// Hypercall status: a register cannot hold that value.
pub const HV_STATUS_INVALID_REGISTER_VALUE: u16 = 0x50;
/// Hypercall status: that virtual trust level is not there.
pub const HV_STATUS_INVALID_VTL_STATE: u16 = 0x51;
/// The hypervisor has no memory left for this.
pub const HV_STATUS_INSUFFICIENT_MEMORY: u16 = 0xB;

/// Our guest OS identity: open source (bit 63), vendor-defined type 0x54 ("T").
pub const GUEST_OS_ID: u64 = 1 << 63 | 0x54 << 56 | 1 << 16;
