//! Which call it is. The calls that a server's loop consists of come first and cost least.

use super::{memory, objects, system};
use crate::context::Registers;
use crate::cpu::{self, Kernel};
use crate::{clock, process};
use tessera_abi::{error::Error, number};
use tessera_hw::trap::TrapFrame;
use tessera_objects::system::System;
use tessera_objects::system::thread::Context;

/// Arguments of a call.
pub type Arguments = [u64; 6];

/// Serves the running thread's call. Its registers are saved already.
pub extern "sysv64" fn entry(_: *mut TrapFrame) -> *mut TrapFrame {
    let mut kernel = cpu::kernel();
    let system = &mut kernel.system;
    let me = system.current;
    // The whole of RAX: a timeout takes the other way.
    match system.thread(me).context.0.rax {
        number::CALL => system.call(0),
        number::REPLY_RECEIVE => system.reply_receive(0),
        number::NULL => system.thread(me).context.set_result(0),
        number::YIELD => yield_now(system, me),
        _ => serve(&mut kernel, me),
    }
    cpu::resume(kernel)
}

#[inline(always)]
fn yield_now(system: &mut System<Registers>, me: u8) {
    system.thread(me).context.set_result(0);
    system.yield_now();
}

#[cold]
#[inline(never)]
fn serve(kernel: &mut Kernel, me: u8) {
    let registers = kernel.system.thread(me).context.0;
    let wait = (registers.rax >> 32) as u32;
    let system = &mut kernel.system;
    match registers.rax & 0xFFFF_FFFF {
        number::CALL => return system.call(clock::deadline(wait)),
        number::REPLY_RECEIVE => return system.reply_receive(clock::deadline(wait)),
        number::RECEIVE => return system.receive(clock::deadline(wait)),
        number::REPLY if wait == 0 => return system.reply(),
        number::SLEEP if wait != 0 => return system.sleep(clock::deadline(wait)),
        _ => {}
    }
    let result = match wait {
        0 => plain(kernel, registers.rax, &arguments(&registers)),
        _ => Err(Error::UnknownCall),
    };
    let result = result.unwrap_or_else(Error::number);
    kernel.system.thread(me).context.set_result(result);
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
        number::MAP => memory::map(kernel, a, b, c, d),
        number::UNMAP => memory::unmap(kernel, a, b),
        _ => Err(Error::UnknownCall),
    }
}
