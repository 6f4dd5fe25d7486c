//! The extended guest request: certificates come with a report, into enough shared pages or not at
//! all.

use super::*;

const REQUEST: u64 = 0x21_0000;
const RESPONSE: u64 = 0x21_1000;
const TABLE: u64 = 0x22_0000;

fn ask(host: &mut Guest, number: u64, at: u64, pages: u64) -> Result<GhcbPage, End> {
    let message = messages::sealed(&host.snp.keys[0].clone(), 5, 0, number, &[0; 0x60]);
    *host.frame_of(REQUEST) = message;
    let fields = [
        (0x3A0, RESPONSE),
        (offset_of!(GhcbPage, rax), at),
        (offset_of!(GhcbPage, rbx), pages),
    ];
    host.send(exit::EXTENDED_GUEST_REQUEST, REQUEST, &fields)
}

impl Guest {
    fn frame_of(&mut self, gpa: u64) -> &mut [u8; PAGE] {
        let frame = self.memory.frame(gpa / PAGE as u64).unwrap();
        self.memory.page(frame).unwrap()
    }
}

#[test]
fn certificates_come_into_enough_shared_pages() {
    let mut host = guest("mode=snp");
    host.shared_ghcb();
    for gpa in [REQUEST, RESPONSE, TABLE] {
        host.msr(proto::PSC_REQUEST | proto::PSC_SHARED << 52 | gpa)
            .unwrap();
    }
    let short = ask(&mut host, 1, TABLE, 1).unwrap();
    assert_eq!((short.sw_exit_info2, short.rbx), (1 << 32, 2));
    let rbx = offset_of!(GhcbPage, rbx);
    assert_eq!(short.valid_bitmap[rbx / 512] >> (rbx / 8 % 64) & 1, 1);
    assert_eq!(host.frame_of(RESPONSE)[..16], [0; 16], "no message");
    let private = Some(End::Breach(&breach::GUEST_REQUEST_PRIVATE));
    assert_eq!(ask(&mut host, 1, TABLE, 2).err(), private, "second page");
    assert_eq!(ask(&mut host, 1, TABLE + 8, 2).err(), private, "unaligned");
    host.msr(proto::PSC_REQUEST | proto::PSC_SHARED << 52 | (TABLE + 4096))
        .unwrap();
    // Number 1 was not used up by what was refused.
    let done = ask(&mut host, 1, TABLE, 2).unwrap();
    assert_eq!((done.sw_exit_info1, done.sw_exit_info2), (0, 0));
    assert_eq!(host.frame_of(RESPONSE)[0x34], 6);
    assert_eq!(host.frame_of(TABLE)[..4], 0x63DA_758Du32.to_le_bytes());
    let missing = host.send(exit::EXTENDED_GUEST_REQUEST, REQUEST, &[(0x3A0, RESPONSE)]);
    let malformed = Some(End::Breach(&breach::GHCB_MALFORMED));
    assert_eq!(missing.err(), malformed, "RAX and RBX");
}
