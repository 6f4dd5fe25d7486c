//! The security processor's guest messages: SNP_GUEST_REQUEST with MSG_REPORT_REQ and MSG_KEY_REQ.
//! Source: 56860 rev. 1.58; the order of the checks and the error codes are those of the firmware
//! that AMD published (AMD-ASPFW, `snp_mcmd_guest_request`).

use super::report::{Guest, key_response, report_response};
use crate::memory::frames::PAGE;
use aes_gcm::{
    Aes256Gcm,
    aead::{AeadInOut, KeyInit, array::Array},
};
use alloc::vec::Vec;
use tessera_defs::snp::message::{
    AAD_OFFSET, ALGO_AES_256_GCM, HEADER, HEADER_VERSION, IV, KeyRequest, MESSAGE_VERSION,
    MessageHeader, ReportRequest, TAG, firmware, kind,
};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// Reports that are remembered at most.
const REMEMBERED: usize = 16;

/// What a report said that was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issued {
    /// VMPL in the report.
    pub vmpl: u32,
    /// REPORT_DATA.
    pub report_data: [u8; 64],
}

/// The security processor, as far as one running guest is concerned.
#[derive(Debug)]
pub struct SecurityProcessor {
    keys: [[u8; 32]; 4],
    counts: [u64; 4],
    guest: Guest,
    issued: Vec<Issued>,
}

impl SecurityProcessor {
    /// For a guest with these VMPCKs.
    pub fn new(keys: [[u8; 32]; 4], guest: Guest) -> Self {
        Self {
            keys,
            counts: [0; 4],
            guest,
            issued: Vec::with_capacity(REMEMBERED),
        }
    }

    /// The last reports, oldest first.
    pub fn issued(&self) -> &[Issued] {
        &self.issued
    }

    /// SNP_GUEST_REQUEST: the response page. Errors: the firmware's code, without a response.
    pub fn request(&mut self, page: &[u8; PAGE]) -> Result<[u8; PAGE], u32> {
        let (head, rest) = page.split_at(HEADER);
        let header = MessageHeader::read_from_bytes(head).map_err(|_| firmware::INVALID_PARAM)?;
        let size = usize::from(header.msg_size);
        let sound = header.hdr_version == HEADER_VERSION
            && usize::from(header.hdr_size) == HEADER
            && header.algo == ALGO_AES_256_GCM
            && size != 0
            && size.is_multiple_of(16);
        let at = usize::from(header.msg_vmpck);
        let mut payload = match rest.get(..size) {
            Some(payload) if sound && at < self.keys.len() => Vec::from(payload),
            _ => return Err(firmware::INVALID_PARAM),
        };
        open(&self.keys[at], &header, &mut payload).ok_or(firmware::BAD_MEASUREMENT)?;
        if self.counts[at] >= u64::MAX - 1 || header.msg_seqno != self.counts[at] + 1 {
            return Err(firmware::AEAD_OFLOW);
        }
        if header.msg_version != MESSAGE_VERSION {
            return Err(firmware::INVALID_PARAM);
        }
        let (kind, mut answer) = self.answer(&header, &payload)?;
        self.counts[at] += 2;
        let mut reply = MessageHeader::new_zeroed();
        reply.msg_seqno = header.msg_seqno + 1;
        (reply.algo, reply.hdr_version) = (ALGO_AES_256_GCM, HEADER_VERSION);
        (reply.hdr_size, reply.msg_type) = (HEADER as u16, kind);
        (reply.msg_version, reply.msg_size) = (MESSAGE_VERSION, answer.len() as u16);
        reply.msg_vmpck = header.msg_vmpck;
        // Reserved fields of a real response hold junk.
        reply.reserved_3d.fill(0xA5);
        seal(&self.keys[at], &mut reply, &mut answer).ok_or(firmware::INVALID_PARAM)?;
        let mut out = [0; PAGE];
        out[..HEADER].copy_from_slice(reply.as_bytes());
        out[HEADER..HEADER + answer.len()].copy_from_slice(&answer);
        Ok(out)
    }

    /// Type and payload of the response.
    fn answer(&mut self, header: &MessageHeader, payload: &[u8]) -> Result<(u8, Vec<u8>), u32> {
        let short = firmware::INVALID_PARAM;
        match header.msg_type {
            kind::REPORT_REQ => {
                let request = ReportRequest::read_from_bytes(payload).ok().ok_or(short)?;
                let response = report_response(&self.guest, header.msg_vmpck, &request);
                if response.status == tessera_defs::snp::message::status::SUCCESS {
                    if self.issued.len() == REMEMBERED {
                        self.issued.remove(0);
                    }
                    self.issued.push(Issued {
                        vmpl: request.vmpl,
                        report_data: request.report_data,
                    });
                }
                Ok((kind::REPORT_RSP, Vec::from(response.as_bytes())))
            }
            kind::KEY_REQ => {
                let request = KeyRequest::read_from_bytes(payload).ok().ok_or(short)?;
                let response = key_response(&self.guest, header.msg_vmpck, &request);
                Ok((kind::KEY_RSP, Vec::from(response.as_bytes())))
            }
            _ => Err(firmware::INVALID_PARAM),
        }
    }
}

fn iv(number: u64) -> [u8; IV] {
    let mut iv = [0; IV];
    iv[..8].copy_from_slice(&number.to_le_bytes());
    iv
}

fn open(key: &[u8; 32], header: &MessageHeader, payload: &mut [u8]) -> Option<()> {
    let mut tag = [0; TAG];
    tag.copy_from_slice(&header.authtag[..TAG]);
    let aad = &header.as_bytes()[AAD_OFFSET..];
    let cipher = Aes256Gcm::new(&Array(*key));
    cipher
        .decrypt_inout_detached(
            &Array(iv(header.msg_seqno)),
            aad,
            payload.into(),
            &Array(tag),
        )
        .ok()
}

fn seal(key: &[u8; 32], header: &mut MessageHeader, payload: &mut [u8]) -> Option<()> {
    let aad = &header.as_bytes()[AAD_OFFSET..];
    let cipher = Aes256Gcm::new(&Array(*key));
    let tag = cipher
        .encrypt_inout_detached(&Array(iv(header.msg_seqno)), aad, payload.into())
        .ok()?;
    header.authtag[..TAG].copy_from_slice(&tag);
    Some(())
}

/// A guest's message by this file's own cryptography, for tests.
#[cfg(test)]
pub(crate) fn sealed(
    key: &[u8; 32],
    kind: u8,
    vmpck: u8,
    number: u64,
    payload: &[u8],
) -> [u8; PAGE] {
    let mut header = MessageHeader::new_zeroed();
    (header.msg_seqno, header.algo, header.hdr_version) = (number, 1, 1);
    (header.hdr_size, header.msg_type, header.msg_version) = (0x60, kind, 1);
    (header.msg_size, header.msg_vmpck) = (payload.len() as u16, vmpck);
    let (mut page, mut payload) = ([0; PAGE], payload.to_vec());
    seal(key, &mut header, &mut payload).unwrap();
    page[..HEADER].copy_from_slice(header.as_bytes());
    page[HEADER..HEADER + payload.len()].copy_from_slice(&payload);
    page
}

#[cfg(test)]
#[path = "messages_tests.rs"]
mod tests;
