//! The binding against bytes that are put together by hand.

use sha2::{Digest, Sha384};
use tessera_defs::binding::EventLog;
use tessera_defs::mode::Mode;
use tessera_protocol::binding::{Binding, event, log};
use tessera_protocol::message::key::sealing;

fn example() -> EventLog {
    log(core::array::from_fn(|n| event(n as u32 + 1, &[n as u8; 3])))
}

/// The bytes as `docs/binding.md` has them, put together by hand.
#[test]
fn the_binding_is_the_hash_of_the_published_bytes() {
    let log = example();
    let mut bytes = Vec::from(*b"TSRABIND");
    bytes.extend([1, 0, 0, 0, 3, 0, 0, 0]);
    bytes.extend(Sha384::digest(b"table"));
    let mut of_log = Vec::from(*b"TSRAELOG");
    of_log.extend([1, 0, 0, 0, 7, 0, 0, 0]);
    for n in 0..7u8 {
        of_log.extend([n + 1, 0, 0, 0, 3, 0, 0, 0]);
        of_log.extend(Sha384::digest([n; 3]));
    }
    bytes.extend(Sha384::digest(of_log));
    let binding = Binding::new(Mode::SnpParavisor, Some(b"table"), &log);
    assert_eq!(binding.digest()[..], Sha384::digest(&bytes)[..]);
    assert_eq!(bytes.len(), 112);
    let data = [7; 64];
    bytes = binding.digest().to_vec();
    bytes.extend(data);
    assert_eq!(binding.over(&data)[..48], Sha384::digest(&bytes)[..]);
    assert_eq!(&binding.over(&data)[48..], b"tessera evidence");
    assert_eq!(binding.first()[48..], [0; 16]);
}

#[test]
fn mode_table_and_log_each_make_another_binding() {
    let mut other = example();
    other.events[3] = event(4, b"other");
    let all = [
        Binding::new(Mode::Snp, None, &example()),
        Binding::new(Mode::Tdx, None, &example()),
        Binding::new(Mode::SnpParavisor, None, &example()),
        Binding::new(Mode::Snp, Some(b"table"), &example()),
        Binding::new(Mode::Snp, None, &other),
    ];
    for (n, one) in all.iter().enumerate() {
        assert!(all[n + 1..].iter().all(|other| other != one));
    }
}

/// A caller cannot make a report that looks like the first one, of this mode or another:
/// the tag is not zeros, and it would need data of which binding and data hash to a binding.
#[test]
fn a_callers_data_never_stand_in_a_report() {
    let victim = Binding::new(Mode::SnpParavisor, Some(b"table"), &example());
    let own = Binding::new(Mode::Snp, None, &example());
    let made = own.over(&victim.first());
    assert_ne!(made, victim.first());
    assert_ne!(made, victim.over(&victim.first()));
    assert_ne!(made[48..], victim.first()[48..]);
}

#[test]
fn another_mode_seals_under_another_key() {
    let derived = [0xD5; 32];
    let keys = Mode::ALL.map(|mode| sealing(&derived, mode));
    for (n, one) in keys.iter().enumerate() {
        assert!(keys[n + 1..].iter().all(|other| other != one));
    }
    let mut bytes = vec![0, 0, 0, 1];
    bytes.extend([0xD5; 32]);
    bytes.extend(b"tessera sealing key\x03\0\0\0");
    assert_eq!(keys[3], Sha384::digest(bytes)[..32]);
    assert_ne!(sealing(&[0; 32], Mode::Snp), sealing(&derived, Mode::Snp));
}
