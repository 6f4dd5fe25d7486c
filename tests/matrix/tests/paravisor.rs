//! The real paravisor under a guest that probes it, and a sabotaged one under a guest that
//! reads what must not be there.

use object::{Object, ObjectSection, ObjectSymbol};
use tessera_defs::mode::Mode;
use tessera_guest::catalogue::PROBE;
use tessera_image_builder::image::Inputs;
use tessera_matrix::{broken, probes};

fn probe(mode: Mode) {
    let (bench, product, guest) = broken::built();
    let (ended, console) = broken::run(bench, &product.inputs, guest, mode, PROBE)
        .unwrap_or_else(|error| panic!("{error}"));
    let faults = probes::faults(mode, &ended, &console);
    assert!(faults.is_empty(), "{}\n\n{console}", faults.join("\n"));
}

#[test]
fn every_service_below_vmpl_0_is_used_and_nothing_else_is_there() {
    probe(Mode::SnpParavisor);
}

#[test]
fn every_service_below_l1_is_used_and_nothing_else_is_there() {
    probe(Mode::TdxParavisor);
}

/// Instructions that an exit by CPUID may cost, from the guest's to the guest's next one.
const MOST_PER_CPUID: u64 = 1000;

/// What 1,000 exits cost more than none. Counted by the test host, so that every run is the same.
fn per_cpuid(mode: Mode) -> u64 {
    let (bench, product, guest) = broken::built();
    let instructions = |act| {
        let (ended, _) = broken::run(bench, &product.inputs, guest, mode, act).unwrap();
        assert_eq!(ended.end, "shutdown", "{act}");
        ended.instructions
    };
    (instructions("cpuid-1000") - instructions("cpuid-0")) / 1000
}

#[test]
fn an_exit_by_cpuid_costs_little() {
    for mode in [Mode::SnpParavisor, Mode::TdxParavisor] {
        let count = per_cpuid(mode);
        println!("{}: {count} instructions per CPUID", mode.name());
        assert!(
            count <= MOST_PER_CPUID,
            "{}: {count} instructions",
            mode.name()
        );
    }
}

/// The paravisor without the step that takes its keys out of the guest's secrets page: the
/// first byte of that function is RET.
fn without_hiding(inputs: &Inputs) -> Inputs {
    let mut bytes = inputs.paravisor_elf.clone().expect("a paravisor");
    let file = object::File::parse(&*bytes).expect("an ELF file");
    let named = |symbol: &object::Symbol<'_, '_>| {
        let name = symbol.name().unwrap_or_default();
        name.contains("hide_secrets") && name.contains("vmpl2")
    };
    let symbol = file.symbols().find(named);
    let address = symbol.expect("hide_secrets of VMPL 2").address();
    let text = file.section_by_name(".text").expect("a .text");
    let (start, _) = text.file_range().expect("bytes in the file");
    let at = (address - text.address() + start) as usize;
    bytes[at] = 0xC3;
    Inputs {
        paravisor_elf: Some(bytes),
        ..inputs.clone()
    }
}

#[test]
fn a_paravisor_that_leaves_its_keys_to_the_guest_is_named() {
    let (bench, product, guest) = broken::built();
    let mode = Mode::SnpParavisor;
    let inputs = without_hiding(&product.inputs);
    let (ended, _) = broken::run(bench, &inputs, guest, mode, "read-keys").unwrap();
    assert_eq!(ended.end, "breach");
    assert_eq!(ended.reason.as_deref(), Some("vmpck-exposed"));
}
