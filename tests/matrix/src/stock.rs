//! Debian's stock Linux as the judge of the test host: a guest that others wrote.

use crate::{
    foreign::{self, Guest},
    hosted::{CONSOLE, REPORT},
    outcome::Exit,
    report::Report,
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tessera_defs::mode::{HostProfile, Mode};
use tessera_image_builder::{
    Failure, Result,
    build::{PolicyName, Recipe, Workspace, describe, programs},
    image::Policy,
    linux::{self, Inputs, cpio::Archive, debian},
    setup::{self, Host, Qemu},
};

/// The first process.
const INIT: &[u8] = include_bytes!("stock-init.sh");
/// Nothing else is said to the kernel.
const COMMAND_LINE: &str = "console=ttyS0 earlyprintk=ttyS0 panic=-1";
/// Memory in MiB.
const MEMORY: u64 = 512;
/// A boot takes some 4,000 million instructions; a guest that spins is ended here.
const MOST_INSTRUCTIONS: u64 = 12_000_000_000;
/// On a machine that does other things too.
const LIMIT: Duration = Duration::from_secs(600);

/// One boot, and what the console must say.
#[derive(Debug, Clone, Copy)]
pub struct Boot {
    /// What the host offers.
    pub mode: Mode,
    /// How it looks.
    pub profile: HostProfile,
    /// Virtual processors.
    pub processors: u32,
    /// In `cargo test` too.
    pub quick: bool,
    /// Words that the kernel must say, beside those that it says everywhere.
    pub words: &'static [&'static str],
}

const SNP: &str = "stock: dmesg Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP";
const TWO: &str = "smp: Brought up 1 node, 2 CPUs";
const TDX: &str = "stock: dmesg Memory Encryption Features active: Intel TDX";

/// All boots.
pub const BOOTS: &[Boot] = &[
    Boot {
        mode: Mode::None,
        profile: HostProfile::HyperV,
        processors: 1,
        quick: true,
        words: &["stock: dmesg Hypervisor detected: Microsoft Hyper-V"],
    },
    Boot {
        mode: Mode::None,
        profile: HostProfile::Kvm,
        processors: 1,
        quick: false,
        words: &["stock: dmesg Hypervisor detected: KVM", "stock: clock tsc"],
    },
    Boot {
        mode: Mode::Snp,
        profile: HostProfile::Kvm,
        processors: 1,
        quick: false,
        words: &[SNP],
    },
    Boot {
        mode: Mode::Snp,
        profile: HostProfile::HyperV,
        processors: 1,
        quick: false,
        words: &[SNP],
    },
    Boot {
        mode: Mode::Tdx,
        profile: HostProfile::Kvm,
        processors: 1,
        quick: false,
        words: &[TDX],
    },
    Boot {
        mode: Mode::Tdx,
        profile: HostProfile::HyperV,
        processors: 1,
        quick: false,
        words: &[TDX],
    },
    Boot {
        mode: Mode::SnpParavisor,
        profile: HostProfile::HyperV,
        processors: 1,
        quick: true,
        words: &[
            "stock: dmesg Memory Encryption Features active: AMD SEV\r\n",
            "stock: dmesg Hyper-V: Isolation Config: Group A 0x1, Group B 0xba2",
            "stock: clock tsc",
        ],
    },
    Boot {
        mode: Mode::TdxParavisor,
        profile: HostProfile::HyperV,
        processors: 1,
        quick: false,
        words: &[
            "stock: dmesg Memory Encryption Features active: Intel TDX\r\n",
            "stock: dmesg Hyper-V: Isolation Config: Group A 0x1, Group B 0xbe3",
            "stock: clock tsc",
        ],
    },
    two(Mode::None, HostProfile::HyperV, &[TWO]),
    two(Mode::None, HostProfile::Kvm, &[TWO]),
    two(Mode::Snp, HostProfile::Kvm, &[TWO, SNP]),
    two(Mode::Snp, HostProfile::HyperV, &[TWO, SNP]),
    two(Mode::Tdx, HostProfile::Kvm, &[TWO, TDX]),
    two(Mode::Tdx, HostProfile::HyperV, &[TWO, TDX]),
    two(
        Mode::SnpParavisor,
        HostProfile::HyperV,
        &[
            TWO,
            "stock: dmesg Memory Encryption Features active: AMD SEV\r\n",
        ],
    ),
];

/// With two processors, in the full tier.
const fn two(mode: Mode, profile: HostProfile, words: &'static [&'static str]) -> Boot {
    Boot {
        mode,
        profile,
        processors: 2,
        quick: false,
        words,
    }
}

/// What every boot says.
const ALWAYS: [&str; 4] = [
    "stock: init on 6.12.",
    "stock: touched ",
    "stock: slept",
    "reboot: Power down",
];

impl Boot {
    /// `stock-linux none hyperv`, with the number of processors where there are several.
    pub fn name(&self) -> String {
        let (mode, profile) = (self.mode.name(), self.profile.name());
        match self.processors {
            1 => format!("stock-linux {mode} {profile}"),
            count => format!("stock-linux {mode} {profile} {count}"),
        }
    }
}

/// What the boots need.
#[derive(Debug)]
pub struct Bench {
    qemu: PathBuf,
    host: PathBuf,
    folder: tempfile::TempDir,
}

impl Bench {
    /// Packs kernel and initramfs. Errors of the inner `Result`: the packages are not to be had,
    /// so that the boots must be skipped.
    pub fn prepare(host: &Host) -> Result<std::result::Result<Self, Failure>> {
        let stock = match debian::stock(host, false) {
            Ok(stock) => stock,
            Err(failure) => return Ok(Err(failure)),
        };
        let read = |path: &Path| fs::read(path).map_err(|error| Failure::io("read", path, &error));
        let qemu = Qemu::detect(host).require()?;
        let workspace = Workspace::find(host)?;
        let toolchain = setup::toolchain(host)?;
        let programs = programs(&toolchain, &workspace, false)?;
        let image = linux::assemble(&Inputs {
            stub_elf: read(programs.only("tessera-stub")?)?,
            paravisor_elf: Some(read(programs.only("tessera-paravisor")?)?),
            kernel: read(&stock.kernel)?,
            initrd: initramfs(&read(&stock.busybox)?),
            command_line: COMMAND_LINE.into(),
            policy: Policy::from(&Recipe::of(PolicyName::Demo)),
            commit: workspace.commit(toolchain.host()),
            toolchain: describe(&toolchain, &workspace)?,
        })?;
        let folder = tempfile::tempdir().map_err(|error| {
            Failure::machine(format!("no temporary folder: {error}"), "check TMPDIR")
        })?;
        let igvm = folder.path().join("linux.igvm");
        fs::write(&igvm, &image.igvm).map_err(|error| Failure::io("write", &igvm, &error))?;
        Ok(Ok(Self {
            qemu,
            host: programs.only("tessera-test-host")?.to_owned(),
            folder,
        }))
    }

    /// Boots. `Ok`: a line for people; `Err`: what went wrong, with the console's end.
    pub fn run(&self, boot: &Boot) -> std::result::Result<String, String> {
        let folder = tempfile::tempdir_in(self.folder.path()).map_err(|e| e.to_string())?;
        let guest = Guest {
            igvm: self.folder.path().join("linux.igvm"),
            mode: boot.mode,
            profile: boot.profile,
            memory: MEMORY,
            processors: boot.processors,
            most_instructions: MOST_INSTRUCTIONS,
        };
        let line = foreign::line(&self.qemu, &self.host, &guest, folder.path(), false);
        let start = Instant::now();
        let exit = line.run(&folder.path().join("qemu.txt"), LIMIT);
        let seconds = start.elapsed().as_secs_f64();
        let text = |name: &str| {
            let bytes = fs::read(folder.path().join(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let console = text(CONSOLE);
        let report = Report::parse(&text(REPORT));
        let (words, off) = foreign::describe(&report);
        let missing = ALWAYS
            .iter()
            .chain(boot.words)
            .find(|words| !console.contains(**words));
        let wrong = match (exit, off, missing) {
            (Ok(Exit::Status(1)), true, None) => {
                let ended = report
                    .ok()
                    .and_then(|report| report.ended)
                    .unwrap_or_default();
                let exits: u64 = ended.exits.values().sum();
                return Ok(format!(
                    "{exits} exits, {} million instructions, {} requests not modelled, {seconds:.0} s",
                    ended.instructions / 1_000_000,
                    ended
                        .unimplemented
                        .values()
                        .map(|missed| missed.count)
                        .sum::<u64>(),
                ));
            }
            (Err(error), ..) => error.to_string(),
            (_, true, Some(missing)) => format!("the console lacks `{missing}`"),
            (exit, ..) => format!("it did not go off by itself ({exit:?} after {seconds:.0} s)"),
        };
        let lines: Vec<_> = console.lines().collect();
        let tail = lines[lines.len().saturating_sub(25)..].join("\n");
        Err(format!("{wrong}\n{words}--- end of the console\n{tail}\n"))
    }
}

fn initramfs(busybox: &[u8]) -> Vec<u8> {
    let mut archive = Archive::default();
    for folder in ["bin", "dev", "proc", "sys", "tmp"] {
        archive.folder(folder);
    }
    archive.device("dev/console", 5, 1);
    archive.program("bin/busybox", busybox);
    archive.program("init", INIT);
    archive.finish()
}
