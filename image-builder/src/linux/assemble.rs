//! The IGVM file: our stub as the firmware, the kernel in place, the zero page half filled.

use super::bzimage::{self, BzImage};
use crate::{
    Failure, Result,
    build::Placement,
    image::{self, Image, Linux, Policy, ToolchainInfo},
};
use tessera_defs::mode::Mode;
use tessera_handoff::layout::{LINUX_BOOT_PARAMS, LINUX_COMMAND_LINE};
use tessera_handoff::linux::zero_page::{ENTRY_64, LOADER_OTHER, ZeroPage, at};

/// The stub maps this much.
const MAPPED: u64 = 1 << 30;
/// What the file is made of.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// tessera-stub.
    pub stub_elf: Vec<u8>,
    /// tessera-paravisor; without it the modes with a paravisor are taken out of the policy.
    pub paravisor_elf: Option<Vec<u8>>,
    /// The bzImage.
    pub kernel: Vec<u8>,
    /// The initrd; may be empty.
    pub initrd: Vec<u8>,
    /// The command line.
    pub command_line: String,
    /// The owner's policy.
    pub policy: Policy,
    /// Commit of the sources.
    pub commit: String,
    /// What built the stub.
    pub toolchain: ToolchainInfo,
}

/// Assembles the file. Errors blame the user: a kernel that is no bzImage, an initrd that does
/// not fit, a command line that is too long.
pub fn assemble(inputs: &Inputs) -> Result<Image> {
    let kernel = bzimage::parse(&inputs.kernel)?;
    let initrd = initrd_place(&kernel, inputs.initrd.len() as u64)?;
    let command_line = command_line(&kernel, &inputs.command_line)?;
    let zero_page = zero_page(&kernel, initrd, inputs.initrd.len());
    let policy = policy(inputs)?;
    image::assemble_linux(&Linux {
        stub_elf: &inputs.stub_elf,
        paravisor_elf: inputs.paravisor_elf.as_deref(),
        file: &inputs.kernel,
        kernel: kernel.kernel,
        base: kernel.base,
        room: kernel.room,
        entry: kernel.base + ENTRY_64,
        initrd: &inputs.initrd,
        initrd_base: initrd,
        accepts: kernel.accepts,
        tables: &[
            (LINUX_BOOT_PARAMS, &zero_page[..]),
            (LINUX_COMMAND_LINE, &command_line[..]),
        ],
        policy,
        commit: &inputs.commit,
        toolchain: &inputs.toolchain,
    })
}

/// Without a paravisor the file cannot be what needs one.
fn policy(inputs: &Inputs) -> Result<Policy> {
    let mut policy = inputs.policy.clone();
    if inputs.paravisor_elf.is_none() {
        let paravisor = [Mode::SnpParavisor, Mode::TdxParavisor].map(Mode::name);
        policy.modes.retain(|name| !paravisor.contains(&&**name));
        policy.placement = Placement::Direct;
    }
    if policy.modes.is_empty() {
        return Err(Failure::user(
            "the policy allows only modes with a paravisor, and the file has none",
            "add the paravisor, or allow one of none, snp and tdx",
        ));
    }
    Ok(policy)
}

/// Checks that `kernel` is a bzImage behind which an initrd of `initrd` bytes fits. Errors blame the
/// user, as those of `assemble`.
pub fn fits(kernel: &[u8], initrd: u64) -> Result<()> {
    initrd_place(&bzimage::parse(kernel)?, initrd).map(drop)
}

/// Behind the room that the kernel needs.
fn initrd_place(kernel: &BzImage<'_>, len: u64) -> Result<u64> {
    let base = (kernel.base + kernel.room).next_multiple_of(2 << 20);
    let end = base + len.next_multiple_of(4096);
    let most = (kernel.initrd_max + 1).min(MAPPED);
    if end > most {
        let room = most.saturating_sub(base);
        let cause = format!("the initrd is too large: {len} bytes, {room} fit behind the kernel");
        return Err(Failure::user(cause, "pack less into it, or compress it"));
    }
    Ok(base)
}

fn command_line(kernel: &BzImage<'_>, text: &str) -> Result<Vec<u8>> {
    let most = kernel.command_line.min(4095);
    if text.len() > most || text.contains(['\0', '\n']) {
        let cause = format!("the command line has {} bytes or a line break", text.len());
        let remedy = format!("this kernel takes one line of at most {most} bytes");
        return Err(Failure::user(cause, remedy));
    }
    Ok([text.as_bytes(), b"\0"].concat())
}

/// The part that nobody but the owner decides; the stub adds memory map and ACPI.
fn zero_page(kernel: &BzImage<'_>, initrd: u64, initrd_len: usize) -> [u8; 4096] {
    let mut page = [0; 4096];
    page[at::SETUP_SECTS..at::SETUP_SECTS + kernel.header.len()].copy_from_slice(kernel.header);
    page[at::LOADER] = LOADER_OTHER;
    let mut zero = ZeroPage(&mut page);
    zero.put32(at::CODE32_START, kernel.base as u32);
    zero.put32(at::CMD_LINE_PTR, LINUX_COMMAND_LINE as u32);
    if initrd_len > 0 {
        zero.put32(at::RAMDISK, initrd as u32);
        zero.put32(at::RAMDISK + 4, initrd_len as u32);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_initrd_too_large_is_the_users() {
        let file = bzimage::tests::sample(64);
        let kernel = bzimage::parse(&file).unwrap();
        assert_eq!(initrd_place(&kernel, 5).unwrap(), 0x480_0000);
        let failure = initrd_place(&kernel, 1 << 30).unwrap_err();
        assert_eq!(failure.party, crate::Party::User);
        assert!(failure.cause.contains("initrd is too large"), "{failure}");
    }

    #[test]
    fn a_command_line_has_its_limit() {
        let file = bzimage::tests::sample(64);
        let kernel = bzimage::parse(&file).unwrap();
        assert_eq!(command_line(&kernel, "a b").unwrap(), b"a b\0");
        assert!(command_line(&kernel, &"x".repeat(2048)).is_err());
        assert!(command_line(&kernel, "a\nb").is_err());
    }

    #[test]
    fn the_zero_page_holds_the_header_and_nothing_before_it() {
        let file = bzimage::tests::sample(64);
        let page = zero_page(&bzimage::parse(&file).unwrap(), 0x480_0000, 0x1234);
        assert!(page[..at::SETUP_SECTS].iter().all(|byte| *byte == 0));
        assert_eq!(
            page[at::RAMDISK..at::RAMDISK + 8],
            [0, 0, 0x80, 4, 0x34, 0x12, 0, 0]
        );
        assert_eq!((page[at::LOADER], page[at::VERSION]), (0xFF, 0x0F));
    }
}
