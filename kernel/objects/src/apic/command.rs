//! The interrupt command register of an x2APIC: what is sent, and whom it reaches. Source: Intel SDM
//! vol. 3, 11.12.9 (register), 11.12.10 (logical IDs), 11.6.1 (delivery modes, shorthands).

const VECTOR: u64 = 0xFF;
const DELIVERY_SHIFT: u32 = 8;
const LOGICAL: u64 = 1 << 11;
const LEVEL_ASSERT: u64 = 1 << 14;
const TRIGGER_LEVEL: u64 = 1 << 15;
const SHORTHAND_SHIFT: u32 = 18;
/// Bits 13:12, 17:16 and 31:20.
const RESERVED: u64 = 0xFFF3_3000;
/// Everybody, in either form of destination.
const BROADCAST: u32 = u32::MAX;
/// Fixed vectors below are the processor's: such a message is lost.
const FIRST_VECTOR: u8 = 16;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// An interrupt to all who are reached.
    Fixed(u8),
    /// An interrupt to one of them.
    Lowest(u8),
    /// A non-maskable interrupt.
    Nmi,
    /// INIT.
    Init,
    /// A startup IPI: the code's page.
    Startup(u8),
}

/// To whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The sender.
    Myself,
    /// All, or all but the sender.
    All {
        /// The sender too.
        sender: bool,
    },
    /// An x2APIC ID.
    Physical(u32),
    /// A cluster in 31:16, its members in 15:0.
    Logical(u32),
}

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// What.
    pub delivery: Delivery,
    /// To whom.
    pub destination: Destination,
}

/// Reserved bits are set: the write raises #GP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved;

impl Command {
    /// What a write of `icr` sends; nothing where the message is lost: an illegal vector, SMI (nobody
    /// has a handler), INIT level de-assert. Errors: `Reserved`.
    pub const fn decode(icr: u64) -> Result<Option<Self>, Reserved> {
        if icr & RESERVED != 0 {
            return Err(Reserved);
        }
        let vector = (icr & VECTOR) as u8;
        let deassert = icr & (LEVEL_ASSERT | TRIGGER_LEVEL) == TRIGGER_LEVEL;
        let delivery = match icr >> DELIVERY_SHIFT & 7 {
            0 if vector >= FIRST_VECTOR => Delivery::Fixed(vector),
            1 if vector >= FIRST_VECTOR => Delivery::Lowest(vector),
            4 => Delivery::Nmi,
            5 if !deassert => Delivery::Init,
            6 => Delivery::Startup(vector),
            _ => return Ok(None),
        };
        let to = (icr >> 32) as u32;
        let destination = match icr >> SHORTHAND_SHIFT & 3 {
            0 if icr & LOGICAL != 0 => Destination::Logical(to),
            0 => Destination::Physical(to),
            1 => Destination::Myself,
            2 => Destination::All { sender: true },
            _ => Destination::All { sender: false },
        };
        Ok(Some(Self {
            delivery,
            destination,
        }))
    }

    /// Whether it reaches the APIC with ID `id`, sent by the one with ID `sender`.
    pub const fn reaches(&self, id: u32, sender: u32) -> bool {
        match self.destination {
            Destination::Myself => id == sender,
            Destination::All { sender: too } => too || id != sender,
            Destination::Physical(BROADCAST) | Destination::Logical(BROADCAST) => true,
            Destination::Physical(to) => id == to,
            Destination::Logical(to) => {
                let logical = logical_id(id);
                to >> 16 == logical >> 16 && to & logical & 0xFFFF != 0
            }
        }
    }
}

/// The logical ID that an x2APIC derives from its ID.
pub const fn logical_id(id: u32) -> u32 {
    id >> 4 << 16 | 1 << (id & 15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn sent(icr: u64) -> Command {
        Command::decode(icr).unwrap().unwrap()
    }

    #[test]
    fn every_delivery_mode_is_told_apart() {
        let modes = [0x41, 0x141, 0x400, 0x500, 0x608, 0x4500, 0xC500];
        let found = modes.map(|icr| sent(icr).delivery);
        assert_eq!(
            found,
            [
                Delivery::Fixed(0x41),
                Delivery::Lowest(0x41),
                Delivery::Nmi,
                Delivery::Init,
                Delivery::Startup(8),
                Delivery::Init,
                Delivery::Init
            ]
        );
    }

    #[test]
    fn what_nobody_takes_is_lost_and_reserved_bits_are_refused() {
        // Vector 15, SMI, reserved modes, INIT de-assert.
        for lost in [0x0F, 0x10F, 0x200, 0x341, 0x741, 0x8500] {
            assert_eq!(Command::decode(lost), Ok(None), "{lost:#x}");
        }
        for bit in [12, 13, 16, 17, 20, 31] {
            assert_eq!(Command::decode(0x41 | 1 << bit), Err(Reserved), "{bit}");
        }
    }

    fn reached(icr: u64) -> Vec<u32> {
        let ids = [0, 1, 2, 15, 16, 17];
        let command = sent(icr);
        ids.into_iter()
            .filter(|id| command.reaches(*id, 1))
            .collect()
    }

    #[test]
    fn every_form_of_destination_reaches_whom_it_names() {
        assert_eq!(reached(2 << 32 | 0x41), [2]);
        assert_eq!(reached(9 << 32 | 0x41), []);
        assert_eq!(reached(0xFFFF_FFFF << 32 | 0x41), [0, 1, 2, 15, 16, 17]);
        assert_eq!(reached(5 << 32 | 0x40041), [1], "itself, whatever is named");
        assert_eq!(reached(0x80041), [0, 1, 2, 15, 16, 17]);
        assert_eq!(reached(0xC0041), [0, 2, 15, 16, 17]);
        assert_eq!(reached(0x8005 << 32 | 0x841), [0, 2, 15]);
        assert_eq!(reached(0x1_0002 << 32 | 0x841), [17]);
        assert_eq!(reached(0xFFFF_FFFF << 32 | 0x841), [0, 1, 2, 15, 16, 17]);
    }
}
