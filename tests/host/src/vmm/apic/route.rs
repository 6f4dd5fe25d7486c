//! What a destination means. Source: Intel SDM vol. 3, 10.6 and 10.12.9, 10.12.10.

use super::Apic;

/// An interrupt message: a command (ICR), or an entry of the IOAPIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Vector, or for a startup IPI the page of its code.
    pub vector: u8,
    /// How it is delivered.
    pub mode: Delivery,
    /// To whom.
    pub to: To,
}

/// Delivery modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Delivery {
    Fixed,
    Lowest,
    Nmi,
    Init,
    Startup,
    /// SMI, ExtINT, and what is reserved: there is nobody to take it.
    Other(u8),
}

/// Destinations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum To {
    Oneself,
    All,
    Others,
    /// By APIC id; all ones is everybody.
    Physical(u32),
    /// By logical id: of x2APIC's 32 bits, or of xAPIC's 8.
    Logical {
        mask: u32,
        wide: bool,
    },
}

const LOGICAL: u64 = 1 << 11;

impl Message {
    /// What a command asks for; `None` for INIT level de-assert, which does nothing (10.6.1).
    /// `wide`: it was written in x2APIC mode.
    pub fn command(icr: u64, wide: bool) -> Option<Self> {
        let mode = delivery(icr);
        let deassert = icr & (1 << 14 | 1 << 15) == 1 << 15;
        if mode == Delivery::Init && deassert {
            return None;
        }
        let to = match icr >> 18 & 3 {
            1 => To::Oneself,
            2 => To::All,
            3 => To::Others,
            _ if wide => destination((icr >> 32) as u32, icr & LOGICAL != 0, true),
            _ => destination((icr >> 56) as u32, icr & LOGICAL != 0, false),
        };
        let vector = icr as u8;
        Some(Self { vector, mode, to })
    }

    /// What an entry of the IOAPIC asks for.
    pub fn entry(entry: u64) -> Self {
        Self {
            vector: entry as u8,
            mode: delivery(entry),
            to: destination((entry >> 56) as u32, entry & LOGICAL != 0, false),
        }
    }

    /// Whether it reaches `apic`, of the processor that sent it or not.
    pub fn reaches(&self, apic: &Apic, sender: bool) -> bool {
        match self.to {
            To::Oneself => sender,
            To::All => true,
            To::Others => !sender,
            To::Physical(id) => id == u32::MAX || id == apic.id,
            To::Logical { mask, wide } => apic.has_logical(mask, wide),
        }
    }
}

fn delivery(bits: u64) -> Delivery {
    match (bits >> 8 & 7) as u8 {
        0 => Delivery::Fixed,
        1 => Delivery::Lowest,
        4 => Delivery::Nmi,
        5 => Delivery::Init,
        6 => Delivery::Startup,
        other => Delivery::Other(other),
    }
}

fn destination(id: u32, logical: bool, wide: bool) -> To {
    match (logical, wide) {
        (true, _) => To::Logical { mask: id, wide },
        (false, false) if id == 0xFF => To::Physical(u32::MAX),
        _ => To::Physical(id),
    }
}

impl Apic {
    /// Logical id of x2APIC mode: cluster in 31:16, one bit of 15:0 (10.12.10.2).
    pub(super) fn logical_id(&self) -> u32 {
        (self.id >> 4) << 16 | 1 << (self.id & 15)
    }

    fn has_logical(&self, mask: u32, wide: bool) -> bool {
        if self.x2apic() {
            let mine = self.logical_id();
            let broadcast = wide && mask == u32::MAX;
            return broadcast || mask >> 16 == mine >> 16 && mask & mine & 0xFFFF != 0;
        }
        let ([id, format], mask) = (self.logical, mask & 0xFF);
        let mine = id >> 24;
        match format >> 28 {
            // Clusters of four.
            0 => mask == 0xFF || mask >> 4 == mine >> 4 && mask & mine & 0xF != 0,
            _ => mask & mine != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Who of twenty processors gets a command of processor 1.
    fn reached(icr: u64) -> Vec<u32> {
        let Some(message) = Message::command(icr, true) else {
            return Vec::new();
        };
        let got = |id: &u32| message.reaches(&Apic::new(*id), *id == 1);
        (0..20).filter(got).collect()
    }

    #[test]
    fn shorthands_and_destinations() {
        assert_eq!(reached(1 << 18 | 0x40), [1]);
        assert_eq!(reached(2 << 18 | 0x40).len(), 20);
        assert!(reached(3 << 18 | 0x40).len() == 19 && !reached(3 << 18).contains(&1));
        assert_eq!(reached(7 << 32 | 0x40), [7]);
        assert_eq!(reached(0xFFFF_FFFF << 32).len(), 20);
        assert_eq!(reached((1 << 16 | 0b101) << 32 | LOGICAL), [16, 18]);
        assert_eq!(reached(0b11 << 32 | LOGICAL), [0, 1]);
        assert_eq!(reached(0xFFFF_FFFF << 32 | LOGICAL).len(), 20);
    }

    #[test]
    fn modes_are_told_apart_and_a_deassert_is_nothing() {
        let mode = |icr| Message::command(icr, true).map(|message| message.mode);
        assert_eq!(mode(0x500 | 1 << 14), Some(Delivery::Init));
        assert_eq!(mode(0x500 | 1 << 15), None);
        assert_eq!(mode(0x608), Some(Delivery::Startup));
        assert_eq!(mode(0x400), Some(Delivery::Nmi));
        assert_eq!(mode(0x200), Some(Delivery::Other(2)));
    }

    #[test]
    fn an_entry_of_the_ioapic_has_eight_bits_for_whom() {
        let to = |entry| Message::entry(entry).to;
        assert_eq!(to(3 << 56 | 0x31), To::Physical(3));
        assert_eq!(to(0xFF << 56 | 0x31), To::Physical(u32::MAX));
        let both = Message::entry(3 << 56 | LOGICAL | 0x31);
        let got = |id| both.reaches(&Apic::new(id), false);
        assert!(got(0) && got(1) && !got(2) && !got(16));
    }
}
