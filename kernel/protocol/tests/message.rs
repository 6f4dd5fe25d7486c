//! Guest messages against bytes that others made, and against honest and lying security
//! processors and hosts.

mod security_processor;

use proptest::prelude::*;
use security_processor::{Lie, Processor};
use tessera_defs::snp::message::{MAX_PAYLOAD, MessageHeader, kind, status};
use tessera_defs::snp::secrets::SecretsPage;
use tessera_protocol::error::{Error, GuestFault, HostFault, MessageFault};
use tessera_protocol::message::channel::Channel;
use tessera_protocol::message::{key, report, seal};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

const KEY: [u8; 32] = [7; 32];
const DATA: [u8; 64] = [0xA5; 64];

fn bytes(value: &serde_json::Value) -> Vec<u8> {
    let hex = value.as_str().unwrap();
    let pair = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(pair).collect()
}

#[test]
fn messages_are_those_of_openssl() {
    let text = include_str!("../../../tests/vectors/snp/messages.json");
    let cases: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let key: [u8; 32] = bytes(&case["key"]).try_into().unwrap();
        let (payload, message) = (bytes(&case["payload"]), bytes(&case["message"]));
        let number = |name: &str| case[name].as_u64().unwrap();
        let (kind, vmpck) = (number("type") as u8, number("vmpck") as u8);
        let mut header = seal::header(kind, vmpck, number("sequence"), payload.len() as u16);
        let mut ours = payload.clone();
        seal::seal(&key, &mut header, &mut ours);
        assert_eq!([header.as_bytes(), &ours[..]].concat(), message);
        let header = MessageHeader::read_from_bytes(&message[..0x60]).unwrap();
        let mut theirs = message[0x60..].to_vec();
        assert!(seal::open(&key, &header, &mut theirs));
        assert_eq!(theirs, payload);
    }
}

#[test]
fn reports_and_keys_come_and_numbers_go_up_by_two() {
    let (mut ghcb, mut pages) = Processor::pair(KEY, 0, 0, Lie::None);
    let mut channel = Channel::new(0, KEY, 0).unwrap();
    let first = report::report(&mut channel, &mut ghcb, &mut pages, &DATA, 2).unwrap();
    assert_eq!((first.report_data, first.vmpl), (DATA, 2));
    assert_eq!(channel.sequence(), 2);
    let derived = key::derive(&mut channel, &mut ghcb, &mut pages, 8, 0).unwrap();
    assert_eq!(derived, [0xD5; 32]);
    assert_eq!((channel.sequence(), channel.is_open()), (4, true));
    assert_eq!(pages.processor().requests, [1, 3]);
}

#[test]
fn the_next_owner_goes_on_by_the_secrets_page() {
    let mut secrets = SecretsPage::new_zeroed();
    secrets.vmpck[2] = KEY;
    secrets.guest.msg_seqno_low[2] = 0xFFFF_FFFF - 1;
    let mut channel = Channel::from_secrets(&secrets, 2).unwrap();
    let (mut ghcb, mut pages) = Processor::pair(KEY, 2, 0xFFFF_FFFE, Lie::None);
    report::report(&mut channel, &mut ghcb, &mut pages, &DATA, 2).unwrap();
    channel.record(&mut secrets);
    assert_eq!(secrets.guest.msg_seqno_low, [0; 4]);
    assert_eq!(secrets.guest.msg_seqno_high, [0, 0, 1, 0]);
    let next = Channel::from_secrets(&secrets, 2).unwrap();
    assert_eq!(next.sequence(), 0x1_0000_0000);
    assert!(
        Channel::from_secrets(&secrets, 0).is_err(),
        "a key of zeros"
    );
}

/// What one report comes to under a lie, and whether anything can be sent after it.
fn under(lie: Lie) -> (Error, Channel, security_processor::Pages) {
    let (mut ghcb, mut pages) = Processor::pair(KEY, 0, 0, lie);
    let mut channel = Channel::new(0, KEY, 0).unwrap();
    // An honest exchange first: there is something to replay.
    pages.processor().lie = Lie::None;
    report::report(&mut channel, &mut ghcb, &mut pages, &DATA, 0).unwrap();
    pages.processor().lie = lie;
    let error = report::report(&mut channel, &mut ghcb, &mut pages, &DATA, 0).unwrap_err();
    (error, channel, pages)
}

#[test]
fn every_lie_is_named_and_closes_the_channel_for_good() {
    use MessageFault::{Header, Sequence, Size, Tag, Type};
    let message = |fault| Error::Host(HostFault::Message(fault));
    let refused = |code| {
        let request = 0x8000_0011;
        Error::Host(HostFault::Refused { request, code })
    };
    let cases = [
        (Lie::Replay, message(Sequence(2))),
        (Lie::NoAnswer, message(Sequence(2))),
        (Lie::Number, message(Sequence(5))),
        (Lie::Tag, message(Tag)),
        (Lie::Payload, message(Tag)),
        (Lie::ReservedByte, message(Tag)),
        (Lie::Size(0x10), message(Size(0x10))),
        (Lie::Size(0x4D0), message(Size(0x4D0))),
        (Lie::Kind, message(Type(kind::KEY_RSP))),
        (Lie::Version, message(Type(kind::REPORT_RSP))),
        (Lie::Algorithm, message(Header)),
        (Lie::KeyNumber, message(Header)),
        (Lie::Echo, message(Sequence(3))),
        (Lie::Refuse(0x16), refused(0x16)),
        (Lie::Refuse(1 << 32), refused(1 << 32)),
        (
            Lie::BusyForEver,
            Error::Host(HostFault::NoProgress {
                request: 0x8000_0011,
            }),
        ),
    ];
    for (lie, expected) in cases {
        let (error, mut channel, mut pages) = under(lie);
        assert_eq!(error, expected, "{lie:?}");
        assert!(!channel.is_open(), "{lie:?}");
        // Nothing leaves any more, not even to an honest host.
        pages.processor().lie = Lie::None;
        let sent = pages.processor().exits;
        let mut ghcb = pages.ghcb();
        let after = report::report(&mut channel, &mut ghcb, &mut pages, &DATA, 0);
        assert_eq!(
            after.unwrap_err(),
            Error::Guest(GuestFault::ChannelClosed),
            "{lie:?}"
        );
        assert_eq!(pages.processor().exits, sent, "{lie:?}");
        let mut secrets = SecretsPage::new_zeroed();
        secrets.vmpck[0] = KEY;
        channel.record(&mut secrets);
        assert_eq!(secrets.vmpck[0], [0; 32], "{lie:?}");
    }
}

#[test]
fn a_status_of_the_security_processor_leaves_the_channel_open() {
    let (error, mut channel, mut pages) = under(Lie::Status(status::INVALID_KEY_SELECTION));
    let status = u64::from(status::INVALID_KEY_SELECTION);
    let operation = "MSG_REPORT_REQ";
    assert_eq!(error, Error::Platform { operation, status });
    pages.processor().lie = Lie::None;
    let mut ghcb = pages.ghcb();
    report::report(&mut channel, &mut ghcb, &mut pages, &DATA, 0).unwrap();
    assert_eq!(channel.sequence(), 6);
}

#[test]
fn a_busy_host_is_given_the_same_bytes_again() {
    let (mut ghcb, mut pages) = Processor::pair(KEY, 0, 0, Lie::Busy(3));
    let mut channel = Channel::new(0, KEY, 0).unwrap();
    report::report(&mut channel, &mut ghcb, &mut pages, &DATA, 0).unwrap();
    let seen = &pages.processor().seen;
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|message| *message == seen[0]));
}

#[test]
fn what_the_channel_may_not_carry_is_the_guests_fault() {
    let (mut ghcb, mut pages) = Processor::pair(KEY, 2, 0, Lie::None);
    let mut channel = Channel::new(2, KEY, 0).unwrap();
    let below = report::report(&mut channel, &mut ghcb, &mut pages, &DATA, 1);
    assert_eq!(below.unwrap_err(), Error::Guest(GuestFault::BadValue(1)));
    let above = key::derive(&mut channel, &mut ghcb, &mut pages, 0, 4);
    assert_eq!(above.unwrap_err(), Error::Guest(GuestFault::BadValue(4)));
    let mut long = [0; MAX_PAYLOAD + 16];
    for len in [0, 8, MAX_PAYLOAD + 16] {
        let sent = channel.exchange::<64>(&mut ghcb, &mut pages, 5, &mut long[..len]);
        assert_eq!(sent.unwrap_err(), Error::Guest(GuestFault::BadLength(len)));
    }
    assert!(channel.is_open() && pages.processor().exits == 0);
    assert!(Channel::new(0, [0; 32], 0).is_err() && Channel::new(4, KEY, 0).is_err());
    let mut last = Channel::new(2, KEY, u64::MAX - 2).unwrap();
    let over = last.exchange::<64>(&mut ghcb, &mut pages, 5, &mut long[..16]);
    assert_eq!(over.unwrap_err(), Error::Guest(GuestFault::ChannelClosed));
    assert_eq!(pages.processor().exits, 0);
}

proptest! {
    #[test]
    fn no_response_page_is_believed_without_the_key(
        page in proptest::collection::vec(any::<u8>(), 0x60 + 0x4C0), right_header: bool,
    ) {
        let (mut ghcb, mut pages) = Processor::pair(KEY, 0, 0, Lie::NoAnswer);
        let mut forged = page;
        if right_header {
            let header = seal::header(kind::REPORT_RSP, 0, 2, 0x4C0);
            forged[0x20..0x60].copy_from_slice(&header.as_bytes()[0x20..]);
        }
        pages.forge(&forged);
        let mut channel = Channel::new(0, KEY, 0).unwrap();
        prop_assert!(report::report(&mut channel, &mut ghcb, &mut pages, &DATA, 0).is_err());
        prop_assert!(!channel.is_open());
    }

    #[test]
    fn one_flipped_bit_is_always_seen(bit in 0usize..8 * (0x60 + 0x4C0)) {
        // The upper half of AUTHTAG and eight reserved bytes are not covered by the tag.
        prop_assume!(!(16 * 8..32 * 8).contains(&bit) && !(0x28 * 8..0x30 * 8).contains(&bit));
        let (mut ghcb, mut pages) = Processor::pair(KEY, 0, 0, Lie::Flip(bit));
        let mut channel = Channel::new(0, KEY, 0).unwrap();
        prop_assert!(report::report(&mut channel, &mut ghcb, &mut pages, &DATA, 0).is_err());
    }

    #[test]
    fn no_number_is_ever_sent_with_two_messages(lies in proptest::collection::vec(0u8..6, 1..12)) {
        let (mut ghcb, mut pages) = Processor::pair(KEY, 0, 0, Lie::None);
        let mut channel = Channel::new(0, KEY, 0).unwrap();
        for (round, lie) in lies.into_iter().enumerate() {
            pages.processor().lie = match lie {
                0 => Lie::Refuse(0x1D),
                1 => Lie::Replay,
                2 => Lie::Busy(2),
                _ => Lie::None,
            };
            let _ = report::report(&mut channel, &mut ghcb, &mut pages, &[round as u8; 64], 0);
        }
        let seen = &pages.processor().seen;
        for (at, one) in seen.iter().enumerate() {
            let clash = seen[..at].iter().any(|other| other[0x20..0x28] == one[0x20..0x28] && other != one);
            prop_assert!(!clash);
        }
    }
}
