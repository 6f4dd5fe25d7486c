use super::{super::Vmm, ports::ECHO, timers::Expired, *};
use crate::{machine::FAKE, memory::frames::PAGE, vmm::scenario::Scenario};
use tessera_defs::{hyperv as hv, x86::x2apic};

const VECTOR: u8 = 0x62;
const PAGE_AT: u64 = 0x30_0001;

fn apic() -> Apic {
    let mut apic = Apic::new(0);
    apic.write(x2apic::SIVR, 0x1FF, 0).unwrap();
    apic
}

/// With everything enabled, and SINT2 at `VECTOR`.
fn enabled(apic: &mut Apic) -> Synic {
    let mut synic = Synic::new();
    for (msr, value) in [
        (MSR_SCONTROL, 1),
        (MSR_SIMP, PAGE_AT),
        (MSR_SIEFP, PAGE_AT),
        (MSR_SINT0 + 2, VECTOR.into()),
    ] {
        assert!(synic.write(msr, value, 0, apic).is_some());
    }
    synic
}

fn message(sint: u8, kind: u32) -> Message {
    Message {
        sint,
        kind,
        origin: 9,
        payload: [7; 5].into(),
        timer: None,
    }
}

#[test]
fn registers_begin_masked_and_take_only_what_they_may() {
    let (mut synic, mut apic) = (Synic::new(), apic());
    let mut write = |msr, value| synic.write(msr, value, 0, &mut apic);
    assert_eq!(write(MSR_SVERSION, 1), None);
    assert_eq!(write(MSR_SINT0, 15), None, "vector below 16");
    assert_eq!(write(MSR_SINT0, SINT_MASKED), Some(None));
    assert_eq!(write(MSR_SINT0 + 16, 0x40), None, "no SINT16");
    assert_eq!(write(MSR_EOM, 1), None);
    assert_eq!(write(MSR_STIMER0_CONFIG + 8, 0), None, "no STIMER4");
    assert_eq!(write(MSR_STIMER0_CONFIG, 1 << 13), None, "reserved");
    assert_eq!(write(MSR_SIMP, PAGE_AT), Some(Some(0x30_0000)));
    assert_eq!(write(MSR_SIMP, PAGE_AT), Some(None), "enabled already");
    let all = [
        MSR_SCONTROL,
        MSR_SVERSION,
        MSR_SIMP,
        MSR_EOM,
        MSR_SINT0 + 15,
    ];
    let values = all.map(|msr| synic.read(msr).unwrap());
    assert_eq!(values, [0, 1, PAGE_AT, 0, SINT_MASKED]);
}

#[test]
fn a_slot_takes_one_message_and_says_that_another_waits() {
    let mut apic = apic();
    let mut synic = enabled(&mut apic);
    let mut page = [0; PAGE];
    assert_eq!(synic.post(message(2, 1)), 0);
    synic.messages_into(&mut page, 0, &mut apic);
    assert_eq!(page[512..521], [1, 0, 0, 0, 5, 0, 0, 0, 9]);
    assert_eq!(
        (page[528..533].to_vec(), apic.pending()),
        ([7; 5].to_vec(), Some(VECTOR))
    );
    apic.accept(VECTOR);
    assert_eq!(synic.post(message(2, 2)), 0);
    synic.look = false;
    synic.messages_into(&mut page, 0, &mut apic);
    assert_eq!((page[512], page[517]), (1, MESSAGE_PENDING), "it waits");
    page[512] = 0;
    assert!(!synic.looks(), "nobody said that the slot is free");
    synic.write(MSR_EOM, 0, 0, &mut apic).unwrap();
    assert!(synic.looks());
    synic.messages_into(&mut page, 0, &mut apic);
    assert_eq!((page[512], page[517]), (2, 0));
}

#[test]
fn masked_and_polled_sources_get_messages_without_interrupts() {
    for register in [SINT_MASKED | 0x62, SINT_POLLING | 0x62] {
        let mut apic = apic();
        let mut synic = enabled(&mut apic);
        synic.write(MSR_SINT0 + 2, register, 0, &mut apic).unwrap();
        let mut page = [0; PAGE];
        synic.post(message(2, 1));
        synic.messages_into(&mut page, 0, &mut apic);
        assert_eq!((page[512], apic.pending()), (1, None), "{register:#x}");
    }
}

#[test]
fn an_interrupt_with_auto_eoi_is_never_in_service() {
    let mut apic = apic();
    let mut synic = enabled(&mut apic);
    let auto = SINT_AUTO_EOI | u64::from(VECTOR);
    synic.write(MSR_SINT0 + 2, auto, 0, &mut apic).unwrap();
    for _ in 0..2 {
        synic.interrupt(2, &mut apic);
        assert_eq!(apic.pending(), Some(VECTOR));
        apic.accept(VECTOR);
    }
    synic
        .write(MSR_SINT0 + 2, VECTOR.into(), 0, &mut apic)
        .unwrap();
    apic.request(VECTOR);
    apic.accept(VECTOR);
    apic.request(VECTOR);
    assert_eq!(apic.pending(), None, "in service");
}

#[test]
fn a_flag_that_is_set_asks_for_no_second_interrupt() {
    let mut apic = apic();
    let mut synic = enabled(&mut apic);
    let mut page = [0; PAGE];
    assert_eq!(synic.signal(2, 2047), 0);
    synic.events_into(&mut page, &mut apic);
    assert_eq!((page[767], apic.pending()), (0x80, Some(VECTOR)));
    apic.accept(VECTOR);
    apic.write(x2apic::EOI, 0, 0).unwrap();
    synic.signal(2, 2047);
    synic.events_into(&mut page, &mut apic);
    assert_eq!(apic.pending(), None);
}

#[test]
fn timers_expire_once_or_by_period_and_never_have_two_messages() {
    let mut apic = apic();
    let mut synic = enabled(&mut apic);
    let (config, count) = (MSR_STIMER0_CONFIG + 2, MSR_STIMER0_CONFIG + 3);
    let to_sint = 2 << TIMER_SINT_SHIFT;
    synic
        .write(config, TIMER_AUTO_ENABLE | to_sint, 0, &mut apic)
        .unwrap();
    assert_eq!(synic.timers.deadline(), None);
    synic.write(count, 50, 0, &mut apic).unwrap();
    assert_eq!(synic.timers.deadline(), Some(50));
    synic.tick(49, &mut apic);
    assert!(!synic.looks());
    synic.tick(60, &mut apic);
    assert_eq!(
        synic.read(config),
        Some(TIMER_AUTO_ENABLE | to_sint),
        "disabled"
    );
    let mut page = [0; PAGE];
    synic.messages_into(&mut page, 61, &mut apic);
    assert_eq!(page[512..518], [0x10, 0, 0, 0x80, 24, 0]);
    assert_eq!((page[528], page[536], page[544]), (1, 50, 61));
    // A period: the first one begins now.
    let periodic = TIMER_ENABLE | TIMER_PERIODIC | to_sint;
    synic.write(config, periodic, 100, &mut apic).unwrap();
    assert_eq!(synic.timers.deadline(), Some(150));
    synic.tick(275, &mut apic);
    synic.tick(1000, &mut apic);
    assert_eq!((synic.messages.len(), synic.timers.deadline()), (1, None));
    page[512..516].fill(0);
    synic.messages_into(&mut page, 1001, &mut apic);
    assert_eq!((page[536], synic.timers.deadline()), (150, Some(300)));
    synic.write(count, 0, 0, &mut apic).unwrap();
    assert_eq!(
        (synic.read(config), synic.timers.deadline()),
        (Some(periodic - 1), None)
    );
}

#[test]
fn a_direct_timer_requests_its_vector_and_a_lazy_one_wakes_nobody() {
    let mut timers = Timers::default();
    let direct = TIMER_ENABLE | TIMER_DIRECT | 0x63 << TIMER_VECTOR_SHIFT;
    timers.write(MSR_STIMER0_CONFIG + 1, 10, 0).unwrap();
    timers.write(MSR_STIMER0_CONFIG, direct, 20).unwrap();
    assert_eq!(
        timers.expire(20),
        Some(Expired::Vector(0x63)),
        "in the past"
    );
    assert_eq!(timers.expire(99), None);
    timers
        .write(MSR_STIMER0_CONFIG, direct | TIMER_LAZY, 20)
        .unwrap();
    assert_eq!(timers.deadline(), None);
    assert_eq!(timers.expire(20), Some(Expired::Vector(0x63)));
    // Enabled for no source.
    timers.write(MSR_STIMER0_CONFIG, TIMER_ENABLE, 0).unwrap();
    assert_eq!(timers.read(MSR_STIMER0_CONFIG), Some(0));
}

fn host(text: &str) -> Vmm {
    let mut vmm = Vmm::new(Scenario::parse(text).unwrap(), FAKE);
    vmm.hyperv().guest_os_id = hv::GUEST_OS_ID;
    vmm
}

fn call(vmm: &mut Vmm, control: u64, input: &[u8]) -> u16 {
    match vmm.hypercall(control, input) {
        crate::vmm::hypercall::Hypercall::Done(result) => result as u16,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_host_without_ports_refuses_by_the_right_status() {
    let (post, signal) = (HVCALL_POST_MESSAGE.into(), HVCALL_SIGNAL_EVENT.into());
    let mut vmm = host("mode=none");
    let mut input = [0; 256];
    (input[0], input[8], input[12]) = (1, 1, 16);
    assert_eq!(
        call(&mut vmm, post, &input),
        HV_STATUS_INVALID_CONNECTION_ID
    );
    assert_eq!(
        call(&mut vmm, post, &input[..255]),
        hv::HV_STATUS_INVALID_HYPERCALL_INPUT
    );
    assert_eq!(
        call(&mut vmm, post | 1 << 16, &input),
        hv::HV_STATUS_INVALID_HYPERCALL_INPUT
    );
    input[12] = 241;
    assert_eq!(
        call(&mut vmm, post, &input),
        hv::HV_STATUS_INVALID_PARAMETER,
        "too long"
    );
    (input[11], input[12]) = (0x80, 16);
    assert_eq!(
        call(&mut vmm, post, &input),
        hv::HV_STATUS_INVALID_PARAMETER,
        "its type"
    );
    let event = |connection: u32, flag: u16| {
        let [a, b, c, d] = connection.to_le_bytes();
        let [e, f] = flag.to_le_bytes();
        [a, b, c, d, e, f, 0, 0]
    };
    let unknown = HV_STATUS_INVALID_CONNECTION_ID;
    assert_eq!(call(&mut vmm, signal | 1 << 16, &event(2, 0)), unknown);
    assert_eq!(
        call(&mut vmm, signal, &event(ECHO, 0)),
        unknown,
        "not probed"
    );
    assert_eq!(
        call(&mut vmm, signal, &event(2, 2048)),
        hv::HV_STATUS_INVALID_PARAMETER
    );
    let mut probed = host("mode=none probing=1");
    assert_eq!(
        call(&mut probed, signal, &event(ECHO + 15, 0)),
        HV_STATUS_INVALID_SYNIC_STATE
    );
    assert_eq!(call(&mut probed, signal, &event(ECHO + 16, 0)), unknown);
}

#[test]
fn messages_beyond_the_buffers_are_refused() {
    let mut synic = enabled(&mut apic());
    for n in 0..BUFFERS {
        assert_eq!(synic.post(message(2, 1)), 0, "{n}");
    }
    assert_eq!(synic.post(message(2, 1)), HV_STATUS_INSUFFICIENT_BUFFERS);
}

#[test]
fn who_halts_is_woken_by_its_synthetic_timer() {
    let mut vmm = host("mode=none");
    let vp = &mut vmm.vps[0];
    vp.apic.write(x2apic::SIVR, 0x1FF, 0).unwrap();
    let direct = TIMER_AUTO_ENABLE | TIMER_DIRECT | 0x63 << TIMER_VECTOR_SHIFT;
    vp.synic
        .write(MSR_STIMER0_CONFIG, direct, 0, &mut vp.apic)
        .unwrap();
    vp.synic
        .write(MSR_STIMER0_CONFIG + 1, 7, 0, &mut vp.apic)
        .unwrap();
    vmm.halt(true);
    assert_eq!(vmm.next_turn(), Ok(true));
    assert_eq!((vmm.now(), vmm.pending_interrupt()), (700, Some(0x63)));
    // By a message: the turn comes after the delivery.
    let vp = &mut vmm.vps[0];
    vp.apic.accept(0x63);
    let message = TIMER_AUTO_ENABLE | 2 << TIMER_SINT_SHIFT;
    vp.synic
        .write(MSR_STIMER0_CONFIG, message, 0, &mut vp.apic)
        .unwrap();
    vp.synic
        .write(MSR_STIMER0_CONFIG + 1, 9, 0, &mut vp.apic)
        .unwrap();
    vmm.halt(true);
    assert_eq!((vmm.next_turn(), vmm.now()), (Ok(false), 900));
}
