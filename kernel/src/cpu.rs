//! The processor: whose registers, page tables and vector state it has, how it goes from one
//! thread to another, and what it does when there is none.
#![allow(unsafe_code)] // switches page tables, vector state and stacks

use crate::context::Registers;
use crate::host;
use crate::spaces::Regions;
use spin::{Mutex, MutexGuard};
use tessera_defs::refusal::Refusal;
use tessera_hw::fpu::{self, Area};
use tessera_hw::trap::TrapFrame;
use tessera_hw::{instr, user};
use tessera_objects::pair::pair;
use tessera_objects::system::System;
use tessera_objects::system::thread::{State, THREADS};

const CPUID_XSAVE: u32 = 1 << 26;
const CPUID_AVX: u32 = 1 << 28;

/// Everything behind the kernel's one lock. Interrupts are off whenever it is held.
pub struct Kernel {
    /// Processes, threads, IPC.
    pub system: System<Registers>,
    /// What the processor has.
    pub loaded: Loaded,
    /// Frames of regions.
    pub regions: Regions,
    vectors: [Area; THREADS],
}

/// What the processor has.
pub struct Loaded {
    /// The thread whose vector state and FS base it has; 0 after that one ended.
    thread: u8,
    cr3: u64,
    /// The kernel's own tables, for when a process that is loaded ends.
    kernel_cr3: u64,
}

static KERNEL: Mutex<Kernel> = Mutex::new(Kernel {
    system: System::EMPTY,
    loaded: Loaded {
        thread: 0,
        cr3: 0,
        kernel_cr3: 0,
    },
    regions: Regions::EMPTY,
    vectors: [Area::ZERO; THREADS],
});

/// The kernel's state. Nobody else can hold it: one processor, interrupts off.
#[inline(always)]
pub fn kernel() -> MutexGuard<'static, Kernel> {
    match KERNEL.try_lock() {
        Some(kernel) => kernel,
        None => taken(),
    }
}

#[cold]
fn taken() -> ! {
    host::refuse(Refusal::UnexpectedException)
}

/// Prepares the processor for user threads. Called once, before the first one.
pub fn install() {
    let [_, _, ecx, _] = host::with(|host| host.cpuid(1, 0))
        .and_then(Result::ok)
        .unwrap_or_default();
    let xsave = ecx & CPUID_XSAVE != 0;
    // SAFETY: ring 0; no thread ran yet. A host that lies about CPUID meets an exception.
    unsafe { fpu::enable(xsave, xsave && ecx & CPUID_AVX != 0) }
    let mut kernel = kernel();
    kernel.loaded.kernel_cr3 = instr::cr3();
    kernel.loaded.cr3 = instr::cr3();
    kernel.vectors[0].reset();
}

impl Loaded {
    /// The processor leaves page tables that are about to go away.
    pub fn leave_tables(&mut self, cr3: u64) {
        if self.cr3 == cr3 {
            self.cr3 = self.kernel_cr3;
            // SAFETY: the kernel's own tables map all that it uses.
            unsafe { instr::set_cr3(self.kernel_cr3) }
        }
    }
}

impl Kernel {
    /// Vector state of a new thread.
    pub fn reset_vectors(&mut self, thread: u8) {
        self.vectors[usize::from(thread)].reset();
    }

    /// FS base of the running thread, an address of the user's half.
    pub fn set_tls(&mut self, base: u64) {
        let me = self.system.current;
        self.system.thread(me).tls = base;
        // SAFETY: the caller checked it.
        unsafe { user::set_tls(base) }
    }

    /// If the thread that the processor has ended, its registers are nobody's.
    pub fn forget_dead(&mut self) {
        if self.system.thread(self.loaded.thread).state == State::Free {
            self.loaded.thread = 0;
            // SAFETY: no address at all.
            unsafe { user::set_tls(0) }
        }
    }

    /// Goes from the running thread `before`, which the processor has, to another one, which is there.
    #[inline(always)]
    pub fn switch(&mut self, before: u8) -> *mut TrapFrame {
        let next = self.system.current;
        self.load(before, next);
        &raw mut self.system.thread(next).context.0
    }

    /// Makes the processor the next thread's, and returns its registers.
    #[inline(always)]
    pub fn next(&mut self) -> Option<*mut TrapFrame> {
        let next = self.system.current;
        if next != self.loaded.thread {
            if next == 0 {
                return None;
            }
            self.load(self.loaded.thread, next);
        }
        Some(&raw mut self.system.thread(next).context.0)
    }

    #[inline(always)]
    fn load(&mut self, before: u8, next: u8) {
        let old = self.system.threads[usize::from(before)].tls;
        let thread = &self.system.threads[usize::from(next)];
        if self.loaded.cr3 != thread.tables {
            self.loaded.cr3 = thread.tables;
            // SAFETY: the process' tables have the kernel's half.
            unsafe { instr::set_cr3(thread.tables) }
        }
        if old | thread.tls != 0 {
            // SAFETY: `set_tls` took only addresses of the user's half.
            unsafe { user::set_tls(thread.tls) }
        }
        if let Some([from, to]) = pair(&mut self.vectors, before, next) {
            // SAFETY: `install` ran; every thread's state was reset when it was made.
            unsafe { fpu::switch(from, to) }
        }
        self.loaded.thread = next;
    }
}

/// The registers to go on with; waits while nobody can run. Takes the lock back.
#[inline(always)]
pub fn resume(mut kernel: MutexGuard<'static, Kernel>) -> *mut TrapFrame {
    match kernel.next() {
        Some(frame) => frame,
        None => idle(kernel),
    }
}

#[cold]
#[inline(never)]
fn idle(mut kernel: MutexGuard<'static, Kernel>) -> *mut TrapFrame {
    loop {
        drop(kernel);
        instr::wait_for_interrupt();
        kernel = self::kernel();
        if let Some(frame) = kernel.next() {
            return frame;
        }
    }
}

/// A trap of ring 3: its registers, which stand on the kernel's stack, go to its thread, `act`
/// decides, and the processor goes on with whoever runs next. The stack is given up.
pub fn from_user(frame: &TrapFrame, act: impl FnOnce(&mut Kernel)) -> ! {
    let mut kernel = kernel();
    let me = kernel.system.current;
    kernel.system.thread(me).context = Registers(*frame);
    act(&mut kernel);
    enter(kernel)
}

/// Goes to ring 3. The stack is given up.
pub fn enter(kernel: MutexGuard<'static, Kernel>) -> ! {
    let next = resume(kernel);
    // SAFETY: GS has the kernel's base; the frame is a thread's, made by `new_frame` or saved
    // from ring 3, in static memory; its tables are loaded.
    unsafe { user::enter(next) }
}
