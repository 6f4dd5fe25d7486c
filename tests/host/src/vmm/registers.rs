//! The input of HvCallSetVpRegisters (TLFS, "HvCallSetVpRegisters"; layout: `defs::hyperv`).

use super::hypercall::repeated;
use alloc::vec::Vec;
use tessera_defs::hyperv as hv;

/// Which registers get which values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetRegisters {
    /// Virtual trust level that they belong to.
    pub vtl: u8,
    /// Name and value.
    pub registers: Vec<(u32, u128)>,
}

impl SetRegisters {
    /// Sets them in order, as far as `one` says success: the hypercall's result value.
    pub fn each(&self, mut one: impl FnMut(u32, u128) -> u16) -> u64 {
        for (done, (name, value)) in self.registers.iter().enumerate() {
            let status = one(*name, *value);
            if status != hv::HV_STATUS_SUCCESS {
                return repeated(status, done);
            }
        }
        repeated(hv::HV_STATUS_SUCCESS, self.registers.len())
    }
}

/// Decodes it; the caller's own partition and processor only. Errors: the hypercall's status.
pub fn decode(control: u64, input: &[u8]) -> Result<SetRegisters, u16> {
    let count = (control >> hv::HYPERCALL_REP_COUNT_SHIFT & 0xFFF) as usize;
    let start = (control >> 48 & 0xFFF) as usize;
    let (header, list) = input
        .split_at_checked(hv::SET_REGISTERS_HEADER)
        .ok_or(hv::HV_STATUS_INVALID_HYPERCALL_INPUT)?;
    let list = list.get(..count * hv::SET_REGISTERS_ENTRY);
    let list = list.filter(|_| start < count);
    let list = list.ok_or(hv::HV_STATUS_INVALID_HYPERCALL_INPUT)?;
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .rev()
            .fold(0u128, |n, byte| n << 8 | u128::from(*byte))
    };
    if number(&header[..8]) != hv::PARTITION_SELF.into() {
        return Err(hv::HV_STATUS_INVALID_PARTITION_ID);
    }
    if number(&header[8..12]) != hv::VP_SELF.into() {
        return Err(hv::HV_STATUS_INVALID_VP_INDEX);
    }
    // Without bit 4 the level is the caller's own, whose registers it sets by instructions.
    let level = header[12];
    if level & !0xF != hv::VTL0 || header[13..] != [0; 3] {
        return Err(hv::HV_STATUS_INVALID_PARAMETER);
    }
    let entries = list.chunks_exact(hv::SET_REGISTERS_ENTRY).skip(start);
    let register = |entry: &[u8]| (number(&entry[..4]) as u32, number(&entry[16..]));
    Ok(SetRegisters {
        vtl: level & 0xF,
        registers: entries.map(register).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input() -> [u8; 80] {
        let mut bytes = [0; 80];
        bytes[..8].fill(0xFF);
        bytes[8..13].copy_from_slice(&[0xFE, 0xFF, 0xFF, 0xFF, 0x10]);
        bytes[16..20].copy_from_slice(&[0x19, 0, 9, 0]);
        bytes[32..34].copy_from_slice(&[0x12, 0x60]);
        bytes[48] = 7;
        bytes[79] = 1;
        bytes
    }

    #[test]
    fn names_and_values_are_read_from_their_places() {
        let two = 0x51 | 2 << hv::HYPERCALL_REP_COUNT_SHIFT;
        let wanted = SetRegisters {
            vtl: 0,
            registers: alloc::vec![(hv::REGISTER_GHCB, 0x6012), (7, 1 << 120)],
        };
        assert_eq!(decode(two, &input()), Ok(wanted));
        let rest = decode(two | 1 << 48, &input()).unwrap();
        assert_eq!(rest.registers, [(7, 1 << 120)]);
    }

    #[test]
    fn what_names_others_is_refused() {
        let one = 0x51 | 1 << hv::HYPERCALL_REP_COUNT_SHIFT;
        for (at, byte, status) in [
            (0, 0, hv::HV_STATUS_INVALID_PARTITION_ID),
            (8, 0, hv::HV_STATUS_INVALID_VP_INDEX),
            (12, 0, hv::HV_STATUS_INVALID_PARAMETER),
            (13, 1, hv::HV_STATUS_INVALID_PARAMETER),
        ] {
            let mut bytes = input();
            bytes[at] = byte;
            assert_eq!(decode(one, &bytes), Err(status), "{at}");
        }
        let short = hv::HV_STATUS_INVALID_HYPERCALL_INPUT;
        assert_eq!(decode(0x51, &input()), Err(short), "nothing to set");
        assert_eq!(decode(one, &input()[..40]), Err(short));
    }
}
