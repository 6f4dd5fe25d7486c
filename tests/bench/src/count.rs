//! The counting image: the kernel and stub of the image, byte for byte, and a bundle whose first
//! process counts.

use crate::{
    accept,
    counts::{self, Counts, Told},
    machine::Guest,
    peer::Peer,
    rows::{self, Row},
};
use std::{collections::BTreeMap, fs, path::Path};
use tessera_defs::mode::Mode;
use tessera_image_builder::{
    Failure, Result,
    build::{Product, Programs, Workspace},
    image,
};
use tessera_matrix::{
    bench::{Bench, Prepared},
    hosted,
    outcome::Expected,
    scenario::{Boot, Scenario, Selection, Tier, Variant},
};

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
/// What the console says when the counting program found no fault.
const WHOLE: &str = "tessera: init exited with 0,";
const LAST_WORD: &str = "tessera: shutdown";

/// The bench with its image.
#[derive(Debug)]
pub struct Counter {
    bench: Bench,
    image: Prepared,
    /// Whose first process has memory accepted.
    accepting: Prepared,
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
        let path = |name: &str| demo.igvm.with_file_name(name);
        let image = Prepared::write(&image::assemble(&inputs)?, path("bench.igvm"))?;
        let first = read(&product.programs, "bench-accept")?;
        inputs.bundle = image::bundle::archive("", &first, &BTreeMap::new())?;
        let accepting = Prepared::write(&image::assemble(&inputs)?, path("accept.igvm"))?;
        for name in ["kernel", "stub"] {
            if image.loaded.get(name) != demo.loaded.get(name) {
                let cause = format!("the {name} that would be counted is not the image's");
                return Err(Failure::image(
                    cause,
                    "report this as a defect of the image builder",
                ));
            }
        }
        Ok(Self {
            bench,
            image,
            accepting,
        })
    }

    /// On plain QEMU, by the PVH entry, without the test host.
    pub fn direct(&self) -> Result<Counts> {
        let guest = Guest {
            kernel: &self.bench.stub,
            initrd: &self.image.igvm,
            append: "",
            last_word: LAST_WORD,
        };
        counts::plain("plain QEMU", &self.bench.qemu, &guest, WHOLE)
    }

    /// On the test host, in `mode`. The counting program's own count of the boot is left out: the
    /// host's instructions are in it.
    pub fn hosted(&self, mode: Mode) -> Result<Told> {
        let boot = Boot {
            mode,
            expected: Expected::Runs,
            ..friendly()?
        };
        let mut told = counts::boot(mode.name(), WHOLE, |folder| {
            let line = hosted::line(&self.bench, &self.image, &boot, folder, false);
            let exit = line.run(&folder.join("qemu.txt"), self.bench.limit);
            (line, exit)
        })?;
        let boot = told.ended.as_ref().and_then(|ended| ended.boot.as_ref());
        let own = boot.map(|boot| boot.instructions);
        told.counts.remove(BOOT);
        told.counts.extend(own.map(|own| (BOOT.to_owned(), own)));
        Ok(told)
    }

    /// A boot on the test host in which so many MiB are accepted ahead.
    pub fn accepting(&self, mode: Mode, mib: u64) -> Result<Told> {
        let friendly = friendly()?;
        let scenario = Scenario {
            processors: accept::processors(mode),
            memory: (mib + accept::BESIDE) as u32,
            profile: accept::profile(mode),
            words: "max_exits=2000000",
            ..*friendly.scenario
        };
        // A scenario is a constant; there are few of these.
        let scenario = Box::leak(Box::new(scenario));
        let expected = Expected::Runs;
        let boot = Boot {
            mode,
            expected,
            scenario,
        };
        counts::boot("acceptance", WHOLE, |folder| {
            let line = hosted::line(&self.bench, &self.accepting, &boot, folder, false);
            let exit = line.run(&folder.join("qemu.txt"), self.bench.limit);
            (line, exit)
        })
    }

    /// The rows of acceptance, in those of `modes` whose kernel does it.
    fn acceptance(&self, modes: &[Mode]) -> Result<Vec<Row>> {
        let mut all = Vec::new();
        for mode in modes.iter().filter(|mode| accept::MODES.contains(mode)) {
            for (name, mib) in accept::AMOUNTS {
                all.extend(accept::rows(*mode, name, mib, &self.accepting(*mode, mib)?));
            }
        }
        Ok(all)
    }

    /// Every row: of plain QEMU, and of the test host in each of `modes`.
    pub fn rows(&self, peer: Option<&Peer>, modes: &[Mode]) -> Result<Vec<Row>> {
        let mut all = rows::instructions("none", &self.direct()?, peer);
        for mode in modes {
            let told = self.hosted(*mode)?;
            let name = rows::hosted(*mode);
            all.extend(rows::instructions(&name, &told.counts, None));
            all.extend(rows::by_host(*mode, &told, peer));
        }
        all.extend(self.acceptance(modes)?);
        Ok(all)
    }

    /// QEMU, and the test host's ELF file.
    pub fn tools(&self) -> [&Path; 2] {
        [&self.bench.qemu, &self.bench.host]
    }
}

/// The figure of the boot.
const BOOT: &str = "boot-to-user";

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

/// A program of ours that is counted.
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
