//! The scenario string: space-separated `key=value`.

use super::lies;
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use tessera_defs::mode::{HostProfile, Mode};

/// What is injected by `lie=inject-<vector>`, `inject-nmi` or `inject-any`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inject {
    /// An exception (0..=31) or external interrupt (32..).
    Vector(u8),
    /// An NMI.
    Nmi,
    /// One of the exceptions 0 to 31, another one each time.
    Any,
}

/// When it is injected: `inject_at=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// At any time.
    Any,
    /// While the boot stub runs.
    Stub,
    /// While the kernel (or the paravisor) runs.
    Kernel,
    /// While ring 3 runs.
    User,
    /// At the first instruction behind SYSCALL.
    Syscall,
}

/// A range to hash after loading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashRange {
    /// Name in the report.
    pub name: String,
    /// First byte, guest physical.
    pub gpa: u64,
    /// Bytes.
    pub len: u64,
}

/// What the host offers and how it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Platform, and whether a paravisor is requested.
    pub mode: Mode,
    /// Leaves.
    pub profile: HostProfile,
    /// Name from `lies::ALL`.
    pub lie: &'static str,
    /// Injection, if the lie is one.
    pub inject: Option<Inject>,
    /// When the injection comes.
    pub inject_at: At,
    /// The injection goes to the lower context instead of the lowest one.
    pub inject_lower: bool,
    /// Seed of the pseudo-random choices.
    pub seed: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// Virtual processors claimed.
    pub smp: u32,
    /// `log=` of the guest's command line; none if empty.
    pub log: String,
    /// Ranges to hash.
    pub hash: Vec<HashRange>,
    /// Exits after which the run is a hang.
    pub max_exits: u64,
    /// Guest instructions after which the run is a hang.
    pub max_instructions: u64,
    /// A TD gets no #VE for its own pages on the Hyper-V profile either, which Linux demands.
    pub sept_ve_disable: bool,
    /// Bytes may be typed at the guest's console.
    pub typed: bool,
    /// The guest asks wrongly on purpose, to see the answers of the specification: it is not blamed.
    pub probing: bool,
    /// The device that sends interrupt messages on request (`port::TEST_MESSAGES`).
    /// Not for a paravisor's guest on a host without Hyper-V's interface.
    pub messages: bool,
    /// What the guest reads of a late lie (`port::TEST_LATE`): 1 to 3, of `late=`.
    pub moment: u32,
    /// The lie that begins when the guest says so, where `late=` asks for that.
    pub late: Option<&'static str>,
    /// Every exit is reported.
    pub trace: bool,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            mode: Mode::None,
            profile: HostProfile::HyperV,
            lie: lies::NONE,
            inject: None,
            inject_at: At::Any,
            inject_lower: false,
            seed: 1,
            memory: 64 << 20,
            smp: 1,
            log: String::new(),
            hash: Vec::new(),
            max_exits: 200_000,
            max_instructions: 3_000_000_000,
            sept_ve_disable: false,
            typed: false,
            probing: false,
            messages: false,
            moment: 0,
            late: None,
            trace: false,
        }
    }
}

impl Scenario {
    /// Parses a scenario string. Errors: a sentence that names the word.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut scenario = Self::default();
        for word in text.split_ascii_whitespace() {
            let (key, value) = word
                .split_once('=')
                .ok_or_else(|| format!("not key=value: {word}"))?;
            scenario
                .set(key, value)
                .ok_or_else(|| format!("not understood: {word}"))?;
        }
        if scenario.late.is_some() {
            scenario.late = Some(core::mem::replace(&mut scenario.lie, lies::NONE));
        }
        Ok(scenario)
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "mode" => self.mode = Mode::from_name(value)?,
            "profile" => {
                self.profile = match value {
                    "hyperv" => HostProfile::HyperV,
                    "kvm" => HostProfile::Kvm,
                    _ => return None,
                }
            }
            "lie" => self.set_lie(value)?,
            "inject_at" => self.inject_at = at(value)?,
            "inject_lower" => self.inject_lower = value == "1",
            "seed" => self.seed = value.parse().ok()?,
            "memory" => self.memory = bytes(value)?,
            "smp" => self.smp = value.parse().ok().filter(|n| (1..=255).contains(n))?,
            "log" => self.log = value.into(),
            "hash" => self.hash = value.split(',').map(range).collect::<Option<_>>()?,
            "max_exits" => self.max_exits = value.parse().ok()?,
            "max_instructions" => self.max_instructions = value.parse().ok()?,
            "sept_ve_disable" => self.sept_ve_disable = value == "1",
            "typed" => self.typed = value == "1",
            "probing" => self.probing = value == "1",
            "messages" => self.messages = value == "1",
            "late" => {
                self.moment = ["0", "1", "2", "3"]
                    .iter()
                    .position(|n| *n == value)
                    .unwrap_or(0) as u32;
                self.late = (self.moment != 0).then_some(lies::NONE);
            }
            "trace" => self.trace = value == "1",
            _ => return None,
        }
        Some(())
    }

    fn set_lie(&mut self, name: &str) -> Option<()> {
        if let Some(vector) = name.strip_prefix("inject-") {
            self.lie = "inject";
            self.inject = Some(match (vector, vector.strip_prefix("0x")) {
                ("nmi", _) => Inject::Nmi,
                ("any", _) => Inject::Any,
                (_, Some(hex)) => Inject::Vector(u8::from_str_radix(hex, 16).ok()?),
                _ => Inject::Vector(vector.parse().ok()?),
            });
            return Some(());
        }
        self.lie = lies::ALL.iter().find(|lie| lie.name == name)?.name;
        Some(())
    }

    /// Whether the host tells this lie.
    pub fn lies(&self, name: &str) -> bool {
        self.lie == name
    }

    /// Whether the host asks for a paravisor.
    pub fn paravisor(&self) -> bool {
        match self.lie {
            lies::PARAVISOR_REQUESTED | lies::NO_MULTI_VMPL => true,
            lies::PARAVISOR_NOT_REQUESTED => false,
            _ => matches!(self.mode, Mode::SnpParavisor | Mode::TdxParavisor),
        }
    }
}

fn at(value: &str) -> Option<At> {
    Some(match value {
        "any" => At::Any,
        "stub" => At::Stub,
        "kernel" => At::Kernel,
        "user" => At::User,
        "syscall" => At::Syscall,
        _ => return None,
    })
}

fn bytes(value: &str) -> Option<u64> {
    let (digits, shift) = match value.as_bytes().last()? {
        b'M' => (&value[..value.len() - 1], 20),
        b'G' => (&value[..value.len() - 1], 30),
        _ => (value, 0),
    };
    let count: u64 = digits.parse().ok()?;
    let size = count.checked_shl(shift)?;
    (size.is_multiple_of(1 << 21) && size >= 8 << 20).then_some(size)
}

fn range(text: &str) -> Option<HashRange> {
    let mut parts = text.split(':');
    let name = parts.next()?.to_string();
    let mut hex = || {
        let part = parts.next()?;
        u64::from_str_radix(part.strip_prefix("0x").unwrap_or(part), 16).ok()
    };
    let (gpa, len) = (hex()?, hex()?);
    Some(HashRange { name, gpa, len })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_string_is_understood() {
        let text = "mode=snp-paravisor profile=kvm lie=psc-half seed=7 memory=32M \
                    hash=kernel:200000:1000,stub:100000:20 max_exits=5 trace=1";
        let scenario = Scenario::parse(text).unwrap();
        assert_eq!(scenario.mode, Mode::SnpParavisor);
        assert!(scenario.lies(lies::PSC_HALF) && scenario.paravisor() && scenario.trace);
        assert_eq!(scenario.memory, 32 << 20);
        assert_eq!(scenario.hash[1].gpa, 0x10_0000);
    }

    #[test]
    fn a_late_lie_is_not_told_yet() {
        for text in ["late=1 lie=psc-half", "lie=psc-half late=1"] {
            let scenario = Scenario::parse(text).unwrap();
            let told = (scenario.lie, scenario.late);
            assert_eq!(told, (lies::NONE, Some(lies::PSC_HALF)));
        }
        assert_eq!(Scenario::parse("lie=psc-half").unwrap().late, None);
    }

    #[test]
    fn unknown_words_are_errors() {
        for text in [
            "mode",
            "mode=x",
            "lie=x",
            "memory=3",
            "hash=a:zz:1",
            "lie=inject-300",
        ] {
            assert!(Scenario::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn injections_have_vectors() {
        let inject = |text| Scenario::parse(text).unwrap().inject;
        assert_eq!(inject("lie=inject-0x80"), Some(Inject::Vector(0x80)));
        assert_eq!(inject("lie=inject-13"), Some(Inject::Vector(13)));
        assert_eq!(inject("lie=inject-nmi"), Some(Inject::Nmi));
        let lower = Scenario::parse("lie=inject-any inject_at=syscall inject_lower=1").unwrap();
        assert_eq!((lower.inject_at, lower.inject_lower), (At::Syscall, true));
    }
}
