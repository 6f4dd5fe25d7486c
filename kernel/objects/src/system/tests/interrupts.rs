//! Interrupts whose notification, or whose driver, went away.

use super::check::check;
use super::fake::{Back, system};
use tessera_abi::error::Error;
use tessera_abi::kind::Kind;

#[test]
fn a_notification_that_came_later_is_not_told() {
    let mut s = system(10);
    let (interrupt, index) = s.create_interrupt(5).unwrap();
    let told = |s: &mut super::fake::Fake| s.deliver_interrupt(index);
    let notification = s.create_object(Kind::Notification).unwrap();
    assert!(!told(&mut s), "nobody is attached");
    s.attach(interrupt.into(), notification.into(), 2).unwrap();
    assert!(told(&mut s) && !told(&mut s), "once, until acknowledged");
    s.acknowledge(interrupt.into()).unwrap();
    s.close(notification.into(), &mut Back::default()).unwrap();
    // The slot is used again, by somebody else.
    s.create_object(Kind::Notification).unwrap();
    assert!(!told(&mut s));
    check(&s);
}

#[test]
fn a_revoked_notification_and_a_revoked_interrupt_tell_nobody() {
    let mut s = system(10);
    let (interrupt, index) = s.create_interrupt(1).unwrap();
    let notification = s.create_object(Kind::Notification).unwrap();
    s.attach(interrupt.into(), notification.into(), 2).unwrap();
    s.revoke(notification.into()).unwrap();
    assert!(!s.deliver_interrupt(index));
    s.attach(interrupt.into(), notification.into(), 2).unwrap();
    s.revoke(interrupt.into()).unwrap();
    assert!(!s.deliver_interrupt(index));
    assert_eq!(s.create_interrupt(1), Err(Error::Busy));
    s.close(interrupt.into(), &mut Back::default()).unwrap();
    let (again, _) = s.create_interrupt(1).unwrap();
    assert!(!s.attached(index));
    check(&s);
    assert_ne!(again, interrupt);
}
