//! What the kernel and a process may cost in memory: limits that the project set itself, measured in
//! every boot that runs.

/// Bytes that the kernel uses at most, beside a part of the memory.
const KERNEL: u64 = 2 << 20;
/// That part: 0.2 %.
const PART: u64 = 500;
/// Bytes that a process costs at most before its own pages.
const PROCESS: u64 = 40 << 10;
/// Bytes of its slots in the kernel's tables, as `kernel/src/cpu.rs` asserts.
const SLOTS: u64 = 4 << 10;
const PAGE: u64 = 4096;

/// Pages, by the first process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weight {
    /// Usable in all, beside what the kernel uses.
    pub total: u64,
    /// What the kernel uses.
    pub kernel: u64,
    /// Tables and lists of a process of the bundle.
    pub process: u64,
}

impl Weight {
    /// From `key=pages` words; `None` where one is missing.
    pub fn parse(words: &str) -> Option<Self> {
        let find = |key: &str| {
            let mut values = words.split_whitespace().filter_map(|w| w.strip_prefix(key));
            values.next()?.parse().ok()
        };
        Some(Self {
            total: find("total=")?,
            kernel: find("kernel=")?,
            process: find("process=")?,
        })
    }

    /// What is too heavy, a sentence each.
    pub fn faults(self) -> Vec<String> {
        let kernel = self.kernel * PAGE;
        let process = self.process * PAGE + SLOTS;
        let limit = KERNEL + (self.total + self.kernel) * PAGE / PART;
        let parts = [
            ("the kernel uses", kernel, limit),
            ("a process costs", process, PROCESS),
        ];
        let heavy = parts.iter().filter(|(_, bytes, limit)| bytes > limit);
        heavy
            .map(|(what, bytes, limit)| format!("{what} {bytes} bytes, more than {limit}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_limits() {
        let good = Weight::parse("none pages total=16000 shared=0 kernel=512 process=9 x");
        let good = good.unwrap();
        assert!(good.faults().is_empty());
        let kernel = Weight {
            kernel: 546,
            ..good
        };
        let process = Weight {
            process: 10,
            ..good
        };
        assert_eq!((kernel.faults().len(), process.faults().len()), (1, 1));
        assert_eq!(Weight::parse("total=1 kernel=2"), None);
    }
}
