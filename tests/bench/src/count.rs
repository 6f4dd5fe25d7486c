//! The counting image: the kernel and stub of the image, byte for byte, and a bundle whose first
//! process counts.

use crate::microvm;
use std::{collections::BTreeMap, fs, io, path::Path};
use tessera_defs::mode::Mode;
use tessera_image_builder::{
    Failure, Result,
    build::{Product, Programs, Workspace},
    image,
};
use tessera_matrix::{
    bench::{Bench, Prepared},
    direct, hosted,
    outcome::{Exit, Expected},
    qemu::Line,
    scenario::{Boot, Scenario, Selection, Tier, Variant},
};

/// Counts by figure.
pub type Counts = BTreeMap<String, u64>;

/// QEMU's status when the guest turned a plain machine off, and when the test host ended.
const ENDED: [Exit; 2] = [Exit::Status(0), Exit::Status(1)];
const TABLE: &str = r#"
[[service]]
name = "bench-server"
program = "bench-server"
quota = 64
priority = 10
restart = "never"

[[service]]
name = "bench-pager"
program = "bench-pager"
quota = 1024
priority = 10
restart = "never"
"#;
/// The figure of the boot.
const BOOT: &str = "boot-to-user";
/// MiB of the machine whose boot is counted.
const MEMORY: u32 = 512;

/// The bench with its image.
#[derive(Debug)]
pub struct Counter {
    bench: Bench,
    image: Prepared,
}

impl Counter {
    /// Builds the image. Errors: those of the build; a kernel or stub that differs from the image's.
    pub fn prepare(
        qemu: std::path::PathBuf,
        workspace: &Workspace,
        product: &Product,
    ) -> Result<Self> {
        let bench = Bench::prepare(qemu, workspace, product)?;
        let mut inputs = product.inputs.clone();
        let mut servers = BTreeMap::new();
        for name in ["bench-server", "bench-pager"] {
            servers.insert(name.into(), read(&product.programs, name)?);
        }
        inputs.bundle =
            image::bundle::archive(TABLE, &read(&product.programs, "bench")?, &servers)?;
        let demo = bench.image(Variant::Demo)?;
        let path = demo.igvm.with_file_name("bench.igvm");
        let image = Prepared::write(&image::assemble(&inputs)?, path)?;
        for name in ["kernel", "stub"] {
            if image.loaded.get(name) != demo.loaded.get(name) {
                let cause = format!("the {name} that would be counted is not the image's");
                return Err(Failure::image(
                    cause,
                    "report this as a defect of the image builder",
                ));
            }
        }
        Ok(Self { bench, image })
    }

    /// On plain QEMU, by the PVH entry, without the test host: the boot on the machine of the
    /// peer, everything else on a PC.
    pub fn direct(&self) -> Result<Counts> {
        let scenario = Scenario {
            direct: true,
            memory: MEMORY,
            ..*friendly()?.scenario
        };
        let limit = self.bench.limit;
        let mut counts = self.boot("direct", |folder| {
            let line = direct::line(&self.bench, &self.image, &scenario, folder);
            let exit = line.run(&folder.join("qemu.txt"), limit);
            (line, exit)
        })?;
        let boot = self.boot("microvm", |folder| {
            let line = microvm::line(&self.bench, &self.image, MEMORY, folder);
            let exit = microvm::run(&line, folder, limit);
            (line, exit)
        })?;
        counts.remove(BOOT);
        counts.extend(boot.get(BOOT).map(|value| (BOOT.to_owned(), *value)));
        Ok(counts)
    }

    /// On the test host, in `mode`. The boot is not counted: the host's instructions are in it.
    pub fn hosted(&self, mode: Mode) -> Result<Counts> {
        let boot = Boot {
            mode,
            expected: Expected::Runs,
            ..friendly()?
        };
        let mut counts = self.boot(mode.name(), |folder| {
            let line = hosted::line(&self.bench, &self.image, &boot, folder, false);
            let exit = line.run(&folder.join("qemu.txt"), self.bench.limit);
            (line, exit)
        })?;
        counts.remove(BOOT);
        Ok(counts)
    }

    fn boot(
        &self,
        what: &str,
        run: impl FnOnce(&Path) -> (Line, io::Result<Exit>),
    ) -> Result<Counts> {
        let folder = tempfile::tempdir()
            .map_err(|error| Failure::io("create a folder in", &std::env::temp_dir(), &error))?;
        let (line, exit) = run(folder.path());
        let exit = exit.map_err(|error| Failure::io("start", &line.program, &error))?;
        let console = fs::read_to_string(folder.path().join(hosted::CONSOLE)).unwrap_or_default();
        let counts = parse(&console);
        let whole = console.contains("tessera: init exited with 0,");
        if !ENDED.contains(&exit) || !whole || counts.is_empty() {
            let last = console.lines().last().unwrap_or("nothing");
            let cause =
                format!("the counting boot ({what}) ended with {exit:?}, its last line: {last}");
            return Err(Failure::image(cause, format!("again: {}", line.shell())));
        }
        Ok(counts)
    }
}

/// Any boot of the friendly scenario, of which parts are taken.
fn friendly() -> Result<Boot> {
    let selection = Selection {
        modes: vec![Mode::None],
        scenarios: vec!["friendly".into()],
        tier: Tier::Full,
    };
    let boots = selection
        .boots()
        .map_err(|words| Failure::image(words, "see tests/matrix/src/scenario.rs"))?;
    boots.first().copied().ok_or_else(|| {
        Failure::image(
            "there is no friendly boot",
            "see tests/matrix/src/scenario.rs",
        )
    })
}

fn read(programs: &Programs, name: &str) -> Result<Vec<u8>> {
    let programs = programs.of("tessera-services");
    let missing = || {
        Failure::image(
            format!("there is no program {name}"),
            "see userland/services/Cargo.toml",
        )
    };
    let path = programs.get(name).ok_or_else(missing)?;
    fs::read(path).map_err(|error| Failure::io("read", path, &error))
}

/// `bench: NAME VALUE` lines.
fn parse(console: &str) -> Counts {
    let lines = console
        .lines()
        .filter_map(|line| line.trim_end().strip_prefix("bench: "));
    lines
        .filter_map(|words| {
            let (name, value) = words.split_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_others_ignored() {
        let counts = parse("noise\nbench: null-syscall 53\r\nbench: failed: TimedOut\nbench: x\n");
        assert_eq!(counts, Counts::from([("null-syscall".into(), 53)]));
    }
}
