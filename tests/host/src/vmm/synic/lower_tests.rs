use super::*;
use crate::{machine::FAKE, memory::frames::PAGE, vmm::scenario::Scenario};
use tessera_defs::x86::{self, x2apic};

/// Vector of the paravisor's SINT0.
const HEARS: u8 = 0x52;
const PAGE_AT: u64 = 0x30_0001;

/// A host of a paravisor whose own controller is enabled.
fn host(text: &str) -> Vmm {
    let mut vmm = Vmm::new(Scenario::parse(text).unwrap(), FAKE);
    vmm.vp().apic.write(x2apic::SIVR, 0x1FF, 0).unwrap();
    for (msr, value) in [
        (MSR_SIMP, PAGE_AT),
        (MSR_SINT0, HEARS.into()),
        (MSR_SCONTROL, 1),
    ] {
        assert_eq!(vmm.write_msr(msr, value), Some(()));
    }
    vmm
}

/// Its guest enables its own, with a vector for each of three sources.
fn guest(vmm: &mut Vmm) {
    vmm.vp().below = true;
    for (msr, value) in [
        (MSR_SIMP, 0x40_0001),
        (MSR_SIEFP, 0x40_1001),
        (MSR_SINT0 + 1, 0x61),
        (MSR_SINT0 + 2, 0x62),
        (MSR_SINT0 + 3, 0xFE),
        (MSR_SCONTROL, 1),
    ] {
        assert_eq!(vmm.write_msr(msr, value), Some(()));
        assert_eq!(vmm.read_msr(msr), Some(value));
    }
}

fn from(sint: u8) -> Message {
    Message {
        sint,
        kind: 1,
        origin: 0,
        payload: Vec::new(),
        timer: None,
    }
}

/// What `deliver` does, with these pages.
fn deliver(vp: &mut Vp, own: &mut [u8; PAGE], lower: &mut [u8; PAGE]) {
    vp.lower.messages_into(lower, 0, &mut vp.proxied);
    vp.proxy();
    vp.synic.messages_into(own, 0, &mut vp.apic);
}

fn words(slot: &[u8]) -> Vec<u32> {
    let payload = &slot[MESSAGE_HEADER..][..PROXY_INTERRUPT];
    let words = payload.as_chunks().0.iter();
    words.map(|word| u32::from_le_bytes(*word)).collect()
}

#[test]
fn the_paravisor_hears_of_its_guests_interrupts_one_message_at_a_time() {
    let mut vmm = host("mode=snp-paravisor probing=1");
    guest(&mut vmm);
    let vp = vmm.vp();
    let (mut own, mut lower) = ([0; PAGE], [0; PAGE]);
    assert_eq!(vp.controller().post(from(2)), 0);
    assert!(vp.looks());
    deliver(vp, &mut own, &mut lower);
    assert_eq!(lower[2 * SLOT], 1, "the message is the guest's");
    assert_eq!(own[..6], [0x0F, 0, 1, 0x80, 36, 0], "{:?}", &own[..16]);
    assert_eq!(words(&own)[..2], [0, 0x62]);
    assert_eq!(vp.apic.pending(), Some(HEARS), "and nothing of the guest's");
    // Its slot is full: one more message waits there, and what comes meanwhile becomes the one after that.
    for sint in [1, 3] {
        vp.controller().post(from(sint));
        deliver(vp, &mut own, &mut lower);
    }
    assert_eq!(own[5], MESSAGE_PENDING);
    lower = [0; PAGE];
    vp.controller().post(from(1));
    deliver(vp, &mut own, &mut lower);
    vp.below = false;
    own[..4].fill(0);
    deliver(vp, &mut own, &mut lower);
    assert_eq!(words(&own)[..2], [0, 0x61], "the one that waited");
    own[..4].fill(0);
    deliver(vp, &mut own, &mut lower);
    let both = words(&own);
    assert_eq!((both[0], both[4], both[8]), (1 << 8, 2, 1 << 30));
    own[..4].fill(0);
    deliver(vp, &mut own, &mut lower);
    assert!(own[0] == 0 && !vp.looks());
}

#[test]
fn what_a_paravisor_does_not_hear_waits_without_a_stir() {
    let mut vmm = host("mode=tdx-paravisor probing=1");
    vmm.write_msr(MSR_SCONTROL, 0);
    guest(&mut vmm);
    let (mut own, mut lower) = ([0; PAGE], [0; PAGE]);
    let vp = vmm.vp();
    vp.controller().post(from(2));
    deliver(vp, &mut own, &mut lower);
    vp.lower.look = false;
    assert!(!vp.looks(), "the host would deliver for ever");
    assert_eq!((own[0], vp.apic.pending()), (0, None));
    vp.below = false;
    vmm.write_msr(MSR_SCONTROL, 1);
    let vp = vmm.vp();
    assert!(vp.looks());
    deliver(vp, &mut own, &mut lower);
    assert_eq!(words(&own)[..2], [0, 0x62]);
}

#[test]
fn the_two_controllers_and_identities_are_apart() {
    let mut vmm = host("mode=snp-paravisor");
    vmm.write_msr(hv::MSR_GUEST_OS_ID, 7);
    vmm.vp().below = true;
    assert_eq!(vmm.read_msr(MSR_SCONTROL), Some(0));
    assert_eq!(vmm.read_msr(MSR_SINT0), Some(SINT_MASKED));
    assert_eq!(vmm.read_msr(hv::MSR_GUEST_OS_ID), Some(0));
    // The APIC is the paravisor's.
    for msr in [x2apic::SIVR, x86::MSR_APIC_BASE, 0x6E0, hv::MSR_ICR] {
        assert_eq!(vmm.read_msr(msr), None, "{msr:#x}");
        assert_eq!(vmm.write_msr(msr, 0x1FF), None, "{msr:#x}");
    }
    vmm.vp().below = false;
    assert_eq!(vmm.read_msr(x2apic::SIVR), Some(0x1FF));
    assert_eq!(vmm.read_msr(hv::MSR_GUEST_OS_ID), Some(7));
}

#[test]
fn a_timer_below_wakes_the_paravisor() {
    let mut vmm = host("mode=tdx-paravisor");
    guest(&mut vmm);
    let direct = TIMER_AUTO_ENABLE | TIMER_DIRECT | 0x63 << TIMER_VECTOR_SHIFT;
    vmm.write_msr(MSR_STIMER0_CONFIG, direct).unwrap();
    vmm.write_msr(MSR_STIMER0_CONFIG + 1, 7).unwrap();
    vmm.halt(true);
    assert_eq!((vmm.next_turn(), vmm.now()), (Ok(false), 700));
    let (mut own, mut lower) = ([0; PAGE], [0; PAGE]);
    deliver(vmm.vp(), &mut own, &mut lower);
    assert_eq!(words(&own)[..2], [0, 0x63]);
    assert_eq!(vmm.next_turn(), Ok(true));
}

#[test]
fn the_paravisor_sets_registers_of_the_lower_controller_by_their_names() {
    let mut vmm = host("mode=snp-paravisor");
    let vtom = 1u64 << 46;
    let mut set = |name, value: u64| vmm.set_lower(name, value.into(), |gpa| gpa == 0x50_0000);
    assert_eq!(set(REGISTER_SIPP, 0x50_0001 | vtom), 0);
    assert_eq!(set(REGISTER_SIFP, 0x50_0001), 0);
    let value = hv::HV_STATUS_INVALID_REGISTER_VALUE;
    assert_eq!(set(REGISTER_SIFP, 0x51_0001), value, "a private page");
    assert_eq!(set(REGISTER_SIFP, 0x51_0000), 0, "of none");
    assert_eq!(set(REGISTER_SINT0 + 15, 5), value, "a vector below 16");
    assert_eq!(set(REGISTER_SINT0 + 15, 0x70), 0);
    assert_eq!(set(REGISTER_SCONTROL, 1), 0);
    assert_eq!(set(REGISTER_EOM, 0), 0);
    assert_eq!(set(REGISTER_STIMER0_CONFIG + 7, 5), 0);
    let unknown = hv::HV_STATUS_INVALID_PARAMETER;
    assert_eq!(set(REGISTER_SINT0 + 16 + 1, 1), unknown, "SVERSION");
    assert_eq!(set(REGISTER_STIMER0_CONFIG + 8, 0), unknown);
    assert_eq!(vmm.set_lower(REGISTER_SCONTROL, 1 << 64, |_| true), value);
    assert_eq!(vmm.read_msr(MSR_SINT0 + 15), Some(SINT_MASKED), "its own");
    vmm.vp().below = true;
    let read = [MSR_SIMP, MSR_SINT0 + 15, MSR_STIMER0_CONFIG + 7];
    let values = read.map(|msr| vmm.read_msr(msr).unwrap());
    assert_eq!(values, [0x50_0001 | vtom, 0x70, 5]);
}
