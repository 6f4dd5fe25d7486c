//! Encryption of one guest message: AES-256-GCM, the sequence number as initialisation vector,
//! the second half of the header as additional authenticated data.

use aes_gcm::aead::array::Array;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use tessera_defs::snp::message::{
    AAD_OFFSET, ALGO_AES_256_GCM, HEADER, HEADER_VERSION, IV, MESSAGE_VERSION, MessageHeader, TAG,
};
use zerocopy::IntoBytes;

/// A VM platform communication key.
pub type Vmpck = [u8; 32];

/// Header of a message of `size` bytes of payload, without its tag.
pub fn header(kind: u8, vmpck: u8, sequence: u64, size: u16) -> MessageHeader {
    MessageHeader {
        authtag: [0; 32],
        msg_seqno: sequence,
        reserved_28: 0,
        algo: ALGO_AES_256_GCM,
        hdr_version: HEADER_VERSION,
        hdr_size: HEADER as u16,
        msg_type: kind,
        msg_version: MESSAGE_VERSION,
        msg_size: size,
        reserved_38: 0,
        msg_vmpck: vmpck,
        reserved_3d: [0; 35],
    }
}

/// Encrypts `payload` in place and puts the tag into `header`. The caller uses each sequence
/// number once per key: twice would give the key away.
pub fn seal(key: &Vmpck, header: &mut MessageHeader, payload: &mut [u8]) {
    let cipher = Aes256Gcm::new(&Array(*key));
    let tag = cipher
        .encrypt_inout_detached(
            &nonce(header.msg_seqno),
            &header.as_bytes()[AAD_OFFSET..],
            payload.into(),
        )
        .expect("a page is below the limit of AES-GCM");
    header.authtag[..TAG].copy_from_slice(&tag);
}

/// Decrypts `payload` in place if the tag fits; otherwise leaves ciphertext and says `false`.
#[must_use]
pub fn open(key: &Vmpck, header: &MessageHeader, payload: &mut [u8]) -> bool {
    let cipher = Aes256Gcm::new(&Array(*key));
    let mut tag = Tag::default();
    tag.copy_from_slice(&header.authtag[..TAG]);
    cipher
        .decrypt_inout_detached(
            &nonce(header.msg_seqno),
            &header.as_bytes()[AAD_OFFSET..],
            payload.into(),
            &tag,
        )
        .is_ok()
}

fn nonce(sequence: u64) -> Nonce<aes_gcm::aead::consts::U12> {
    let mut bytes = [0; IV];
    bytes[..8].copy_from_slice(&sequence.to_le_bytes());
    Array(bytes)
}
