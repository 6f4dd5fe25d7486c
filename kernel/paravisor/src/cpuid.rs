//! CPUID for the lower guest: the vetted page below, the paravisor's own leaves on top.

use crate::context::Paravisor;
use crate::pfe;
use tessera_defs::hyperv as hv;
use tessera_defs::pfe as defs;
use tessera_defs::snp::status::{CPUID_ENCRYPTION, VTOM_BIT};

/// EAX, EBX, ECX, EDX. Isolation itself is hidden: the guest is not to use it by itself.
pub fn answer(paravisor: &Paravisor, leaf: u32, subleaf: u32) -> [u32; 4] {
    match leaf {
        0x4000_0000..=0x4FFF_FFFF => synthetic(leaf),
        CPUID_ENCRYPTION => [0; 4],
        _ => vetted(paravisor, leaf, subleaf),
    }
}

fn vetted(paravisor: &Paravisor, leaf: u32, subleaf: u32) -> [u32; 4] {
    let functions = paravisor
        .cpuid
        .functions
        .iter()
        .take(paravisor.cpuid.count as usize);
    let of_leaf = functions.filter(|f| f.eax_in == leaf);
    let found = of_leaf
        .clone()
        .find(|f| f.ecx_in == subleaf)
        .or(of_leaf.clone().next());
    found.map_or([0; 4], |f| [f.eax, f.ebx, f.ecx, f.edx])
}

/// Isolation leaf: EAX and EBX.
pub const fn isolation() -> [u32; 2] {
    let boundary = hv::ISOLATION_EBX_BOUNDARY_ACTIVE | VTOM_BIT << hv::ISOLATION_EBX_BOUNDARY_SHIFT;
    [hv::ISOLATION_EAX_PARAVISOR, hv::ISOLATION_SNP | boundary]
}
const _: () = assert!(isolation()[1] == 0xBA2);

fn synthetic(leaf: u32) -> [u32; 4] {
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
            let [eax, ebx] = isolation();
            [eax, ebx, 0, 0]
        }
        defs::CPUID_BASE => [defs::CPUID_TABLE, pb, pc, pd],
        defs::CPUID_VERSION => [defs::VERSION, defs::OWNER, pfe::SERVICES.len() as u32, 0],
        defs::CPUID_TABLE => pfe::table_leaf(),
        _ => [0; 4],
    }
}
