//! What acceptance and sharing cost, against hosts that back memory as they like: exits and
//! instructions are counted.
use std::cell::Cell;
use tessera_defs::snp::ghcb::psc::MAX_ENTRIES;
use tessera_defs::snp::rmp::FAIL_SIZEMISMATCH;
use tessera_defs::tdx::status::PAGE_SIZE_MISMATCH;
use tessera_defs::tdx::tdcall::TdcallRegs;
use tessera_isolation::refusal::Refusal;
use tessera_isolation::strategy::ghcb::PscVisibility;
use tessera_isolation::strategy::tdvmcall::AcceptVisibility;
use tessera_isolation::strategy::traits::{PageVisibility, Pages};
use tessera_protocol::ghcb::frame::GhcbFrame;
use tessera_protocol::traits::{Rmp, RmpOperation, Tdcall, Vmgexit};

const LARGE: u64 = 2 << 20;

/// Does `step` entries of a batch a call.
struct Host {
    step: u16,
    exits: Cell<usize>,
}
impl Vmgexit for &mut Host {
    fn vmgexit(&mut self, frame: &mut GhcbFrame) {
        self.exits.set(self.exits.get() + 1);
        let half = |at: usize| u16::from_le_bytes([frame.buffer[at], frame.buffer[at + 1]]);
        let next = (half(0) + self.step).min(half(2) + 1);
        frame.buffer[..2].copy_from_slice(&next.to_le_bytes());
    }
    fn halt(&mut self) {}
}

/// Backs 2 MiB pages as such, or not.
struct Backing {
    large: bool,
    count: usize,
}
impl Rmp for &mut Backing {
    fn execute(&mut self, _: RmpOperation, _: u64, large: bool) -> (u32, bool) {
        self.count += 1;
        let mismatch = large && !self.large;
        (if mismatch { FAIL_SIZEMISMATCH } else { 0 }, false)
    }
}
impl Tdcall for &mut Backing {
    fn tdcall(&mut self, regs: &mut TdcallRegs) {
        self.count += 1;
        let mismatch = regs.rcx & 7 == 1 && !self.large;
        regs.rax = if mismatch { PAGE_SIZE_MISMATCH } else { 0 };
    }
}

fn run(gpa: u64, count: u64) -> Pages {
    Pages {
        gpa,
        virt: gpa + (1 << 40),
        count,
    }
}

/// Exits and PVALIDATEs of an acceptance.
fn accept(pages: Pages, private: bool, large: bool) -> (usize, usize) {
    let mut host = Host {
        step: u16::MAX / 2,
        exits: Cell::new(0),
    };
    let mut rmp = Backing { large, count: 0 };
    let mut visibility = PscVisibility {
        ghcb: &mut host,
        rmp: &mut rmp,
        comes_private: private,
    };
    visibility.accept(pages).unwrap();
    (host.exits.get(), rmp.count)
}

#[test]
fn a_chunk_is_one_exit_and_one_instruction() {
    assert_eq!(accept(run(LARGE, 512), false, true), (1, 1));
    assert_eq!(accept(run(LARGE, 512), true, true), (0, 1));
    assert_eq!(accept(run(LARGE, 512), false, false), (1, 513));
    // 1 GiB: ceil(512 / 253) exits.
    assert_eq!(accept(run(1 << 30, 512 * 512), false, true), (3, 512));
}

#[test]
fn what_is_not_aligned_goes_by_small_pages_around_the_large_ones() {
    // 100 small, one large, 12 small.
    assert_eq!(
        accept(run(LARGE - 100 * 4096, 624), false, true),
        (1, 100 + 1 + 12)
    );
    let small = 2 * MAX_ENTRIES + 1;
    assert_eq!(
        accept(run(LARGE + 4096, small as u64), false, true).0,
        3,
        "{small} pages below one large page"
    );
    let crooked = Pages {
        virt: 4096,
        ..run(LARGE, 512)
    };
    assert_eq!(accept(crooked, true, true), (0, 512));
}

#[test]
fn a_td_accepts_by_2_mib_and_falls_back() {
    for (large, calls) in [(true, 1), (false, 513)] {
        let mut backing = Backing { large, count: 0 };
        AcceptVisibility(&mut backing)
            .accept(run(LARGE, 512))
            .unwrap();
        assert_eq!(backing.count, calls);
    }
}

#[test]
fn a_host_without_progress_is_named() {
    let ends = |step, code| {
        let mut host = Host {
            step,
            exits: Cell::new(0),
        };
        let mut rmp = Backing {
            large: true,
            count: 0,
        };
        let mut visibility = PscVisibility {
            ghcb: &mut host,
            rmp: &mut rmp,
            comes_private: false,
        };
        assert_eq!(visibility.accept(run(LARGE + 4096, 300)), code);
        host.exits.get()
    };
    assert_eq!(ends(0, Err(Refusal::PscIncomplete)), 1);
    assert_eq!(ends(100, Ok(())), 3 + 1, "253 in steps of 100, then 47");
    // One entry at a time is slow, and still progress.
    assert_eq!(ends(1, Ok(())), 300);
}
