//! Rows of the Hyper-V profile.

use super::{Probe::*, Row, State::*, row};

const GP: &str = "#GP, and its feature bit is clear";

pub static CPUID: &[Row] = &[
    row(
        "4000_0000h to 4000_0002h: range, interface, version",
        "TLFS 2.4",
        Modelled,
        Conformance("hv-leaves"),
    ),
    row(
        "4000_0003h to 4000_0005h: features, hints, limits",
        "TLFS 2.4",
        Modelled,
        Conformance("hv-leaves"),
    ),
    row(
        "4000_000Ch: isolation configuration",
        "Linux hyperv-tlfs.h",
        Modelled,
        Conformance("hv-leaves"),
    ),
    row(
        "4000_0006h, 4000_0009h, 4000_000Ah: hardware, nesting",
        "TLFS 2.4",
        Refused("zeros: nothing is recommended there"),
        Conformance("hv-leaves"),
    ),
];

pub static MSRS: &[Row] = &[
    row(
        "GUEST_OS_ID, HYPERCALL",
        "TLFS 3.13",
        Modelled,
        Conformance("hv-identity"),
    ),
    row(
        "VP_INDEX",
        "TLFS 7.8.1",
        Modelled,
        Conformance("hv-identity"),
    ),
    row(
        "TIME_REF_COUNT",
        "TLFS 12.4",
        Modelled,
        Conformance("hv-clocks"),
    ),
    row(
        "TSC_FREQUENCY, APIC_FREQUENCY",
        "TLFS 12.5",
        Modelled,
        Conformance("hv-clocks"),
    ),
    row(
        "VP_ASSIST_PAGE",
        "TLFS 7.8.7",
        Modelled,
        Conformance("hv-assist"),
    ),
    row(
        "REFERENCE_TSC",
        "TLFS 12.7",
        Modelled,
        Conformance("hv-reference-tsc"),
    ),
    row(
        "EOI, ICR, TPR",
        "TLFS 10.2",
        Modelled,
        Conformance("hv-apic"),
    ),
    row(
        "APIC, EOI, ICR, TPR for a paravisor's guest: the APIC is the paravisor's",
        "OpenVMM",
        Refused(GP),
        Conformance("hv-apic-of-the-paravisor"),
    ),
    row(
        "SCONTROL, SVERSION, SIEFP, SIMP, EOM, SINT0 to SINT15",
        "TLFS 11.8",
        Modelled,
        Conformance("hv-synic"),
    ),
    row(
        "SINTx: masked, polling",
        "TLFS 11.8.6",
        Modelled,
        Conformance("hv-masked"),
    ),
    row(
        "SINTx: AutoEOI",
        "TLFS 11.8.6",
        Modelled,
        Conformance("hv-auto-eoi"),
    ),
    row(
        "SINTx: vectors below 16",
        "TLFS 11.8.6",
        Refused("#GP"),
        Conformance("hv-source-refused"),
    ),
    row(
        "SINTx of a paravisor's guest: a message of type 8001000F to the paravisor, which proxies it",
        "hvdef; OpenHCL kernel",
        Modelled,
        Conformance("hv-proxied-only"),
    ),
    row(
        "SINTx of the paravisor's own controller",
        "TLFS 11.8; Linux hv_set_non_nested_msr",
        Modelled,
        Conformance("hv-source-of-the-paravisor"),
    ),
    row(
        "message page: slots, MessagePending, EOM",
        "TLFS 11.10",
        Modelled,
        Conformance("hv-message"),
    ),
    row(
        "event flags page",
        "TLFS 11.11",
        Modelled,
        Conformance("hv-event"),
    ),
    row(
        "STIMER0 to STIMER3: one-shot, message, AutoEnable",
        "TLFS 12.1",
        Modelled,
        Conformance("hv-timer-message"),
    ),
    row(
        "STIMERx: SINT0, COUNT of zero",
        "TLFS 12.1",
        Modelled,
        Conformance("hv-timer-stopped"),
    ),
    row(
        "STIMERx: periodic, direct mode",
        "hvdef",
        Modelled,
        Conformance("hv-timer-direct"),
    ),
    row(
        "STIMERx: lazy",
        "TLFS 12.1",
        Modelled,
        Conformance("hv-timer-lazy"),
    ),
    row(
        "STIMERx: reserved bits",
        "TLFS 12.1",
        Refused("#GP"),
        Conformance("hv-timer-refused"),
    ),
    row(
        "each processor's own controller and timers",
        "TLFS 11",
        Modelled,
        Processors,
    ),
    row(
        "RESET, VP_RUNTIME, crash registers",
        "TLFS 7.8",
        Refused(GP),
        Conformance("hv-absent"),
    ),
];

pub static CALLS: &[Row] = &[
    row(
        "HvCallPostMessage, HvCallSignalEvent: no connection but, where the host is probed, one's own",
        "TLFS 11.12",
        Modelled,
        Conformance("hv-no-connection"),
    ),
    row(
        "HvCallNotifyLongSpinWait",
        "TLFS 7.11",
        Modelled,
        Conformance("hv-spin-wait"),
    ),
    row(
        "HvCallStartVirtualProcessor",
        "TLFS 7.8.3",
        Modelled,
        Processors,
    ),
    row(
        "HvCallGetVpIndexFromApicId",
        "Linux hvgdk_mini.h",
        Modelled,
        Conformance("hv-index"),
    ),
    row(
        "HvCallSetVpRegisters: GHCB, controller and timers of a paravisor's guest",
        "OpenVMM",
        Modelled,
        Conformance("hv-proxied-only"),
    ),
    row(
        "HvCallSetVpRegisters: another partition, processor, one's own level",
        "TLFS 7.8",
        Refused("INVALID_PARTITION_ID, INVALID_VP_INDEX, INVALID_PARAMETER"),
        Conformance("hv-set-registers-refused"),
    ),
    row(
        "HvCallModifySparseGpaPageHostVisibility",
        "Linux hyperv-tlfs.h",
        Modelled,
        Paravisor,
    ),
    row(
        "HvCallFlushVirtualAddressSpace, -List, -SpaceEx, -ListEx",
        "TLFS 9.4",
        Modelled,
        Conformance("hv-flush"),
    ),
    row(
        "HvCallSendSyntheticClusterIpi, -IpiEx",
        "TLFS 10.5",
        Modelled,
        Conformance("hv-cluster-ipi"),
    ),
    row(
        "HvCallSendSyntheticClusterIpi by a paravisor's guest",
        "TLFS 10.5",
        Refused("ACCESS_DENIED"),
        Conformance("hv-cluster-ipi-below"),
    ),
    row(
        "HvCallSendSyntheticClusterIpi to others",
        "TLFS 10.5",
        Modelled,
        Processors,
    ),
    row(
        "every other code",
        "TLFS 3.13",
        Refused("INVALID_HYPERCALL_CODE"),
        Conformance("hv-no-call"),
    ),
];
