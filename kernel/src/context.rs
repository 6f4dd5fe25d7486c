//! A thread's registers as `objects` sees them: the message registers of `tessera_abi::message`.
#![allow(unsafe_code)] // the registers of the thread that this processor runs, without the lock

use tessera_abi::{message, number};
use tessera_hw::trap::TrapFrame;
use tessera_objects::system::thread::Context;

/// Saved registers of a thread.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers(pub TrapFrame);

impl Context for Registers {
    const EMPTY: Self = Self(TrapFrame {
        r15: 0,
        r14: 0,
        r13: 0,
        r12: 0,
        r11: 0,
        r10: 0,
        r9: 0,
        r8: 0,
        rbp: 0,
        rdi: 0,
        rsi: 0,
        rdx: 0,
        rcx: 0,
        rbx: 0,
        rax: 0,
        vector: 0,
        error: 0,
        rip: 0,
        cs: 0,
        rflags: 0,
        rsp: 0,
        ss: 0,
    });

    #[inline(always)]
    fn handle(&self) -> u64 {
        self.0.rdi
    }

    #[inline(always)]
    fn tag(&self) -> u64 {
        self.0.rsi
    }

    #[inline(always)]
    fn deliver_short(&mut self, from: &Self, badge: u64, tag: u64) {
        let (to, from) = (&mut self.0, &from.0);
        to.rdx = from.rdx;
        to.r8 = from.r8;
        to.r9 = from.r9;
        to.r10 = from.r10;
        to.rdi = badge;
        to.rsi = tag;
        to.rax = message::SHORT;
    }

    #[inline(always)]
    fn deliver(&mut self, from: &Self, badge: u64, tag: u64) {
        let (to, from) = (&mut self.0, &from.0);
        to.rdx = from.rdx;
        to.r8 = from.r8;
        to.r9 = from.r9;
        to.r10 = from.r10;
        to.r12 = from.r12;
        to.r13 = from.r13;
        to.r14 = from.r14;
        to.r15 = from.r15;
        to.rbx = from.rbx;
        to.rbp = from.rbp;
        to.rdi = badge;
        to.rsi = tag;
        to.rax = message::MESSAGE;
    }

    fn first_words(&self) -> [u64; 2] {
        [self.0.rdx, self.0.r8]
    }

    #[inline(always)]
    fn deliver_words(&mut self, words: [u64; 4], badge: u64, tag: u64) {
        let to = &mut self.0;
        [to.rdx, to.r8, to.r9, to.r10] = words;
        to.rdi = badge;
        to.rsi = tag;
        to.rax = message::SHORT;
    }

    #[inline(always)]
    fn set_result(&mut self, result: u64) {
        self.0.rax = result;
    }

    fn set_notified(&mut self, bits: u64) {
        self.0.rax = message::NOTIFIED;
        self.0.rdi = bits;
    }
}

/// Which call the registers ask for, before the lock: of a thread that another processor ended meanwhile
/// it says nothing.
#[inline(always)]
pub fn asked(frame: *mut TrapFrame) -> u64 {
    // SAFETY: as in `does_nothing`.
    unsafe { (*frame).rax }
}

/// Serves `null`, which needs nothing of the kernel and no lock. False where it is another call.
#[inline(always)]
pub fn does_nothing(frame: *mut TrapFrame) -> bool {
    // SAFETY: the registers of the thread that this processor runs: nobody else uses them before the
    // processor comes for the lock, or answers in an interrupt of ring 3.
    let rax = unsafe { &mut (*frame).rax };
    let nothing = *rax == number::NULL;
    if nothing {
        *rax = 0;
    }
    nothing
}
