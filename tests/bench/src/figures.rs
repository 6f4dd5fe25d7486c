//! What is counted, what the project wants to reach, and what others have published.

/// What somebody else's system needs for the same, in instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Which system.
    pub name: &'static str,
    /// Instructions.
    pub value: u64,
}

/// One figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figure {
    /// As the counting program and the JSON lines name it.
    pub name: &'static str,
    /// For people.
    pub what: &'static str,
    /// At most so many instructions are wanted.
    pub reach: u64,
    /// The best that is known of others; recorded numbers, not taken in this run.
    pub peer: Option<Peer>,
    /// What no kernel of this shape can be below, as the project estimated it.
    pub limit: Option<u64>,
    /// How it is counted.
    pub method: &'static str,
}

const LEAST: &str = "least of 400 samples, counter before and after in the calling thread";
const ONE_WAY: &str = "least of 400 samples, counter before in one process and after in the other";

const fn peer(name: &'static str, value: u64) -> Option<Peer> {
    Some(Peer { name, value })
}

/// Every figure, in the order of the table. seL4: x86_64, sel4bench, recorded by this project under
/// the same counting; L4Re: published; Linux: 6.12, Debian's cloud kernel, `mitigations=off`,
/// recorded likewise.
pub static ALL: &[Figure] = &[
    Figure {
        name: "null-syscall",
        what: "null system call",
        reach: 80,
        peer: peer("L4Re", 74),
        limit: Some(25),
        method: LEAST,
    },
    Figure {
        name: "ipc-round-trip",
        what: "IPC round trip between two processes",
        reach: 395,
        peer: peer("seL4", 395),
        limit: Some(140),
        method: LEAST,
    },
    Figure {
        name: "ipc-call",
        what: "IPC one way, call",
        reach: 184,
        peer: peer("seL4", 184),
        limit: Some(70),
        method: ONE_WAY,
    },
    Figure {
        name: "ipc-reply-receive",
        what: "IPC one way, reply and receive",
        reach: 211,
        peer: peer("seL4", 211),
        limit: Some(70),
        method: ONE_WAY,
    },
    Figure {
        name: "ipc-80-bytes",
        what: "80 bytes one way, call, from and to memory",
        reach: 250,
        peer: peer("seL4", 802),
        limit: None,
        method: ONE_WAY,
    },
    Figure {
        name: "ipc-80-bytes-back",
        what: "80 bytes one way, reply, from and to memory",
        reach: 250,
        peer: peer("seL4", 770),
        limit: None,
        method: ONE_WAY,
    },
    Figure {
        name: "thread-switch",
        what: "switch to another thread of the process",
        reach: 150,
        peer: peer("Linux", 1_917),
        limit: None,
        method: "half of a pair of yields, least of 400 samples",
    },
    Figure {
        name: "page-fault",
        what: "first touch of a 4 KiB page of zeros, clearing it included",
        reach: 1_200,
        peer: peer("Linux", 3_627),
        limit: Some(560),
        method: "least of 400 samples, counter before and after the write",
    },
    Figure {
        name: "pager-fault",
        what: "fault to a pager in another process and back, with a page",
        reach: 900,
        peer: peer("seL4", 1_303),
        limit: None,
        method: "least of 400 samples, counter before and after the write; the page moves",
    },
    Figure {
        name: "boot-to-user",
        what: "from reset to the first user instruction, 512 MiB",
        reach: 13_000_000,
        peer: peer("Linux", 1_343_000_000),
        limit: None,
        method: "counter at the first user instruction, QEMU microvm with its firmware",
    },
];

/// The figure of a name.
pub fn of(name: &str) -> Option<&'static Figure> {
    ALL.iter().find(|figure| figure.name == name)
}
