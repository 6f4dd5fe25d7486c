//! The confidential-computing blob of an SNP guest, as setup data. Source: Linux
//! `arch/x86/include/asm/sev.h` (`struct cc_blob_sev_info`, `struct cc_setup_data`) and
//! `Documentation/arch/x86/amd-memory-encryption.rst`.

/// Setup data of type SETUP_CC_BLOB.
const TYPE: u32 = 7;
/// "AMDE".
const MAGIC: u32 = 0x4544_4D41;
/// The blob's place behind the setup data.
const BLOB: usize = 32;
/// Bytes of both.
pub const SIZE: usize = BLOB + 40;

/// Setup data and blob, which will stand at `base`; secrets and CPUID page stand where the
/// arguments say.
pub fn build(base: u64, secrets: u64, cpuid: u64) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(8, &TYPE.to_le_bytes());
    put(12, &4u32.to_le_bytes());
    put(16, &(base as u32 + BLOB as u32).to_le_bytes());
    put(BLOB, &MAGIC.to_le_bytes());
    put(BLOB + 8, &secrets.to_le_bytes());
    put(BLOB + 16, &4096u32.to_le_bytes());
    put(BLOB + 24, &cpuid.to_le_bytes());
    put(BLOB + 32, &4096u32.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setup_data_points_at_the_blob() {
        let bytes = build(0x20_4000, 0x18_8000, 0x18_9000);
        assert_eq!(bytes[8..20], [7, 0, 0, 0, 4, 0, 0, 0, 0x20, 0x40, 0x20, 0]);
        assert_eq!(bytes[32..36], *b"AMDE");
        assert_eq!(bytes[40..44], [0, 0x80, 0x18, 0]);
        assert_eq!(bytes[56..60], [0, 0x90, 0x18, 0]);
    }
}
