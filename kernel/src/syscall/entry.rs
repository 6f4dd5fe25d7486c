//! Which call it is. The calls that a server's loop consists of come first and cost least.

use super::{devices, inspect, memory, objects, system};
use crate::context::{self, Registers};
use crate::cpu::{self, Held, Kernel};
use crate::{clock, process};
use tessera_abi::{error::Error, number};
use tessera_hw::trap::TrapFrame;
use tessera_objects::system::System;
use tessera_objects::system::thread::Context;

/// Bytes of the instruction.
const SYSCALL: u64 = 2;

/// Arguments of a call.
pub type Arguments = [u64; 6];

/// Serves the running thread's call. Its registers are saved already.
pub extern "sysv64" fn entry(frame: *mut TrapFrame) -> ! {
    if context::asked(frame) == number::CALL_SHORT {
        call_short();
    }
    if context::does_nothing(frame) {
        cpu::go_on(frame);
    }
    let mut kernel = cpu::kernel();
    let system = &mut kernel.system;
    // 0 where another processor ended the thread meanwhile: thread 0 asks for nothing (`serve`).
    let me = system.current();
    // The whole of RAX: a timeout takes the other way.
    let switched = match system.thread(me).context.0.rax {
        number::REPLY_RECEIVE_SHORT => {
            system.reply_receive_at_once::<true>() || answer_slowly(&mut kernel, true)
        }
        number::CALL => system.call_at_once::<false>() || serve(&mut kernel, me),
        number::REPLY_RECEIVE => {
            system.reply_receive_at_once::<false>() || answer_slowly(&mut kernel, false)
        }
        number::YIELD => yield_now(system, me),
        _ => serve(&mut kernel, me),
    };
    leave(kernel, me, switched)
}

/// The call that clients make most often goes first.
#[inline(always)]
fn call_short() -> ! {
    let mut kernel = cpu::kernel();
    let me = kernel.system.current();
    // Thread 0 has no handle.
    let switched = kernel.system.call_at_once::<true>() || serve(&mut kernel, me);
    leave(kernel, me, switched)
}

/// Goes on with whoever runs now: `switched` where that is known, and is not `me`.
#[inline(always)]
fn leave(mut kernel: Held, me: u8, switched: bool) -> ! {
    if !switched {
        cpu::enter(kernel);
    }
    let next = kernel.switch(me);
    drop(kernel);
    cpu::go_on(next)
}

/// A reply that hands a page in, or takes the long way; whether the caller runs now.
#[cold]
#[inline(never)]
fn answer_slowly(kernel: &mut Kernel, short: bool) -> bool {
    let mut switched = false;
    answer(kernel, |system| {
        switched = short && system.answer_at_once::<true, true>();
        if !switched {
            system.reply_receive_slowly(short, 0);
        }
    });
    switched
}

/// A reply, after the page that it hands in, if it does, has moved.
#[inline(always)]
fn answer(kernel: &mut Kernel, reply: impl FnOnce(&mut System<Registers>)) {
    match kernel.hand_in() {
        Ok(()) => reply(&mut kernel.system),
        Err(error) => {
            let me = kernel.system.current();
            kernel.system.thread(me).context.set_result(error.number());
        }
    }
}

#[inline(always)]
fn yield_now(system: &mut System<Registers>, me: u8) -> bool {
    system.thread(me).context.set_result(0);
    system.yield_now();
    false
}

#[cold]
#[inline(never)]
fn serve(kernel: &mut Kernel, me: u8) -> bool {
    if me == 0 {
        kernel.system.preempt();
        return false;
    }
    let registers = kernel.system.thread(me).context.0;
    let wait = (registers.rax >> 32) as u32;
    let system = &mut kernel.system;
    match registers.rax & 0xFFFF_FFFF {
        number::CALL => system.call_slowly(false, clock::deadline(wait)),
        number::CALL_SHORT => system.call_slowly(true, clock::deadline(wait)),
        number::REPLY if wait != 0 => without_wait(kernel, me, &registers, wait),
        number::REPLY_RECEIVE | number::REPLY_RECEIVE_SHORT | number::REPLY => {
            reply_in_time(kernel, registers.rax & 0xFFFF_FFFF, wait);
        }
        number::RECEIVE => system.receive(clock::deadline(wait)),
        number::SLEEP if wait != 0 => system.sleep(clock::deadline(wait)),
        _ => without_wait(kernel, me, &registers, wait),
    }
    false
}

fn reply_in_time(kernel: &mut Kernel, number: u64, wait: u32) {
    answer(kernel, |system| match number {
        number::REPLY => system.reply(),
        number => {
            let short = number == number::REPLY_RECEIVE_SHORT;
            system.reply_receive_slowly(short, clock::deadline(wait));
        }
    });
}

fn without_wait(kernel: &mut Kernel, me: u8, registers: &TrapFrame, wait: u32) {
    let result = match wait {
        0 => plain(kernel, registers.rax, &arguments(registers)),
        _ => Err(Error::UnknownCall),
    };
    let thread = kernel.system.thread(me);
    if thread.faults() {
        // It touched a page of a pager for its process: it makes the call again when that is there.
        thread.context.0.rip -= SYSCALL;
        return;
    }
    let result = result.unwrap_or_else(Error::number);
    thread.context.set_result(result);
}

fn arguments(r: &TrapFrame) -> Arguments {
    [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9]
}

/// Calls that do not wait.
fn plain(kernel: &mut Kernel, number: u64, arguments: &Arguments) -> Result<u64, Error> {
    let [a, b, c, d, ..] = *arguments;
    match number {
        number::EXIT => Ok(process::exit(kernel, a)),
        number::PRINT => system::print(kernel, a, b),
        number::INFO => system::info(kernel, a, b),
        number::USAGE => system::usage(kernel, a, b, c),
        number::SLEEP => Err(Error::BadArgument),
        number::SIGNAL => kernel.system.signal(a, b),
        number::BIND => kernel.system.bind(a),
        number::DUPLICATE => kernel.system.duplicate(a, b, c).map(u64::from),
        number::GIVE => kernel.system.give(a, b, c, d).map(u64::from),
        number::CLOSE => objects::close(kernel, a),
        number::REVOKE => kernel.system.revoke(a),
        number::CREATE => objects::create(kernel, arguments),
        number::KILL => objects::kill(kernel, a),
        number::CANCEL => objects::cancel(kernel, a),
        number::STATUS => objects::status(kernel, a),
        number::SET_TLS => objects::set_tls(kernel, a),
        number::MAP => memory::map(kernel, arguments),
        number::ATTACH => devices::attach(kernel, a, b, c),
        number::ACKNOWLEDGE => devices::acknowledge(kernel, a),
        number::CHANNEL_READ => devices::read(kernel, a, b, c),
        number::CHANNEL_WRITE => devices::write(kernel, a, b, c, d),
        number::CHANNEL_CALL => devices::call(kernel, a, b, c),
        number::EVIDENCE => inspect::evidence(kernel, a, b, c, d),
        number::INSPECT => inspect::inspect(kernel, arguments),
        number::UNMAP => memory::unmap(kernel, a, b),
        number::HOST_ADDRESS => memory::host_address(kernel, a, b),
        number::ACCEPT => inspect::accept(kernel, a, b),
        _ => Err(Error::UnknownCall),
    }
}
