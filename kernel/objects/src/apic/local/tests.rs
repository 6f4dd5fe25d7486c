//! What the manual says of one local APIC.

use super::{access::SENT_ILLEGAL, *};

fn enabled() -> LocalApic {
    let mut apic = LocalApic::new(0);
    apic.write(reg::SPURIOUS, 0x1FF).unwrap();
    apic
}

#[test]
fn the_end_of_one_interrupt_is_not_that_of_a_later_one() {
    let mut apic = enabled();
    apic.request(0x41, false);
    apic.accept(apic.pending().unwrap());
    apic.request(0x55, false);
    assert_eq!(apic.pending(), Some(0x55), "a higher class interrupts");
    apic.write(reg::EOI, 0).unwrap();
    assert_eq!(apic.pending(), Some(0x55), "the first ended, not this one");
    apic.accept(0x55);
    apic.request(0x52, false);
    assert_eq!(apic.pending(), None, "the same class waits");
    apic.write(reg::EOI, 0).unwrap();
    assert_eq!(apic.pending(), Some(0x52));
}

#[test]
fn a_level_interrupt_tells_its_end() {
    let mut apic = enabled();
    apic.request(0x31, true);
    apic.accept(0x31);
    assert_eq!(apic.write(reg::EOI, 0), Ok(Effect::Ended(0x31)));
    apic.request(0x31, false);
    apic.accept(0x31);
    assert_eq!(apic.write(reg::EOI, 0), Ok(Effect::None));
    assert_eq!(apic.write(reg::EOI, 0), Ok(Effect::None), "nothing is left");
}

#[test]
fn priorities_hold_back() {
    let mut apic = enabled();
    apic.request(0x31, false);
    apic.write(reg::TPR, 0x30).unwrap();
    assert_eq!((apic.pending(), apic.read(reg::PPR)), (None, Ok(0x30)));
    apic.write(reg::TPR, 0x2F).unwrap();
    assert_eq!(apic.pending(), Some(0x31));
    apic.accept(0x31);
    assert_eq!(apic.read(reg::PPR), Ok(0x30));
    assert_eq!(apic.read(reg::ISR + 1), Ok(1 << 17));
}

#[test]
fn what_is_off_gets_nothing() {
    let mut apic = LocalApic::new(0);
    apic.request(0x31, false);
    assert_eq!(apic.pending(), None);
    let mut apic = enabled();
    apic.write(reg::LVT_TIMER, 0x31).unwrap();
    apic.write(reg::SPURIOUS, 0xFF).unwrap();
    assert_eq!(apic.read(reg::LVT_TIMER), Ok(u64::from(MASKED) | 0x31));
    let masked = Effect::Timer(reg::LVT_TIMER, MASKED | 0x31);
    assert_eq!(apic.write(reg::LVT_TIMER, 0x31), Ok(masked));
}

#[test]
fn what_is_only_read_may_be_written() {
    let mut apic = enabled();
    assert_eq!(apic.write(0x35, 0x5700), Ok(Effect::None));
    assert_eq!(apic.read(0x35), Ok(0x700));
}

#[test]
fn modes_change_as_the_manual_draws_it() {
    let x2apic = base::PAGE | base::BSP | base::EN | base::EXTD;
    let (xapic, off) = (x2apic & !base::EXTD, base::PAGE | base::BSP);
    let mut apic = LocalApic::new(0);
    assert_eq!(apic.set_base(xapic), Err(Invalid));
    assert_eq!(apic.set_base(x2apic | 1 << 12), Err(Invalid));
    assert_eq!(apic.set_base(off | base::EXTD), Err(Invalid));
    assert_eq!(apic.set_base(off), Ok(()));
    assert_eq!(apic.set_base(x2apic), Err(Invalid));
    assert_eq!(apic.set_base(xapic), Ok(()));
    assert_eq!(apic.set_base(x2apic), Ok(()));
    assert_eq!(apic.base(), x2apic);
}

#[test]
fn registers_of_the_other_mode_do_not_exist() {
    let mut apic = LocalApic::new(3);
    assert_eq!(apic.read(reg::ID), Ok(3));
    assert_eq!(apic.read(reg::LDR), Ok(8));
    for register in [reg::DFR, reg::ICR_HIGH, 0x04, 0x2F, 0x3A, 0x40] {
        assert_eq!(apic.read(register), Err(Invalid), "{register:#x}");
        assert_eq!(apic.write(register, 0), Err(Invalid), "{register:#x}");
    }
    for register in [
        reg::ID,
        reg::VERSION,
        reg::PPR,
        reg::ISR,
        reg::CURRENT_COUNT,
    ] {
        assert_eq!(apic.write(register, 0), Err(Invalid), "{register:#x}");
    }
    for (register, value) in [
        (reg::EOI, 1),
        (reg::ESR, 1),
        (reg::TPR, 0x100),
        (reg::LVT_TIMER, 1 << 32),
        (reg::DIVIDE, 4),
        (0x35, 1 << 11),
    ] {
        assert_eq!(apic.write(register, value), Err(Invalid), "{register:#x}");
    }
    apic.set_base(base::PAGE).unwrap();
    apic.set_base(base::PAGE | base::EN).unwrap();
    assert_eq!(apic.read(reg::ID), Ok(3 << 24));
    assert_eq!(apic.read(reg::DFR), Ok(0xFFFF_FFFF));
    assert_eq!(apic.write(reg::SELF_IPI, 0x40), Err(Invalid));
}

#[test]
fn commands_are_decoded_in_both_modes() {
    let mut apic = LocalApic::new(0x12);
    let sent = |icr| Ok(Effect::Send(Command::decode(icr).unwrap().unwrap()));
    assert_eq!(apic.write(reg::ICR, 5 << 32 | 0x40), sent(5 << 32 | 0x40));
    assert_eq!(apic.read(reg::ICR), Ok(5 << 32 | 0x40));
    assert_eq!(apic.write(reg::ICR, 1 << 13), Err(Invalid));
    assert_eq!(apic.write(reg::ICR, 5), Ok(Effect::None));
    assert_eq!(apic.esr, SENT_ILLEGAL);
    apic.set_base(base::PAGE).unwrap();
    apic.set_base(base::PAGE | base::EN).unwrap();
    apic.write(reg::ICR_HIGH, 0xFF00_0000).unwrap();
    assert_eq!(apic.write(reg::ICR, 0x40), sent(0xFFFF_FFFF << 32 | 0x40));
    apic.write(reg::ICR_HIGH, 0x0500_0000).unwrap();
    assert_eq!(apic.write(reg::ICR, 0x840), sent(5 << 32 | 0x840));
    assert_eq!(apic.read(reg::ICR_HIGH), Ok(0x0500_0000));
}
