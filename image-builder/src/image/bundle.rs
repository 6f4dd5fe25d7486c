//! The bundle: from the table of services and the programs to one archive.

use super::elf_bytes;
use crate::{Failure, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::mem::offset_of;
use tessera_abi::number;
use tessera_handoff::bundle::{
    Bundle, Channel, Header, MAGIC, MAX_PROGRAMS, MAX_SERVICES, NAME, Program, Service, VERSION,
    grant, name, restart,
};
use zerocopy::IntoBytes;

/// The name of the first process.
pub const INIT: &str = "init";
/// Files begin at multiples of this.
const ALIGN: usize = 16;

/// `userland/services.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    service: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    program: String,
    quota: u32,
    priority: u8,
    restart: Restart,
    #[serde(default)]
    limit: u32,
    #[serde(default)]
    state: u32,
    #[serde(default)]
    argument: u16,
    #[serde(default)]
    uses: Vec<String>,
    #[serde(default)]
    ends: Vec<String>,
    #[serde(default)]
    after: Vec<String>,
    #[serde(default)]
    grants: Vec<Grant>,
    #[serde(default)]
    shared: u8,
    channel: Option<ChannelEntry>,
    interrupt: Option<Interrupt>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Grant {
    Evidence,
    Inspection,
    Hold,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Ports,
    Memory,
    Hypercall,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChannelEntry {
    kind: Kind,
    first: u64,
    #[serde(default = "one")]
    count: u32,
}

fn one() -> u32 {
    1
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Interrupt {
    line: u8,
    #[serde(default)]
    level: bool,
    #[serde(default)]
    low: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Restart {
    Never,
    OnFailure,
    Always,
}

/// The archive of `init` and of the programs that the table (TOML) names; `programs` has the ELF
/// files by name. The same input gives the same bytes. Errors blame the image's sources.
pub fn archive(table: &str, init: &[u8], programs: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>> {
    let table: Table = toml::from_str(table).map_err(|error| bad(error.message()))?;
    let mut files = vec![(INIT.to_owned(), init)];
    for entry in &table.service {
        if files.iter().any(|(name, _)| *name == entry.program) {
            continue;
        }
        let file = programs.get(&entry.program);
        let missing = || bad(&format!("there is no program `{}`", entry.program));
        files.push((entry.program.clone(), file.ok_or_else(missing)?));
    }
    let services: Vec<Service> = table
        .service
        .iter()
        .map(|entry| service(entry, &table, &files))
        .collect::<Result<_>>()?;
    if services.len() > MAX_SERVICES || files.len() > MAX_PROGRAMS {
        return Err(bad("there are more services or programs than fit"));
    }
    let bytes = lay_out(&files, &services)?;
    // What the guest will check, checked here.
    match Bundle::parse(words(&bytes).as_bytes()) {
        Some(_) => Ok(bytes),
        None => Err(bad(
            "a service is to start after one that comes later, or after itself",
        )),
    }
}

/// The archive with another argument for the service of that name. Errors: there is no such service.
pub fn with_argument(archive: &[u8], service: &str, argument: u16) -> Result<Vec<u8>> {
    let whole = words(archive);
    let bundle = Bundle::parse(&whole.as_bytes()[..archive.len()]);
    let bundle = bundle.ok_or_else(|| bad("it is not whole"))?;
    let programs = (0..).take_while(|n| bundle.file(*n).is_some()).count();
    let known = bundle.services().iter();
    let index = known.clone().position(|entry| name(&entry.name) == service);
    let index = index.ok_or_else(|| bad(&format!("there is no service `{service}`")))?;
    let tables = size_of::<Header>() + programs * size_of::<Program>();
    let at = tables + index * size_of::<Service>() + offset_of!(Service, argument);
    let mut bytes = archive.to_vec();
    bytes[at..at + size_of_val(&argument)].copy_from_slice(&argument.to_le_bytes());
    Ok(bytes)
}

fn service(entry: &Entry, table: &Table, files: &[(String, &[u8])]) -> Result<Service> {
    let program = files.iter().position(|(name, _)| *name == entry.program);
    Ok(Service {
        name: padded(&entry.name)?,
        uses: set(&entry.uses, table)?,
        ends: set(&entry.ends, table)?,
        after: set(&entry.after, table)?,
        program: program.unwrap_or_default() as u32,
        quota: entry.quota,
        state: entry.state,
        limit: entry.limit,
        priority: entry.priority,
        restart: match entry.restart {
            Restart::Never => restart::NEVER,
            Restart::OnFailure => restart::ON_FAILURE,
            Restart::Always => restart::ALWAYS,
        },
        grants: entry.grants.iter().fold(0, |all, one| {
            all | match one {
                Grant::Evidence => grant::EVIDENCE,
                Grant::Inspection => grant::INSPECTION,
                Grant::Hold => grant::HOLD,
            }
        }),
        line: entry
            .interrupt
            .map_or(0, |line| line.line.saturating_add(1)),
        trigger: entry
            .interrupt
            .map_or(0, |line| u8::from(line.level) | u8::from(line.low) << 1),
        shared: entry.shared,
        argument: entry.argument,
        channel: entry.channel.map(channel).unwrap_or_default(),
    })
}

fn channel(entry: ChannelEntry) -> Channel {
    let kind = match entry.kind {
        Kind::Ports => number::CHANNEL_PORT,
        Kind::Memory => number::CHANNEL_MEMORY,
        Kind::Hypercall => number::CHANNEL_HYPERCALL,
    };
    Channel {
        kind: kind as u32,
        count: entry.count,
        first: entry.first,
    }
}

fn set(names: &[String], table: &Table) -> Result<u64> {
    names.iter().try_fold(0, |set, name| {
        let index = table.service.iter().position(|entry| entry.name == *name);
        let unknown = || bad(&format!("there is no service `{name}`"));
        Ok(set | 1 << (index.ok_or_else(unknown)? % 64))
    })
}

fn lay_out(files: &[(String, &[u8])], services: &[Service]) -> Result<Vec<u8>> {
    let header = Header {
        magic: MAGIC,
        version: VERSION,
        programs: files.len() as u32,
        services: services.len() as u32,
        reserved: 0,
    };
    let tables = size_of::<Header>() + files.len() * size_of::<Program>() + size_of_val(services);
    let mut content = Vec::new();
    let mut bytes = header.as_bytes().to_vec();
    for (name, file) in files {
        let file = elf_bytes::loadable(name, file)?;
        let start = tables.next_multiple_of(ALIGN);
        content.resize(content.len().next_multiple_of(ALIGN), 0);
        let program = Program {
            name: padded(name)?,
            offset: (start + content.len()) as u64,
            len: file.len() as u64,
        };
        bytes.extend(program.as_bytes());
        content.extend(file);
    }
    bytes.extend(services.as_bytes());
    bytes.resize(tables.next_multiple_of(ALIGN), 0);
    bytes.extend(content);
    Ok(bytes)
}

fn padded(name: &str) -> Result<[u8; NAME]> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > NAME || !name.chars().all(word) {
        return Err(bad(&format!("`{name}` is no name")));
    }
    let mut field = [0; NAME];
    field[..name.len()].copy_from_slice(name.as_bytes());
    Ok(field)
}

/// The bytes at an address that is aligned as the guest's are.
pub(super) fn words(bytes: &[u8]) -> Vec<u64> {
    let word = |chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_ne_bytes(word)
    };
    bytes.chunks(8).map(word).collect()
}

fn bad(what: &str) -> Failure {
    Failure::image(
        format!("the bundle: {what}"),
        "correct userland/services.toml, or build with `tessera build`",
    )
}
