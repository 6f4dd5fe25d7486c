//! The fields of an L2 VMCS that TDG.VP.RD and TDG.VP.WR know. Source: 348551, tables of the L2
//! VMCS; checked against the table in Intel's TDX module 1.5.

/// A field: encoding, and the bits that L1 reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// VMCS encoding, full access.
    pub encoding: u32,
    /// Bits that L1 reads; 0: not readable.
    pub read: u64,
    /// Bits that L1 writes; 0: not writable.
    pub write: u64,
}

/// Read and written as they are.
#[rustfmt::skip]
const PLAIN: [u32; 98] = [
    0x0006, 0x0800, 0x0802, 0x0804, 0x0806, 0x0808, 0x080A, 0x080C, 0x080E, 0x0810, 0x0814,
    0x201C, 0x201E, 0x2020, 0x2022, 0x202C, 0x2400, 0x2804, 0x2808, 0x280A, 0x280C, 0x280E,
    0x2810, 0x2814, 0x2816, 0x2818, 0x4006, 0x4008, 0x400A, 0x4016, 0x4018, 0x401A, 0x401C,
    0x4020, 0x4022, 0x4400, 0x4402, 0x4404, 0x4406, 0x4408, 0x440A, 0x440C, 0x440E, 0x4800,
    0x4802, 0x4804, 0x4806, 0x4808, 0x480A, 0x480C, 0x480E, 0x4810, 0x4812, 0x4814, 0x4816,
    0x4818, 0x481A, 0x481C, 0x481E, 0x4820, 0x4822, 0x4824, 0x482A, 0x6000, 0x6002, 0x6004,
    0x6006, 0x6008, 0x600A, 0x600C, 0x600E, 0x6400, 0x6402, 0x6404, 0x6406, 0x6408, 0x640A,
    0x6802, 0x6806, 0x6808, 0x680A, 0x680C, 0x680E, 0x6810, 0x6812, 0x6814, 0x6816, 0x6818,
    0x681A, 0x681C, 0x681E, 0x6820, 0x6822, 0x6824, 0x6826, 0x6828, 0x682A, 0x682C,
];

/// Only read.
#[rustfmt::skip]
const READ_ONLY: [u32; 12] = [
    0x0002, 0x2000, 0x2002, 0x2016, 0x2018, 0x202A, 0x202E, 0x2036, 0x4000, 0x400C, 0x4024,
    0x4826,
];

/// The module's own.
#[rustfmt::skip]
const HIDDEN: [u32; 32] = [
    0x0000, 0x0004, 0x0812, 0x2004, 0x2006, 0x2008, 0x200A, 0x200C, 0x200E, 0x2010, 0x2014,
    0x2024, 0x2026, 0x2028, 0x2032, 0x2038, 0x203A, 0x203C, 0x203E, 0x204A, 0x204C, 0x2800,
    0x400E, 0x4010, 0x4014, 0x4026, 0x4828, 0x482E, 0x6C08, 0x6C14, 0x6C16, 0x6C1A,
];

/// Fields with masks of their own.
const MASKED: [Field; 12] = [
    Field {
        encoding: 0x2012,
        read: 0xFFFFFFFFFFFFFFFF,
        write: 0xFFFFFFFFFFFFF000,
    },
    Field {
        encoding: 0x201A,
        read: 0xFFF0000000000FFF,
        write: 0x80,
    },
    Field {
        encoding: 0x2034,
        read: 0xFFFFFFFFFFFFFFFF,
        write: 0xE,
    },
    Field {
        encoding: 0x2040,
        read: 0xFFFFFFFFFFFFFFFF,
        write: 0xFFFFFFFFFF018,
    },
    Field {
        encoding: 0x2802,
        read: 0xFFFFFFFFFFFFDFFF,
        write: 0xFFC7,
    },
    Field {
        encoding: 0x2806,
        read: 0xFFFFFFFFFFFFFFFF,
        write: 0x501,
    },
    Field {
        encoding: 0x4002,
        read: 0xFFFFFFFF,
        write: 0x48D99A04,
    },
    Field {
        encoding: 0x4004,
        read: 0xFFFFFFFF,
        write: 0xFFFBFFFF,
    },
    Field {
        encoding: 0x4012,
        read: 0xFFFFFFFF,
        write: 0x200,
    },
    Field {
        encoding: 0x401E,
        read: 0xFFFFFFFF,
        write: 0xC513E0C,
    },
    Field {
        encoding: 0x6800,
        read: 0xFFFFFFFFFFFFFFFF,
        write: 0x8005001F,
    },
    Field {
        encoding: 0x6804,
        read: 0xFFFFFFFFFFFFFFFF,
        write: 0x3FF1FBF,
    },
];

/// Number of fields.
pub const COUNT: usize = PLAIN.len() + READ_ONLY.len() + HIDDEN.len() + MASKED.len();

/// Every field, in the order of encodings.
pub static FIELDS: [Field; COUNT] = sorted();

/// All bits of an encoding's width.
const fn width(encoding: u32) -> u64 {
    match encoding >> 13 & 3 {
        0 => 0xFFFF,
        2 => 0xFFFF_FFFF,
        _ => u64::MAX,
    }
}

/// The index of a field in `FIELDS`.
pub fn index(encoding: u32) -> Option<usize> {
    FIELDS
        .binary_search_by_key(&encoding, |field| field.encoding)
        .ok()
}

const fn field(encoding: u32, read: bool, write: bool) -> Field {
    let all = width(encoding);
    Field {
        encoding,
        read: if read { all } else { 0 },
        write: if write { all } else { 0 },
    }
}

const fn sorted() -> [Field; COUNT] {
    let mut table = [field(0, false, false); COUNT];
    let mut count = 0;
    let mut i = 0;
    while i < COUNT {
        let (plain, read, hidden) = (PLAIN.len(), READ_ONLY.len(), HIDDEN.len());
        let next = if i < plain {
            field(PLAIN[i], true, true)
        } else if i < plain + read {
            field(READ_ONLY[i - plain], true, false)
        } else if i < plain + read + hidden {
            field(HIDDEN[i - plain - read], false, false)
        } else {
            MASKED[i - plain - read - hidden]
        };
        let mut at = count;
        while at > 0 && table[at - 1].encoding > next.encoding {
            table[at] = table[at - 1];
            at -= 1;
        }
        table[at] = next;
        count += 1;
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_defs::vmx::{control, vmcs};

    #[test]
    fn the_table_is_sorted_and_agrees_with_the_shared_constants() {
        assert!(
            FIELDS
                .windows(2)
                .all(|two| two[0].encoding < two[1].encoding)
        );
        let of = |encoding| FIELDS[index(encoding).unwrap()];
        assert_eq!(of(vmcs::GUEST_CR0).write, control::CR0_L1_WRITABLE);
        assert_eq!(of(vmcs::GUEST_CR4).write, control::CR4_L1_WRITABLE);
        assert_eq!(of(vmcs::GUEST_EFER).write, control::EFER_L1_WRITABLE);
        let primary = u64::from(control::primary::L1_WRITABLE);
        assert_eq!(of(vmcs::PRIMARY_CONTROLS).write, primary);
        let secondary = u64::from(control::secondary::L1_WRITABLE);
        assert_eq!(of(vmcs::SECONDARY_CONTROLS).write, secondary);
        assert_eq!(of(vmcs::ENTRY_CONTROLS).write, control::entry::IA32E.into());
        assert_eq!(of(vmcs::GUEST_ACTIVITY).write, 0);
        assert_eq!(of(vmcs::PIN_CONTROLS).write, 0);
        assert_eq!(of(0x2004).read, 0, "the MSR bitmap's address");
        assert_eq!(index(0x6C16).map(|at| FIELDS[at].read), Some(0), "host RIP");
        assert_eq!(index(0x2013), None, "high half");
    }
}
