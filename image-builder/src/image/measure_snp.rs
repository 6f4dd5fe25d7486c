//! The SNP launch digest. Source: 56860 rev. 1.58, 8.17.2, table 67.

use super::read::{Action, Page, Parsed};
use super::vmsa;
use crate::{Result, image::read_bounds::broken};
use igvm_defs::IgvmPlatformType;
use sha2::{Digest, Sha384};
use std::sync::LazyLock;
use tessera_defs::snp::launch::{PageInfo, page_type};
use tessera_defs::snp::vmsa::BSP_VMSA_GPA;
use zerocopy::{FromZeros, IntoBytes};

/// How a loader gives a page without file data to the security processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zeros {
    /// As a normal page whose content is zeros (the IGVM crate's way, and the test host's).
    Normal,
    /// As a page of type ZERO (QEMU's way).
    Native,
}

/// A launch digest that grows page by page.
#[derive(Debug, Clone)]
pub struct Chain([u8; 48]);

impl Default for Chain {
    fn default() -> Self {
        Self([0; 48])
    }
}

impl Chain {
    /// The digest so far.
    pub fn digest(&self) -> [u8; 48] {
        self.0
    }

    /// Adds a page of `page_type`; `content` is hashed for normal pages and VMSAs only.
    pub fn add(&mut self, page_type: u8, gpa: u64, content: Option<&[u8]>) {
        let mut info = PageInfo::new_zeroed();
        info.digest_cur = self.0;
        info.contents = content.map_or([0; 48], content_digest);
        info.length = size_of::<PageInfo>() as u16;
        info.page_type = page_type;
        info.gpa = gpa;
        self.0 = Sha384::digest(info.as_bytes()).into();
    }

    fn add_page(&mut self, page: &Page<'_>, zeros: Zeros) {
        let gpa = page.gpa;
        match page.action {
            Action::Normal(Some(content)) => self.add(page_type::NORMAL, gpa, Some(content)),
            Action::Normal(None) => match zeros {
                Zeros::Normal => self.add(page_type::NORMAL, gpa, Some(&[0; 4096])),
                Zeros::Native => self.add(page_type::ZERO, gpa, None),
            },
            Action::Unmeasured => self.add(page_type::UNMEASURED, gpa, None),
            Action::Secrets => self.add(page_type::SECRETS, gpa, None),
            Action::Cpuid => self.add(page_type::CPUID, gpa, None),
            Action::Context(content) => self.add(page_type::VMSA, gpa, Some(content)),
        }
    }

    /// Adds the VMSAs of `count` further processors as KVM resets them.
    pub fn add_aps(&mut self, count: u32, signature: u32) {
        let vmsa = vmsa::ap(signature);
        for _ in 0..count {
            self.add(page_type::VMSA, BSP_VMSA_GPA, Some(vmsa.as_bytes()));
        }
    }
}

/// SHA-384 of a page; most pages of an image are zeros, so theirs is computed once.
fn content_digest(content: &[u8]) -> [u8; 48] {
    static ZEROS: LazyLock<[u8; 48]> = LazyLock::new(|| Sha384::digest([0; 4096]).into());
    if content.len() == 4096 && content.iter().all(|byte| *byte == 0) {
        return *ZEROS;
    }
    Sha384::digest(content).into()
}

/// The chain of a file as it is, for one processor; `Chain::add_aps` adds the others.
/// Errors: the file has no SNP platform.
pub fn measure(file: &Parsed<'_>, zeros: Zeros) -> Result<Chain> {
    let mask = snp_mask(file)?;
    let mut chain = Chain::default();
    file.pages_of(mask)
        .for_each(|page| chain.add_page(page, zeros));
    Ok(chain)
}

fn snp_mask(file: &Parsed<'_>) -> Result<u32> {
    let mask = file.mask_of(IgvmPlatformType::SEV_SNP);
    mask.ok_or_else(|| broken("is not for SEV-SNP"))
}
