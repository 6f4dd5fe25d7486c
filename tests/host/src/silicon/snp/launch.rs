//! The security processor's launch digest. Source: 56860 rev. 1.58, 8.17 and table 67.

use sha2::{Digest, Sha384};
use tessera_defs::snp::launch::PageInfo;
use zerocopy::IntoBytes;

/// A running launch digest.
#[derive(Clone, Debug)]
pub struct LaunchDigest {
    current: [u8; 48],
    zeros: [u8; 48],
}

impl Default for LaunchDigest {
    fn default() -> Self {
        Self {
            current: [0; 48],
            zeros: Sha384::digest([0; 4096]).into(),
        }
    }
}

impl LaunchDigest {
    /// Adds a measured page of zeros as a normal page.
    pub fn add_zeros(&mut self, page_type: u8, gpa: u64) {
        self.extend(page_type, gpa, self.zeros);
    }

    /// Adds a page; `content` is hashed for the types that measure it (`None`: zeros stand in
    /// for the hash). VMPL permissions of launch pages are 0.
    pub fn add(&mut self, page_type: u8, gpa: u64, content: Option<&[u8]>) {
        let contents = content.map_or([0; 48], |bytes| Sha384::digest(bytes).into());
        self.extend(page_type, gpa, contents);
    }

    fn extend(&mut self, page_type: u8, gpa: u64, contents: [u8; 48]) {
        let info = PageInfo {
            digest_cur: self.current,
            contents,
            length: size_of::<PageInfo>() as u16,
            page_type,
            imi_page: 0,
            reserved: 0,
            vmpl1_perms: 0,
            vmpl2_perms: 0,
            vmpl3_perms: 0,
            gpa,
        };
        self.current = Sha384::digest(info.as_bytes()).into();
    }

    /// The digest so far.
    pub fn value(&self) -> [u8; 48] {
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::hex;
    use tessera_defs::snp::launch::page_type;

    const VECTORS: &str = include_str!("../../../../vectors/snp/digests.json");

    /// `content(seed)` of the vectors' script.
    fn content(seed: usize) -> std::vec::Vec<u8> {
        (0..4096).map(|i| ((i * 7 + seed) % 251) as u8).collect()
    }

    #[test]
    fn digests_are_those_of_sev_snp_measure() {
        let mut digest = LaunchDigest::default();
        let mut at = VECTORS;
        let mut expect = |digest: &LaunchDigest| {
            let (_, rest) = at.split_once("\"digest\": \"").unwrap();
            at = rest;
            assert_eq!(hex(&digest.value()), at[..96]);
        };
        digest.add(page_type::NORMAL, 0x10_0000, Some(&content(1)));
        expect(&digest);
        digest.add(page_type::NORMAL, 0x10_1000, Some(&content(2)));
        expect(&digest);
        digest.add(page_type::ZERO, 0x10_2000, None);
        expect(&digest);
        digest.add(page_type::UNMEASURED, 0x18_1000, None);
        expect(&digest);
        digest.add(page_type::SECRETS, 0x18_8000, None);
        expect(&digest);
        digest.add(page_type::CPUID, 0x18_9000, None);
        expect(&digest);
        digest.add(page_type::NORMAL, 0xFFFF_F000, Some(&content(3)));
        expect(&digest);
    }
}
