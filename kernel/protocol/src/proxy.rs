//! Interrupts that a hypervisor asks a paravisor to deliver to its guest (`defs::hyperv::synic`,
//! `MESSAGE_PROXY_INTERRUPT`). The host's word counts only for what the guest asked for.

use tessera_defs::hyperv::synic::*;

/// Virtual trust level of a paravisor's guest.
const GUEST_LEVEL: u8 = 0;

/// Vectors, a bit each.
pub type Vectors = [u32; 8];

/// The vectors of a message's payload. One above 255 is none, and so are those of another level than the guest's.
pub fn vectors(payload: &[u8; PROXY_INTERRUPT]) -> Vectors {
    let word = |n: usize| {
        let at = PROXY_VECTORS + n * 4;
        u32::from_le_bytes([0, 1, 2, 3].map(|n| payload[at + n]))
    };
    let mut bits = [0; 8];
    if payload[PROXY_LEVEL] != GUEST_LEVEL {
        return bits;
    }
    if payload[PROXY_MULTIPLE] != 0 {
        return core::array::from_fn(word);
    }
    if let Some(bank) = bits.get_mut(word(0) as usize / 32) {
        *bank = 1 << (word(0) % 32);
    }
    bits
}

/// Those of them that sources of the guest ask for: proxied, neither masked nor polled. `sources`: its SINT registers.
pub fn asked(vectors: &Vectors, sources: &[u64; SOURCES]) -> impl Iterator<Item = u8> {
    let wanted = |source: &&u64| **source & (SINT_PROXY | SINT_MASKED | SINT_POLLING) == SINT_PROXY;
    let named = |vector: &u8| vectors[usize::from(vector / 32)] >> (vector % 32) & 1 == 1;
    let vector = |source: &u64| *source as u8;
    sources.iter().filter(wanted).map(vector).filter(named)
}
