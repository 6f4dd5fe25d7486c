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
    fs, iter,
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
    linux::{
        self, Inputs, PROMPT,
        debian::{self, LINUX_6_1, LINUX_6_12, Series},
    },
    setup::{self, Host, Qemu},
};

/// Whose modules the initramfs has.
const INITRAMFS: &Series = &LINUX_6_12;
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
    /// Which kernel.
    pub series: &'static Series,
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
const COMMANDS: [&str; 5] = [
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
];
/// The same where the initramfs has the kernel's own modules.
const MODULES: [&str; 1] =
    ["modprobe tsm && echo 'stock:' modules $(lsmod | awk 'NR > 1 { print $1 }' | sort | xargs)"];
/// Looks for the VMBus that the DSDT names; the host refuses its messages, and the kernel goes on.
const VMBUS_COMMAND: &str = "modprobe hv_vmbus; echo 'stock:' vmbus looked for $(ls \
     /sys/bus/acpi/devices | grep -i vmbus); dmesg | grep hv_vmbus | \
     sed 's/^[^]]*\\] /stock: vmbus /'";
/// What it finds.
const VMBUS_WORDS: [&str; 2] = [
    "stock: vmbus looked for VMBUS:00",
    "stock: vmbus hv_vmbus: Unable to connect to host",
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

/// What it says of hypercalls that the host recommends.
const FLUSHES: &str = "Hyper-V: Using hypercall for remote TLB flush";
const IPIS: &str = "Hyper-V: Using IPI hypercalls";
const SNP: &str = "stock: dmesg Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP";
const TWO: &str = "smp: Brought up 1 node, 2 CPUs";
const TDX: &str = "stock: dmesg Memory Encryption Features active: Intel TDX";

/// All boots.
pub const BOOTS: &[Boot] = &[
    Boot {
        series: &LINUX_6_12,
        mode: Mode::None,
        profile: HostProfile::HyperV,
        processors: 1,
        quick: true,
        words: &["stock: dmesg Hypervisor detected: Microsoft Hyper-V"],
    },
    Boot {
        series: &LINUX_6_12,
        mode: Mode::None,
        profile: HostProfile::Kvm,
        processors: 1,
        quick: false,
        words: &["stock: dmesg Hypervisor detected: KVM", "stock: clock tsc"],
    },
    Boot {
        series: &LINUX_6_12,
        mode: Mode::Snp,
        profile: HostProfile::Kvm,
        processors: 1,
        quick: true,
        words: &[SNP],
    },
    Boot {
        series: &LINUX_6_12,
        mode: Mode::Snp,
        profile: HostProfile::HyperV,
        processors: 1,
        quick: false,
        words: &[SNP],
    },
    Boot {
        series: &LINUX_6_12,
        mode: Mode::Tdx,
        profile: HostProfile::Kvm,
        processors: 1,
        quick: true,
        words: &[TDX],
    },
    Boot {
        series: &LINUX_6_12,
        mode: Mode::Tdx,
        profile: HostProfile::HyperV,
        processors: 1,
        quick: false,
        words: &[TDX],
    },
    Boot {
        series: &LINUX_6_12,
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
        series: &LINUX_6_12,
        mode: Mode::TdxParavisor,
        profile: HostProfile::HyperV,
        processors: 1,
        quick: true,
        words: &[
            "stock: dmesg Memory Encryption Features active: Intel TDX\r\n",
            "stock: dmesg Hyper-V: Isolation Config: Group A 0x1, Group B 0xbe3",
            "stock: clock tsc",
        ],
    },
    two(Mode::None, HostProfile::HyperV, &[TWO, FLUSHES, IPIS]),
    two(Mode::None, HostProfile::Kvm, &[TWO]),
    two(Mode::Snp, HostProfile::Kvm, &[TWO, SNP]),
    two(Mode::Snp, HostProfile::HyperV, &[TWO, SNP, FLUSHES, IPIS]),
    two(Mode::Tdx, HostProfile::Kvm, &[TWO, TDX]),
    // In a TD it flushes by interrupts.
    two(Mode::Tdx, HostProfile::HyperV, &[TWO, TDX, IPIS]),
    two(
        Mode::SnpParavisor,
        HostProfile::HyperV,
        &[
            TWO,
            "stock: dmesg Memory Encryption Features active: AMD SEV\r\n",
        ],
    ),
    two(
        Mode::TdxParavisor,
        HostProfile::HyperV,
        &[
            TWO,
            "stock: dmesg Memory Encryption Features active: Intel TDX\r\n",
        ],
    ),
    old(Mode::None, HostProfile::Kvm, &[TWO]),
    old(Mode::Snp, HostProfile::Kvm, &[TWO, SNP]),
    old(Mode::SnpParavisor, HostProfile::HyperV, &[TWO]),
];

/// With two processors, in the full tier.
const fn two(mode: Mode, profile: HostProfile, words: &'static [&'static str]) -> Boot {
    Boot {
        series: &LINUX_6_12,
        mode,
        profile,
        processors: 2,
        quick: false,
        words,
    }
}

/// An older kernel, in the full tier.
const fn old(mode: Mode, profile: HostProfile, words: &'static [&'static str]) -> Boot {
    Boot {
        series: &LINUX_6_1,
        ..two(mode, profile, words)
    }
}

/// What every boot says.
const ALWAYS: [&str; 3] = ["stock: touched ", "stock: slept", "reboot: Power down"];

impl Boot {
    /// `stock-linux-6.12 none hyperv`, with the number of processors where there are several.
    pub fn name(&self) -> String {
        let (mode, profile) = (self.mode.name(), self.profile.name());
        let name = format!("stock-linux-{} {mode} {profile}", self.series.version);
        match self.processors {
            1 => name,
            count => format!("{name} {count}"),
        }
    }

    /// The module that reads reports in this mode.
    fn driver(&self) -> Option<&'static str> {
        match self.mode {
            Mode::Snp if self.has_modules() => Some("sev-guest"),
            Mode::Tdx if self.has_modules() => Some("tdx-guest"),
            _ => None,
        }
    }

    /// The initramfs is for this kernel.
    fn has_modules(&self) -> bool {
        self.series == INITRAMFS
    }

    /// The host has Hyper-V's interface.
    fn looks_for_vmbus(&self) -> bool {
        self.has_modules() && self.profile == HostProfile::HyperV
    }

    /// The guest reads evidence that has to be verified.
    pub fn gives_evidence(&self) -> bool {
        self.driver().is_some()
    }

    /// What the console must hold.
    fn words(&self) -> Vec<String> {
        let always = ALWAYS
            .iter()
            .chain(self.words)
            .map(|text| (*text).to_owned());
        let version = format!("stock: init on {}.", self.series.version);
        let modules = self.has_modules().then(|| "stock: modules ".to_owned());
        let vmbus = VMBUS_WORDS.map(str::to_owned);
        let vmbus = vmbus.into_iter().filter(|_| self.looks_for_vmbus());
        always
            .chain([version])
            .chain(modules)
            .chain(vmbus)
            .collect()
    }

    fn commands(&self) -> Vec<String> {
        let mut commands: Vec<String> = COMMANDS.iter().map(|text| (*text).to_owned()).collect();
        if self.has_modules() {
            commands.extend(MODULES.iter().map(|text| (*text).to_owned()));
        }
        if self.looks_for_vmbus() {
            commands.push(VMBUS_COMMAND.into());
        }
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
    images: BTreeMap<&'static str, Packed>,
    folder: tempfile::TempDir,
}

/// One kernel with the initramfs.
#[derive(Debug)]
struct Packed {
    igvm: PathBuf,
    /// Launch digests of SNP by number of save areas.
    snp_digests: BTreeMap<u32, String>,
    tdx_mrtd: String,
}

impl Bench {
    /// Packs kernels and initramfs. Errors of the inner `Result`: the packages are not to be had,
    /// so that the boots must be skipped.
    pub fn prepare(
        host: &Host,
        series: &[&'static Series],
    ) -> Result<std::result::Result<Self, Failure>> {
        let fetched: std::result::Result<Vec<_>, _> = iter::once(&INITRAMFS)
            .chain(series)
            .map(|series| debian::stock(host, series, false))
            .collect();
        let stocks = match fetched {
            Ok(stocks) => stocks,
            Err(failure) => return Ok(Err(failure)),
        };
        let initrd = linux::initramfs(&stocks[0])?;
        let qemu = Qemu::detect(host).require()?;
        let workspace = Workspace::find(host)?;
        let toolchain = setup::toolchain(host)?;
        let programs = programs(&toolchain, &workspace, false)?;
        let folder = tempfile::tempdir().map_err(|error| {
            Failure::machine(format!("no temporary folder: {error}"), "check TMPDIR")
        })?;
        let mut images = BTreeMap::new();
        for (series, stock) in series.iter().zip(&stocks[1..]) {
            let inputs = Inputs {
                stub_elf: read(programs.only("tessera-stub")?)?,
                paravisor_elf: Some(read(programs.only("tessera-paravisor")?)?),
                kernel: read(&stock.kernel)?,
                initrd: initrd.clone(),
                command_line: COMMAND_LINE.into(),
                policy: Policy::from(&Recipe::of(PolicyName::Demo)),
                commit: workspace.commit(toolchain.host()),
                toolchain: describe(&toolchain, &workspace)?,
            };
            let igvm = folder.path().join(format!("{}.igvm", series.version));
            images.insert(series.version, pack(&inputs, igvm)?);
        }
        Ok(Ok(Self {
            qemu,
            host: programs.only("tessera-test-host")?.to_owned(),
            images,
            folder,
        }))
    }

    /// The measurement that the guest's evidence must have, in hex.
    pub fn predicted(&self, boot: &Boot) -> Option<&str> {
        let areas = measured(boot.profile, boot.processors);
        let image = self.images.get(boot.series.version)?;
        match boot.mode {
            Mode::Snp => image.snp_digests.get(&areas).map(String::as_str),
            Mode::Tdx => Some(&image.tdx_mrtd),
            _ => None,
        }
    }

    /// Boots, and types at its shell. `Err`: what went wrong, with the console's end.
    pub fn run(&self, boot: &Boot) -> std::result::Result<Booted, String> {
        let folder = tempfile::tempdir_in(self.folder.path()).map_err(|e| e.to_string())?;
        let image = self.images.get(boot.series.version);
        let guest = Guest {
            igvm: image.ok_or("its kernel was not prepared")?.igvm.clone(),
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
        let words_wanted = boot.words();
        let missing = words_wanted.iter().find(|words| !console.contains(*words));
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

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| Failure::io("read", path, &error))
}

fn pack(inputs: &Inputs, igvm: PathBuf) -> Result<Packed> {
    let image = linux::assemble(inputs)?;
    let snp_digests = image::snp_digests(&image.igvm, 1..=MOST_PROCESSORS)?;
    fs::write(&igvm, &image.igvm).map_err(|error| Failure::io("write", &igvm, &error))?;
    Ok(Packed {
        igvm,
        snp_digests,
        tdx_mrtd: image.manifest.tdx_mrtd,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_is_in_the_quick_tier_and_in_the_full_one_with_two_processors() {
        for mode in Mode::ALL {
            let has = |quick: bool, count: u32| {
                let boot = |boot: &&Boot| boot.mode == mode && boot.processors == count;
                BOOTS.iter().filter(boot).any(|boot| boot.quick == quick)
            };
            assert!(has(true, 1) && has(false, 2), "{mode:?}");
        }
    }
}
