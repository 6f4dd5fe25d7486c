//! What every boot needs: QEMU, the programs, and the image in each variant of the policy.

use crate::scenario::Variant;
use crate::sizes;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tessera_image_builder::{
    Failure, Result,
    build::{Product, Workspace},
    image::{self, Image, bundle},
};

/// Wall-clock limit of a boot. The host's own limits on exits and instructions end a hang
/// earlier; this one is for a bench that is stuck.
pub const LIMIT: Duration = Duration::from_secs(120);

/// Processors of a boot at most.
pub const PROCESSORS: u32 = 64;

/// Ends of services in `Variant::Havoc`; elsewhere as `userland/services.toml` says.
pub const HAVOC: u16 = 200;

/// An image of one policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prepared {
    /// The IGVM file.
    pub igvm: PathBuf,
    /// `hash=` of the test host: ranges of guest memory.
    pub hash: String,
    /// SHA-256 of those ranges by name, as the builder predicts them.
    pub loaded: BTreeMap<String, String>,
    /// Predicted SNP launch digests by number of processors, up to [`PROCESSORS`].
    pub snp_digests: BTreeMap<u32, String>,
    /// Predicted MRTD.
    pub tdx_mrtd: String,
}

/// The bench.
#[derive(Debug, Clone)]
pub struct Bench {
    /// QEMU.
    pub qemu: PathBuf,
    /// The test host's ELF file.
    pub host: PathBuf,
    /// The stub's ELF file, for direct boots.
    pub stub: PathBuf,
    /// Programs with symbols, by name, for the places of failures.
    pub programs: Vec<(String, PathBuf)>,
    /// The image by policy.
    pub images: BTreeMap<Variant, Prepared>,
    /// What the image weighs, within the limits, for people.
    pub sizes: String,
    /// Where what failed boots leave is kept.
    pub failed: PathBuf,
    /// Wall-clock limit of a boot.
    pub limit: Duration,
}

impl Bench {
    /// Assembles every variant of the image from one product, and puts the files into
    /// `tessera/images` of the workspace's target folder.
    pub fn prepare(qemu: PathBuf, workspace: &Workspace, product: &Product) -> Result<Self> {
        let base = workspace
            .target
            .parent()
            .unwrap_or(&workspace.target)
            .join("tessera");
        let folder = base.join("images");
        fs::create_dir_all(&folder).map_err(|error| Failure::io("create", &folder, &error))?;
        let mut images = BTreeMap::new();
        for variant in Variant::ALL {
            let mut inputs = product.inputs.clone();
            inputs.policy = variant.policy();
            if variant == Variant::Havoc {
                inputs.bundle = bundle::with_argument(&inputs.bundle, "chaos", HAVOC)?;
            }
            let path = folder.join(format!("{}.igvm", variant.name()));
            images.insert(variant, Prepared::write(&image::assemble(&inputs)?, path)?);
        }
        let programs = ["kernel", "stub", "paravisor", "init"]
            .into_iter()
            .filter_map(|name| {
                let path = product.programs.only(&format!("tessera-{name}")).ok()?;
                Some((name.to_owned(), path.to_owned()))
            });
        let programs: Vec<(String, PathBuf)> = programs.collect();
        let demo = images
            .get(&Variant::Demo)
            .map(|image: &Prepared| &image.igvm);
        let sizes = demo.map_or(Ok(String::new()), |image| sizes::line(&programs, image))?;
        Ok(Self {
            qemu,
            sizes,
            programs,
            host: product.programs.only("tessera-test-host")?.to_owned(),
            stub: product.programs.only("tessera-stub")?.to_owned(),
            images,
            failed: base.join("failed"),
            limit: LIMIT,
        })
    }

    /// The image of a policy.
    pub fn image(&self, variant: Variant) -> Result<&Prepared> {
        self.images.get(&variant).ok_or_else(|| {
            let cause = format!("there is no image with policy variant {}", variant.name());
            Failure::image(cause, "prepare the bench with every variant")
        })
    }
}

impl Prepared {
    /// Writes an image's file to `path`.
    pub fn write(image: &Image, path: PathBuf) -> Result<Self> {
        write_file(&path, &image.igvm)?;
        let ranges = image.ranges.iter().filter(|range| range.len > 0);
        let words = ranges.map(|range| format!("{}:{:x}:{:x}", range.name, range.gpa, range.len));
        let manifest = &image.manifest;
        let components = manifest.components.iter();
        Ok(Self {
            igvm: path,
            hash: words.collect::<Vec<_>>().join(","),
            loaded: components
                .map(|c| (c.name.clone(), c.loaded_sha256.clone()))
                .collect(),
            snp_digests: image::snp_digests(&image.igvm, 1..=PROCESSORS)?,
            tdx_mrtd: manifest.tdx_mrtd.clone(),
        })
    }
}

/// Complete or not at all, so that a boot that runs at the same time sees the old file whole.
fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let waiting = path.with_extension(format!("{}.part", std::process::id()));
    fs::write(&waiting, bytes)
        .and_then(|()| fs::rename(&waiting, path))
        .map_err(|error| Failure::io("write", path, &error))
}
