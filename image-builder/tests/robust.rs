//! Files from outside: whatever they hold, one clear error or an answer, never a panic.

mod common;

use proptest::prelude::*;
use std::sync::LazyLock;
use tessera_handoff::layout::{KERNEL_BASE, LAUNCH_BLOCK};
use tessera_image_builder::{
    Party,
    image::{inspect, measure, read},
};

static FILE: LazyLock<Vec<u8>> = LazyLock::new(|| common::image().igvm);

/// Bytes of the fixed header; its last word is the checksum.
const FIXED: usize = 24;

fn headers_end(bytes: &[u8]) -> usize {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    (word(8).saturating_add(word(12))).clamp(FIXED, bytes.len())
}

/// Makes the checksum right again, so that a mutation gets past it.
fn seal(bytes: &mut [u8]) {
    bytes[FIXED - 4..FIXED].fill(0);
    let end = headers_end(bytes);
    let mut crc = u32::MAX;
    for byte in &bytes[..end] {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 * (crc & 1));
        }
    }
    bytes[FIXED - 4..FIXED].copy_from_slice(&(!crc).to_le_bytes());
}

/// Every reader on `bytes`; an error is one line that blames the file. True if all took it.
fn try_all(bytes: &[u8]) -> bool {
    let results = [
        read(bytes).map(|_| ()),
        inspect(bytes).map(|_| ()),
        measure(bytes).map(|_| ()),
    ];
    for failure in results.iter().filter_map(|result| result.as_ref().err()) {
        let text = failure.to_string();
        assert_eq!(failure.party, Party::User);
        assert!(
            text.starts_with("the file ") && !text.contains('\n'),
            "{text}"
        );
    }
    results.iter().all(Result::is_ok)
}

#[test]
fn the_file_itself_is_taken_and_sealing_changes_nothing() {
    let mut sealed = FILE.clone();
    seal(&mut sealed);
    assert!(sealed == *FILE && try_all(&sealed));
}

#[test]
fn trailing_bytes_are_named() {
    let longer = [&FILE[..], &[0]].concat();
    assert!(
        read(&longer)
            .unwrap_err()
            .cause
            .contains("longer than its header")
    );
}

#[test]
fn a_file_of_another_kind_is_named() {
    for bytes in [&b""[..], b"I", b"\x7FELF and so on", &[0; 64]] {
        assert_eq!(read(bytes).unwrap_err().cause, "the file is no IGVM file");
    }
}

/// Offset of the content of the page header for `gpa`: address, mask, file offset.
fn page_header(gpa: u64) -> usize {
    let start = [0x302u32, 24].map(u32::to_le_bytes).concat();
    let wanted = [&start[..], &gpa.to_le_bytes()].concat();
    let mut windows = FILE.windows(wanted.len());
    windows.position(|window| window == wanted).unwrap() + start.len()
}

#[test]
fn a_page_that_is_loaded_twice_is_named() {
    let mut bytes = FILE.clone();
    let at = page_header(KERNEL_BASE + 0x1000);
    bytes[at..at + 8].copy_from_slice(&KERNEL_BASE.to_le_bytes());
    seal(&mut bytes);
    let cause = read(&bytes).unwrap_err().cause;
    assert_eq!(cause, "the file loads the page at 0x200000 twice");
}

#[test]
fn a_launch_block_that_one_platform_lacks_is_not_shown() {
    assert!(inspect(&FILE).unwrap().contains("policy: demo"));
    let mut bytes = FILE.clone();
    bytes[page_header(LAUNCH_BLOCK) + 8] = 1 | 4;
    seal(&mut bytes);
    let text = inspect(&bytes).unwrap();
    assert!(text.contains("none that all platforms share") && !text.contains("policy: demo"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_truncated_file_is_refused(len in 0..FILE.len()) {
        prop_assert!(read(&FILE[..len]).is_err());
        try_all(&FILE[..len]);
    }

    #[test]
    fn a_changed_header_byte_is_refused(at in 0..headers_end(&FILE), change in 1u8..) {
        let mut bytes = FILE.clone();
        bytes[at] ^= change;
        prop_assert!(!try_all(&bytes));
    }

    #[test]
    fn changed_headers_under_a_right_checksum_never_panic(
        changes in prop::collection::vec((0..headers_end(&FILE), any::<u8>()), 1..6),
    ) {
        let mut bytes = FILE.clone();
        changes.into_iter().for_each(|(at, byte)| bytes[at] = byte);
        seal(&mut bytes);
        try_all(&bytes);
    }

    /// Extreme words in the first headers: platforms, policy, parameter areas, first pages.
    #[test]
    fn extreme_words_under_a_right_checksum_never_panic(
        at in 0usize..200,
        word in prop::sample::select(vec![0, 1, 3, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_F000, u32::MAX]),
    ) {
        let mut bytes = FILE.clone();
        bytes[at * 4..at * 4 + 4].copy_from_slice(&word.to_le_bytes());
        seal(&mut bytes);
        try_all(&bytes);
    }

    #[test]
    fn noise_after_a_good_start_never_panics(
        noise in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut bytes = FILE[..FIXED].to_vec();
        bytes.extend(noise);
        let total = bytes.len() as u32;
        bytes[12..16].copy_from_slice(&(total - FIXED as u32).to_le_bytes());
        bytes[16..20].copy_from_slice(&total.to_le_bytes());
        seal(&mut bytes);
        try_all(&bytes);
    }
}
