//! Acceptance ahead: what processors without a thread do where a process has asked for it (decision 022).
//! A batch is claimed and mapped behind memory's lock, and accepted outside of all locks; whoever has the
//! lock next settles what is done. Nobody touches the batch before.

use crate::{host, memory, processors, windows};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use tessera_defs::refusal::Refusal;
use tessera_objects::frames::{CHUNK, Run};
use tessera_objects::system::cpu::CPUS;
use tessera_objects::turn::Request;

/// Pages that are to be accepted, in all.
pub static WANTED: AtomicU64 = AtomicU64::new(0);
/// Of each processor: whether it is at a batch.
static BATCHES: [Request<AtomicU32>; CPUS] = [const { Request(AtomicU32::new(0)) }; CPUS];

/// Whether a processor is done with the batch that it claimed.
pub fn done(number: usize) -> bool {
    BATCHES[number].done()
}

/// Accepts a batch, if that is wanted. Interrupts are off, and this processor has no lock. False: there is
/// nothing to do.
pub fn accept() -> bool {
    let wanted = WANTED.load(Ordering::Relaxed);
    if wanted == 0 {
        return false;
    }
    let number = usize::from(processors::number());
    let most = host::acceptor().batch();
    let claimed = memory::try_with(|memory| {
        let run = memory.claim_ahead(number, most, wanted);
        match run {
            Some(_) => BATCHES[number].ask(1),
            // Who asked for more meanwhile has stored another number.
            None => _ = WANTED.compare_exchange(wanted, 0, Ordering::Relaxed, Ordering::Relaxed),
        }
        run
    });
    match claimed {
        None => processors::answer(),
        Some(None) => return false,
        Some(Some(run)) => BATCHES[number].answer(|_| {
            if let Err(refusal) = batch(run) {
                host::refuse(refusal);
            }
        }),
    }
    true
}

/// Asks the host for all, and accepts chunk by chunk; others may need an answer in between.
fn batch(run: Run) -> Result<(), Refusal> {
    let mut acceptor = host::acceptor();
    let acceptor = acceptor.visibility();
    acceptor.assign(memory::pages(run))?;
    for first in (run.first..run.first + run.count).step_by(CHUNK as usize) {
        let count = CHUNK;
        let chunk = memory::pages(Run { first, count });
        acceptor.accept_again(chunk)?;
        if host::below() {
            let _touched = windows::read_word(chunk.gpa);
        }
        processors::answer();
    }
    Ok(())
}
