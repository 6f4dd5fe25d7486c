//! What a host may inject into a context, by its SEV_FEATURES. Source: APM vol. 2, 15.36.16.

use crate::svm::vcpu::Vcpu;
use tessera_defs::snp::{doorbell, status::features, vc::event};

/// How events reach a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injection {
    /// EVENTINJ and V_IRQ of the host.
    Open,
    /// EVENTINJ of the host, and only #HV. V_IRQ does nothing.
    Restricted,
    /// EVENTINJ and V_IRQ of the save area. The host's do nothing.
    Alternate,
}

impl Injection {
    /// Of a save area. `None` where VMRUN refuses it: both features.
    pub fn of(sev_features: u64) -> Option<Self> {
        let has = |feature| sev_features & feature != 0;
        match (
            has(features::RESTRICTED_INJECTION),
            has(features::ALTERNATE_INJECTION),
        ) {
            (false, false) => Some(Self::Open),
            (true, false) => Some(Self::Restricted),
            (false, true) => Some(Self::Alternate),
            (true, true) => None,
        }
    }

    /// Whether VMRUN takes the host's EVENTINJ; else it is VMEXIT_INVALID, and the event is gone.
    pub fn takes(self, vcpu: &mut Vcpu) -> bool {
        let wanted = vcpu.vmcb.control.event_inj;
        let exception = event::TYPE_EXCEPTION << event::TYPE_SHIFT | u64::from(doorbell::VECTOR);
        let taken = match self {
            Self::Restricted if wanted & event::VALID != 0 => wanted == event::VALID | exception,
            _ => true,
        };
        if !taken {
            vcpu.vmcb.control.event_inj = 0;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::svm::bitmaps::Bitmaps;
    use std::boxed::Box;

    #[test]
    fn only_hv_goes_into_a_restricted_context() {
        let mut vcpu = Vcpu::new(Box::leak(Bitmaps::new()), 0);
        let mut takes = |wanted| {
            vcpu.vmcb.control.event_inj = wanted;
            let taken = Injection::Restricted.takes(&mut vcpu);
            assert_eq!(vcpu.vmcb.control.event_inj == wanted, taken || wanted == 0);
            taken
        };
        assert!(takes(0) && takes(0x8000_031C));
        // An interrupt, an NMI, another exception, #HV as an interrupt and with an error code.
        for wanted in [
            0x8000_0060,
            0x8000_0202,
            0x8000_030D,
            0x8000_001C,
            0x8000_0B1C,
        ] {
            assert!(!takes(wanted), "{wanted:#x}");
        }
        vcpu.vmcb.control.event_inj = 0x8000_0060;
        assert!(Injection::Open.takes(&mut vcpu));
    }

    #[test]
    fn a_save_area_has_one_way() {
        assert_eq!(Injection::of(1), Some(Injection::Open));
        assert_eq!(Injection::of(9), Some(Injection::Restricted));
        assert_eq!(Injection::of(0x17), Some(Injection::Alternate));
        assert_eq!(Injection::of(0x19), None);
    }
}
