//! Instruction decoding and hypercall encodings.
use proptest::prelude::*;
use tessera_protocol::exception::event::{Event, NotServed};
use tessera_protocol::exception::{vc, ve};
use tessera_protocol::hyperv::{
    VisibilityRequest, check, control, registers_input, visibility_input,
};
use tessera_protocol::insn::{Action, Refused, decode};
use tessera_protocol::registers::Registers;

struct Regs([u64; 16], u64);
impl Registers for Regs {
    fn register(&self, number: u8) -> u64 {
        self.0[usize::from(number)]
    }
    fn set_register(&mut self, number: u8, value: u64) {
        self.0[usize::from(number)] = value;
    }
    fn rip(&self) -> u64 {
        self.1
    }
    fn set_rip(&mut self, rip: u64) {
        self.1 = rip;
    }
}

#[test]
fn known_instructions() {
    let is = |bytes: &[u8], action, size, length| {
        let i = decode(bytes).unwrap();
        assert_eq!(
            (i.action, i.size, i.length),
            (action, size, length),
            "{bytes:x?}"
        );
    };
    let store = |register| Action::Store {
        register,
        high: false,
    };
    let load = |register, into, signed| Action::Load {
        register,
        high: false,
        into,
        signed,
    };
    is(&[0x89, 0x07], store(0), 4, 2); // mov [rdi], eax
    is(&[0x4C, 0x89, 0x44, 0x24, 8], store(8), 8, 5); // mov [rsp+8], r8
    is(
        &[0x88, 0x27],
        Action::Store {
            register: 0,
            high: true,
        },
        1,
        2,
    ); // mov [rdi], ah
    is(&[0x40, 0x88, 0x27], store(4), 1, 3); // mov [rdi], spl
    is(&[0x66, 0x8B, 0x05, 1, 2, 3, 4], load(0, 2, false), 2, 7); // mov ax, [rip+..]
    is(&[0x0F, 0xB6, 0x00], load(0, 4, false), 1, 3); // movzx eax, byte [rax]
    is(&[0x48, 0x0F, 0xBF, 0x08], load(1, 8, true), 2, 4); // movsx rcx, word [rax]
    is(
        &[0xC7, 0x04, 0x25, 0, 0, 0, 0, 1, 0, 0, 0],
        Action::StoreImmediate(1),
        4,
        11,
    );
    is(
        &[0x48, 0xC7, 0, 0xFF, 0xFF, 0xFF, 0xFF],
        Action::StoreImmediate(u64::MAX),
        8,
        7,
    );
}

#[test]
fn refusals_have_names() {
    assert_eq!(decode(&[0xF3, 0xA4]), Err(Refused::Movs));
    assert_eq!(decode(&[0xAB]), Err(Refused::Stos));
    assert_eq!(decode(&[0xF0, 0x89, 0x07]), Err(Refused::Prefix(0xF0)));
    assert_eq!(decode(&[0x89, 0xC0]), Err(Refused::NoMemory));
    assert_eq!(decode(&[0x0F, 0xA2]), Err(Refused::Opcode(0x0FA2)));
    assert_eq!(decode(&[0x66; 20]), Err(Refused::Truncated));
}

#[test]
fn vc_exit_codes_must_fit_the_instruction() {
    let regs = Regs([0x3F8; 16], 0);
    let event = |code, bytes: &[u8]| vc::event(code, bytes, &regs, 0);
    assert_eq!(event(0x72, &[0x0F, 0xA2]), Ok((Event::Cpuid, 2)));
    assert_eq!(event(0x72, &[0x90]), Err(NotServed::Mismatch(Event::Cpuid)));
    assert_eq!(
        event(0x7B, &[0xEE]),
        Ok((
            Event::Out {
                port: 0x3F8,
                size: 1
            },
            1
        ))
    );
    assert_eq!(
        event(0x7B, &[0x66, 0xE5, 0x60]),
        Ok((
            Event::In {
                port: 0x60,
                size: 2
            },
            3
        ))
    );
    assert_eq!(event(0x7B, &[0xF3, 0x6E]), Err(NotServed::StringIo));
    assert_eq!(
        ve::event(30, 0x3F8 << 16 | 1 << 4, 0),
        Err(NotServed::StringIo)
    );
    assert_eq!(
        ve::event(30, 0x3F8 << 16 | 8, 0),
        Ok(Event::In {
            port: 0x3F8,
            size: 1
        })
    );
}

proptest! {
    #[test]
    fn decoding_never_panics_nor_reads_past(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
        if let Ok(i) = decode(&bytes) {
            prop_assert!(usize::from(i.length) <= bytes.len().min(15));
            prop_assert_eq!(decode(&bytes[..i.length.into()]), Ok(i));
        }
    }

    #[test]
    fn visibility_round_trips(frames in proptest::collection::vec(0u64..1 << 35, 1..510), shared: bool) {
        let gpas: Vec<u64> = frames.iter().map(|f| f * 4096).collect();
        let mut input = [0; 4096];
        let (len, control) = visibility_input(&mut input, &gpas, shared).unwrap();
        let request = VisibilityRequest::parse(control, &input[..len]).unwrap();
        prop_assert_eq!(request.shared, shared);
        prop_assert_eq!(request.gpas().map(Option::unwrap).collect::<Vec<_>>(), gpas);
    }

    #[test]
    fn only_complete_success_passes(result: u64, reps in 1u16..4096) {
        let control = control(0xDB, reps);
        let complete = u64::from(reps) << 32;
        prop_assert_eq!(check(control, result).is_ok(), result == complete);
        prop_assert!(check(control, complete).is_ok());
    }
}

/// Against the bytes that the host's decoder is tested with, and `hvdef`'s layout.
#[test]
fn registers_are_named_in_their_places() {
    let mut input = [0xAA; 100];
    let registers = [(0x0009_0019, 0x6012), (7, 1 << 40)];
    assert_eq!(
        registers_input(&mut input, &registers),
        Ok((80, 0x51 | 2 << 32))
    );
    let mut wanted = [0xAA; 100];
    wanted[..80].fill(0);
    wanted[..8].fill(0xFF);
    wanted[8..13].copy_from_slice(&[0xFE, 0xFF, 0xFF, 0xFF, 0x10]);
    wanted[16..20].copy_from_slice(&[0x19, 0, 9, 0]);
    wanted[32..34].copy_from_slice(&[0x12, 0x60]);
    (wanted[48], wanted[69]) = (7, 1);
    assert_eq!(input, wanted);
    assert!(registers_input(&mut input[..79], &registers).is_err());
    assert!(registers_input(&mut input, &[]).is_err());
}
