//! A whole run: load, hash, loop, report.

use super::{
    Vmm, image, lies,
    scenario::{HashRange, Scenario},
    synic::pages::deliver,
};
use crate::{
    machine::Machine,
    memory::frames::{EXHAUSTED, Memory, PAGE},
    platform::{self, Access, Step, Technology},
    report::{self, End},
};
use alloc::{boxed::Box, format, string::String};
use core::fmt::Write;
use sha2::{Digest, Sha256, Sha384};
use tessera_defs::mode::Mode;
use tessera_handoff::layout::{
    IMAGE_END, PARAM_COMMAND_LINE, PARAM_MADT, PARAM_MEMORY_MAP, PARAM_VP,
};

/// Runs a scenario to its end and reports. Errors: the image's or the machine's, as a sentence.
pub fn run(
    scenario: Scenario,
    file: &[u8],
    mut memory: Memory,
    machine: Machine,
    out: &mut dyn Write,
) -> Result<(), String> {
    let mut vmm = Vmm::new(scenario, machine);
    let mut technology = technology(&vmm, &memory)?;
    image::load(&mut vmm, file, &mut memory, &mut *technology)?;
    let digest = technology.finish(&mut vmm, &mut memory)?;
    let hashes = hashes(&vmm, &mut memory)?;
    report::loaded(out, &hashes, &heard(&mut memory), digest.as_deref());
    let end = drive(&mut vmm, &mut memory, &mut *technology, out)?;
    report::end(out, end, &vmm, &mut memory, &*technology);
    Ok(())
}

fn technology(vmm: &Vmm, memory: &Memory) -> Result<Box<dyn Technology>, String> {
    Ok(match vmm.scenario.mode {
        Mode::None => Box::new(platform::plain::Plain::new(memory)),
        Mode::Snp | Mode::SnpParavisor => Box::new(platform::snp::Snp::new(memory)),
        Mode::Tdx | Mode::TdxParavisor => Box::new(platform::tdx::Tdx::new(memory)),
    })
}

/// Errors: the pool of frames is used up.
fn drive(
    vmm: &mut Vmm,
    memory: &mut Memory,
    technology: &mut dyn Technology,
    out: &mut dyn Write,
) -> Result<End, String> {
    loop {
        if vmm.scenario.typed {
            vmm.take_typed();
        }
        if vmm.synic && vmm.has_deliveries() {
            deliver(vmm, memory, technology);
        }
        match vmm.next_turn() {
            Ok(true) => {}
            Ok(false) => continue,
            // Whoever types goes on.
            Err(_) if vmm.scenario.typed => continue,
            Err(end) => return Ok(end),
        }
        vmm.unasked();
        vmm.restart();
        let step = technology.step(vmm, memory);
        if vmm.scenario.trace {
            report::trace(out, vmm, technology);
        }
        give(vmm, memory, technology);
        look(vmm, memory, technology);
        if core::mem::take(&mut vmm.begins) && vmm.scenario.lies(lies::PAGE_WITHHELD) {
            memory.withhold(IMAGE_END / PAGE as u64);
        }
        if memory.exhausted() {
            return Err(EXHAUSTED.into());
        }
        if let Step::End(end) = step {
            return Ok(end);
        }
        if let Some(end) = vmm.end.or_else(|| vmm.exhausted()) {
            return Ok(end);
        }
    }
}

/// Writes what the host has to say into pages that the guest gave it for that. A page that the
/// host may not touch stays as it is.
fn give(vmm: &mut Vmm, memory: &mut Memory, technology: &dyn Technology) {
    let boundary = vmm.boundary();
    for (gpa, bytes) in core::mem::take(&mut vmm.writes) {
        let offset = gpa as usize % PAGE;
        let page = technology.host_access(memory, gpa & !boundary, Access::Write);
        let place =
            page.and_then(|frame| memory.page(frame)?.get_mut(offset..offset + bytes.len()));
        if let Some(place) = place {
            place.copy_from_slice(&bytes);
        }
    }
}

/// Looks at the page that the guest asked the host to look at, and leaves the complement of its first word behind
/// that, where silicon lets it.
fn look(vmm: &mut Vmm, memory: &mut Memory, technology: &dyn Technology) {
    let Some(gpa) = vmm.look.take() else {
        return;
    };
    let reach = |access| technology.host_access(memory, gpa, access);
    let frame = reach(Access::Read).and_then(|_| reach(Access::Write));
    if let Some(page) = frame.and_then(|frame| memory.page(frame)) {
        for at in 0..8 {
            page[8 + at] = !page[at];
        }
        vmm.devices.looked = true;
    }
}

/// SHA-256 of each range over guest memory, before the first instruction.
fn hashes(vmm: &Vmm, memory: &mut Memory) -> Result<String, String> {
    let mut text = String::new();
    for range in &vmm.scenario.hash {
        let digest = hash(memory, range).ok_or("a range to hash is not in memory")?;
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(
            text,
            "{comma}\"{}\":\"{}\"",
            range.name,
            report::hex(&digest)
        );
    }
    Ok(format!("{{{text}}}"))
}

/// SHA-384 of each page of parameters, before the first instruction.
fn heard(memory: &mut Memory) -> String {
    let pages = [
        ("memory-map", PARAM_MEMORY_MAP),
        ("processors", PARAM_VP),
        ("madt", PARAM_MADT),
        ("command-line", PARAM_COMMAND_LINE),
    ];
    let text = pages.map(|(name, gpa)| {
        let frame = memory.frame(gpa / PAGE as u64);
        let digest = frame
            .and_then(|frame| memory.page(frame))
            .map(|page| report::hex(&Sha384::digest(page)));
        format!("\"{name}\":\"{}\"", digest.unwrap_or_default())
    });
    format!("{{{}}}", text.join(","))
}

fn hash(memory: &mut Memory, range: &HashRange) -> Option<[u8; 32]> {
    let mut sha = Sha256::new();
    let (mut at, end) = (range.gpa, range.gpa.checked_add(range.len)?);
    while at < end {
        let offset = at as usize % PAGE;
        let len = (PAGE - offset).min((end - at) as usize);
        let frame = memory.frame(at / PAGE as u64)?;
        sha.update(&memory.page(frame)?[offset..offset + len]);
        at += len as u64;
    }
    Some(sha.finalize().into())
}
