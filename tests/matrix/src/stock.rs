//! Debian's stock Linux as the judge of the test host: a guest that others wrote.

use crate::{
    dialogue,
    foreign::{self, Guest},
    hosted::{CONSOLE, REPORT, measured},
    outcome::Exit,
    qemu::Line,
    report::Report,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};
use tessera_defs::mode::{HostProfile, Mode};
use tessera_image_builder::{
    Failure, Result,
    build::{PolicyName, Recipe, Workspace, describe, programs},
    image::{self, Policy},
    linux::{self, Inputs, PROMPT, debian},
    setup::{self, Host, Qemu},
};

/// Nothing else is said to the kernel.
const COMMAND_LINE: &str = "console=ttyS0 earlyprintk=ttyS0 panic=-1";
/// Memory in MiB.
const MEMORY: u64 = 512;
/// Processors at most.
const MOST_PROCESSORS: u32 = 2;
/// A boot takes some 5,000 million instructions, and it goes on while it waits to be typed at; a
/// guest that spins is ended here.
const MOST_INSTRUCTIONS: u64 = 100_000_000_000;
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

/// What is typed at every prompt.
const COMMANDS: [&str; 6] = [
    "echo \"stock: init on $(uname -r)\"",
    "dmesg | grep -E 'Hypervisor detected|Memory Encryption Features|tdx: Guest|Isolation Config' | \
     sed 's/^[^]]*\\] /stock: dmesg /'",
    "echo \"stock: clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)\"",
    // 60 % of the memory, not zeros: what is read back is what was written.
    "mib=$(awk '/MemTotal/ { print int($2 * 6 / 10 / 1024) }' /proc/meminfo); \
     size=$(stat -c %s /bin/busybox); written=0; \
     while [ $written -lt $((mib * 1048576)) ]; do cat /bin/busybox; written=$((written + size)); \
     done > /tmp/bytes; tail -c $size /tmp/bytes | cmp - /bin/busybox && \
     echo 'stock:' touched $mib MiB; rm /tmp/bytes",
    "sleep 1; echo 'stock:' slept",
    "modprobe tsm && echo 'stock:' modules $(lsmod | awk 'NR > 1 { print $1 }' | sort | xargs)",
];
/// The same for a report through the kernel's interface (configfs-tsm); the driver's module first.
const REPORT_COMMANDS: [&str; 3] = [
    "mount -t configfs none /sys/kernel/config; mkdir /sys/kernel/config/tsm/report/one; \
     cd /sys/kernel/config/tsm/report/one; printf %064d 4711 > inblob",
    "echo 'stock:' provider $(cat provider); echo 'stock:' report $(base64 outblob | tr -d '\\n')",
    "echo 'stock:' certificates $(base64 auxblob | tr -d '\\n')",
];
/// Report data that is asked for.
pub const REPORT_DATA: &[u8; 64] =
    b"0000000000000000000000000000000000000000000000000000000000004711";

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
        quick: true,
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
        quick: true,
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
const ALWAYS: [&str; 5] = [
    "stock: init on 6.12.",
    "stock: touched ",
    "stock: modules ",
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

    /// The module that reads reports in this mode.
    fn driver(&self) -> Option<&'static str> {
        match self.mode {
            Mode::Snp => Some("sev-guest"),
            Mode::Tdx => Some("tdx-guest"),
            _ => None,
        }
    }

    fn commands(&self) -> Vec<String> {
        let mut commands: Vec<String> = COMMANDS.iter().map(|text| (*text).to_owned()).collect();
        if let Some(driver) = self.driver() {
            commands.push(format!(
                "modprobe {driver} && echo 'stock:' loaded {driver}"
            ));
            commands.extend(REPORT_COMMANDS.iter().map(|text| (*text).to_owned()));
        }
        commands.push("exit".into());
        commands
    }
}

/// A boot that went well.
#[derive(Debug)]
pub struct Booted {
    /// For people.
    pub words: String,
    console: String,
}

impl Booted {
    /// The console's end, for people.
    pub fn tail(&self) -> String {
        tail(&self.console)
    }

    /// What the guest printed behind `stock: NAME `.
    pub fn said(&self, name: &str) -> Option<&str> {
        let prefix = format!("stock: {name} ");
        self.console
            .lines()
            .find_map(|line| line.trim_end().strip_prefix(prefix.as_str()))
    }
}

/// What the boots need.
#[derive(Debug)]
pub struct Bench {
    qemu: PathBuf,
    host: PathBuf,
    /// Launch digests of SNP by number of save areas.
    snp_digests: BTreeMap<u32, String>,
    tdx_mrtd: String,
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
            initrd: linux::initramfs(&stock)?,
            command_line: COMMAND_LINE.into(),
            policy: Policy::from(&Recipe::of(PolicyName::Demo)),
            commit: workspace.commit(toolchain.host()),
            toolchain: describe(&toolchain, &workspace)?,
        })?;
        let snp_digests = image::snp_digests(&image.igvm, 1..=MOST_PROCESSORS)?;
        let folder = tempfile::tempdir().map_err(|error| {
            Failure::machine(format!("no temporary folder: {error}"), "check TMPDIR")
        })?;
        let igvm = folder.path().join("linux.igvm");
        fs::write(&igvm, &image.igvm).map_err(|error| Failure::io("write", &igvm, &error))?;
        Ok(Ok(Self {
            qemu,
            host: programs.only("tessera-test-host")?.to_owned(),
            snp_digests,
            tdx_mrtd: image.manifest.tdx_mrtd.clone(),
            folder,
        }))
    }

    /// The measurement that the guest's evidence must have, in hex.
    pub fn predicted(&self, boot: &Boot) -> Option<&str> {
        let areas = measured(boot.profile, boot.processors);
        match boot.mode {
            Mode::Snp => self.snp_digests.get(&areas).map(String::as_str),
            Mode::Tdx => Some(&self.tdx_mrtd),
            _ => None,
        }
    }

    /// Boots, and types at its shell. `Err`: what went wrong, with the console's end.
    pub fn run(&self, boot: &Boot) -> std::result::Result<Booted, String> {
        let folder = tempfile::tempdir_in(self.folder.path()).map_err(|e| e.to_string())?;
        let guest = Guest {
            igvm: self.folder.path().join("linux.igvm"),
            mode: boot.mode,
            profile: boot.profile,
            memory: MEMORY,
            processors: boot.processors,
            input: true,
            most_instructions: MOST_INSTRUCTIONS,
        };
        let line = foreign::line(&self.qemu, &self.host, &guest, folder.path(), false);
        let start = Instant::now();
        let exit = converse(&line, folder.path(), &boot.commands());
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
                let words = format!(
                    "{exits} exits, {} million instructions, {} requests not modelled, {seconds:.0} s",
                    ended.instructions / 1_000_000,
                    ended
                        .unimplemented
                        .values()
                        .map(|missed| missed.count)
                        .sum::<u64>(),
                );
                return Ok(Booted { words, console });
            }
            (Err(error), ..) => error.to_string(),
            (_, true, Some(missing)) => format!("the console lacks `{missing}`"),
            (exit, ..) => format!("it did not go off by itself ({exit:?} after {seconds:.0} s)"),
        };
        Err(format!("{wrong}\n{words}{}", tail(&console)))
    }
}

fn tail(console: &str) -> String {
    let lines: Vec<_> = console.lines().collect();
    let tail = lines[lines.len().saturating_sub(25)..].join("\n");
    format!("--- end of the console\n{tail}\n")
}

/// Runs QEMU while somebody types.
fn converse(line: &Line, folder: &Path, commands: &[String]) -> std::io::Result<Exit> {
    let (reader, mut writer) = std::io::pipe()?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let typist = scope
            .spawn(|| dialogue::talk(&folder.join(CONSOLE), &mut writer, PROMPT, commands, &over));
        let exit = line.run_on(Some(Stdio::from(reader)), &folder.join("qemu.txt"), LIMIT);
        over.store(true, Ordering::Release);
        // Where a command could not be typed, its answer is missing too.
        drop(typist.join());
        exit
    })
}
