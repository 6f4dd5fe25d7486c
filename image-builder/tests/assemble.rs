//! Assembly of synthetic programs: what is in the file, what is refused.

mod common;

use common::{elf, image, inputs};
use igvm_defs::{IgvmPlatformType, IgvmVariableHeaderType};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use tessera_defs::mode::Mode;
use tessera_handoff::layout::{self, KERNEL_VIRT, STUB_BASE};
use tessera_image_builder::build::Placement;
use tessera_image_builder::image::loaders::{Loader, QEMU_10_1, QEMU_MADT};
use tessera_image_builder::image::{
    Action, Inputs, Parsed, assemble, brings, hex, inspect, launch_block_of, read,
};

/// Content of `gpa..gpa + len` as the platform of `mask` loads it.
fn memory(file: &Parsed<'_>, mask: u32, gpa: u64, len: u64) -> Vec<u8> {
    let pages = file
        .pages_of(mask)
        .filter(|page| (gpa..gpa + len).contains(&page.gpa));
    let mut bytes = Vec::new();
    for page in pages {
        match page.action {
            Action::Normal(content) => bytes.extend(content.unwrap_or(&[0; 4096])),
            other => panic!("{:#x} is {other:?}", page.gpa),
        }
    }
    bytes.truncate(len as usize);
    bytes
}

fn refusal(inputs: &Inputs) -> String {
    let text = assemble(inputs)
        .expect_err("the inputs are bad")
        .to_string();
    assert!(!text.contains('\n'));
    text
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let (first, second) = (image(), image());
    assert!(first.igvm == second.igvm);
    assert_eq!(first.manifest.to_json(), second.manifest.to_json());
    assert_eq!(first.ranges, second.ranges);
}

#[test]
fn another_commit_is_another_image() {
    let other = Inputs {
        commit: "another".into(),
        ..inputs()
    };
    let (first, second) = (image().manifest, assemble(&other).unwrap().manifest);
    assert_ne!(first.igvm_sha256, second.igvm_sha256);
    assert_ne!(
        first.snp_launch_digests["1"],
        second.snp_launch_digests["1"]
    );
    assert_ne!(first.tdx_mrtd, second.tdx_mrtd);
}

#[test]
fn every_platform_loads_every_page_once() {
    let image = image();
    let file = read(&image.igvm).unwrap();
    let whole = (layout::IMAGE_START..layout::IMAGE_END).step_by(4096);
    for kind in [
        IgvmPlatformType::SEV_SNP,
        IgvmPlatformType::TDX,
        IgvmPlatformType::NATIVE,
    ] {
        let mask = file.mask_of(kind).unwrap();
        let pages = file.pages_of(mask).map(|page| page.gpa);
        let mut pages: Vec<_> = pages
            .filter(|gpa| *gpa < layout::IMAGE_END && *gpa != 0)
            .collect();
        pages.sort_unstable();
        assert!(pages.into_iter().eq(whole.clone()), "{kind:?}");
    }
}

#[test]
fn components_stand_where_the_launch_block_and_the_manifest_say() {
    let image = image();
    let file = read(&image.igvm).unwrap();
    let names: Vec<_> = image
        .manifest
        .components
        .iter()
        .map(|c| c.name.as_str())
        .collect();
    assert_eq!(names, ["stub", "kernel", "bundle", "paravisor"]);
    for mask in [1, 2, 4] {
        for part in &image.manifest.components {
            let loaded = memory(&file, mask, part.gpa, part.len);
            assert_eq!(
                hex(&Sha256::digest(loaded)),
                part.loaded_sha256,
                "{}",
                part.name
            );
        }
        let block = launch_block_of(&file).unwrap();
        for part in [block.kernel, block.paravisor, block.bundle] {
            let loaded = memory(&file, mask, part.base, part.len);
            assert_eq!(Sha256::digest(loaded)[..], part.sha256);
        }
    }
}

#[test]
fn without_a_paravisor_its_room_is_zeros() {
    let inputs = Inputs {
        paravisor_elf: None,
        ..inputs()
    };
    let image = assemble(&inputs).unwrap();
    let file = read(&image.igvm).unwrap();
    let len = layout::PARAVISOR_END - layout::PARAVISOR_BASE;
    let room = memory(&file, 1, layout::PARAVISOR_BASE, len);
    assert!(room.len() as u64 == len && room.iter().all(|byte| *byte == 0));
    assert_eq!(launch_block_of(&file).unwrap().paravisor.len, 0);
    assert!(image.ranges.iter().all(|range| range.name != "paravisor"));
    for mode in Mode::ALL {
        let below = matches!(mode, Mode::SnpParavisor | Mode::TdxParavisor);
        let refused = brings(&image.igvm, mode).map_err(|failure| failure.to_string());
        assert_eq!(refused.is_err(), below, "{refused:?}");
        assert!(!below || refused.unwrap_err().contains("tessera build --guest"));
        assert!(
            brings(&self::common::image().igvm, mode).is_ok() && brings(b"no file", mode).is_ok()
        );
    }
}

#[test]
fn a_policy_that_demands_a_paravisor_needs_one() {
    let mut inputs = Inputs {
        paravisor_elf: None,
        ..inputs()
    };
    inputs.policy.placement = Placement::Paravisor;
    assert!(refusal(&inputs).contains("demands a paravisor"));
}

/// Types of the variable headers, walked as the format says and not by the builder's reader.
fn header_types(igvm: &[u8]) -> BTreeSet<u32> {
    let file = tessera_handoff::igvm::File::parse(igvm).unwrap();
    file.headers().map(|header| header.unwrap().kind).collect()
}

#[test]
fn qemus_loader_knows_every_header() {
    let igvm = image().igvm;
    let used = header_types(&igvm);
    let unknown = |loader: Loader| -> Vec<u32> {
        let kinds = used.iter().copied();
        kinds.filter(|kind| !loader.knows(*kind)).collect()
    };
    assert!(unknown(QEMU_MADT).is_empty(), "{used:x?}");
    // The one header that the first release of that loader did not know.
    assert_eq!(
        unknown(QEMU_10_1),
        [IgvmVariableHeaderType::IGVM_VHT_MADT.0]
    );
    let text = inspect(&igvm).unwrap();
    assert!(text.contains("MADT parameter: takes it\n"), "{text}");
    assert!(
        text.contains("QEMU 10.1: refuses it: header type 0x309\n"),
        "{text}"
    );
}

#[test]
fn bad_programs_are_refused_by_name() {
    let mut wx = common::stub();
    wx.segments[1].flags = 7;
    let mut no_entry = common::stub();
    no_entry.symbols.remove(0);
    let mut data_entry = common::stub();
    data_entry.symbols[0].1 = STUB_BASE;
    let mut large = common::stub();
    large.segments[2].size = layout::STUB_END - STUB_BASE;
    let stubs = [
        (wx, "writable and executable"),
        (no_entry, "no symbol `entry_snp`"),
        (data_entry, "outside its code"),
        (large, "does not fit its room"),
    ];
    for (stub, what) in stubs {
        let text = refusal(&Inputs {
            stub_elf: stub.bytes(),
            ..inputs()
        });
        assert!(text.contains("the stub") && text.contains(what), "{text}");
    }
    let mut overlap = common::program(1);
    overlap
        .segments
        .push(elf::segment(elf::R, KERNEL_VIRT, vec![1], 1));
    let text = refusal(&Inputs {
        kernel_elf: overlap.bytes(),
        ..inputs()
    });
    assert!(
        text.contains("the kernel") && text.contains("overlap"),
        "{text}"
    );
    let text = refusal(&Inputs {
        bundle: b"no archive".to_vec(),
        ..inputs()
    });
    assert!(text.contains("the bundle"), "{text}");
}
