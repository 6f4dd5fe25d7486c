//! The certificates that the host's owner installed: those of the test authority
//! (`tests/vectors/snp/authority.py`), which prove nothing about a machine.

use alloc::vec::Vec;
use tessera_defs::snp::certificates::{ARK, ASK, CertificateEntry, VCEK};
use zerocopy::{FromZeros, IntoBytes};

const INSTALLED: [([u8; 16], &[u8]); 3] = [
    (
        VCEK,
        include_bytes!("../../../vectors/snp/authority/vcek.der"),
    ),
    (
        ASK,
        include_bytes!("../../../vectors/snp/authority/ask.der"),
    ),
    (
        ARK,
        include_bytes!("../../../vectors/snp/authority/ark.der"),
    ),
];

/// The table, in whole pages.
pub fn table() -> Vec<u8> {
    let mut offset = (INSTALLED.len() + 1) * size_of::<CertificateEntry>();
    let mut out = Vec::with_capacity(2 * 4096);
    for (guid, bytes) in INSTALLED {
        let (at, length) = (offset as u32, bytes.len() as u32);
        let entry = CertificateEntry {
            guid,
            offset: at,
            length,
        };
        out.extend_from_slice(entry.as_bytes());
        offset += bytes.len();
    }
    out.extend_from_slice(CertificateEntry::new_zeroed().as_bytes());
    INSTALLED
        .iter()
        .for_each(|(_, bytes)| out.extend_from_slice(bytes));
    out.resize(out.len().next_multiple_of(4096), 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_name_certificates() {
        let table = table();
        let word = |at: usize| u32::from_le_bytes(table[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!(table[..4], 0x63DA_758Du32.to_le_bytes());
        assert_eq!(table[72..96], [0; 24]);
        for (entry, (_, bytes)) in INSTALLED.iter().enumerate() {
            let (offset, length) = (word(entry * 24 + 16), word(entry * 24 + 20));
            assert_eq!(&table[offset..offset + length], *bytes);
        }
    }
}
