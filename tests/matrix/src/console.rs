//! What the guest says about itself on its console.

use crate::weight::Weight;
use tessera_defs::refusal::Refusal;

/// The lines that count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Console {
    /// Mode by the kernel's banner.
    pub mode: Option<String>,
    /// Host profile by the kernel's banner.
    pub profile: Option<String>,
    /// Strategies by the kernel's banner.
    pub strategies: Vec<String>,
    /// SMEP, SMAP, UMIP, as far as they are on, by the kernel's banner.
    pub protections: Vec<String>,
    /// Mode by the first user process.
    pub init_mode: Option<String>,
    /// Interrupts of devices came, by the first user process.
    pub lines: bool,
    /// Interrupt messages came, by the first user process.
    pub messages: bool,
    /// The host itself read and wrote what a process shared with it, by the first user process.
    pub seen: bool,
    /// Interrupts that nobody asked for, while the first user process counted.
    pub unasked: u64,
    /// Starts of all services.
    pub starts: Option<u64>,
    /// What the serial monitor printed.
    pub monitor: Vec<String>,
    /// The supervisor heard of the panic of the one service that panics.
    pub panic_told: bool,
    /// Whose word the clock is, by the first user process.
    pub clock: Option<String>,
    /// What kernel and processes cost, by the first user process.
    pub weight: Option<Weight>,
    /// The first user process reported a failed check.
    pub failed_check: Option<String>,
    /// Processors that the host claims, by the kernel.
    pub processors: Option<u32>,
    /// Processors that run, by the kernel.
    pub running: Option<u32>,
    /// The kernel printed a line of log level `info`.
    pub info: bool,
    /// The kernel printed a line of log level `debug`.
    pub debug: bool,
    /// Printed just before an orderly soft off.
    pub shutdown: bool,
    /// The refusal that the guest printed.
    pub refused: Option<Refusal>,
    /// A panic's line.
    pub panic: Option<String>,
}

impl Console {
    /// Finds the lines. Whatever else stands there is of no importance.
    pub fn parse(text: &str) -> Self {
        let mut console = Console::default();
        for line in text.lines().map(|line| line.trim_end_matches('\r')) {
            console.line(line);
        }
        console
    }

    fn line(&mut self, line: &str) {
        // The kernel puts a process' name before its lines; only the first one's count.
        if let Some(words) = line.strip_prefix("[monitor] ") {
            self.monitor.push(words.to_owned());
        }
        if line.starts_with('[') {
            return;
        }
        if let Some(words) = line.strip_prefix("tessera: mode=") {
            self.banner(words);
        } else if let Some(words) = line.strip_prefix("tessera: acpi: the host claims ") {
            let word = words.split_whitespace().next();
            self.processors = word.and_then(|word| word.parse().ok());
        } else if let Some(words) = line.strip_prefix("tessera: processors: ")
            && let Some((run, _)) = words.split_once(" of ")
        {
            self.running = run.parse().ok();
        } else if line.starts_with("tessera: policy=") {
            self.info = true;
        } else if line.starts_with("tessera: debug: ") {
            self.debug = true;
        } else if let Some(words) = line.strip_prefix("init: mode=") {
            self.init_mode = words.split_whitespace().next().map(str::to_owned);
            let clock = |word: &str| word.strip_prefix("clock=").map(str::to_owned);
            self.clock = words.split_whitespace().find_map(clock);
            self.weight = Weight::parse(words);
        } else if line.starts_with("init: chaos panicked at ") {
            self.panic_told = true;
        } else if line == "init: interrupt lines come" {
            self.lines = true;
        } else if line == "init: interrupt messages come" {
            self.messages = true;
        } else if line == "init: the host sees what is shared" {
            self.seen = true;
        } else if let Some(words) = line.strip_prefix("init: unasked interrupts: ") {
            self.unasked += words.trim_end().parse().unwrap_or(1);
        } else if let Some(words) = line.strip_prefix("init: services done after ") {
            let word = words.split_whitespace().next();
            self.starts = word.and_then(|word| word.parse().ok());
        } else if let Some(check) = line.strip_prefix("init: check failed: ") {
            self.failed_check = Some(check.to_owned());
        } else if line.starts_with("tessera: init exited with ") {
            let good = line.starts_with("tessera: init exited with 0,");
            self.failed_check = self
                .failed_check
                .take()
                .or((!good).then(|| line.to_owned()));
        } else if line.contains("panicked at ") || line.starts_with("tessera: panic") {
            self.panic = Some(line.to_owned());
        }
        // A refusal may come in the middle of another line.
        if let Some((_, words)) = line.split_once("tessera: refused ") {
            let name = words.split([':', ' ']).next().unwrap_or(words);
            self.refused = Refusal::from_name(name);
        }
        // Only as the last word: whatever follows it was printed by something still alive.
        self.shutdown = line == "tessera: shutdown" || (self.shutdown && line.is_empty());
    }

    fn banner(&mut self, words: &str) {
        let mut words = words.split_whitespace();
        self.mode = words.next().map(str::to_owned);
        for word in words {
            if let Some(profile) = word.strip_prefix("profile=") {
                self.profile = Some(profile.to_owned());
            } else if let Some(list) = word.strip_prefix("strategies=") {
                self.strategies = list.split(',').map(str::to_owned).collect();
            } else if let Some(list) = word.strip_prefix("protections=") {
                self.protections = list.split(',').map(str::to_owned).collect();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_boot_is_read() {
        let console = Console::parse(
            "noise\ntessera: mode=none profile=hyperv strategies=native,plain protections=smep,umip\r\n\
             tessera: policy=demo\ntessera: debug: x\n\
             tessera: acpi: the host claims 4 processor(s)\n\
             tessera: processors: 3 of 4 claimed run\n\
             init: mode=none clock=host pages accepted=0 shared=0 ticks=3\ntessera: shutdown\n",
        );
        assert_eq!(console.mode.as_deref(), Some("none"));
        assert_eq!(console.profile.as_deref(), Some("hyperv"));
        assert_eq!(console.strategies, ["native", "plain"]);
        assert_eq!(console.protections, ["smep", "umip"]);
        assert_eq!(console.init_mode.as_deref(), Some("none"));
        assert_eq!(console.clock.as_deref(), Some("host"));
        assert!(console.shutdown && console.panic.is_none());
        assert_eq!((console.processors, console.running), (Some(4), Some(3)));
        assert!(console.info && console.debug && !console.lines);
        assert!(Console::parse("init: interrupt lines come\r\n").lines);
    }

    #[test]
    fn refusals_of_stub_and_kernel_are_read() {
        for text in [
            "tessera: refused msr-disagrees\n",
            "tessera: refused msr-disagrees: a; b\n",
        ] {
            assert_eq!(Console::parse(text).refused, Some(Refusal::MsrDisagrees));
            let cut = Console::parse(&format!("tessera: mode=none profile=hyp{text}"));
            assert_eq!(cut.refused, Some(Refusal::MsrDisagrees));
        }
        assert_eq!(Console::parse("tessera: refused nonsense\n").refused, None);
    }

    #[test]
    fn what_other_processes_say_does_not_count() {
        let text = "[client-a] ?tessera: refused handoff-invalid\n[x] init: check failed: a lie\n\
            [x] a panic: panicked at x\n[x] init: mode=snp\n[x] tessera: shutdown\n";
        assert_eq!(Console::parse(text), Console::default());
    }

    #[test]
    fn shutdown_is_the_last_word_or_none() {
        assert!(!Console::parse("tessera: shutdown\nstill here\n").shutdown);
        assert!(!Console::parse("x tessera: shutdown\n").shutdown);
    }

    #[test]
    fn panics_are_found() {
        let console = Console::parse("tessera: panicked at kernel/src/a.rs:1:1:\nboo\n");
        assert!(console.panic.is_some());
    }
}
