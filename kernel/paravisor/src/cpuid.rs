//! CPUID for the lower guest: the processor's answers, the paravisor's own leaves on top.

use crate::context::Paravisor;
use crate::{pfe, synthetic};
use tessera_defs::hyperv::{self as hv, synic};
use tessera_defs::mode::Mode;
use tessera_defs::pfe as defs;
use tessera_defs::snp::status::{CPUID_ENCRYPTION, VTOM_BIT};
use tessera_defs::tdx;
use tessera_handoff::layout::PARAVISOR_VPS;
use tessera_objects::tables::Size;

/// Leaf 1, ECX.
const HYPERVISOR: u32 = 1 << 31;
const X2APIC: u32 = 1 << 21;
const CLOCKS: u32 =
    hv::FEATURE_EAX_TIME_REF_COUNT | hv::FEATURE_EAX_FREQUENCIES | hv::FEATURE_EAX_TSC_INVARIANT;

const CALLS: u32 = synic::FEATURE_EBX_POST_MESSAGES | synic::FEATURE_EBX_SIGNAL_EVENTS;

/// EAX, EBX, ECX, EDX. Isolation itself is hidden: the guest is not to use it by itself.
pub fn answer(paravisor: &Paravisor<'_>, leaf: u32, subleaf: u32) -> [u32; 4] {
    match leaf {
        0x4000_0000..=0x4FFF_FFFF => hypervisor(paravisor, leaf),
        CPUID_ENCRYPTION | tdx::cpuid::LEAF => [0; 4],
        _ => processor(paravisor, leaf, subleaf),
    }
}

/// The processor's leaves, with a hypervisor below and the identifier of the processor that asks; the
/// page that was vetted names the first one. Source: Intel SDM vol. 2, CPUID, leaves 1 and 0Bh; APM
/// vol. 3, appendix E, Fn8000_001E.
fn processor(paravisor: &Paravisor<'_>, leaf: u32, subleaf: u32) -> [u32; 4] {
    let [mut a, mut b, mut c, mut d] = paravisor.lower.cpuid(leaf, subleaf);
    let id = paravisor.apic.id();
    match leaf {
        1 => {
            b = b & 0x00FF_FFFF | id << 24;
            c |= HYPERVISOR | X2APIC;
        }
        // Levels that are not listed still say which they are (SDM vol. 2, leaf 0Bh).
        0xB | 0x1F => (c, d) = (c & !0xFF | subleaf & 0xFF, id),
        0x8000_001E if a | b != 0 => a = id,
        _ => {}
    }
    [a, b, c, d]
}

/// The largest page of the paravisor's own tables (Page1GB, APM vol. 3, Fn8000_0001_EDX bit 26).
pub fn largest_page(paravisor: &Paravisor<'_>) -> Size {
    match paravisor.lower.cpuid(0x8000_0001, 0)[3] >> 26 & 1 {
        0 => Size::Large,
        _ => Size::Huge,
    }
}

/// Isolation leaf: EAX and EBX.
pub const fn isolation(mode: Mode) -> [u32; 2] {
    let (kind, boundary) = match mode {
        Mode::TdxParavisor => (hv::ISOLATION_TDX, tdx::page::SHARED_BIT),
        _ => (hv::ISOLATION_SNP, VTOM_BIT),
    };
    let boundary = hv::ISOLATION_EBX_BOUNDARY_ACTIVE | boundary << hv::ISOLATION_EBX_BOUNDARY_SHIFT;
    [hv::ISOLATION_EAX_PARAVISOR, kind | boundary]
}
// "Group B" of Linux' log on Hyper-V in these modes.
const _: () = assert!(isolation(Mode::SnpParavisor)[1] == 0xBA2);
const _: () = assert!(isolation(Mode::TdxParavisor)[1] == 0xBE3);

fn hypervisor(paravisor: &Paravisor<'_>, leaf: u32) -> [u32; 4] {
    let [b, c, d] = hv::VENDOR_SIGNATURE;
    let [pb, pc, pd] = defs::SIGNATURE;
    match leaf {
        hv::CPUID_VENDOR => [hv::CPUID_ISOLATION, b, c, d],
        hv::CPUID_INTERFACE => [hv::INTERFACE_SIGNATURE, 0, 0, 0],
        hv::CPUID_FEATURES => {
            let eax = hv::FEATURE_EAX_HYPERCALL | hv::FEATURE_EAX_VP_INDEX;
            let (clocks, exist) = match synthetic::has_clocks() {
                true => (CLOCKS, hv::FEATURE_EDX_FREQUENCIES),
                false => (0, 0),
            };
            let (synic, calls) = match paravisor.messages {
                Some(_) => (synic::FEATURE_EAX_SYNIC, CALLS),
                None => (0, 0),
            };
            let ebx = hv::FEATURE_EBX_ISOLATION | calls;
            [eax | clocks | synic, ebx, 0, exist]
        }
        hv::CPUID_RECOMMENDATIONS => [hv::HINT_EAX_NO_AUTO_EOI, 0, 0, 0],
        // Virtual and logical processors at most.
        hv::CPUID_LIMITS => [PARAVISOR_VPS as u32, PARAVISOR_VPS as u32, 0, 0],
        hv::CPUID_ISOLATION => {
            let [eax, ebx] = isolation(paravisor.mode);
            [eax, ebx, 0, 0]
        }
        defs::CPUID_BASE => [defs::CPUID_TABLE, pb, pc, pd],
        defs::CPUID_VERSION => [defs::VERSION, defs::OWNER, pfe::SERVICES.len() as u32, 0],
        defs::CPUID_TABLE => pfe::table_leaf(),
        _ => [0; 4],
    }
}
