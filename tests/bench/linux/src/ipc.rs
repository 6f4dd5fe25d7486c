//! A round trip between two processes, by the two ways that programs use: the lesser one counts.
#![allow(unsafe_code)] // reason: memory of two processes

use crate::{say, stamp::least, system};
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

/// Two pipes, a word each way.
pub fn pipe(empty: u64) {
    let [to_read, to_write] = system::pipe();
    let [back_read, back_write] = system::pipe();
    let mut word = [7u64];
    if system::fork() {
        loop {
            system::read(to_read, &mut word);
            system::write_word(back_write, &word[0]);
        }
    }
    let mut short = 0;
    let round = least(|| {
        system::write_word(to_write, &word[0]);
        short |= system::read(back_read, &mut word) ^ 8;
    });
    if short == 0 {
        say::line("pipe-round-trip", Some(round - empty));
    }
}

/// Two words in memory of both.
struct Words {
    asked: AtomicU32,
    answered: AtomicU32,
}

/// Shared memory, and futexes to sleep on.
pub fn futex(empty: u64) {
    let at = system::memory(4096, system::MAP_SHARED) as *const Words;
    // SAFETY: aligned, zero, and never unmapped.
    let words = unsafe { &*at };
    if system::fork() {
        serve(words);
    }
    let mut turn = 0;
    let round = least(|| {
        turn += 1;
        words.asked.store(turn, SeqCst);
        system::futex_wake(words.asked.as_ptr());
        while words.answered.load(SeqCst) != turn {
            system::futex_wait(words.answered.as_ptr(), turn - 1);
        }
    });
    say::line("futex-round-trip", Some(round - empty));
}

fn serve(words: &Words) -> ! {
    let mut turn = 0;
    loop {
        while words.asked.load(SeqCst) == turn {
            system::futex_wait(words.asked.as_ptr(), turn);
        }
        turn += 1;
        words.answered.store(turn, SeqCst);
        system::futex_wake(words.answered.as_ptr());
    }
}
