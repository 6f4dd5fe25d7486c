//! A process' handle table.

use tessera_abi::{error::Error, kind::Kind};

/// Slots of a table; slot 0 is never used.
pub const SLOTS: usize = tessera_abi::number::HANDLES + 1;
const MASK: u64 = SLOTS as u64 - 1;
const SLOT_BITS: u32 = SLOTS.trailing_zeros();
const _: () = assert!(SLOTS.is_power_of_two());

/// What a handle names, and what may be done by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The number that names this slot; 0 while it is free.
    pub(super) value: u32,
    /// Generation of the object; of a free slot, the salt of its next handle.
    pub(super) generation: u32,
    /// `Kind` in the low byte, rights in the high one.
    pub(super) meta: u16,
    /// Which object of its kind.
    pub(super) index: u8,
    /// What a server sees of a caller by this handle.
    pub(super) badge: u64,
}

/// An object, for `Entry::new`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its kind.
    pub kind: Kind,
    /// Which one.
    pub index: u8,
    /// Its generation.
    pub generation: u32,
}

impl Entry {
    pub(super) const EMPTY: Self = Self {
        value: 0,
        generation: 0,
        meta: 0,
        index: 0,
        badge: 0,
    };

    pub(super) fn rights(&self) -> u8 {
        (self.meta >> 8) as u8
    }

    /// The object that it names.
    pub(super) fn object(&self) -> Object {
        let kind = Kind::from_number(u64::from(self.meta & 0xFF));
        Object {
            kind: kind.unwrap_or(Kind::Inspection),
            index: self.index,
            generation: self.generation,
        }
    }

    /// Whether it is of this kind and has these rights. Errors: `WrongKind`, `NoRight`.
    #[inline(always)]
    pub(super) fn allows(&self, kind: Kind, rights: u8) -> Result<(), Error> {
        let wanted = kind as u16 | u16::from(rights) << 8;
        if self.meta & (0xFF | u16::from(rights) << 8) == wanted {
            return Ok(());
        }
        Err(self.refusal(kind))
    }

    #[cold]
    fn refusal(&self, kind: Kind) -> Error {
        if self.meta & 0xFF == kind as u16 {
            Error::NoRight
        } else {
            Error::WrongKind
        }
    }
}

const _: () = assert!(u32::MAX as u64 & MASK != 0);

/// The table.
#[derive(Clone, Copy, Debug)]
pub struct Handles(pub(super) [Entry; SLOTS]);

impl Handles {
    /// No table: what no process has.
    pub(super) const EMPTY: Self = Self([Entry::EMPTY; SLOTS]);

    /// A table without handles. Slot 0 has a value that leads to another slot, so that no handle,
    /// 0 above all, ever finds it.
    pub(super) fn reset(&mut self) {
        *self = Self::EMPTY;
        self.0[0].value = u32::MAX;
    }

    /// The entry of a handle. Errors: `BadHandle`.
    #[inline(always)]
    pub(super) fn get(&self, handle: u64) -> Result<&Entry, Error> {
        let entry = &self.0[(handle & MASK) as usize];
        if u64::from(entry.value) == handle {
            Ok(entry)
        } else {
            Err(Error::BadHandle)
        }
    }

    /// Puts an object into a free slot; the handle's number. `None`: there is none.
    pub(super) fn insert(&mut self, object: Object, rights: u8, badge: u64) -> Option<u32> {
        let slot = (1..SLOTS).find(|slot| self.0[*slot].value == 0)?;
        let entry = &mut self.0[slot];
        let value = slot as u32 | entry.generation << SLOT_BITS;
        *entry = Entry {
            value,
            generation: object.generation,
            meta: object.kind as u16 | u16::from(rights) << 8,
            index: object.index,
            badge,
        };
        Some(value)
    }

    /// Frees a slot that `get` found.
    pub(super) fn remove(&mut self, value: u32) {
        self.0[value as usize % SLOTS] = Entry {
            generation: (value >> SLOT_BITS).wrapping_add(1),
            ..Entry::EMPTY
        };
    }

    /// Handles in use, those of dead objects included.
    pub fn used(&self) -> impl Iterator<Item = &Entry> {
        self.0[1..].iter().filter(|entry| entry.value != 0)
    }
}
