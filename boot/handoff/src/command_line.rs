//! The command line: a claim of the host. It chooses how much the kernel prints, and nothing else.

/// How much the kernel prints; each level includes those before it. What the matrix reads is
/// printed at every level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Level {
    /// Nothing more.
    Off = 1,
    /// What ends the guest.
    Error,
    /// What is wrong and borne.
    Warn,
    /// What this boot is; the default.
    Info,
    /// What was found and decided.
    Debug,
    /// Each step.
    Trace,
}

impl Level {
    /// Every level, in order.
    pub const ALL: [Level; 6] = [
        Level::Off,
        Level::Error,
        Level::Warn,
        Level::Info,
        Level::Debug,
        Level::Trace,
    ];

    /// Name on a command line.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Off => "off",
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }

    /// The level of a number; the default for all others (0: the host says nothing).
    pub fn from_u32(number: u32) -> Self {
        let found = Self::ALL.into_iter().find(|level| *level as u32 == number);
        found.unwrap_or(Level::Info)
    }
}

/// The level that `log=LEVEL` names among the words of a command line that ends at the first
/// zero byte, if there is one. The first word that names a level counts; all else is ignored.
pub fn log_level(bytes: &[u8]) -> Option<Level> {
    let end = bytes.iter().position(|byte| *byte == 0);
    let text = &bytes[..end.unwrap_or(bytes.len())];
    let mut words = text.split(|byte| *byte == b' ');
    words.find_map(|word| {
        let name = word.strip_prefix(b"log=")?;
        let mut levels = Level::ALL.into_iter();
        levels.find(|level| level.name().as_bytes() == name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_found_by_name_and_number() {
        for level in Level::ALL {
            let mut text = [0; 32];
            let name = level.name().as_bytes();
            text[..6].copy_from_slice(b"x log=");
            text[6..6 + name.len()].copy_from_slice(name);
            assert_eq!(log_level(&text), Some(level));
            assert_eq!(log_level(&text[..6 + name.len()]), Some(level), "no zero");
            assert_eq!(Level::from_u32(level as u32), level);
        }
    }

    #[test]
    fn what_is_no_level_changes_nothing() {
        for text in [
            &b""[..],
            b"\0log=off",
            b"log=",
            b"log=OFF",
            b"log=offf",
            b"xlog=off",
            b"log = off",
            b"log=off\xFF",
            &[0xFF; 4096],
        ] {
            assert_eq!(log_level(text), None);
        }
        assert_eq!(log_level(b"log=loud log=warn log=off"), Some(Level::Warn));
        assert_eq!([0, 7, u32::MAX].map(Level::from_u32), [Level::Info; 3]);
    }
}
