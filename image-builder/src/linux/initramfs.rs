//! A small userland for a Linux guest: a static busybox, a shell on the console, and the modules by
//! which a guest reads its attestation reports, and the one that looks for a VMBus.

use super::{cpio::Archive, debian::Stock, modules};
use crate::{Failure, Result};
use std::{fs, path::Path};

const INIT: &[u8] = include_bytes!("init.sh");
/// What the shell says when it waits for a command.
pub const PROMPT: &str = "guest# ";
/// Modules that come along, with what they need. The last two are the cipher of SNP's guest messages,
/// which the kernel asks for by its alias.
const MODULES: [&str; 6] = [
    "tsm",
    "sev-guest",
    "tdx-guest",
    "hv_vmbus",
    "gcm",
    "ghash-generic",
];
/// What the kernel calls for a module.
const MODPROBE: &[u8] = b"#!/bin/busybox sh\nexec /bin/busybox modprobe \"$@\"\n";
const FOLDERS: [&str; 7] = ["bin", "dev", "proc", "sys", "tmp", "lib", "sbin"];

/// Packs it. Errors: a file of the package cannot be read, or it lacks a module.
pub fn initramfs(stock: &Stock) -> Result<Vec<u8>> {
    let read = |path: &Path| fs::read(path).map_err(|error| Failure::io("read", path, &error));
    let mut archive = Archive::default();
    FOLDERS.iter().for_each(|folder| archive.folder(folder));
    archive.device("dev/console", 5, 1);
    archive.program("bin/busybox", &read(&stock.busybox)?);
    archive.program("init", INIT);
    archive.program("sbin/modprobe", MODPROBE);
    let text = |name: &str| -> Result<String> {
        let bytes = read(&stock.modules.join(name))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let table = text("modules.dep")?;
    let files = modules::needed(&table, &MODULES).ok_or_else(|| {
        let cause = format!("{} lacks one of {}", stock.package, MODULES.join(", "));
        Failure::machine(cause, "run `tessera clean` and fetch the package again")
    })?;
    let base = format!("lib/modules/{}", stock.version());
    let mut known = vec!["lib".to_owned()];
    for file in &files {
        let name = format!("{base}/{file}");
        folders(&mut archive, &mut known, &name);
        archive.program(&name, &read(&stock.modules.join(file))?);
    }
    let narrowed = modules::narrowed(&table, &files);
    archive.program(&format!("{base}/modules.dep"), narrowed.as_bytes());
    let aliases = modules::aliases(&text("modules.alias")?, &files);
    archive.program(&format!("{base}/modules.alias"), aliases.as_bytes());
    Ok(archive.finish())
}

/// Every folder above `name` that is not there yet.
fn folders(archive: &mut Archive, known: &mut Vec<String>, name: &str) {
    for (at, _) in name.match_indices('/') {
        let folder = &name[..at];
        if !known.iter().any(|one| one == folder) {
            archive.folder(folder);
            known.push(folder.into());
        }
    }
}
