//! The family of injections: every exception, an NMI, the system-call vector of old and an
//! ordinary one, at each moment of the guest's life. Written out it would be the same line
//! 140 times.

use crate::{
    outcome::Expected,
    scenario::{BASE, Scenario},
};
use tessera_defs::{
    mode::Mode,
    refusal::Refusal,
    x86::vector::{VC, VE},
};

/// What is injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Vector(u8),
    Nmi,
}
use Event::{Nmi, Vector};

/// A vector that our kernel uses for nothing.
const ORDINARY: u8 = 81;
/// The system-call vector of 32-bit Linux.
const INT80: u8 = 0x80;

/// When: `inject_at=` of the test host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Stub,
    Kernel,
    User,
    Syscall,
}

/// Name, and words for people.
const MOMENTS: [(At, &str, &str); 4] = [
    (At::Stub, "stub", "while the boot stub decides"),
    (At::Kernel, "kernel", "while the kernel boots"),
    (At::User, "user", "while ring 3 runs"),
    (
        At::Syscall,
        "syscall",
        "on ring 3's stack pointer, right behind SYSCALL",
    ),
];

/// What the quick tier takes: each moment and each kind of event.
#[rustfmt::skip]
const QUICK: [(Event, At); 7] = [
    (Vector(3), At::Stub), (Vector(VC), At::Syscall), (Nmi, At::User), (Vector(INT80), At::Kernel),
    (Vector(VE), At::Kernel), (Vector(13), At::Syscall), (Vector(ORDINARY), At::User),
];

/// The scenarios, in order of event and moment. They go to VMPL 0 or the TD; silicon keeps them
/// from the guest above a paravisor (`inject-lower-any`).
pub fn family() -> Vec<Scenario> {
    let events = (0..=31).chain([ORDINARY, INT80]).map(Vector).chain([Nmi]);
    let mut all = vec![STOPPED, STOPPED_BELOW];
    // A seed of its own for each event: it chooses among the entries of a moment.
    for (seed, event) in (1..).zip(events) {
        for (at, name, what) in MOMENTS {
            let event_name = match event {
                Vector(vector) => vector.to_string(),
                Nmi => "nmi".into(),
            };
            all.push(Scenario {
                name: keep(format!("inject-{event_name}-{name}")),
                what: keep(format!("{} {what}", describe(event))),
                lie: keep(format!("inject-{event_name}")),
                words: keep(format!("inject_at={name} seed={seed}")),
                quick: QUICK.contains(&(event, at)),
                modes: modes(event, at).leak(),
                ..BASE
            });
        }
    }
    all
}

/// The TDX module lets no host inject an exception: nothing reaches the guest.
const STOPPED: Scenario = Scenario {
    name: "inject-any",
    what: "every exception at random moments, where silicon lets none through",
    lie: "inject-any",
    stopped: true,
    modes: &[
        (Mode::Tdx, Expected::Runs),
        (Mode::TdxParavisor, Expected::Runs),
    ],
    ..BASE
};

/// A guest above our paravisor gets events from it alone: AlternateInjection on SNP.
const STOPPED_BELOW: Scenario = Scenario {
    name: "inject-lower-any",
    what: "every exception at random moments into the guest above a paravisor, where silicon lets none through",
    lie: "inject-any",
    words: "inject_lower=1",
    stopped: true,
    quick: true,
    modes: &[(Mode::SnpParavisor, Expected::Runs)],
    ..BASE
};

/// Made once, and needed as long as the program runs.
fn keep(text: String) -> &'static str {
    text.leak()
}

fn describe(event: Event) -> String {
    match event {
        Vector(VC) => "a forged #VC".into(),
        Vector(VE) => "a forged #VE".into(),
        Vector(INT80) => "a system call that nobody made".into(),
        Vector(vector @ 0..=31) => format!("exception {vector}"),
        Vector(_) => "an interrupt that nobody asked for".into(),
        Nmi => "an NMI".into(),
    }
}

fn modes(event: Event, at: At) -> Vec<(Mode, Expected)> {
    // A paravisor has no ring 3, and to it its guest's is one long instruction.
    let paravisor = matches!(at, At::Stub | At::Kernel);
    let mut modes = vec![(Mode::Snp, direct(event, at))];
    let below = |mode: Mode| paravisor.then_some(mode);
    modes.extend(below(Mode::SnpParavisor).map(|mode| (mode, direct(event, at))));
    let expected = match event {
        Nmi => direct(event, at),
        // Interrupts are posted: the processor holds them back until the TD allows them.
        Vector(ORDINARY) => Expected::Runs,
        Vector(INT80) => Expected::Refuses(Refusal::InjectedInterrupt),
        Vector(_) => return modes,
    };
    let tds = [Some(Mode::Tdx), below(Mode::TdxParavisor)];
    modes.extend(tds.into_iter().flatten().map(|mode| (mode, expected)));
    modes
}

/// What stub, kernel and paravisor do, whose interrupts are off but in ring 3 and while they
/// wait: an interrupt against that was forced.
fn direct(event: Event, at: At) -> Expected {
    Expected::Refuses(match event {
        Vector(ORDINARY) if at == At::User => return Expected::Runs,
        Vector(ORDINARY | INT80) => Refusal::InjectedInterrupt,
        Vector(VC) => Refusal::UnexpectedVc,
        Vector(VE) => Refusal::UnexpectedVe,
        Vector(_) | Nmi => Refusal::UnexpectedException,
    })
}
