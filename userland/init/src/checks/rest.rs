//! Calls that take no timeout with one, and kinds that other files leave out.

use super::check::{Objects, POLLING, check, report};
use tessera_abi::error::Error::*;
use tessera_abi::number::*;

pub fn run(o: &Objects, text: u64) -> u64 {
    report(&[
        check("exit with a timeout", timeout(EXIT, 1), &[0], UnknownCall),
        check("yield with a timeout", timeout(YIELD, 1), &[], UnknownCall),
        check(
            "call nobody there shortly",
            CALL_SHORT | POLLING,
            &[o.endpoint],
            TimedOut,
        ),
        check("call a region shortly", CALL_SHORT, &[o.region], WrongKind),
        check(
            "answer, then a region",
            REPLY_RECEIVE,
            &[o.region],
            WrongKind,
        ),
        check(
            "answer shortly, then a region",
            REPLY_RECEIVE_SHORT,
            &[o.region],
            WrongKind,
        ),
        check(
            "unmap from an endpoint",
            UNMAP,
            &[o.endpoint, text],
            WrongKind,
        ),
        check(
            "usage of an endpoint",
            USAGE,
            &[o.endpoint, text, 64],
            WrongKind,
        ),
        check(
            "write through a region",
            CHANNEL_WRITE,
            &[o.region, 0, 1, 0],
            WrongKind,
        ),
        check(
            "a hypercall by a region",
            CHANNEL_CALL,
            &[o.region, 0, 0],
            WrongKind,
        ),
    ])
}
