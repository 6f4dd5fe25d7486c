//! Rows of TDX.

use super::{Probe::*, Row, State::*, row};

const INVALID: &str = "INVALID_OPERAND";
const UNKNOWN: &str = "OPERAND_INVALID of RAX";

pub static LEAVES: &[Row] = &[
    row(
        "TDG.VP.VMCALL: mask of exposed registers",
        "348551, TDG.VP.VMCALL",
        Modelled,
        Act("vmcall-leak"),
    ),
    row(
        "TDG.VP.INFO",
        "348551, TDG.VP.INFO",
        Modelled,
        Conformance("vp-info"),
    ),
    row(
        "TDG.MR.RTMR.EXTEND",
        "348551, TDG.MR.RTMR.EXTEND",
        Modelled,
        Conformance("rtmr-extend"),
    ),
    row(
        "TDG.VP.VEINFO.GET",
        "348551, TDG.VP.VEINFO.GET",
        Modelled,
        Conformance("veinfo"),
    ),
    row(
        "TDG.MR.REPORT, MAC",
        "348551, TDG.MR.REPORT",
        Modelled,
        Conformance("report"),
    ),
    row(
        "TDG.VP.CPUIDVE.SET",
        "348551, TDG.VP.CPUIDVE.SET",
        Modelled,
        Conformance("cpuid-ve"),
    ),
    row(
        "TDG.MEM.PAGE.ACCEPT",
        "348551, TDG.MEM.PAGE.ACCEPT",
        Modelled,
        Conformance("accept"),
    ),
    row(
        "TDG.VM.RD",
        "348551, TDG.VM.RD",
        Modelled,
        Conformance("vm-rd"),
    ),
    row(
        "TDG.VM.WR",
        "348551, TDG.VM.WR",
        Modelled,
        Conformance("vm-wr"),
    ),
    row(
        "TDG.VP.RD, TDG.VP.WR",
        "348551, TDG.VP.RD",
        Modelled,
        Conformance("vp-rd-wr"),
    ),
    row(
        "TDG.SYS.RD, TDG.SYS.RDALL",
        "348551, TDG.SYS.RD",
        Modelled,
        Conformance("sys-rd"),
    ),
    row(
        "TDG.SERVTD.RD, TDG.SERVTD.WR",
        "348551, TDG.SERVTD.RD",
        Refused("OPERAND_INVALID of RCX: no TD is bound, and no host gives a handle"),
        Conformance("servtd"),
    ),
    row(
        "TDG.MR.VERIFYREPORT",
        "348551, TDG.MR.VERIFYREPORT",
        Modelled,
        Conformance("verify-report"),
    ),
    row(
        "TDG.MEM.PAGE.ATTR.RD, TDG.MEM.PAGE.ATTR.WR",
        "348551, TDG.MEM.PAGE.ATTR.WR",
        Modelled,
        L1,
    ),
    row(
        "TDG.VP.ENTER, TDG.VP.INVEPT, TDG.VP.INVGLA",
        "348551, TDG.VP.ENTER",
        Modelled,
        L1,
    ),
    row(
        "every other leaf",
        "348551, chapter 5",
        Refused(UNKNOWN),
        Act("tdcall-unknown"),
    ),
];

pub static CALLS: &[Row] = &[
    row(
        "GetTdVmCallInfo",
        "348552, 3.1",
        Modelled,
        Conformance("call-info"),
    ),
    row(
        "MapGPA",
        "348552, 3.2",
        Modelled,
        Conformance("call-map-gpa"),
    ),
    row(
        "GetQuote",
        "348552, 3.3",
        Modelled,
        Conformance("call-get-quote"),
    ),
    row(
        "ReportFatalError",
        "348552, 3.4",
        Modelled,
        Act("fatal-error"),
    ),
    row(
        "SetupEventNotifyInterrupt",
        "348552, 3.5",
        Modelled,
        Conformance("call-notify"),
    ),
    row(
        "Instruction.CPUID",
        "348552, 3.6",
        Modelled,
        Conformance("call-cpuid"),
    ),
    row(
        "#VE.RequestMMIO",
        "348552, 3.7",
        Modelled,
        Conformance("call-mmio"),
    ),
    row("Instruction.HLT", "348552, 3.8", Modelled, Processors),
    row(
        "Instruction.IO",
        "348552, 3.9",
        Modelled,
        Conformance("call-port"),
    ),
    row(
        "Instruction.RDMSR, Instruction.WRMSR",
        "348552, 3.10",
        Modelled,
        Conformance("call-msr"),
    ),
    row(
        "Instruction.PCONFIG",
        "348552, 3.12",
        Absent("multi-key encryption is not for a TD"),
        Conformance("call-unsupported"),
    ),
    row(
        "Instruction.WBINVD",
        "348552, 3.14",
        Refused(INVALID),
        Conformance("call-unsupported"),
    ),
    row(
        "Service, Service.MigTD",
        "348552, 3.13",
        Absent("for service TDs"),
        Conformance("call-unsupported"),
    ),
    row(
        "every other sub-function",
        "348552, 3.1",
        Refused(INVALID),
        Conformance("call-unsupported"),
    ),
    row(
        "R10 not 0: Hyper-V hypercall",
        "Linux ivm.c",
        Modelled,
        Act("processor-runs"),
    ),
];

pub static CAUSES: &[Row] = &[
    row(
        "CPUID of the hypervisor's leaves",
        "348549, CPUID Virtualization",
        Modelled,
        Conformance("ve-cpuid"),
    ),
    row(
        "I/O, RDMSR, WRMSR",
        "348549, #VE",
        Modelled,
        Conformance("ve-port-msr"),
    ),
    row(
        "HLT, INVD, WBINVD, VMCALL, MONITOR, MWAIT",
        "348549, #VE",
        Modelled,
        Conformance("ve-instructions"),
    ),
    row(
        "RDPMC without ATTRIBUTES.PERFMON: #GP",
        "Intel's TDX module 1.5",
        Modelled,
        Conformance("no-counters"),
    ),
    row(
        "EPT violation of shared memory",
        "348549, #VE",
        Modelled,
        Conformance("ve-device-memory"),
    ),
    row(
        "EPT violation of a pending page",
        "348549, #VE",
        Modelled,
        Act("unvalidated-access"),
    ),
    row(
        "a second #VE before the first was fetched: #DF",
        "348549, #VE",
        Modelled,
        Conformance("ve-double-fault"),
    ),
];
