//! Mapping regions.

use super::check::*;
use tessera_abi::error::Error::*;
use tessera_abi::number::*;
use tessera_handoff::layout::BUNDLE_VIRT;

/// How many failed.
pub fn run(o: &Objects, text: u64) -> u64 {
    let read = o.powerless[2];
    let text = text & !4095;
    let wide = REGION_PAGES + 1;
    report(&[
        check(
            "map into nobody",
            MAP,
            &[OTHERS, o.region, FREE, MAP_READ],
            BadHandle,
        ),
        check(
            "map into an endpoint",
            MAP,
            &[o.endpoint, o.region, FREE, 0],
            WrongKind,
        ),
        check(
            "map without right",
            MAP,
            &[o.powerless[3], o.region, FREE, 0],
            NoRight,
        ),
        check("map null", MAP, &[0, 0, FREE, MAP_READ], BadHandle),
        check(
            "an address of nobody",
            HOST_ADDRESS,
            &[OTHERS, 0],
            BadHandle,
        ),
        check("an address of null", HOST_ADDRESS, &[0, 0], BadHandle),
        check(
            "an address of an endpoint",
            HOST_ADDRESS,
            &[o.endpoint, 0],
            WrongKind,
        ),
        check(
            "an address of what is private",
            HOST_ADDRESS,
            &[o.region, 0],
            BadArgument,
        ),
        check(
            "an address of a wide handle",
            HOST_ADDRESS,
            &[1 << 32 | o.region, 0],
            BadHandle,
        ),
        check(
            "map an endpoint",
            MAP,
            &[0, o.endpoint, FREE, MAP_READ],
            WrongKind,
        ),
        check(
            "map writable without right",
            MAP,
            &[0, read, FREE, MAP_WRITE],
            NoRight,
        ),
        check(
            "map executable without right",
            MAP,
            &[0, read, FREE, MAP_EXECUTE],
            NoRight,
        ),
        check("map in no way", MAP, &[0, o.region, FREE, 4], BadArgument),
        check(
            "map unaligned",
            MAP,
            &[0, o.region, FREE + 8, MAP_READ],
            BadArgument,
        ),
        check("map at null", MAP, &[0, o.region, 0, MAP_READ], BadAddress),
        check(
            "map at the edge",
            MAP,
            &[0, o.region, EDGE, MAP_READ],
            BadAddress,
        ),
        check(
            "map in the kernel",
            MAP,
            &[0, o.region, KERNEL, MAP_WRITE],
            BadAddress,
        ),
        check(
            "map across the end",
            MAP,
            &[0, o.region, !4095, MAP_WRITE],
            BadAddress,
        ),
        check(
            "map over the program",
            MAP,
            &[0, o.region, text, MAP_WRITE],
            AlreadyMapped,
        ),
        check(
            "map over quota",
            MAP,
            &[o.space, o.region, FREE, MAP_READ],
            QuotaExceeded,
        ),
        check(
            "guard a region",
            MAP,
            &[0, o.region, FREE, MAP_GUARD, 1],
            BadArgument,
        ),
        check(
            "guard nothing",
            MAP,
            &[0, 0, FREE, MAP_GUARD, 0],
            BadArgument,
        ),
        check(
            "guard too much",
            MAP,
            &[0, 0, FREE, MAP_GUARD, wide],
            BadArgument,
        ),
        check("guard null", MAP, &[0, 0, 0, MAP_GUARD, 1], BadAddress),
        check(
            "guard the kernel",
            MAP,
            &[0, 0, KERNEL, MAP_GUARD, 1],
            BadAddress,
        ),
        check(
            "guard the edge",
            MAP,
            &[0, 0, EDGE, MAP_GUARD, 1],
            BadAddress,
        ),
        check(
            "guard the program",
            MAP,
            &[0, 0, text, MAP_GUARD, 1],
            AlreadyMapped,
        ),
        check(
            "guard without right",
            MAP,
            &[o.powerless[3], 0, FREE, MAP_GUARD, 1],
            NoRight,
        ),
        check("unmap the program", UNMAP, &[0, BUNDLE_VIRT], BadAddress),
        check("unmap null", UNMAP, &[0, 0], BadAddress),
        check("unmap nothing", UNMAP, &[0, FREE], BadAddress),
        check("unmap from nobody", UNMAP, &[OTHERS, FREE], BadHandle),
    ])
}
