//! The peer of the same run: Debian's stock Linux 6.12, with a first process of ours that counts
//! what our counting program counts. Same QEMU, same options, same test host.

use crate::{
    count::Counter,
    counts::{self, Counts, Told},
    machine::{Guest, MEMORY},
};
use std::{fs, path::Path};
use tempfile::TempDir;
use tessera_defs::mode::{HostProfile, Mode};
use tessera_image_builder::{
    Failure, Result,
    build::Product,
    linux::{self, Inputs, cpio::Archive, debian},
    setup::Host,
};
use tessera_matrix::foreign;

/// Name in the rows.
pub const NAME: &str = "Linux";
/// Nothing is printed that need not be, and nothing mitigated: the least that Linux takes.
const COMMAND_LINE: &str = "console=ttyS0 quiet mitigations=off panic=-1";
const WHOLE: &str = "bench: done 0";
/// A boot takes some 4,000 million instructions on the test host.
const MOST_INSTRUCTIONS: u64 = 12_000_000_000;

/// Lines of the peer's program by figure; the least of them counts.
const LINES: &[(&str, &[&str])] = &[
    ("null-syscall", &["getpid"]),
    ("ipc-round-trip", &["pipe-round-trip", "futex-round-trip"]),
    ("thread-switch", &["thread-switch"]),
    ("page-fault", &["page-fault"]),
    ("pager-fault", &["pager-fault"]),
    ("boot-to-user", &["boot-to-user"]),
];

/// What the peer needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    /// By figure, on plain QEMU.
    pub counts: Counts,
    /// On the test host, mode `none`.
    pub hosted: Told,
}

/// Its files.
#[derive(Debug)]
pub struct Linux {
    folder: TempDir,
}

impl Linux {
    /// Packs kernel and initramfs. Errors: the kernel is not to be had; it is none that unpacks.
    pub fn prepare(host: &Host, product: &Product, offline: bool) -> Result<Self> {
        let stock = debian::stock(host, &debian::LINUX_6_12, offline)?;
        let read = |path: &Path| fs::read(path).map_err(|error| Failure::io("read", path, &error));
        let kernel = read(&stock.kernel)?;
        let vmlinux = linux::vmlinux(&kernel)?;
        let initrd = initramfs(&read(product.programs.only("tessera-bench-linux")?)?);
        let image = linux::assemble(&Inputs {
            stub_elf: read(product.programs.only("tessera-stub")?)?,
            paravisor_elf: None,
            kernel,
            initrd: initrd.clone(),
            command_line: COMMAND_LINE.into(),
            policy: product.inputs.policy.clone(),
            commit: product.inputs.commit.clone(),
            toolchain: product.inputs.toolchain.clone(),
        })?;
        let folder = tempfile::tempdir().map_err(|error| {
            Failure::machine(format!("no temporary folder: {error}"), "check TMPDIR")
        })?;
        for (name, bytes) in [(VMLINUX, &vmlinux), (INITRD, &initrd), (IGVM, &image.igvm)] {
            let path = folder.path().join(name);
            fs::write(&path, bytes).map_err(|error| Failure::io("write", &path, &error))?;
        }
        Ok(Self { folder })
    }

    /// Both boots.
    pub fn count(&self, counter: &Counter) -> Result<Peer> {
        Ok(Peer {
            counts: by_figure(&self.direct(counter)?),
            hosted: self.hosted(counter)?,
        })
    }

    fn direct(&self, counter: &Counter) -> Result<Counts> {
        let [qemu, _] = counter.tools();
        let guest = Guest {
            kernel: &self.folder.path().join(VMLINUX),
            initrd: &self.folder.path().join(INITRD),
            append: COMMAND_LINE,
            last_word: WHOLE,
        };
        counts::plain(NAME, qemu, &guest, WHOLE)
    }

    fn hosted(&self, counter: &Counter) -> Result<Told> {
        let [qemu, host] = counter.tools();
        let guest = foreign::Guest {
            igvm: self.folder.path().join(IGVM),
            mode: Mode::None,
            profile: HostProfile::HyperV,
            memory: MEMORY,
            processors: 1,
            input: false,
            most_instructions: MOST_INSTRUCTIONS,
        };
        counts::boot("Linux on the test host", WHOLE, |folder| {
            let line = foreign::line(qemu, host, &guest, folder, false);
            let exit = line.run(&folder.join("qemu.txt"), tessera_matrix::bench::LIMIT);
            (line, exit)
        })
    }
}

const VMLINUX: &str = "vmlinux";
const INITRD: &str = "initrd";
const IGVM: &str = "linux.igvm";

fn initramfs(init: &[u8]) -> Vec<u8> {
    let mut archive = Archive::default();
    archive.folder("dev");
    archive.device("dev/console", 5, 1);
    archive.program("init", init);
    archive.finish()
}

fn by_figure(lines: &Counts) -> Counts {
    let least = |names: &[&str]| names.iter().filter_map(|name| lines.get(*name)).min();
    LINES
        .iter()
        .filter_map(|(figure, names)| Some(((*figure).to_owned(), *least(names)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lesser_of_two_ways_counts() {
        let lines = Counts::from([
            ("pipe-round-trip".into(), 11),
            ("futex-round-trip".into(), 9),
        ]);
        assert_eq!(
            by_figure(&lines),
            Counts::from([("ipc-round-trip".into(), 9)])
        );
    }
}
