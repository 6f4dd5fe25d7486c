//! What a paravisor makes of the interrupts that a hypervisor tells it of.

use proptest::prelude::*;
use tessera_defs::hyperv::synic::*;
use tessera_protocol::proxy::{asked, vectors};

fn payload(words: [u32; 9]) -> [u8; PROXY_INTERRUPT] {
    let mut bytes = [0; PROXY_INTERRUPT];
    for (room, word) in bytes.chunks_mut(4).zip(words) {
        room.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn of(words: [u32; 9], sources: [u64; SOURCES]) -> Vec<u8> {
    asked(&vectors(&payload(words)), &sources).collect()
}

#[test]
fn one_vector_or_many_as_far_as_a_source_asks() {
    let mut sources = [SINT_MASKED; SOURCES];
    sources[2] = SINT_PROXY | 0x62;
    sources[3] = 0x63;
    sources[4] = SINT_PROXY | SINT_MASKED | 0x64;
    sources[5] = SINT_PROXY | SINT_POLLING | 0x65;
    sources[9] = SINT_PROXY | 0xFF;
    let one = |vector| of([0, vector, u32::MAX, 0, 0, 0, 0, 0, 0], sources);
    assert_eq!(one(0x62), [0x62]);
    assert_eq!(one(0xFF), [0xFF]);
    for vector in [0x63, 0x64, 0x65, 0x80, 3, 0x162, u32::MAX] {
        assert_eq!(one(vector), [0; 0], "{vector:#x}");
    }
    let all = [u32::MAX; 8];
    let many = |head: u32, set: [u32; 8]| {
        let [a, b, c, d, e, f, g, h] = set;
        of([head, a, b, c, d, e, f, g, h], sources)
    };
    assert_eq!(many(1 << 8, all), [0x62, 0xFF]);
    assert_eq!(many(7 << 8, [0, 0, 0, 1 << 2, 0, 0, 0, 0]), [0x62]);
    // Of another level; and what is reserved says nothing.
    assert_eq!(many(1 << 8 | 1, all), [0; 0]);
    assert_eq!(many(1, [0x62, 0, 0, 0, 0, 0, 0, 0]), [0; 0]);
    assert_eq!(many(0xFFFF << 16, [0x62, 0, 0, 0, 0, 0, 0, 0]), [0x62]);
}

proptest! {
    #[test]
    fn nothing_comes_that_no_source_asks_for(words: [u32; 9], sources: [u64; SOURCES]) {
        for vector in of(words, sources) {
            let flags = SINT_PROXY | SINT_MASKED | SINT_POLLING;
            let wants = |source: &&u64| **source & (flags | 0xFF) == SINT_PROXY | u64::from(vector);
            prop_assert!(sources.iter().find(wants).is_some());
        }
    }
}
