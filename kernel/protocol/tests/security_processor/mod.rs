//! A security processor and the host in front of it, each of which may lie. Its cryptography is
//! written against the specification a second time, not taken from the crate under test.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, KeyInit, Payload, array::Array};
use std::sync::{Arc, Mutex, MutexGuard};
use tessera_protocol::ghcb::frame::GhcbFrame;
use tessera_protocol::traits::{MessagePages, Vmgexit};

/// One lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    None,
    /// The response to the request before.
    Replay,
    /// Success, and the response page as it was.
    NoAnswer,
    /// The right response under the sequence number after the right one.
    Number,
    /// A bit of the tag.
    Tag,
    /// A bit of the payload.
    Payload,
    /// A reserved byte that the tag covers.
    ReservedByte,
    /// MSG_SIZE, with a tag that fits.
    Size(u16),
    /// MSG_KEY_RSP.
    Kind,
    /// MSG_VERSION 2.
    Version,
    /// ALGO 2.
    Algorithm,
    /// MSG_VMPCK 1.
    KeyNumber,
    /// The request itself.
    Echo,
    /// STATUS of the payload.
    Status(u32),
    /// SW_EXITINFO2.
    Refuse(u64),
    /// Busy so often, then honest.
    Busy(usize),
    BusyForEver,
    /// One bit of the response message.
    Flip(usize),
}

/// What stands behind the shared pages.
pub struct Processor {
    key: [u8; 32],
    vmpck: u8,
    count: u64,
    pub lie: Lie,
    /// Sequence numbers that were accepted.
    pub requests: Vec<u64>,
    /// Every request page that the host was shown.
    pub seen: Vec<Vec<u8>>,
    pub exits: usize,
    request: Vec<u8>,
    response: Vec<u8>,
}

/// The guest's side of the pages.
#[derive(Clone)]
pub struct Pages(Arc<Mutex<Processor>>);

/// The guest's side of the GHCB.
pub struct Ghcb(Arc<Mutex<Processor>>);

impl Processor {
    pub fn pair(key: [u8; 32], vmpck: u8, count: u64, lie: Lie) -> (Ghcb, Pages) {
        let processor = Arc::new(Mutex::new(Self {
            key,
            vmpck,
            count,
            lie,
            requests: Vec::new(),
            seen: Vec::new(),
            exits: 0,
            request: vec![0; 4096],
            response: vec![0; 4096],
        }));
        (Ghcb(processor.clone()), Pages(processor))
    }

    fn crypt(&self, number: u64, aad: &[u8], msg: &[u8], seal: bool) -> Option<Vec<u8>> {
        let cipher = Aes256Gcm::new(&Array(self.key));
        let mut iv = [0; 12];
        iv[..8].copy_from_slice(&number.to_le_bytes());
        let payload = Payload { msg, aad };
        match seal {
            true => cipher.encrypt(&Array(iv), payload).ok(),
            false => cipher.decrypt(&Array(iv), payload).ok(),
        }
    }

    /// SW_EXITINFO2.
    fn serve(&mut self) -> u64 {
        let page = self.request.clone();
        let number = u64::from_le_bytes(page[0x20..0x28].try_into().unwrap());
        let size = usize::from(u16::from_le_bytes([page[0x36], page[0x37]]));
        let mut sealed = page[0x60..0x60 + size].to_vec();
        sealed.extend(&page[..16]);
        let Some(clear) = self.crypt(number, &page[0x30..0x60], &sealed, false) else {
            return 0x0B;
        };
        if number != self.count + 1 || page[0x3C] != self.vmpck {
            return 0x1D;
        }
        self.requests.push(number);
        self.count += 2;
        let status = match self.lie {
            Lie::Status(status) => status,
            _ => 0,
        };
        let mut answer = status.to_le_bytes().to_vec();
        if page[0x34] == 5 {
            answer.extend(0x4A0u32.to_le_bytes());
            answer.resize(0x20 + 0x4A0, 0);
            answer[0x20 + 0x50..0x20 + 0x90].copy_from_slice(&clear[..64]);
            answer[0x20 + 0x30..0x20 + 0x34].copy_from_slice(&clear[64..68]);
        } else {
            answer.resize(0x20, 0);
            answer.extend([0xD5; 32]);
        }
        self.response = self.answer(&page, number, answer);
        0
    }

    fn answer(&self, page: &[u8], number: u64, mut payload: Vec<u8>) -> Vec<u8> {
        let mut header = page[..0x60].to_vec();
        header[0x34] += 1;
        // The firmware leaves what was there.
        header[0x3D..0x60].fill(0xEE);
        let mut next = number + 1;
        match self.lie {
            Lie::Number => next += 1,
            Lie::Kind => header[0x34] = 4,
            Lie::Version => header[0x35] = 2,
            Lie::Algorithm => header[0x30] = 2,
            Lie::KeyNumber => header[0x3C] = 1,
            Lie::Size(size) => payload.resize(size.into(), 0),
            _ => {}
        }
        header[0x20..0x28].copy_from_slice(&next.to_le_bytes());
        header[0x36..0x38].copy_from_slice(&(payload.len() as u16).to_le_bytes());
        let sealed = self.crypt(next, &header[0x30..], &payload, true).unwrap();
        let (cipher, tag) = sealed.split_at(payload.len());
        header[..16].copy_from_slice(tag);
        let mut out = [&header, cipher].concat();
        match self.lie {
            Lie::Tag => out[3] ^= 1,
            Lie::Payload => out[0x70] ^= 1,
            Lie::ReservedByte => out[0x50] ^= 1,
            Lie::Flip(bit) => out[bit / 8] ^= 1 << (bit % 8),
            _ => {}
        }
        out.resize(4096, 0);
        out
    }
}

impl Vmgexit for Ghcb {
    fn halt(&mut self) {}
    fn vmgexit(&mut self, frame: &mut GhcbFrame) {
        let mut host = self.0.lock().unwrap();
        assert_eq!(
            (frame.exit_code, frame.info1, frame.info2),
            (0x8000_0011, 0x5000, 0x6000)
        );
        host.exits += 1;
        let page = host.request.clone();
        host.seen.push(page);
        frame.info1 = 0;
        frame.info2 = match host.lie {
            Lie::Refuse(code) => code,
            Lie::NoAnswer => 0,
            Lie::BusyForEver => 2 << 32,
            Lie::Busy(left) => {
                host.lie = if left == 1 {
                    Lie::None
                } else {
                    Lie::Busy(left - 1)
                };
                2 << 32
            }
            Lie::Replay => {
                let old = host.response.clone();
                let code = host.serve();
                host.response = old;
                code
            }
            Lie::Echo => {
                host.response = host.request.clone();
                0
            }
            _ => host.serve(),
        };
    }
}

impl Pages {
    pub fn processor(&self) -> MutexGuard<'_, Processor> {
        self.0.lock().unwrap()
    }

    pub fn ghcb(&self) -> Ghcb {
        Ghcb(self.0.clone())
    }

    pub fn forge(&self, bytes: &[u8]) {
        self.0.lock().unwrap().response[..bytes.len()].copy_from_slice(bytes);
    }
}

impl MessagePages for Pages {
    fn addresses(&self) -> [u64; 2] {
        [0x5000, 0x6000]
    }

    fn put(&mut self, header: &[u8], payload: &[u8]) {
        let mut page = [header, payload].concat();
        page.resize(4096, 0);
        self.0.lock().unwrap().request = page;
    }

    fn take(&mut self, offset: usize, into: &mut [u8]) {
        into.copy_from_slice(&self.0.lock().unwrap().response[offset..offset + into.len()]);
    }
}
