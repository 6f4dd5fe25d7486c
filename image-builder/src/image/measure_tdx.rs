//! MRTD. Source: 348551, TDH.MEM.PAGE.ADD, TDH.MR.EXTEND; 348549, "Measurement".

use super::read::{Action, Parsed};
use crate::{Result, image::read_bounds::broken};
use igvm_defs::IgvmPlatformType;
use sha2::{Digest, Sha384};
use tessera_defs::tdx::measure::{CHUNK, HEADER, MR_EXTEND, PAGE_ADD};

/// A MRTD that grows page by page.
#[derive(Debug, Clone, Default)]
pub struct Chain(Sha384);

impl Chain {
    /// Adds a page; its content (4096 bytes) is measured if given.
    pub fn add(&mut self, gpa: u64, content: Option<&[u8]>) {
        self.header(PAGE_ADD, gpa);
        let chunks = content.unwrap_or_default().chunks_exact(CHUNK);
        for (index, chunk) in chunks.enumerate() {
            self.header(MR_EXTEND, gpa + (index * CHUNK) as u64);
            self.0.update(chunk);
        }
    }

    fn header(&mut self, name: [u8; 16], gpa: u64) {
        let mut header = [0; HEADER];
        header[..16].copy_from_slice(&name);
        header[16..24].copy_from_slice(&gpa.to_le_bytes());
        self.0.update(header);
    }

    /// The MRTD.
    pub fn finish(self) -> [u8; 48] {
        self.0.finalize().into()
    }
}

/// The MRTD of a file. Errors: it has no TDX platform, or a page that no TD has.
pub fn measure(file: &Parsed<'_>) -> Result<[u8; 48]> {
    let mask = file.mask_of(IgvmPlatformType::TDX);
    let mask = mask.ok_or_else(|| broken("is not for TDX"))?;
    let mut chain = Chain::default();
    for page in file.pages_of(mask) {
        match page.action {
            Action::Normal(content) => chain.add(page.gpa, Some(content.unwrap_or(&[0; 4096]))),
            Action::Unmeasured => chain.add(page.gpa, None),
            _ => return Err(broken("gives TDX a page that only SNP knows")),
        }
    }
    Ok(chain.finish())
}
