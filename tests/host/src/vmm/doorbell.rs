//! The host's side of the #HV doorbell page: what waits for the processor is written there, and #HV says so.
//! Source: 56421 rev. 2.04, event 8000_0014h; who takes what when as in KVM.

use super::Vmm;
use crate::memory::frames::PAGE;
use tessera_defs::snp::doorbell::{PENDING_FLAGS, PENDING_VECTOR, flags};

impl Vmm {
    /// Writes what waits for the processor whose turn it is. An interrupt waits while the guest did not
    /// take the last one; it is in service from now on. Whether #HV is to be sent.
    pub fn ring(&mut self, page: &mut [u8; PAGE]) -> bool {
        let mut new = false;
        if page[PENDING_VECTOR] == 0
            && let Some(vector) = self.pending_interrupt()
        {
            page[PENDING_VECTOR] = vector;
            self.took(vector);
            new = true;
        }
        if self.vp().nmi && page[PENDING_FLAGS] & flags::NMI == 0 {
            self.vp().nmi = false;
            page[PENDING_FLAGS] |= flags::NMI;
            new = true;
        }
        let signal = new && page[PENDING_FLAGS] & flags::NO_FURTHER_SIGNAL == 0;
        if signal {
            page[PENDING_FLAGS] |= flags::NO_FURTHER_SIGNAL;
        }
        signal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmm::scenario::Scenario;
    use tessera_defs::x86::x2apic;

    const ITSELF: u64 = 1 << 18;

    #[test]
    fn one_interrupt_at_a_time_and_one_signal_until_it_is_cleared() {
        let mut vmm = Vmm::new(Scenario::parse("mode=snp").unwrap(), crate::machine::FAKE);
        let mut page = [0; PAGE];
        vmm.write_msr(x2apic::SIVR, 0x1FF);
        assert!(!vmm.ring(&mut page));
        vmm.write_msr(x2apic::ICR, ITSELF | 0x61);
        assert!(vmm.ring(&mut page));
        assert_eq!(page[..2], [0x61, flags::NO_FURTHER_SIGNAL]);
        vmm.write_msr(x2apic::ICR, ITSELF | 0x81);
        assert!(!vmm.ring(&mut page), "the first one was not taken");
        assert_eq!(page[0], 0x61);
        vmm.vp().nmi = true;
        assert!(!vmm.ring(&mut page), "a signal is on its way");
        assert_eq!(page[1], flags::NO_FURTHER_SIGNAL | flags::NMI);
        page[1] = 0;
        assert!(!vmm.ring(&mut page), "nothing new");
        page[0] = 0;
        assert!(vmm.ring(&mut page));
        assert_eq!(page[..2], [0x81, flags::NO_FURTHER_SIGNAL]);
        page[..2].fill(0);
        assert!(!vmm.ring(&mut page), "nothing waits");
    }
}
