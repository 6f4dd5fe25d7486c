//! TDX calls against honest and lying hosts and modules.
use tessera_defs::tdx::status::{PAGE_ALREADY_ACCEPTED, PAGE_SIZE_MISMATCH};
use tessera_defs::tdx::tdcall::TdcallRegs;
use tessera_defs::tdx::vmcall::{INVALID_OPERAND, RETRY, STANDARD_MASK};
use tessera_protocol::error::{Error, HostFault};
use tessera_protocol::tdx::{lower, memory, vmcall};
use tessera_protocol::traits::Tdcall;

struct Fake<F>(F);
impl<F: FnMut(&mut TdcallRegs)> Tdcall for Fake<F> {
    fn tdcall(&mut self, regs: &mut TdcallRegs) {
        (self.0)(regs)
    }
}
const SHARED: u64 = 1 << 47;

#[test]
fn map_gpa_goes_on_after_retry() {
    let mut calls = Vec::new();
    let mut host = Fake(|r: &mut TdcallRegs| {
        calls.push((r.r12, r.r13));
        let retry = r.r13 > 0x1000;
        (r.rax, r.r10, r.r11) = (0, if retry { RETRY } else { 0 }, r.r12 + 0x1000);
    });
    assert_eq!(
        vmcall::map_gpa(&mut host, 0x10_0000, 0x3000, SHARED, true),
        Ok(())
    );
    assert_eq!(calls[2], (0x10_2000 | SHARED, 0x1000));
}

#[test]
fn map_gpa_is_bounded_and_checked() {
    let mut calls = 0;
    let mut stuck = Fake(|r: &mut TdcallRegs| {
        calls += 1;
        (r.rax, r.r10, r.r11) = (0, RETRY, r.r12)
    });
    let end = vmcall::map_gpa(&mut stuck, 0x1000, 0x1000, SHARED, false);
    assert!(matches!(
        end,
        Err(Error::Host(HostFault::NoProgress { .. }))
    ));
    assert!(calls <= 16);
    for next in [0, 0x2000, 0x1001, u64::MAX] {
        let mut liar = Fake(|r: &mut TdcallRegs| (r.rax, r.r10, r.r11) = (0, RETRY, next));
        let end = vmcall::map_gpa(&mut liar, 0x1000, 0x1000, SHARED, false);
        assert!(
            matches!(end, Err(Error::Host(HostFault::OutOfRange { .. }))),
            "{next:#x}"
        );
    }
}

#[test]
fn wide_values_are_refused_and_gp_is_named() {
    let mut wide = Fake(|r: &mut TdcallRegs| {
        assert_eq!(r.rcx, STANDARD_MASK);
        (r.rax, r.r10, r.r11, r.r12) = (0, 0, 0x1_00, 1 << 32)
    });
    assert!(vmcall::io_in(&mut wide, 0x3F8, 1).is_err());
    assert!(vmcall::cpuid(&mut wide, 0, 0).is_err());
    let mut gp = Fake(|r: &mut TdcallRegs| (r.rax, r.r10) = (0, INVALID_OPERAND));
    assert_eq!(
        vmcall::rdmsr(&mut gp, 1),
        Err(Error::Host(HostFault::Inject(13)))
    );
}

#[test]
fn acceptance_falls_back_to_small_pages_and_catches_swaps() {
    let mut calls = 0;
    let mut module = Fake(|r: &mut TdcallRegs| {
        calls += 1;
        r.rax = if r.rcx & 7 == 1 {
            PAGE_SIZE_MISMATCH
        } else {
            0
        };
    });
    assert_eq!(memory::accept(&mut module, 0x20_0000, true), Ok(()));
    assert_eq!(calls, 513);
    let mut swapped = Fake(|r: &mut TdcallRegs| r.rax = PAGE_ALREADY_ACCEPTED);
    let end = memory::accept(&mut swapped, 0x1000, false);
    assert_eq!(end, Err(Error::Host(HostFault::DoubleValidation(0x1000))));
}

#[test]
fn enter_tells_exits_apart() {
    let run = |rax: u64| {
        lower::enter(
            &mut Fake(|r: &mut TdcallRegs| {
                assert_eq!((r.rcx, r.rdx), (1 << 52, 0x1000));
                (r.rax, r.rcx, r.r8) = (rax, 0x11, 0x22);
                (r.rsi, r.rdi) = (0xFFFF_FFFF_A09B_0010, 0x33);
                (r.r10, r.r11) = (0x8000_0020, 2 << 32 | 0x77);
                (r.r12, r.r13) = (3, 6);
            }),
            1,
            0x1000,
        )
    };
    let Ok(lower::Exit::L2(exit)) = run(10) else {
        panic!("an L2 exit")
    };
    assert_eq!((exit.reason, exit.length, exit.information), (10, 2, 0x77));
    assert_eq!((exit.qualification, exit.gpa, exit.cpl), (0x11, 0x22, 3));
    assert_eq!(
        (exit.cs as u16, exit.cs_base, exit.extended),
        (0x10, 0x33, 6)
    );
    let lower::Exit::HostRouted(routed) = run(0x1100 << 32).unwrap() else {
        panic!("host-routed")
    };
    assert_eq!(
        routed.vectoring, 0x8000_0020,
        "an event that must go in again"
    );
    assert!(matches!(run(0x1101 << 32), Ok(lower::Exit::HostRouted(_))));
    let lower::Exit::PendingInterrupt(left) = run(0x1102 << 32 | 1).unwrap() else {
        panic!("left for an interrupt")
    };
    assert_eq!((left.reason, left.vectoring), (1, 0x8000_0020));
    let not_entered = Ok(lower::Exit::NotEntered);
    assert_eq!(
        run(0x1120 << 32),
        not_entered,
        "registers still hold the input"
    );
    assert_eq!(run(0xC000_0100 << 32).unwrap_err().guilty(), "platform");
}
