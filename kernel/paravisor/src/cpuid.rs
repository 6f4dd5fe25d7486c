//! CPUID for the lower guest: the processor's answers, the paravisor's own leaves on top.

use crate::context::Paravisor;
use crate::pfe;
use tessera_defs::hyperv as hv;
use tessera_defs::mode::Mode;
use tessera_defs::pfe as defs;
use tessera_defs::snp::status::{CPUID_ENCRYPTION, VTOM_BIT};
use tessera_defs::tdx;

/// EAX, EBX, ECX, EDX. Isolation itself is hidden: the guest is not to use it by itself.
pub fn answer(paravisor: &Paravisor<'_>, leaf: u32, subleaf: u32) -> [u32; 4] {
    match leaf {
        0x4000_0000..=0x4FFF_FFFF => synthetic(paravisor, leaf),
        CPUID_ENCRYPTION | tdx::cpuid::LEAF => [0; 4],
        _ => own_id(paravisor, leaf, paravisor.lower.cpuid(leaf, subleaf)),
    }
}

/// Answers that name the processor that asks; the page that was vetted names the first one. Source: Intel
/// SDM vol. 2, CPUID, leaves 1 and 0Bh; APM vol. 3, appendix E, Fn8000_001E.
fn own_id(paravisor: &Paravisor<'_>, leaf: u32, [a, b, c, d]: [u32; 4]) -> [u32; 4] {
    let id = paravisor.index as u32;
    match leaf {
        1 => [a, b & 0x00FF_FFFF | id << 24, c, d],
        0xB if a | b != 0 => [a, b, c, id],
        0x8000_001E if a | b != 0 => [id, b, c, d],
        _ => [a, b, c, d],
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

fn synthetic(paravisor: &Paravisor<'_>, leaf: u32) -> [u32; 4] {
    let [b, c, d] = hv::VENDOR_SIGNATURE;
    let [pb, pc, pd] = defs::SIGNATURE;
    match leaf {
        hv::CPUID_VENDOR => [hv::CPUID_ISOLATION, b, c, d],
        hv::CPUID_INTERFACE => [hv::INTERFACE_SIGNATURE, 0, 0, 0],
        hv::CPUID_FEATURES => {
            let eax = hv::FEATURE_EAX_HYPERCALL | hv::FEATURE_EAX_VP_INDEX;
            [eax, hv::FEATURE_EBX_ISOLATION, 0, 0]
        }
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
