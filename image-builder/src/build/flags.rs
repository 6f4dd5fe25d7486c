//! Compiler flags of the bare-metal call, among them those that keep paths out of the result.

use super::Workspace;
use crate::setup::Toolchain;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// RustCrypto's crates choose processor instructions at run time where they may, which needs
/// registers that bare-metal code does not have; these keep to plain integers.
const SOFT: [&str; 3] = ["aes_backend", "polyval_backend", "sha2_backend"];

/// Those that are used a few times in a boot: small, and no less free of secret-dependent branches and
/// addresses.
const SMALL: [&str; 2] = ["aes_backend_soft", "sha2_backend_soft"];

/// `CARGO_ENCODED_RUSTFLAGS`: the flags, separated as cargo wants it.
///
/// rustc takes the last prefix that matches, so the more special ones stand later.
pub fn encoded(toolchain: &Toolchain, workspace: &Workspace) -> String {
    let mut flags = vec!["-Crelocation-model=static".to_owned()];
    flags.extend(SOFT.map(|name| format!("--cfg={name}=\"soft\"")));
    flags.extend(SMALL.map(|name| format!("--cfg={name}=\"compact\"")));
    if let Some(linker) = &toolchain.linker {
        flags.push(format!("-Clinker={}", linker.display()));
        flags.push("-Clinker-flavor=ld.lld".to_owned());
    }
    let mut remap = |from: &Path, to: &str| {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
        if let Ok(real) = fs::canonicalize(from)
            && real != from
        {
            flags.push(format!("--remap-path-prefix={}={to}", real.display()));
        }
    };
    remap(&workspace.root, "/tessera");
    remap(&workspace.target, "/tessera/target/bare");
    if let Some(home) = cargo_home(toolchain) {
        remap(&home, "/cargo");
        for registry in registries(&home) {
            remap(&registry, "/cargo/registry");
        }
    }
    remap(&toolchain.library_sources, "/rust-src");
    flags.join("\u{1f}")
}

fn cargo_home(toolchain: &Toolchain) -> Option<PathBuf> {
    let host = toolchain.host();
    let set = host.var("CARGO_HOME").map(PathBuf::from);
    set.or_else(|| host.var("HOME").map(|home| Path::new(home).join(".cargo")))
}

/// The unpacked registries; their names depend on how cargo reaches them.
fn registries(home: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(home.join("registry/src"))
        .into_iter()
        .flatten()
        .flatten();
    let mut folders: Vec<_> = entries.map(|entry| entry.path()).collect();
    folders.sort();
    folders
}
