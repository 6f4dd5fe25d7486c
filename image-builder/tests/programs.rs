//! Damaged programs: assembly refuses them in one line or takes them, it never panics.

mod common;

use common::{inputs, stub};
use proptest::prelude::*;
use tessera_image_builder::image::{Inputs, assemble};

fn try_stub(stub_elf: Vec<u8>) -> bool {
    match assemble(&Inputs {
        stub_elf,
        ..inputs()
    }) {
        Ok(_) => true,
        Err(failure) => {
            let text = failure.to_string();
            assert!(
                text.starts_with("the stub ") && !text.contains('\n'),
                "{text}"
            );
            false
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_truncated_program_is_refused(cut in 1usize..5000) {
        let mut bytes = stub().bytes();
        bytes.truncate(bytes.len() - cut);
        prop_assert!(!try_stub(bytes));
    }

    /// The file header and the program headers are 232 bytes; the section headers end the file.
    #[test]
    fn a_changed_program_never_panics(
        at in 0usize..232 + 192,
        byte in prop::sample::select(vec![0u8, 1, 0x7F, 0x80, 0xFF]),
    ) {
        let mut bytes = stub().bytes();
        let at = if at < 232 { at } else { bytes.len() - (at - 231) };
        bytes[at] = byte;
        try_stub(bytes);
    }
}
