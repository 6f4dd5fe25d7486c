//! What the tests of the image share: small ELF files and an image of them.
#![allow(dead_code)] // each test file uses a part

pub mod elf;

use elf::{Elf, R, RW, RX};
use tessera_handoff::layout::{KERNEL_VIRT, STUB_BASE, USER_BASE};
use tessera_image_builder::build::PolicyName;
use tessera_image_builder::image::bundle::archive;
use tessera_image_builder::image::{Image, Inputs, Policy, ToolchainInfo, assemble};

/// A stub with the entries that an image needs, at page 1 of its room.
pub fn stub() -> Elf {
    let code = STUB_BASE + 0x1000;
    let names = ["entry_snp", "entry_native", "entry_reset", "entry_pvh"];
    let symbols = names.iter().zip((code..).step_by(16));
    Elf {
        entry: code + 48,
        segments: vec![
            elf::segment(R, STUB_BASE, elf::pattern(1, 300), 300),
            elf::segment(RX, code, elf::pattern(2, 5000), 5000),
            elf::segment(RW, code + 0x2000, elf::pattern(3, 16), 0x3000),
        ],
        symbols: symbols.map(|(name, at)| ((*name).into(), at)).collect(),
    }
}

/// A kernel or paravisor.
pub fn program(seed: u8) -> Elf {
    Elf {
        entry: KERNEL_VIRT + 0x10,
        segments: vec![
            elf::segment(RX, KERNEL_VIRT, elf::pattern(seed, 9000), 9000),
            elf::segment(RW, KERNEL_VIRT + 0x4000, elf::pattern(seed, 100), 0x2001),
        ],
        symbols: Vec::new(),
    }
}

/// A first process' program.
pub fn bundle() -> Elf {
    Elf {
        entry: USER_BASE,
        segments: vec![elf::segment(RX, USER_BASE, elf::pattern(9, 777), 777)],
        symbols: Vec::new(),
    }
}

/// Inputs with a paravisor and the demo policy.
pub fn inputs() -> Inputs {
    Inputs {
        stub_elf: stub().bytes(),
        kernel_elf: program(4).bytes(),
        paravisor_elf: Some(program(5).bytes()),
        bundle: archive("", &bundle().bytes(), &Default::default()).expect("the program is good"),
        policy: Policy::of(PolicyName::Demo),
        commit: "0123456789abcdef0123456789abcdef01234567".into(),
        toolchain: ToolchainInfo {
            rustc: "rustc of the test".into(),
            linker: "linker of the test".into(),
            cargo_lock_sha256: "00".repeat(32),
        },
    }
}

/// The image of [`inputs`].
pub fn image() -> Image {
    assemble(&inputs()).expect("the inputs are good")
}
