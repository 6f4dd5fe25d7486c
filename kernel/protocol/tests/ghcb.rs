//! GHCB protocols against honest and lying hosts.
use proptest::prelude::*;
use tessera_defs::snp::ghcb::{SHARED_BUFFER, psc};
use tessera_defs::snp::ghcb_msr::*;
use tessera_protocol::error::{Error, HostFault};
use tessera_protocol::ghcb::frame::GhcbFrame;
use tessera_protocol::ghcb::psc::{Change, change};
use tessera_protocol::ghcb::request;
use tessera_protocol::ghcb_msr::{self, PageState};
use tessera_protocol::traits::{GhcbMsr, Vmgexit};

struct Fake<F>(F);
impl<F: FnMut(u64) -> u64> GhcbMsr for Fake<F> {
    fn exchange(&mut self, request: u64) -> u64 {
        (self.0)(request)
    }
}
struct Page<F>(F);
impl<F: FnMut(&mut GhcbFrame)> Vmgexit for Page<F> {
    fn vmgexit(&mut self, frame: &mut GhcbFrame) {
        (self.0)(frame)
    }
    fn halt(&mut self) {}
}

#[test]
fn negotiation_checks_version_and_c_bit() {
    let offer = |max: u64, min: u64, c: u64| max << 48 | min << 32 | c << 24 | SEV_INFO_RESPONSE;
    let run = |reply: u64| ghcb_msr::negotiate(&mut Fake(|_| reply), 51);
    assert_eq!(run(offer(2, 1, 51)), Ok(()));
    assert_eq!(
        run(offer(1, 1, 51)),
        Err(Error::Host(HostFault::Version { min: 1, max: 1 }))
    );
    assert_eq!(
        run(offer(4, 3, 51)),
        Err(Error::Host(HostFault::Version { min: 3, max: 4 }))
    );
    assert_eq!(run(offer(2, 1, 47)), Err(Error::Host(HostFault::CBit(47))));
    assert!(matches!(
        run(CPUID_RESPONSE),
        Err(Error::Host(HostFault::MsrResponse(_)))
    ));
}

#[test]
fn registration_must_echo_the_frame() {
    let good = ghcb_msr::register_ghcb(
        &mut Fake(|r| r & !INFO_MASK | REGISTER_GHCB_RESPONSE),
        0x18_A000,
    );
    assert_eq!(good, Ok(()));
    let lie = ghcb_msr::register_ghcb(&mut Fake(|_| 0x5000 | REGISTER_GHCB_RESPONSE), 0x18_A000);
    assert_eq!(lie, Err(Error::Host(HostFault::Registration(0x5000))));
    assert_eq!(
        ghcb_msr::register_ghcb(&mut Fake(|_| 0), 1)
            .unwrap_err()
            .guilty(),
        "guest"
    );
}

#[test]
fn page_state_by_msr_reports_refusals_and_reserved_bits() {
    let run = |reply: u64| ghcb_msr::page_state(&mut Fake(|_| reply), 0x1000, PageState::Shared);
    assert_eq!(run(PSC_RESPONSE), Ok(()));
    let refused = HostFault::Refused {
        request: PSC_REQUEST,
        code: 3,
    };
    assert_eq!(run(3 << 32 | PSC_RESPONSE), Err(Error::Host(refused)));
    assert!(run(1 << 12 | PSC_RESPONSE).is_err());
}

#[test]
fn msr_cpuid_checks_the_register_selector() {
    let good = ghcb_msr::cpuid(&mut Fake(|r| 7 << 32 | r & 3 << 30 | CPUID_RESPONSE), 1);
    assert_eq!(good, Ok([7; 4]));
    assert!(ghcb_msr::cpuid(&mut Fake(|_| 7 << 32 | CPUID_RESPONSE), 1).is_err());
}

#[test]
fn wide_or_missing_registers_are_refused() {
    let wide = request::io_in(
        &mut Page(|f: &mut GhcbFrame| (f.info1, f.rax) = (0, Some(0x100))),
        0x3F8,
        1,
    );
    assert!(matches!(
        wide,
        Err(Error::Host(HostFault::OutOfRange { value: 0x100, .. }))
    ));
    let missing = request::rdmsr(&mut Page(|f: &mut GhcbFrame| f.info1 = 0), 0x10);
    assert!(matches!(
        missing,
        Err(Error::Host(HostFault::MissingRegister(_)))
    ));
}

#[test]
fn only_gp_and_ud_may_be_injected() {
    let run = |event: u64| {
        request::rdmsr(
            &mut Page(|f: &mut GhcbFrame| (f.info1, f.info2) = (1, event)),
            0,
        )
    };
    assert_eq!(
        run(1 << 31 | 3 << 8 | 13),
        Err(Error::Host(HostFault::Inject(13)))
    );
    assert!(matches!(
        run(1 << 31 | 3 << 8 | 14),
        Err(Error::Host(HostFault::Refused { .. }))
    ));
    assert!(matches!(
        run(13),
        Err(Error::Host(HostFault::Refused { .. }))
    ));
}

fn pages(count: usize) -> Vec<Change> {
    (0..count as u64)
        .map(|i| Change {
            gpa: i * 4096,
            large: false,
            state: PageState::Private,
        })
        .collect()
}

#[test]
fn partial_page_state_changes_are_continued() {
    let mut calls = 0;
    let mut host = Page(|f: &mut GhcbFrame| {
        calls += 1;
        let current = u16::from_le_bytes([f.buffer[0], f.buffer[1]]) + 1;
        f.buffer[..2].copy_from_slice(&current.to_le_bytes());
        (f.info1, f.info2) = (0, 0);
    });
    assert_eq!(change(&mut host, pages(5)), Ok(()));
    assert_eq!(calls, 5);
}

#[test]
fn lying_page_state_changes_are_refused() {
    let mut calls = 0;
    let mut idle = Page(|f: &mut GhcbFrame| {
        calls += 1;
        (f.info1, f.info2) = (0, 0)
    });
    assert!(matches!(
        change(&mut idle, pages(5)),
        Err(Error::Host(HostFault::NoProgress { .. }))
    ));
    assert_eq!(calls, 1);
    let beyond = change(&mut Page(|f: &mut GhcbFrame| f.buffer[0] = 6), pages(5));
    assert!(matches!(
        beyond,
        Err(Error::Host(HostFault::OutOfRange { .. }))
    ));
    let end = change(&mut Page(|f: &mut GhcbFrame| f.buffer[2] = 9), pages(5));
    assert!(matches!(
        end,
        Err(Error::Host(HostFault::OutOfRange { .. }))
    ));
    let other = change(&mut Page(|f: &mut GhcbFrame| f.buffer[9] ^= 0x10), pages(5));
    assert!(matches!(
        other,
        Err(Error::Host(HostFault::OutOfRange { .. }))
    ));
    assert_eq!(
        change(
            &mut Page(|_: &mut GhcbFrame| ()),
            pages(psc::MAX_ENTRIES + 1)
        )
        .unwrap_err()
        .guilty(),
        "guest"
    );
}

proptest! {
    #[test]
    fn psc_entries_round_trip(frame in 0u64..1 << 40, large: bool, shared: bool) {
        let gpa = if large { frame << 12 & !0x1F_FFFF } else { frame << 12 };
        let state = if shared { PageState::Shared } else { PageState::Private };
        let change = Change { gpa, large, state };
        prop_assert_eq!(Change::decode(change.encode().unwrap()), Some(change));
    }

    #[test]
    fn no_host_makes_a_batch_panic(junk in proptest::collection::vec(any::<u8>(), SHARED_BUFFER),
        info1: u64, info2: u64) {
        let mut calls = 0;
        let mut host = Page(|f: &mut GhcbFrame| {
            calls += 1;
            f.buffer.copy_from_slice(&junk);
            (f.info1, f.info2) = (info1, info2);
        });
        let _ = change(&mut host, pages(9));
        prop_assert!(calls <= psc::MAX_ENTRIES + 1);
    }
}
