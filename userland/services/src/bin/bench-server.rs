//! The server of `tessera bench`: answers, by label, a word, how long the message was on its way,
//! or when the answer was sent.
#![no_std]
#![no_main]
#![allow(unsafe_code)] // the shortest loop that a server can have, and the counter

use core::arch::asm;
use tessera_abi::message;
use tessera_runtime::ipc::{self, Message, Received};
use tessera_runtime::service;

service!(main);

#[inline(always)]
fn stamp() -> u64 {
    let (low, high): (u64, u64);
    // SAFETY: reads the counter.
    unsafe {
        asm!("rdtsc", out("rax") low, out("rdx") high, options(nomem, nostack, preserves_flags))
    }
    high << 32 | low
}

fn main(_: u64) -> u64 {
    let mut first = Message::default();
    let Ok(Received::Message(_)) = ipc::receive(service::OWN, &mut first, 0) else {
        return 1;
    };
    let (mut label, mut word) = (message::label(first.tag), first.words[0]);
    loop {
        // The counter is read as early as it can be.
        if label == 4 {
            let arrived = stamp();
            let Some(next) = with_payload(arrived - word) else {
                return 1;
            };
            (label, word) = next;
            continue;
        }
        let answer = match label {
            2 => stamp() - word,
            3 => stamp(),
            _ => word,
        };
        match ipc::reply_receive_word(service::OWN, answer) {
            Ok(next) => (label, word) = next,
            Err(_) => return 1,
        }
    }
}

/// All ten words from memory and to memory, both ways.
fn with_payload(way: u64) -> Option<(u32, u64)> {
    let mut message = Message {
        tag: 0,
        words: [6; message::WORDS],
    };
    message.words[0] = way;
    message.words[1] = stamp();
    match ipc::reply_receive(service::OWN, &mut message, 0) {
        Ok(Received::Message(_)) => Some((message::label(message.tag), message.words[0])),
        _ => None,
    }
}
