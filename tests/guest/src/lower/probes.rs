//! Reads the enumeration, uses everything in it, and tries what is not in it. One line each.

use super::machine::{Lower, say, shut_down};
use super::{absent, services, vmpl2};
use crate::window::die;
use tessera_defs::mode::Mode;
use tessera_defs::pfe::{
    CPUID_BASE, CPUID_TABLE, CPUID_VERSION, Entry, MAX_ENTRIES, OWNER, SIGNATURE, TABLE_MAGIC,
    TableHeader, VERSION,
};
use tessera_guest::catalogue::{PROBE_LINE, PROBE_OK};
use tessera_handoff::handoff::Handoff;
use tessera_handoff::layout::{IMAGE_END, IMAGE_START};
use tessera_hw::instr;
use zerocopy::FromBytes;

/// What is wrong, if anything.
pub type Result<T = ()> = core::result::Result<T, &'static str>;

/// A probe that needs no entry.
pub type Probe = fn(&mut Lower) -> Result;

/// Runs every probe and turns the machine off.
pub fn run(info: &'static mut bootloader_api::BootInfo, handoff: &'static Handoff) -> ! {
    let lower = &mut Lower::new(info, handoff);
    // First of all: nothing here has identified itself yet.
    tell("hypercall-before-identity", absent::before_identity(lower));
    let found = enumerate(lower);
    tell("enumeration", found.as_ref().map(|_| ()).map_err(|e| *e));
    if let Ok(entries) = found {
        entries.for_each(|entry| use_service(lower, &entry));
    }
    let own = match lower.mode {
        Mode::SnpParavisor => vmpl2::PROBES,
        _ => &[],
    };
    for (name, probe) in absent::PROBES.iter().chain(own) {
        tell(name, probe(lower));
    }
    // Whoever reads this line sees by the machine's end whether it is true.
    tell("shutdown", Ok(()));
    shut_down();
    tell("shutdown", Err("the machine goes on"));
    die()
}

fn tell(name: &str, result: Result) {
    match result {
        Ok(()) => say(format_args!("{PROBE_LINE}{name}{PROBE_OK}\n")),
        Err(why) => say(format_args!("{PROBE_LINE}{name} failed: {why}\n")),
    }
}

fn use_service(lower: &mut Lower, entry: &Entry) {
    let known = services::PROBES
        .iter()
        .find(|(service, invoke, ..)| (*service, *invoke) == (entry.service, entry.invoke));
    match known {
        // Soft off is used last.
        Some((_, _, "shutdown", _)) => {}
        Some((_, _, name, probe)) => tell(name, probe(lower, entry)),
        None => {
            let (service, invoke) = (entry.service, entry.invoke);
            say(format_args!(
                "{PROBE_LINE}service-{service}-{invoke} failed: advertised, and no probe uses it\n"
            ));
        }
    }
}

/// The entries of the table that the leaves name.
fn enumerate(lower: &mut Lower) -> Result<impl Iterator<Item = Entry> + use<>> {
    let leaf = |leaf| {
        let answer = instr::cpuid(leaf, 0);
        [answer.eax, answer.ebx, answer.ecx, answer.edx]
    };
    let [last, signature @ ..] = leaf(CPUID_BASE);
    if signature != SIGNATURE || last < CPUID_TABLE {
        return Err("the base leaf");
    }
    let [version, owner, count, zero] = leaf(CPUID_VERSION);
    let [low, high, len, _] = leaf(CPUID_TABLE);
    let gpa = u64::from(low) | u64::from(high) << 32;
    let inside = gpa >= IMAGE_START && gpa + u64::from(len) <= IMAGE_END;
    if (version, owner, zero) != (VERSION, OWNER, 0) || !inside || count as usize > MAX_ENTRIES {
        return Err("the leaves of version and table");
    }
    let bytes = lower.guest.bytes(gpa, len as usize);
    let (header, _) = TableHeader::read_from_prefix(bytes).map_err(|_| "the table's length")?;
    let size = header.entry_size as usize;
    let agrees = header.magic == TABLE_MAGIC
        && (header.version, header.owner, header.entries) == (version, owner, count)
        && header.mode == lower.mode as u32
        && size >= size_of::<Entry>()
        && bytes.len() == size_of::<TableHeader>() + count as usize * size;
    if !agrees {
        return Err("the table's header");
    }
    let entries = bytes[size_of::<TableHeader>()..].chunks_exact(size);
    Ok(entries.filter_map(|bytes| Some(Entry::read_from_prefix(bytes).ok()?.0)))
}
