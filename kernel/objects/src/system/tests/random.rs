//! Random numbers that a seed repeats. SplitMix64.

/// A generator.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// The seeds of a test: the one that `TESSERA_SEED` names, or `count` from a fixed one on.
pub fn seeds(count: u64) -> std::ops::Range<u64> {
    match std::env::var("TESSERA_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
    {
        Some(seed) => seed..seed + 1,
        None => 0..count,
    }
}

/// Says how to repeat a seed, if the test panics.
pub struct Replay(pub &'static str, pub u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::eprintln!(
                "seed {}; again: TESSERA_SEED={} cargo test -p tessera-objects {}",
                self.1,
                self.1,
                self.0
            );
        }
    }
}
