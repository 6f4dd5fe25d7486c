//! Messages, notifications, waiting.

use super::check::*;
use tessera_abi::error::Error::*;
use tessera_abi::number::*;

/// How many failed.
pub fn run(o: &Objects) -> u64 {
    let wide = o.endpoint | 1 << 32;
    report(&[
        check("call null", CALL, &[0], BadHandle),
        check("call nobody", CALL, &[OTHERS], BadHandle),
        check("call a closed handle", CALL, &[o.closed], BadHandle),
        check("call a wide handle", CALL, &[wide], BadHandle),
        check("call a notification", CALL, &[o.notification], WrongKind),
        check("call a region", CALL, &[o.region], WrongKind),
        check("call without right", CALL, &[o.powerless[0]], NoRight),
        check("call nobody there", CALL | POLLING, &[o.endpoint], TimedOut),
        check("call in time", timeout(CALL, 1), &[o.endpoint], TimedOut),
        check("call nobody shortly", CALL_SHORT, &[OTHERS], BadHandle),
        check(
            "call shortly without right",
            CALL_SHORT,
            &[o.powerless[0]],
            NoRight,
        ),
        check(
            "answer shortly, then null",
            REPLY_RECEIVE_SHORT,
            &[0],
            BadHandle,
        ),
        check(
            "answer shortly without right",
            REPLY_RECEIVE_SHORT,
            &[o.powerless[0]],
            NoRight,
        ),
        check("reply to nobody", REPLY, &[0], NoCaller),
        check("reply with a timeout", timeout(REPLY, 1), &[0], UnknownCall),
        check("receive from null", RECEIVE, &[0], BadHandle),
        check("receive from a region", RECEIVE, &[o.region], WrongKind),
        check("receive without right", RECEIVE, &[o.powerless[0]], NoRight),
        check("wait without right", RECEIVE, &[o.powerless[1]], NoRight),
        check(
            "receive nothing",
            RECEIVE | POLLING,
            &[o.endpoint],
            TimedOut,
        ),
        check(
            "wait for nothing",
            RECEIVE | POLLING,
            &[o.notification],
            TimedOut,
        ),
        check("answer, then null", REPLY_RECEIVE, &[0], BadHandle),
        check(
            "answer without right",
            REPLY_RECEIVE,
            &[o.powerless[0]],
            NoRight,
        ),
        check(
            "answer, then nothing",
            REPLY_RECEIVE | POLLING,
            &[o.endpoint],
            TimedOut,
        ),
        check("sleep for ever", SLEEP, &[], BadArgument),
        check("signal null", SIGNAL, &[0, 1], BadHandle),
        check("signal an endpoint", SIGNAL, &[o.endpoint, 1], WrongKind),
        check(
            "signal without right",
            SIGNAL,
            &[o.powerless[1], 1],
            NoRight,
        ),
        check("bind nobody", BIND, &[OTHERS], BadHandle),
        check("bind an endpoint", BIND, &[o.endpoint], WrongKind),
        check("bind without right", BIND, &[o.powerless[1]], NoRight),
        check("cancel an endpoint", CANCEL, &[o.endpoint], WrongKind),
    ])
}
