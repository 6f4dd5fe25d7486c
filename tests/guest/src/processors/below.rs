//! Several processors and one paravisor: what they ask of it at the same time, and one that is stopped
//! while it is served.
#![allow(unsafe_code)] // reason: hypercalls; pages that the paravisor reads and writes

use super::machine::MOST;
use super::work::{POSTS, order};
use super::{Machine, calls, probes};
use crate::window::{self, RAM};
use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering};
use tessera_defs::hyperv as hv;
use tessera_defs::mode::Mode;
use tessera_handoff::layout::{KERNEL_BASE, KERNEL_VIRT};
use tessera_hw::{instr, isolation};

/// Changes of one page by each processor.
const CHANGES: u64 = 10;
/// 2 MiB, what the paravisor accepts at once.
const CHUNK: u64 = 2 << 20;
/// Chunks that nobody touched yet.
const FRESH: u64 = RAM + 4 * CHUNK;
const CHUNKS: u64 = 4;

/// A page of a processor's own for input and output.
#[repr(C, align(4096))]
struct Page([AtomicU64; 512]);
static PAGES: [Page; MOST] = [const { Page([const { AtomicU64::new(0) }; 512]) }; MOST];

/// Where the window shows what all touch.
static WINDOW: AtomicU64 = AtomicU64::new(0);

/// Whether a paravisor is below.
pub fn is(machine: &Machine) -> bool {
    matches!(machine.mode, Mode::SnpParavisor | Mode::TdxParavisor)
}

fn hypercall(control: u64, input: u64, output: u64) -> u64 {
    // SAFETY: input and output are pages of this processor's own, or memory that Rust does not own.
    unsafe {
        match calls::is_l2() {
            true => isolation::vmcall(control, input, output),
            false => isolation::vmmcall(control, input, output),
        }
    }
}

fn own_page(me: usize) -> (&'static [AtomicU64; 512], u64) {
    let words = &PAGES[me].0;
    let physical = &raw const *words as u64 - KERNEL_VIRT + KERNEL_BASE;
    (words, physical)
}

/// Asks for one page: whether it was done.
fn change(me: usize, gpa: u64, kind: u32) -> bool {
    let (words, physical) = own_page(me);
    for (word, value) in words
        .iter()
        .zip([hv::PARTITION_SELF, kind.into(), gpa >> 12])
    {
        word.store(value, Ordering::Relaxed);
    }
    let done = 1 << hv::HYPERCALL_REP_COUNT_SHIFT;
    let code = u64::from(hv::HVCALL_MODIFY_SPARSE_GPA_PAGE_HOST_VISIBILITY);
    hypercall(code | done, physical, 0) == done
}

/// Shares a page, for good.
pub fn share_page(gpa: u64) {
    change(0, gpa, hv::VISIBILITY_SHARED);
}

/// A call without input that matters: its result value.
pub fn ask(control: u64) -> u64 {
    let (_, physical) = own_page(0);
    hypercall(control, physical, 0)
}

/// Shares one page and takes it back, again and again; how often that was not done.
pub fn share(me: usize) -> u64 {
    let pair = || change(me, RAM, hv::VISIBILITY_SHARED) && change(me, RAM, hv::VISIBILITY_PRIVATE);
    (0..CHANGES).filter(|_| !pair()).count() as u64
}

/// The same until it is stopped.
pub fn share_on(me: usize) -> ! {
    loop {
        share(me);
    }
}

/// Touches the window, in which a page stands that nobody has accepted: what stands there.
pub fn touch(me: usize) -> u64 {
    let at = WINDOW.load(Ordering::Relaxed);
    instr::invlpg(at);
    window::touch(at + me as u64 * 8)
}

/// Asks for evidence: the status.
pub fn evidence(me: usize) -> u64 {
    let (_, physical) = own_page(me);
    hypercall(hv::HVCALL_EVIDENCE.into(), physical, physical)
}

/// All do the same; whether each had `answer`.
fn all(machine: &Machine, what: u64, own: fn(usize) -> u64, answer: u64) -> bool {
    (1..machine.count).for_each(|n| POSTS[n].order.store(what, Ordering::Release));
    let mine = own(0) == answer;
    let done = |n: usize| {
        let post = &POSTS[n];
        probes::in_time(|| post.order.load(Ordering::Acquire) == 0)
            && post.answer.load(Ordering::SeqCst) == answer
    };
    mine && (1..machine.count).all(done)
}

/// Private memory after all of it.
fn is_private(machine: &mut Machine) -> bool {
    if !change(0, RAM, hv::VISIBILITY_PRIVATE) {
        return false;
    }
    let at = machine.guest.private(RAM);
    window::put(at, 0x7E55_E4A0);
    let held = window::touch(at) == 0x7E55_E4A0;
    // It may be shared again.
    window::put(at, 0);
    held
}

/// Several processors change one page.
pub fn visibility_at_once(machine: &mut Machine) -> bool {
    !is(machine) || all(machine, order::SHARE, share, 0) && is_private(machine)
}

/// Several processors meet the same memory that is not accepted.
pub fn acceptance_at_once(machine: &mut Machine) -> bool {
    !is(machine)
        || (0..CHUNKS).all(|n| {
            let at = machine.guest.private(FRESH + n * CHUNK);
            WINDOW.store(at, Ordering::SeqCst);
            all(machine, order::TOUCH, touch, 0)
        })
}

/// Each processor reaches who signs, over its own way to the host.
pub fn evidence_of_each(machine: &mut Machine) -> bool {
    !is(machine) || all(machine, order::EVIDENCE, evidence, 0)
}

/// INIT to a processor that the paravisor may be serving: the page is as one of the two left it.
pub fn stopped_while_served(machine: &mut Machine) -> bool {
    !is(machine)
        || (0..2).all(|n| {
            let post = &POSTS[1];
            let starts = post.starts.load(Ordering::SeqCst);
            post.order.store(order::SHARE_ON, Ordering::Release);
            (0..300 * (n + 1)).for_each(|_| spin_loop());
            // What it asked for last may be served after INIT was sent, not after it was taken.
            let stopped = machine.stop(1);
            (0..1_000).for_each(|_| spin_loop());
            stopped && is_private(machine) && {
                post.order.store(0, Ordering::Release);
                let ran = || post.starts.load(Ordering::SeqCst) == starts + 1;
                machine.start(1) && probes::in_time(ran)
            }
        })
}
