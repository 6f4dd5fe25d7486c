//! A processor: whose registers, page tables and vector state it has, how it goes from one thread to
//! another, and what it does when there is none. Above all: the kernel's one lock.
#![allow(unsafe_code)] // the kernel's state behind its lock; switches page tables, vector state, stacks

use crate::context::Registers;
use crate::spaces::{self, Regions};
use crate::{ahead, host, processors, windows};
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::AtomicU32;
use tessera_defs::refusal::Refusal;
use tessera_hw::fpu::{self, Area};
use tessera_hw::trap::TrapFrame;
use tessera_hw::{instr, user};
use tessera_objects::system::System;
use tessera_objects::system::space::Space;
use tessera_objects::system::thread::{State, THREADS, Thread};
use tessera_objects::turn::{FREE, Lock};

const CPUID_XSAVE: u32 = 1 << 26;
const CPUID_AVX: u32 = 1 << 28;

/// What a process with one thread costs the kernel beside pages: less than one.
const SLOTS: usize = size_of::<Space>() + size_of::<Thread<Registers>>() + size_of::<Area>();
const _: () = assert!(SLOTS <= 4096 && THREADS <= fpu::THREADS);

/// Everything behind the kernel's one lock. Interrupts are off whenever it is held.
pub struct Kernel {
    /// Processes, threads, IPC; and what each processor has.
    pub system: System<Registers>,
    /// Frames of regions.
    pub regions: Regions,
}

struct Shared(UnsafeCell<Kernel>);
// SAFETY: only `Held` looks inside, and there is one at a time.
unsafe impl Sync for Shared {}

static KERNEL: Shared = Shared(UnsafeCell::new(Kernel {
    system: System::EMPTY,
    regions: Regions::EMPTY,
}));
static LOCK: Lock<AtomicU32> = Lock(AtomicU32::new(FREE));

/// The lock, held; its end gives it back.
pub struct Held(());

impl Deref for Held {
    type Target = Kernel;
    #[inline(always)]
    fn deref(&self) -> &Kernel {
        // SAFETY: the lock is held as long as this value lives, and there is one such value.
        unsafe { &*KERNEL.0.get() }
    }
}

impl DerefMut for Held {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Kernel {
        // SAFETY: as above, and this value is borrowed exclusively.
        unsafe { &mut *KERNEL.0.get() }
    }
}

impl Drop for Held {
    #[inline(always)]
    fn drop(&mut self) {
        LOCK.give();
    }
}

/// The kernel's state, when it is this processor's turn. Interrupts are off.
#[inline(always)]
pub fn kernel() -> Held {
    let number = user::number();
    if !LOCK.try_take(number.into()) {
        wait(number.into());
    }
    let mut kernel = Held(());
    kernel.system.enter(number);
    kernel
}

/// Waits, and does meanwhile what others ask for.
#[cold]
#[inline(never)]
fn wait(who: u32) {
    LOCK.take(who, |holder| {
        if holder == who {
            // It has it: a trap inside of the kernel that none of its own code raises.
            host::refuse(Refusal::UnexpectedException);
        }
        processors::answer();
        core::hint::spin_loop();
    });
}

/// Prepares this processor for user threads.
pub fn install() {
    let [_, _, ecx, _] = host::with(|host| host.cpuid(1, 0))
        .and_then(Result::ok)
        .unwrap_or_default();
    let xsave = ecx & CPUID_XSAVE != 0;
    // SAFETY: ring 0; no thread ran here yet. A host that lies about CPUID meets an exception.
    unsafe { fpu::enable(xsave, xsave && ecx & CPUID_AVX != 0) }
    kernel().reset_vectors(0);
}

/// A further processor takes part from now on.
pub fn join() -> ! {
    let mut kernel = kernel();
    kernel.system.join(user::number());
    enter(kernel)
}

impl Kernel {
    /// Vector state of a new thread.
    pub fn reset_vectors(&mut self, thread: u8) {
        // SAFETY: the lock is held; the thread is new.
        unsafe { fpu::reset(thread) }
    }

    /// FS base of the running thread, an address of the user's half.
    pub fn set_tls(&mut self, base: u64) {
        let me = self.system.current();
        self.system.thread(me).tls = base;
        self.system.cpu().tls = base;
        // SAFETY: the caller checked it.
        unsafe { user::set_tls(base) }
    }

    /// If the thread that the processor has ended, its registers are nobody's.
    pub fn forget_dead(&mut self) {
        let loaded = self.system.cpu().loaded;
        if self.system.thread(loaded).state == State::Free {
            self.system.cpu().loaded = 0;
        }
    }

    /// Goes from the running thread `before`, which the processor has, to another one, which is there.
    #[inline(always)]
    pub fn switch(&mut self, before: u8) -> *mut TrapFrame {
        let next = self.system.current();
        self.load(before, next);
        &raw mut self.system.thread(next).context.0
    }

    /// Makes the processor the next thread's, and returns its registers.
    #[inline(always)]
    pub fn next(&mut self) -> Option<*mut TrapFrame> {
        let next = self.system.current();
        let before = self.system.cpu().loaded;
        if next == 0 {
            return None;
        }
        if next != before {
            self.load(before, next);
        }
        Some(&raw mut self.system.thread(next).context.0)
    }

    #[inline(always)]
    fn load(&mut self, before: u8, next: u8) {
        let thread = &self.system.threads[usize::from(next)];
        let (tables, tls) = (thread.tables, thread.tls);
        let cpu = self.system.cpu();
        cpu.loaded = next;
        if cpu.tables != tables {
            cpu.tables = tables;
            // SAFETY: the process' tables have the kernel's half.
            unsafe { instr::set_cr3(tables) }
            user::leave_no_selectors(tls);
        }
        if cpu.tls != tls {
            cpu.tls = tls;
            // SAFETY: `set_tls` took only addresses of the user's half.
            unsafe { user::set_tls(tls) }
        }
        if before != next {
            // SAFETY: `install` ran, the lock is held; every thread's state was reset when it was made.
            unsafe { fpu::switch(before, next) }
        }
    }

    /// Nobody runs here: the last thread's vector state is saved, since it may go on elsewhere, and
    /// the processor is on the kernel's own tables, since that process may end elsewhere.
    fn unload(&mut self) {
        let cpu = self.system.cpu();
        cpu.tables = 0;
        let before = core::mem::take(&mut cpu.loaded);
        processors::own_tables();
        if before != 0 {
            // SAFETY: as in `load`.
            unsafe { fpu::switch(before, 0) }
        }
    }
}

/// The registers to go on with; waits while nobody can run. Takes the lock back.
#[inline(always)]
fn resume(mut kernel: Held) -> *mut TrapFrame {
    processors::kick(kernel.system.kicks());
    match kernel.next() {
        Some(frame) => frame,
        None => idle(kernel),
    }
}

#[cold]
#[inline(never)]
fn idle(mut kernel: Held) -> *mut TrapFrame {
    kernel.unload();
    loop {
        drop(kernel);
        match ahead::accept() {
            true => instr::take_interrupts(),
            false => instr::wait_for_interrupt(),
        }
        kernel = self::kernel();
        kernel.system.preempt();
        processors::kick(kernel.system.kicks());
        if let Some(frame) = kernel.next() {
            return frame;
        }
    }
}

/// A trap of ring 3: its registers, which stand on the kernel's stack, go to its thread, `act`
/// decides, and the processor goes on with whoever runs next. The stack is given up. Where the
/// thread was ended by another processor meanwhile, nothing is left to decide.
pub fn from_user(frame: &TrapFrame, act: impl FnOnce(&mut Kernel)) -> ! {
    let mut kernel = kernel();
    let me = kernel.system.current();
    if me != 0 {
        kernel.system.thread(me).context = Registers(*frame);
        act(&mut kernel);
    } else {
        kernel.system.preempt();
    }
    enter(kernel)
}

/// The same for an interrupt, which has something to decide whether its thread is still there or not.
pub fn interrupted(frame: &TrapFrame, act: impl FnOnce(&mut Kernel)) -> ! {
    let mut kernel = kernel();
    let me = kernel.system.current();
    if me != 0 {
        kernel.system.thread(me).context = Registers(*frame);
    }
    act(&mut kernel);
    kernel.system.preempt();
    enter(kernel)
}

/// The instruction bytes at `rip` of the process that this processor runs, as `windows::code`; none
/// where the page is gone, or the process.
pub fn user_code(rip: u64) -> Option<([u8; 15], usize)> {
    let mut kernel = kernel();
    let me = kernel.system.current();
    let tables = kernel.system.thread(me).tables;
    (me != 0 && spaces::user_page(kernel.regions.bits, tables, rip, false))
        .then(|| windows::code(rip))
}

/// Goes to ring 3. The stack is given up.
#[inline(always)]
pub fn enter(kernel: Held) -> ! {
    go_on(resume(kernel))
}

/// Goes to ring 3 with these registers, of the thread that this processor runs. The stack is given up.
#[inline(always)]
pub fn go_on(next: *mut TrapFrame) -> ! {
    // SAFETY: GS has the kernel's base; the frame is a thread's, made by `new_frame` or saved
    // from ring 3, in static memory; its tables are loaded.
    unsafe { user::enter(next) }
}
