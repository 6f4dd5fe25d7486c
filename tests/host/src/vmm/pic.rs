//! Two 8259A interrupt controllers: registers only. Their output is not wired to the processor,
//! because a guest of this host has an IOAPIC. Source: Intel 8259A datasheet (231468-003).

/// Ports of the two controllers.
const BASES: [u16; 2] = [0x20, 0xA0];
/// Edge or level, one byte each (EISA specification 3.12, 4.7).
const LEVEL: u16 = 0x4D0;

/// One controller.
#[derive(Clone, Copy, Debug, Default)]
struct Pic {
    mask: u8,
    level: u8,
    /// Initialisation words that are still to come, and whether the fourth is one of them.
    step: u8,
    wants_fourth: bool,
    single: bool,
}

/// Both.
#[derive(Clone, Debug, Default)]
pub struct Pics([Pic; 2]);

impl Pics {
    /// A read; `None` where no register is.
    pub fn read(&self, port: u16) -> Option<u8> {
        let (pic, at) = self.find(port)?;
        let pic = &self.0[pic];
        Some(match at {
            // Nothing is requested and nothing in service.
            0 => 0,
            1 => pic.mask,
            _ => pic.level,
        })
    }

    /// A write; `None` where no register is.
    pub fn write(&mut self, port: u16, value: u8) -> Option<()> {
        let (pic, at) = self.find(port)?;
        let pic = &mut self.0[pic];
        match (at, pic.step) {
            (2, _) => pic.level = value,
            (0, _) if value & 0x10 != 0 => {
                *pic = Pic {
                    level: pic.level,
                    step: 1,
                    wants_fourth: value & 1 != 0,
                    single: value & 2 != 0,
                    ..Pic::default()
                };
            }
            (0, _) => {}
            (_, 1) if !pic.single => pic.step = 2,
            (_, 1 | 2) => pic.step = if pic.wants_fourth { 3 } else { 0 },
            (_, 3) => pic.step = 0,
            _ => pic.mask = value,
        }
        Some(())
    }

    /// Which controller and which of its registers: 0 command, 1 data, 2 edge or level.
    fn find(&self, port: u16) -> Option<(usize, u8)> {
        if port & !1 == LEVEL {
            return Some((usize::from(port & 1), 2));
        }
        let pic = BASES.iter().position(|base| port & !1 == *base)?;
        Some((pic, (port & 1) as u8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_is_read_back_after_four_words() {
        let mut pics = Pics::default();
        for (port, value) in [
            (0x20, 0x11),
            (0x21, 0x30),
            (0x21, 4),
            (0x21, 1),
            (0x21, 0xFB),
        ] {
            pics.write(port, value).unwrap();
        }
        assert_eq!(pics.read(0x21), Some(0xFB));
        assert_eq!((pics.read(0xA1), pics.read(0x22)), (Some(0), None));
    }
}
