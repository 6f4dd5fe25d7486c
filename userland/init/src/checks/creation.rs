//! Making objects.

use super::check::*;
use tessera_abi::error::Error::*;
use tessera_abi::number::*;

/// How many failed.
pub fn run(o: &Objects) -> u64 {
    let wide = REGION_PAGES + 1;
    report(&[
        check("create nothing", CREATE, &[0], BadArgument),
        check("create what is not", CREATE, &[99], BadArgument),
        check(
            "create the largest number",
            CREATE,
            &[u64::MAX],
            BadArgument,
        ),
        check(
            "create with a timeout",
            timeout(CREATE, 1),
            &[ENDPOINT],
            UnknownCall,
        ),
        check("an empty region", CREATE, &[REGION, 0, 0], BadArgument),
        check("a wide region", CREATE, &[REGION, wide, 0], BadArgument),
        check(
            "a wide shared region",
            CREATE,
            &[REGION, SHARED_PAGES + 1, 0, REGION_SHARED],
            BadArgument,
        ),
        check(
            "an empty shared region",
            CREATE,
            &[REGION, 0, 0, REGION_SHARED],
            BadArgument,
        ),
        check(
            "a shared region of nobody",
            CREATE,
            &[REGION, 1, OTHERS, REGION_SHARED],
            BadHandle,
        ),
        check(
            "a shared region over quota",
            CREATE,
            &[REGION, 1, o.space, REGION_SHARED],
            QuotaExceeded,
        ),
        check(
            "a region shared with a handle",
            CREATE,
            &[REGION, 1, 0, REGION_SHARED | o.endpoint],
            BadHandle,
        ),
        check(
            "an endless region",
            CREATE,
            &[REGION, u64::MAX, 0],
            BadArgument,
        ),
        check(
            "a region of nobody",
            CREATE,
            &[REGION, 1, OTHERS],
            BadHandle,
        ),
        check(
            "a region of an endpoint",
            CREATE,
            &[REGION, 1, o.endpoint],
            WrongKind,
        ),
        check(
            "a region without right",
            CREATE,
            &[REGION, 1, o.powerless[3]],
            NoRight,
        ),
        check(
            "a region over quota",
            CREATE,
            &[REGION, 1, o.space],
            QuotaExceeded,
        ),
        check(
            "a region of null",
            CREATE,
            &[REGION, 1, 0, OTHERS],
            BadHandle,
        ),
        check(
            "a copy of a notification",
            CREATE,
            &[REGION, 1, 0, o.notification],
            WrongKind,
        ),
        check(
            "a pager without right",
            CREATE,
            &[REGION, 1, 0, o.powerless[0]],
            NoRight,
        ),
        check(
            "a process without quota",
            CREATE,
            &[SPACE, 0, 0, 0],
            QuotaExceeded,
        ),
        check(
            "a process over quota",
            CREATE,
            &[SPACE, u64::MAX, 0, 0],
            QuotaExceeded,
        ),
        check(
            "a process watched by nobody",
            CREATE,
            &[SPACE, 0, OTHERS, 0],
            BadHandle,
        ),
        check(
            "a process watched by a region",
            CREATE,
            &[SPACE, 0, o.region, 0],
            WrongKind,
        ),
        check(
            "a process with a line feed in its name",
            CREATE,
            &[SPACE, 0, 0, 0, 10, 0],
            BadArgument,
        ),
        check(
            "a thread of nobody",
            CREATE,
            &[THREAD, OTHERS, FREE, FREE, 1, 0],
            BadHandle,
        ),
        check(
            "a thread in the kernel",
            CREATE,
            &[THREAD, o.space, KERNEL, FREE, 1, 0],
            BadArgument,
        ),
        check(
            "a stack in the kernel",
            CREATE,
            &[THREAD, o.space, FREE, KERNEL, 1, 0],
            BadArgument,
        ),
        check(
            "a thread without priority",
            CREATE,
            &[THREAD, o.space, FREE, FREE, 0, 0],
            BadArgument,
        ),
        check(
            "a thread above all",
            CREATE,
            &[THREAD, o.space, FREE, FREE, 32, 0],
            BadArgument,
        ),
    ])
}
