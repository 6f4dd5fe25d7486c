//! `core`, `alloc` and `compiler_builtins` for bare metal, built once from Debian's sources.
//!
//! The result is a folder that `rustc --sysroot` accepts, with a small `rustc` script on top of
//! it. It is named after the compiler, made in a temporary folder and renamed into place.

use super::{Debian, Host, Toolchain, detect::has_core, host::is_executable, toolchain::TARGET};
use crate::{Failure, Result, progress::Step};
use sha2::{Digest, Sha256};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

const WRAPPER: &str = "#!/bin/sh\nexec /usr/bin/rustc --sysroot \"${0%/*}\" \"$@\"\n";
const CRATES: [&str; 3] = ["libcore-", "liballoc-", "libcompiler_builtins-"];

/// Where the sysroot of this compiler belongs: `sysroot-<16 hex digits of SHA-256 of rustc -vV>`.
fn place(host: &Host, debian: &Debian) -> Option<PathBuf> {
    let identity = host.ask(&debian.rustc, &["-vV"])?;
    let digest = Sha256::digest(identity.as_bytes());
    let key: String = digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Some(host.cache()?.join(format!("sysroot-{key}")))
}

/// The toolchain over the cached sysroot, if that is complete.
pub fn cached(host: &Host, debian: &Debian) -> Option<Toolchain> {
    let folder = place(host, debian)?;
    let wrapper = folder.join("rustc");
    let complete = is_executable(&wrapper) && has_core(&folder.join(library_folder()));
    complete.then(|| Toolchain::debian(host, debian.cargo.clone(), wrapper, debian.linker.clone()))
}

fn library_folder() -> PathBuf {
    Path::new("lib/rustlib").join(TARGET).join("lib")
}

/// Builds the sysroot, which takes about half a minute and no network.
pub fn build(host: &Host, debian: &Debian) -> Result<Toolchain> {
    let folder = place(host, debian).ok_or_else(|| {
        let cause = "there is no folder for caches, or the compiler does not tell its version";
        Failure::machine(cause, "set HOME or XDG_CACHE_HOME, and reinstall rustc-web")
    })?;
    let cache = folder.parent().unwrap_or(Path::new("/"));
    let step = Step::start("building core and alloc for bare metal (once, about a minute)");
    fs::create_dir_all(cache).map_err(|error| Failure::io("create", cache, &error))?;
    let work = tempfile::Builder::new()
        .prefix(".sysroot-")
        .tempdir_in(cache)
        .map_err(|error| Failure::io("write to", cache, &error))?;
    let io = |error| Failure::io("write to", work.path(), &error);
    write_project(work.path(), &debian.library).map_err(io)?;
    compile(host, debian, work.path())?;
    let fresh = work.path().join("sysroot");
    collect(host, work.path(), &fresh).map_err(io)?;
    if let Err(error) = fs::rename(&fresh, &folder)
        && cached(host, debian).is_none()
    {
        return Err(Failure::io("put the sysroot in", &folder, &error));
    }
    step.done();
    cached(host, debian).ok_or_else(|| {
        let cause = format!("{} is not a complete sysroot", folder.display());
        Failure::machine(cause, "run `tessera clean` and then `tessera setup`")
    })
}

/// An empty package whose only use is to make cargo build the libraries, from Debian's sources.
fn write_project(work: &Path, library: &Path) -> std::io::Result<()> {
    fs::create_dir_all(work.join("p/src"))?;
    fs::create_dir_all(work.join("p/.cargo"))?;
    let package = "[package]\nname = \"p\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
                   [workspace]\n[profile.release]\npanic = \"abort\"\n";
    fs::write(work.join("p/Cargo.toml"), package)?;
    fs::write(work.join("p/src/lib.rs"), "#![no_std]\n")?;
    let config = format!(
        "[source.crates-io]\nreplace-with = \"vendored\"\n[source.vendored]\ndirectory = {:?}\n",
        library.join("vendor"),
    );
    fs::write(work.join("p/.cargo/config.toml"), config)
}

fn compile(host: &Host, debian: &Debian, work: &Path) -> Result<()> {
    let sources = debian.library.parent().unwrap_or(&debian.library);
    let real = fs::canonicalize(sources).unwrap_or_else(|_| sources.to_owned());
    let flags = [
        "-Cembed-bitcode=yes".to_owned(),
        "-Zforce-unstable-if-unmarked".to_owned(),
        format!("--remap-path-prefix={}=/rust-src", sources.display()),
        format!("--remap-path-prefix={}=/rust-src", real.display()),
    ];
    let mut command: Command = host.command(&debian.cargo);
    for name in [
        "CARGO",
        "CARGO_BUILD_TARGET",
        "LD_LIBRARY_PATH",
        "RUSTC_WRAPPER",
    ] {
        command.env_remove(name);
    }
    command
        .current_dir(work.join("p"))
        .env("RUSTC", &debian.rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .args([
            "build",
            "--release",
            "--offline",
            "--quiet",
            "--target",
            TARGET,
        ])
        .args(["-Zbuild-std=core,alloc,compiler_builtins"])
        .args([
            "-Zbuild-std-features=compiler-builtins-mem",
            "--target-dir",
            "../t",
        ]);
    let output = command
        .output()
        .map_err(|e| Failure::io("start", &debian.cargo, &e))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    eprintln!("{said}");
    let last = said
        .lines()
        .rev()
        .find(|line| line.contains("error"))
        .unwrap_or("see above");
    Err(Failure::machine(
        format!("Debian's cargo could not build core for {TARGET}: {last}"),
        "reinstall rustc-web, cargo-web and rust-web-src in one version",
    ))
}

/// Lays the compiled libraries out as a sysroot; everything else is linked to Debian's.
fn collect(host: &Host, work: &Path, sysroot: &Path) -> std::io::Result<()> {
    let libraries = sysroot.join(library_folder());
    fs::create_dir_all(&libraries)?;
    for entry in fs::read_dir(work.join("t").join(TARGET).join("release/deps"))? {
        let entry = entry?;
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if text.ends_with(".rlib") && CRATES.iter().any(|krate| text.starts_with(krate)) {
            fs::copy(entry.path(), libraries.join(&name))?;
        }
    }
    for entry in fs::read_dir(host.file("/usr/lib/rustlib"))? {
        let entry = entry?;
        if entry.file_name() != TARGET {
            symlink(
                entry.path(),
                sysroot.join("lib/rustlib").join(entry.file_name()),
            )?;
        }
    }
    let wrapper = sysroot.join("rustc");
    fs::write(&wrapper, WRAPPER)?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))
}
