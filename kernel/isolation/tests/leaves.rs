//! Reading the hypervisor leaves from raw CPUID answers.

use proptest::prelude::*;
use tessera_isolation::claims::{IsolationClaim, LeafClaim};

const HV: [u32; 3] = [0x7263_694D, 0x666F_736F, 0x7648_2074];
const KVM: [u32; 3] = [0x4B4D_564B, 0x564B_4D56, 0x4D];
const HV1: u32 = 0x3123_7648;

#[derive(Clone, Copy, Debug)]
struct Host {
    hypervisor: bool,
    max: u32,
    vendor: [u32; 3],
    interface: u32,
    features: u32,
    isolation: [u32; 2],
}

const FRIENDLY: Host = Host {
    hypervisor: true,
    max: 0x4000_000C,
    vendor: HV,
    interface: HV1,
    features: 1 << 22,
    isolation: [1, 0xBA2],
};

fn read(host: Host) -> LeafClaim {
    LeafClaim::read(&mut |leaf| match leaf {
        1 => [0, 0, u32::from(host.hypervisor) << 31, 0],
        0x4000_0000 => [host.max, host.vendor[0], host.vendor[1], host.vendor[2]],
        _ if leaf > host.max => panic!("asked for leaf {leaf:#x} past {:#x}", host.max),
        0x4000_0001 => [host.interface, 0, 0, 0],
        0x4000_0003 => [0, host.features, 0, 0],
        0x4000_000C => [host.isolation[0], host.isolation[1], 0, 0],
        _ => panic!("asked for leaf {leaf:#x}"),
    })
}

#[test]
fn each_claim() {
    let snp = IsolationClaim {
        paravisor: true,
        isolation_type: 2,
        boundary_active: true,
        boundary_bits: 46,
    };
    assert_eq!(read(FRIENDLY), LeafClaim::Isolation(snp));
    let kvm = Host {
        vendor: KVM,
        interface: 0x0100_00FB,
        ..FRIENDLY
    };
    assert_eq!(read(kvm), LeafClaim::NotHyperV);
    assert_eq!(read(Host { max: 0, ..kvm }), LeafClaim::NotHyperV);
    assert_eq!(
        read(Host {
            hypervisor: false,
            max: 7,
            ..kvm
        }),
        LeafClaim::Absent
    );
    for max in [
        0,
        0x4000_0000,
        0x4000_0001,
        0x4000_0002,
        0x4000_0003,
        0x4000_000B,
        u32::MAX,
    ] {
        assert_eq!(
            read(Host { max, ..FRIENDLY }),
            LeafClaim::Truncated,
            "{max:#x}"
        );
    }
    let unannounced = Host {
        features: 0,
        ..FRIENDLY
    };
    assert_eq!(read(unannounced), LeafClaim::Contradictory);
    assert_eq!(
        read(Host {
            isolation: [0, 0],
            ..unannounced
        }),
        LeafClaim::Plain
    );
    assert_eq!(
        read(Host {
            max: 0x4000_0005,
            ..unannounced
        }),
        LeafClaim::Plain
    );
    assert_eq!(
        read(Host {
            hypervisor: false,
            ..FRIENDLY
        }),
        LeafClaim::Contradictory
    );
    assert_eq!(
        read(Host {
            interface: 0,
            ..FRIENDLY
        }),
        LeafClaim::Contradictory
    );
    assert_eq!(
        read(Host {
            vendor: KVM,
            ..FRIENDLY
        }),
        LeafClaim::Isolation(snp)
    );
}

proptest! {
    /// Never a panic, never a leaf that was not announced, never an isolation claim without
    /// its feature bit.
    #[test]
    fn any_answers(
        hypervisor: bool,
        max in prop_oneof![any::<u32>(), 0x3FFF_FFF0u32..0x4000_0110],
        vendor in prop_oneof![Just(HV), Just(KVM), any::<[u32; 3]>()],
        interface in prop_oneof![Just(HV1), any::<u32>()],
        features: u32,
        isolation: [u32; 2],
    ) {
        let host = Host { hypervisor, max, vendor, interface, features, isolation };
        if let LeafClaim::Isolation(_) = read(host) {
            prop_assert!(hypervisor && interface == HV1 && features & 1 << 22 != 0);
        }
    }
}
