//! Messages: calls, and a server's loop.
#![allow(unsafe_code)] // the instruction with the message registers

use crate::handle::Handle;
use core::arch::asm;
use core::mem::offset_of;
use tessera_abi::{error::Error, message, number};

/// A message. What a sender does not use is zero.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// `message::tag`.
    pub tag: u64,
    /// The ten words.
    pub words: [u64; message::WORDS],
}

/// What a receive brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A message by a handle with this badge; its sender waits for a reply.
    Message(u64),
    /// Bits of a notification.
    Notified(u64),
}

/// RAX and RDI after a call.
struct Answer {
    rax: u64,
    rdi: u64,
}

/// The call `rax` with all registers of a message, which the one that comes replaces.
#[inline(always)]
fn exchange(rax: u64, handle: u64, message: &mut Message) -> Answer {
    let mut answer = Answer { rax, rdi: handle };
    // SAFETY: touches no memory but the message and the stack; RBX and RBP, which cannot be named
    // here, are saved.
    unsafe {
        asm!(
            "push rbx", "push rbp", "push rcx",
            "mov rsi, [rcx]",
            "mov rdx, [rcx + 8]",
            "mov r8, [rcx + 16]",
            "mov r9, [rcx + 24]",
            "mov r10, [rcx + 32]",
            "mov r12, [rcx + 40]",
            "mov r13, [rcx + 48]",
            "mov r14, [rcx + 56]",
            "mov r15, [rcx + 64]",
            "mov rbx, [rcx + 72]",
            "mov rbp, [rcx + 80]",
            "syscall",
            "pop rcx",
            "mov [rcx], rsi",
            "mov [rcx + 8], rdx",
            "mov [rcx + 16], r8",
            "mov [rcx + 24], r9",
            "mov [rcx + 32], r10",
            "mov [rcx + 40], r12",
            "mov [rcx + 48], r13",
            "mov [rcx + 56], r14",
            "mov [rcx + 64], r15",
            "mov [rcx + 72], rbx",
            "mov [rcx + 80], rbp",
            "pop rbp", "pop rbx",
            inout("rax") answer.rax, inout("rdi") answer.rdi,
            inout("rcx") &raw mut *message => _, out("rdx") _, out("rsi") _, out("r8") _,
            out("r9") _, out("r10") _, out("r11") _, out("r12") _, out("r13") _, out("r14") _,
            out("r15") _,
        );
    }
    answer
}

const _: () = assert!(offset_of!(Message, words) == 8);

#[inline(always)]
fn with(rax: u64, handle: Handle, message: &mut Message) -> Answer {
    let answer = exchange(rax, handle.number().into(), message);
    // Of a short message the other words are this program's own.
    if answer.rax == message::SHORT {
        message.words[message::SHORT_WORDS..].fill(0);
    }
    answer
}

#[inline(always)]
fn received(answer: Answer) -> Result<Received, Error> {
    match Error::result(answer.rax)? {
        message::NOTIFIED => Ok(Received::Notified(answer.rdi)),
        _ => Ok(Received::Message(answer.rdi)),
    }
}

/// Calls, and waits for the reply, which replaces the message; at most `timeout` microseconds (0:
/// for ever). Errors: `number::CALL`; the message is then as it was.
#[inline(always)]
pub fn call(handle: Handle, message: &mut Message, timeout: u32) -> Result<(), Error> {
    let answer = with(number::timeout(number::CALL, timeout), handle, message);
    Error::result(answer.rax).map(|_| ())
}

/// Waits for a message or a notification. Errors: `number::RECEIVE`.
pub fn receive(handle: Handle, message: &mut Message, timeout: u32) -> Result<Received, Error> {
    *message = Message::default();
    received(with(
        number::timeout(number::RECEIVE, timeout),
        handle,
        message,
    ))
}

/// Answers with the message, and waits for the next one, which replaces it. Errors:
/// `number::REPLY_RECEIVE`.
#[inline(always)]
pub fn reply_receive(
    handle: Handle,
    message: &mut Message,
    timeout: u32,
) -> Result<Received, Error> {
    received(with(
        number::timeout(number::REPLY_RECEIVE, timeout),
        handle,
        message,
    ))
}

/// Answers. Errors: `number::REPLY`.
pub fn reply(message: &Message) -> Result<(), Error> {
    let mut message = *message;
    Error::result(with(number::REPLY, Handle::NONE, &mut message).rax).map(|_| ())
}

/// A short call with one word each way and no handle; the other words are zero, those of the reply
/// are dropped. The cheapest call there is. Errors: `number::CALL`.
#[inline(always)]
pub fn call_word(handle: Handle, label: u32, word: u64) -> Result<u64, Error> {
    let (result, answer);
    // SAFETY: touches no memory; the kernel keeps the registers that a short message does not
    // use.
    unsafe {
        asm!("syscall", inout("rax") number::CALL_SHORT => result,
            inout("rdi") u64::from(handle.number()) => _, inout("rsi") u64::from(label) => _,
            inout("rdx") word => answer, inout("r8") 0u64 => _, inout("r9") 0u64 => _,
            inout("r10") 0u64 => _, out("rcx") _, out("r11") _, options(nostack));
    }
    Error::result(result).map(|_| answer)
}

/// Answers with one word and waits for the next message, of which label and one word are taken; a
/// server's cheapest loop. For endpoints, by threads without a bound notification. Errors:
/// `number::REPLY_RECEIVE`.
#[inline(always)]
pub fn reply_receive_word(handle: Handle, word: u64) -> Result<(u32, u64), Error> {
    let (result, tag, next): (u64, u64, u64);
    // SAFETY: as `call_word`.
    unsafe {
        asm!("syscall", inout("rax") number::REPLY_RECEIVE_SHORT => result,
            inout("rdi") u64::from(handle.number()) => _, inout("rsi") 0u64 => tag,
            inout("rdx") word => next, inout("r8") 0u64 => _, inout("r9") 0u64 => _,
            inout("r10") 0u64 => _, out("rcx") _, out("r11") _, options(nostack));
    }
    Error::result(result).map(|_| (message::label(tag), next))
}

/// A short message that came: a pager's fault message is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Short {
    /// Badge of the handle by which it came.
    pub badge: u64,
    /// `message::tag`.
    pub tag: u64,
    /// Words 0 to 3.
    pub words: [u64; message::SHORT_WORDS],
}

/// Answers with a label and two words, and waits for the next short message; a pager's loop. For
/// endpoints, by threads without a bound notification. Errors: `number::REPLY_RECEIVE`, and
/// `message` where a page is handed in.
#[inline(always)]
pub fn reply_receive_short(handle: Handle, label: u32, words: [u64; 2]) -> Result<Short, Error> {
    let result;
    let mut next = Short::default();
    // SAFETY: as `call_word`.
    unsafe {
        asm!("syscall", inout("rax") number::REPLY_RECEIVE_SHORT => result,
            inout("rdi") u64::from(handle.number()) => next.badge,
            inout("rsi") u64::from(label) => next.tag, inout("rdx") words[0] => next.words[0],
            inout("r8") words[1] => next.words[1], inout("r9") 0u64 => next.words[2],
            inout("r10") 0u64 => next.words[3], out("rcx") _, out("r11") _, options(nostack));
    }
    Error::result(result).map(|_| next)
}
