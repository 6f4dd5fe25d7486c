//! MRTD and RTMRs. Source: 348549, "Measurement"; 348551, TDH.MEM.PAGE.ADD, TDH.MR.EXTEND,
//! TDG.MR.RTMR.EXTEND.

use sha2::{Digest, Sha384};
use tessera_defs::tdx::measure::{CHUNK, HEADER, MR_EXTEND, PAGE_ADD};

/// A running MRTD.
#[derive(Clone, Debug, Default)]
pub struct Mrtd(Sha384);

impl Mrtd {
    /// TDH.MEM.PAGE.ADD.
    pub fn add(&mut self, gpa: u64) {
        self.header(PAGE_ADD, gpa);
    }

    /// TDH.MR.EXTEND of the 16 chunks of a page.
    pub fn extend(&mut self, gpa: u64, page: &[u8; 4096]) {
        for (i, chunk) in page.chunks(CHUNK).enumerate() {
            self.header(MR_EXTEND, gpa + (i * CHUNK) as u64);
            self.0.update(chunk);
        }
    }

    fn header(&mut self, name: [u8; 16], gpa: u64) {
        let mut header = [0; HEADER];
        header[..16].copy_from_slice(&name);
        header[16..24].copy_from_slice(&gpa.to_le_bytes());
        self.0.update(header);
    }

    /// TDH.MR.FINALIZE.
    pub fn value(&self) -> [u8; 48] {
        self.0.clone().finalize().into()
    }
}

/// The next value of a RTMR.
pub fn extended(old: &[u8; 48], by: &[u8]) -> [u8; 48] {
    Sha384::new()
        .chain_update(old)
        .chain_update(by)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_add_and_every_extend_counts() {
        let mut one = Mrtd::default();
        one.add(0x1000);
        let added = one.value();
        one.extend(0x1000, &[0; 4096]);
        let measured = one.value();
        assert_ne!(added, measured);
        let mut bytes = std::vec![0u8; 0];
        let header = |name: &[u8; 16], gpa: u64| {
            let mut h = [0u8; 128];
            h[..16].copy_from_slice(name);
            h[16..24].copy_from_slice(&gpa.to_le_bytes());
            h
        };
        bytes.extend(header(b"MEM.PAGE.ADD\0\0\0\0", 0x1000));
        for at in (0x1000..0x2000).step_by(256) {
            bytes.extend(header(b"MR.EXTEND\0\0\0\0\0\0\0", at));
            bytes.extend([0; 256]);
        }
        let expected: [u8; 48] = Sha384::digest(&bytes).into();
        assert_eq!(measured, expected);
    }
}
