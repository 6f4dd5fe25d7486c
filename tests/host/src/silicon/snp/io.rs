//! EXITINFO1 of a port access as the processor has it, where QEMU leaves bits out: address size and segment
//! of a string. Source: APM vol. 2, 15.10.2.

use tessera_defs::snp::vc::io;

/// Segments by their numbers.
const ES: u64 = 0;
const DS: u64 = 3;
/// Address size and segment.
const ADDRESSING: u64 = io::A16 | io::A32 | io::A64 | 7 << io::SEG_SHIFT;

/// Code's width in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Width {
    W16,
    W32,
    W64,
}

/// EXITINFO1 of the access that `bytes` are the instruction of.
pub fn complete(info: u64, bytes: &[u8], width: Width) -> u64 {
    if info & io::STRING == 0 {
        return info;
    }
    let (mut short, mut segment) = (false, DS);
    for byte in bytes {
        match byte {
            0x67 => short = true,
            0x26 => segment = ES,
            0x2E => segment = 1,
            0x36 => segment = 2,
            0x3E => segment = DS,
            0x64 => segment = 4,
            0x65 => segment = 5,
            0x66 | 0xF0 | 0xF2 | 0xF3 | 0x40..=0x4F => {}
            _ => break,
        }
    }
    // INS writes to ES whatever the prefix says.
    if info & io::IN != 0 {
        segment = ES;
    }
    let size = match (width, short) {
        (Width::W64, false) => io::A64,
        (Width::W64, true) | (Width::W32, false) | (Width::W16, true) => io::A32,
        (Width::W32, true) | (Width::W16, false) => io::A16,
    };
    info & !ADDRESSING | size | segment << io::SEG_SHIFT
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTS: u64 = io::STRING | io::SZ8 | 0x70 << io::PORT_SHIFT;
    const INS: u64 = OUTS | io::IN;

    #[test]
    fn strings_say_where_they_stand() {
        let of = |info, bytes: &[u8], width| complete(info, bytes, width) & ADDRESSING;
        let at = |segment| segment << io::SEG_SHIFT;
        assert_eq!(of(OUTS, &[0x6E], Width::W64), io::A64 | at(DS));
        assert_eq!(of(OUTS, &[0xF3, 0x67, 0x6E], Width::W64), io::A32 | at(DS));
        assert_eq!(of(OUTS, &[0x65, 0x6E], Width::W32), io::A32 | at(5));
        assert_eq!(of(OUTS, &[0x26, 0x67, 0x6E], Width::W32), io::A16 | at(ES));
        assert_eq!(of(OUTS, &[0x2E, 0x6E], Width::W16), io::A16 | at(1));
        assert_eq!(of(INS, &[0x64, 0x6C], Width::W64), io::A64 | at(ES));
        assert_eq!(of(INS, &[0x67, 0x6C], Width::W16), io::A32 | at(ES));
        // The bytes behind the opcode are no prefixes.
        assert_eq!(of(OUTS, &[0x6E, 0x65, 0x67], Width::W64), io::A64 | at(DS));
    }

    #[test]
    fn the_rest_stays() {
        let kept = complete(INS | io::REP, &[0xF3, 0x6C], Width::W64) & !ADDRESSING;
        assert_eq!(kept, INS | io::REP);
        let plain = io::IN | io::SZ16 | 0x60 << io::PORT_SHIFT;
        assert_eq!(complete(plain, &[0x67, 0xED], Width::W64), plain);
    }
}
