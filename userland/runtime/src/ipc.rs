//! Messages: calls, and a server's loop.
#![allow(unsafe_code)] // the instruction with the message registers

use crate::handle::Handle;
use core::arch::{asm, naked_asm};
use core::mem::offset_of;
use tessera_abi::{error::Error, message, number};

/// A message. What a sender does not use is zero.
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
    Message(u64, Message),
    /// Bits of a notification.
    Notified(u64),
}

/// RAX, RDI, RSI and the words around one call.
#[repr(C)]
struct Registers {
    rax: u64,
    rdi: u64,
    rsi: u64,
    words: [u64; message::WORDS],
}

/// Loads the registers at RDI, does the call, stores them there again.
#[unsafe(naked)]
unsafe extern "sysv64" fn exchange(registers: *mut Registers) {
    naked_asm!(
        "push rbx", "push rbp", "push r12", "push r13", "push r14", "push r15", "push rdi",
        "mov rax, [rdi + {rax}]",
        "mov rsi, [rdi + {rsi}]",
        "mov rdx, [rdi + {words}]",
        "mov r8, [rdi + {words} + 8]",
        "mov r9, [rdi + {words} + 16]",
        "mov r10, [rdi + {words} + 24]",
        "mov r12, [rdi + {words} + 32]",
        "mov r13, [rdi + {words} + 40]",
        "mov r14, [rdi + {words} + 48]",
        "mov r15, [rdi + {words} + 56]",
        "mov rbx, [rdi + {words} + 64]",
        "mov rbp, [rdi + {words} + 72]",
        "mov rdi, [rdi + {rdi}]",
        "syscall",
        "pop rcx",
        "mov [rcx + {rax}], rax",
        "mov [rcx + {rdi}], rdi",
        "mov [rcx + {rsi}], rsi",
        "mov [rcx + {words}], rdx",
        "mov [rcx + {words} + 8], r8",
        "mov [rcx + {words} + 16], r9",
        "mov [rcx + {words} + 24], r10",
        "mov [rcx + {words} + 32], r12",
        "mov [rcx + {words} + 40], r13",
        "mov [rcx + {words} + 48], r14",
        "mov [rcx + {words} + 56], r15",
        "mov [rcx + {words} + 64], rbx",
        "mov [rcx + {words} + 72], rbp",
        "pop r15", "pop r14", "pop r13", "pop r12", "pop rbp", "pop rbx",
        "ret",
        rax = const offset_of!(Registers, rax),
        rdi = const offset_of!(Registers, rdi),
        rsi = const offset_of!(Registers, rsi),
        words = const offset_of!(Registers, words),
    )
}

fn with(rax: u64, handle: Handle, message: &Message) -> Registers {
    let mut registers = Registers {
        rax,
        rdi: handle.number().into(),
        rsi: message.tag,
        words: message.words,
    };
    // SAFETY: these calls touch no memory but the registers.
    unsafe { exchange(&raw mut registers) }
    registers
}

fn received(registers: &Registers) -> Result<Received, Error> {
    match Error::result(registers.rax)? {
        message::NOTIFIED => Ok(Received::Notified(registers.rdi)),
        _ => {
            let (tag, words) = (registers.rsi, registers.words);
            Ok(Received::Message(registers.rdi, Message { tag, words }))
        }
    }
}

/// Calls, and waits for the reply; at most `timeout` microseconds (0: for ever).
/// Errors: `number::CALL`.
pub fn call(handle: Handle, message: &Message, timeout: u32) -> Result<Message, Error> {
    let registers = with(number::timeout(number::CALL, timeout), handle, message);
    Error::result(registers.rax)?;
    let (tag, words) = (registers.rsi, registers.words);
    Ok(Message { tag, words })
}

/// Waits for a message or a notification. Errors: `number::RECEIVE`.
pub fn receive(handle: Handle, timeout: u32) -> Result<Received, Error> {
    let rax = number::timeout(number::RECEIVE, timeout);
    received(&with(rax, handle, &Message::default()))
}

/// Answers, and waits for the next one. Errors: `number::REPLY_RECEIVE`.
pub fn reply_receive(handle: Handle, reply: &Message, timeout: u32) -> Result<Received, Error> {
    let rax = number::timeout(number::REPLY_RECEIVE, timeout);
    received(&with(rax, handle, reply))
}

/// Answers. Errors: `number::REPLY`.
pub fn reply(message: &Message) -> Result<(), Error> {
    Error::result(with(number::REPLY, Handle::NONE, message).rax).map(|_| ())
}

/// A call with one word each way and no handle; the other words are zero, those of the reply
/// are dropped. The cheapest call there is. Errors: `number::CALL`.
#[inline(always)]
pub fn call_word(handle: Handle, label: u32, word: u64) -> Result<u64, Error> {
    let (result, answer);
    // SAFETY: as `with`; RBX and RBP, which cannot be named here, are saved.
    unsafe {
        asm!("push rbx", "push rbp", "xor ebx, ebx", "xor ebp, ebp", "syscall", "pop rbp", "pop rbx",
            inout("rax") number::CALL => result, inout("rdi") u64::from(handle.number()) => _,
            inout("rsi") u64::from(label) => _, inout("rdx") word => answer,
            inout("r8") 0u64 => _, inout("r9") 0u64 => _, inout("r10") 0u64 => _,
            inout("r12") 0u64 => _, inout("r13") 0u64 => _, inout("r14") 0u64 => _,
            inout("r15") 0u64 => _, out("rcx") _, out("r11") _);
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
        asm!("push rbx", "push rbp", "xor ebx, ebx", "xor ebp, ebp", "syscall", "pop rbp", "pop rbx",
            inout("rax") number::REPLY_RECEIVE => result,
            inout("rdi") u64::from(handle.number()) => _, inout("rsi") 0u64 => tag,
            inout("rdx") word => next, inout("r8") 0u64 => _, inout("r9") 0u64 => _,
            inout("r10") 0u64 => _, inout("r12") 0u64 => _, inout("r13") 0u64 => _,
            inout("r14") 0u64 => _, inout("r15") 0u64 => _, out("rcx") _, out("r11") _);
    }
    Error::result(result).map(|_| (message::label(tag), next))
}
