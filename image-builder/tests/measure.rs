//! Measurements against others' words: sev-snp-measure's digests, the IGVM crate's own algorithms.

mod common;

use common::image;
use igvm::{IgvmDirectiveHeader, IgvmFile, measurement};
use igvm_defs::{IgvmPageDataFlags, IgvmPageDataType};
use serde_json::Value;
use sha2::{Digest, Sha384};
use std::path::PathBuf;
use tessera_defs::snp::launch::page_type;
use tessera_image_builder::image::{
    PROCESSORS, hex, measure_snp, measure_snp::Zeros, measure_tdx, read, vmsa,
};
use zerocopy::IntoBytes;

fn vectors(name: &str) -> Value {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let text = std::fs::read_to_string(folder.join(name)).expect("the vector is in the repository");
    serde_json::from_str(&text).expect("the vector is JSON")
}

/// One page: byte i is (i * 7 + seed) mod 251.
fn content(seed: u64) -> Vec<u8> {
    (0..4096).map(|i| ((i * 7 + seed) % 251) as u8).collect()
}

fn add(chain: &mut measure_snp::Chain, step: &Value) {
    let gpa = step["gpa"].as_u64().unwrap();
    match step["kind"].as_str().unwrap() {
        "normal" => {
            let page = content(step["seed"].as_u64().unwrap());
            chain.add(page_type::NORMAL, gpa, Some(&page));
        }
        "zero" => chain.add(page_type::ZERO, gpa, None),
        "unmeasured" => chain.add(page_type::UNMEASURED, gpa, None),
        "secrets" => chain.add(page_type::SECRETS, gpa, None),
        "cpuid" => chain.add(page_type::CPUID, gpa, None),
        other => panic!("unknown kind {other}"),
    }
}

#[test]
fn the_snp_chain_is_sev_snp_measures() {
    let vectors = vectors("snp/digests.json");
    let mut chain = measure_snp::Chain::default();
    let steps = vectors["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 7);
    for step in steps {
        add(&mut chain, step);
        assert_eq!(hex(&chain.digest()), step["digest"], "{step}");
    }
    let signature = vectors["signature"].as_u64().unwrap() as u32;
    assert_eq!(signature, vmsa::MILAN);
    for count in PROCESSORS {
        let mut chain = chain.clone();
        chain.add_aps(count, signature);
        let expected = &vectors["digests_by_processors"][count.to_string()];
        assert_eq!(hex(&chain.digest()), *expected, "{count} processors");
    }
}

#[test]
fn the_ap_vmsa_is_sev_snp_measures() {
    let vectors = vectors("snp/digests.json");
    let vmsa = vmsa::ap(vmsa::MILAN);
    let bytes = vmsa
        .as_bytes()
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte != 0);
    let nonzero: serde_json::Map<_, _> = bytes
        .map(|(at, byte)| (at.to_string(), Value::from(*byte)))
        .collect();
    assert_eq!(Value::Object(nonzero), vectors["ap_vmsa_nonzero"]);
    assert_eq!(
        hex(&Sha384::digest(vmsa.as_bytes())),
        vectors["ap_vmsa_sha384"]
    );
}

#[test]
fn the_igvm_crate_reads_the_image_and_measures_the_same() {
    let image = image();
    let file = IgvmFile::new_from_binary(&image.igvm, None).expect("the crate reads it");
    let (first, list) = (file.initializations(), file.directives());
    let snp = measurement::generate_snp_measurement(first, list, 1).unwrap();
    let tdx = measurement::generate_tdx_measurement(list, 2).unwrap();
    assert_eq!(hex(&snp), image.manifest.snp_launch_digests["1"]);
    assert_eq!(hex(&tdx), image.manifest.tdx_mrtd);
    let ours = measure_snp::measure(&read(&image.igvm).unwrap(), Zeros::Normal).unwrap();
    assert_eq!(ours.digest(), snp);
}

#[test]
fn zero_pages_of_their_own_type_give_another_digest() {
    let manifest = image().manifest;
    for count in PROCESSORS {
        let count = count.to_string();
        let normal = &manifest.snp_launch_digests[&count];
        assert_ne!(*normal, manifest.snp_launch_digests_zero_pages[&count]);
    }
}

/// A step as the IGVM crate's directive.
fn directive(step: &Value) -> IgvmDirectiveHeader {
    let data = match step["kind"].as_str().unwrap() {
        "normal" => content(step["seed"].as_u64().unwrap()),
        "zero" | "unmeasured" => Vec::new(),
        other => panic!("unknown kind {other}"),
    };
    IgvmDirectiveHeader::PageData {
        gpa: step["gpa"].as_u64().unwrap(),
        compatibility_mask: 2,
        flags: IgvmPageDataFlags::new().with_unmeasured(step["kind"] == "unmeasured"),
        data_type: IgvmPageDataType::NORMAL,
        data,
    }
}

#[test]
fn the_mrtd_is_the_igvm_crates() {
    let vectors = vectors("tdx/mrtd.json");
    let (mut chain, mut directives) = (measure_tdx::Chain::default(), Vec::new());
    let steps = vectors["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 5);
    for step in steps {
        let gpa = step["gpa"].as_u64().unwrap();
        match step["kind"].as_str().unwrap() {
            "normal" => chain.add(gpa, Some(&content(step["seed"].as_u64().unwrap()))),
            "zero" => chain.add(gpa, Some(&[0; 4096])),
            _ => chain.add(gpa, None),
        }
        directives.push(directive(step));
        let theirs = measurement::generate_tdx_measurement(&directives, 2).unwrap();
        assert_eq!(hex(&theirs), step["mrtd"], "the crate's, {step}");
        assert_eq!(hex(&chain.clone().finish()), step["mrtd"], "ours, {step}");
    }
}
