//! What a started processor does: one order after another, interrupts on.
#![allow(unsafe_code)] // reason: STI

use super::machine::{self, MOST, SIGNAL, TIMER};
use super::{below, calls, synthetic};
use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering};
use tessera_defs::hyperv as hv;
use tessera_defs::x86::x2apic;
use tessera_hw::instr;

/// Orders; 0 is none.
pub mod order {
    /// APIC id of the APIC in 31:0, of CPUID in 63:32.
    pub const IDENTITY: u64 = 1;
    /// Sends a signal to processor 0.
    pub const SIGNAL: u64 = 2;
    /// Halts until an interrupt.
    pub const HALT: u64 = 3;
    /// Its own timer, three times.
    pub const TIMER: u64 = 4;
    /// VP_INDEX.
    pub const INDEX: u64 = 5;
    /// Counts under a lock.
    pub const COUNT: u64 = 6;
    /// Keeps values in XMM0 and TSC_AUX for a while; 1 where they stayed.
    pub const REGISTERS: u64 = 7;
    /// `below::share`, and without end.
    pub const SHARE: u64 = 8;
    pub const SHARE_ON: u64 = 9;
    /// `below::touch`.
    pub const TOUCH: u64 = 10;
    /// `below::evidence`.
    pub const EVIDENCE: u64 = 11;
    /// `synthetic::own`.
    pub const SYNTHETIC: u64 = 12;
}

/// How often each processor counts.
pub const ROUNDS: u64 = 200;

/// A processor's orders.
pub struct Post {
    /// How often it started.
    pub starts: AtomicU64,
    /// Turns of its loop.
    pub turns: AtomicU64,
    /// What it is to do; it writes 0 when it is done.
    pub order: AtomicU64,
    /// What came of it.
    pub answer: AtomicU64,
}

/// All of them.
pub static POSTS: [Post; MOST] = [const {
    Post {
        starts: AtomicU64::new(0),
        turns: AtomicU64::new(0),
        order: AtomicU64::new(0),
        answer: AtomicU64::new(0),
    }
}; MOST];

static LOCK: AtomicU64 = AtomicU64::new(0);
/// What is counted under the lock; two halves that differ only while somebody counts.
pub static SUM: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// The first Rust of processor `index`, on its own stack.
pub extern "sysv64" fn begin(index: usize) -> ! {
    machine::prepare(index);
    calls::join(index);
    calls::apic_write(x2apic::SIVR, 0x1FF);
    let post = &POSTS[index];
    post.starts.fetch_add(1, Ordering::SeqCst);
    // SAFETY: the handlers are installed.
    unsafe { core::arch::asm!("sti", options(nomem, nostack)) }
    let mut nmis = 0;
    loop {
        post.turns.fetch_add(1, Ordering::Relaxed);
        let came = machine::COUNTS[index].nmis.load(Ordering::Relaxed);
        if came != nmis {
            nmis = came;
            calls::end_of_nmi();
        }
        match post.order.load(Ordering::Acquire) {
            0 => spin_loop(),
            order => {
                let answer = obey(order);
                post.answer.store(answer, Ordering::Relaxed);
                post.order.store(0, Ordering::Release);
            }
        }
    }
}

fn obey(order: u64) -> u64 {
    match order {
        order::IDENTITY => calls::apic_id() | u64::from(calls::cpuid_id()) << 32,
        order::SIGNAL => {
            calls::send(u64::from(SIGNAL));
            0
        }
        order::HALT => {
            calls::halt();
            1
        }
        order::TIMER => timer(),
        order::INDEX => calls::msr_read(hv::MSR_VP_INDEX),
        order::COUNT => {
            (0..ROUNDS).for_each(|_| count());
            0
        }
        order::REGISTERS => registers(machine::me() as u64),
        order::SHARE => below::share(machine::me()),
        order::SHARE_ON => below::share_on(machine::me()),
        order::TOUCH => below::touch(machine::me()),
        order::EVIDENCE => below::evidence(machine::me()),
        order::SYNTHETIC => synthetic::own(),
        _ => u64::MAX,
    }
}

/// Three ticks, with a halt for each; how many came.
pub fn timer() -> u64 {
    let ticks = &machine::COUNTS[machine::me()].ticks;
    let before = ticks.load(Ordering::Relaxed);
    calls::apic_write(x2apic::DIVIDE, 0b1011);
    for n in 1..=3 {
        calls::apic_write(x2apic::LVT_TIMER, TIMER.into());
        calls::apic_write(x2apic::INITIAL_COUNT, 50_000);
        while ticks.load(Ordering::Relaxed) < before + n {
            calls::halt();
        }
    }
    ticks.load(Ordering::Relaxed) - before
}

/// 1 where XMM0 and TSC_AUX keep values of this processor's own.
pub fn registers(index: u64) -> u64 {
    const MSR_TSC_AUX: u32 = 0xC000_0103;
    let (mine, mut good) = (0x1234_5678_0000 + index, true);
    // SAFETY: this program is built without SSE, so that nothing of Rust's stands in XMM0.
    unsafe {
        instr::set_cr4(instr::cr4() | 1 << 9);
        instr::wrmsr(MSR_TSC_AUX, index);
        core::arch::asm!("movq xmm0, {}", in(reg) mine, options(nomem, nostack));
    }
    for _ in 0..200 {
        spin_loop();
        let found: u64;
        // SAFETY: reads what was written above.
        let aux = unsafe {
            core::arch::asm!("movq {}, xmm0", out(reg) found, options(nomem, nostack));
            instr::rdmsr(MSR_TSC_AUX)
        };
        good &= found == mine && aux == index;
    }
    good.into()
}

/// One more, in two steps that another processor may not see between.
pub fn count() {
    while LOCK
        .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
        .is_err()
    {
        spin_loop();
    }
    let [one, other] = SUM.each_ref().map(|half| half.load(Ordering::Relaxed));
    SUM[0].store(one + 1, Ordering::Relaxed);
    (0..20).for_each(|_| core::hint::black_box(()));
    SUM[1].store(other + 1, Ordering::Relaxed);
    LOCK.store(0, Ordering::Release);
}
