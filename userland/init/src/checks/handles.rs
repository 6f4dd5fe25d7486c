//! Handles: copies, ends, what they may do.

use super::check::*;
use tessera_abi::error::Error::*;
use tessera_abi::number::*;
use tessera_abi::rights;

/// How many failed.
pub fn run(o: &Objects) -> u64 {
    let all = u64::from(rights::ALL);
    report(&[
        check("duplicate null", DUPLICATE, &[0, all, 0], BadHandle),
        check(
            "duplicate with more rights",
            DUPLICATE,
            &[o.endpoint, 0x80, 0],
            NoRight,
        ),
        check(
            "duplicate with wide rights",
            DUPLICATE,
            &[o.endpoint, 1 << 40, 0],
            NoRight,
        ),
        check(
            "duplicate without right",
            DUPLICATE,
            &[o.powerless[0], 0, 0],
            NoRight,
        ),
        check(
            "a badge for a region",
            DUPLICATE,
            &[o.region, 0, 7],
            BadArgument,
        ),
        check("a second badge", DUPLICATE, &[o.badged, 0, 7], BadArgument),
        check("close null", CLOSE, &[0], BadHandle),
        check("close nobody", CLOSE, &[OTHERS], BadHandle),
        check("close twice", CLOSE, &[o.closed], BadHandle),
        check("revoke null", REVOKE, &[0], BadHandle),
        check("revoke without right", REVOKE, &[o.powerless[0]], NoRight),
        check("revoke a process", REVOKE, &[o.space], WrongKind),
        check("kill null", KILL, &[0], BadHandle),
        check("kill an endpoint", KILL, &[o.endpoint], WrongKind),
        check("kill without right", KILL, &[o.powerless[3]], NoRight),
        check("cancel null", CANCEL, &[0], BadHandle),
        check("status of null", STATUS, &[0], BadHandle),
        check("status of an endpoint", STATUS, &[o.endpoint], WrongKind),
        check("give to null", GIVE, &[0, o.endpoint, 0, 0], BadHandle),
        check(
            "give to an endpoint",
            GIVE,
            &[o.endpoint, o.endpoint, 0, 0],
            WrongKind,
        ),
        check(
            "give without right",
            GIVE,
            &[o.powerless[3], o.endpoint, 0, 0],
            NoRight,
        ),
        check("give null", GIVE, &[o.space, 0, 0, 0], BadHandle),
        check(
            "give what may not move",
            GIVE,
            &[o.space, o.powerless[0], 0, 0],
            NoRight,
        ),
        check(
            "give with more rights",
            GIVE,
            &[o.space, o.endpoint, 0xFF, 0],
            NoRight,
        ),
    ])
}
