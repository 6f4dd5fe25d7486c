//! From sources to the finished image and its files.

use super::{FILES, Output, Programs, Recipe, Workspace, programs};
use crate::{
    Failure, Result,
    image::{self, Image, Inputs, Policy, ToolchainInfo},
    setup::Toolchain,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Everything that one build makes.
#[derive(Debug, Clone)]
pub struct Product {
    /// The bare-metal programs, the test host among them.
    pub programs: Programs,
    /// What the image was made of.
    pub inputs: Inputs,
    /// The image.
    pub image: Image,
}

/// Builds the programs and assembles the image. Writes to `workspace.target` only.
pub fn whole(
    toolchain: &Toolchain,
    workspace: &Workspace,
    recipe: &Recipe,
    offline: bool,
) -> Result<Product> {
    let programs = programs(toolchain, workspace, offline)?;
    let read = |package| {
        let path = programs.only(package)?;
        fs::read(path).map_err(|error| Failure::io("read", path, &error))
    };
    let inputs = Inputs {
        stub_elf: read("tessera-stub")?,
        kernel_elf: read("tessera-kernel")?,
        paravisor_elf: match programs.of("tessera-paravisor").is_empty() {
            true => None,
            false => Some(read("tessera-paravisor")?),
        },
        bundle: bundle(workspace, &programs, &read("tessera-init")?)?,
        policy: Policy::from(recipe),
        commit: workspace.commit(toolchain.host()),
        toolchain: describe(toolchain, workspace)?,
    };
    let image = image::assemble(&inputs)?;
    Ok(Product {
        programs,
        inputs,
        image,
    })
}

/// The bundle of the services in `userland/services.toml`.
fn bundle(workspace: &Workspace, programs: &Programs, init: &[u8]) -> Result<Vec<u8>> {
    let path = workspace.root.join("userland/services.toml");
    let text = fs::read_to_string(&path).map_err(|error| Failure::io("read", &path, &error))?;
    let read = |(name, path): (&str, &Path)| {
        let bytes = fs::read(path).map_err(|error| Failure::io("read", path, &error))?;
        Ok((name.to_owned(), bytes))
    };
    let services = programs.of("tessera-services").into_iter();
    image::bundle::archive(&text, init, &services.map(read).collect::<Result<_>>()?)
}

/// What builds, for the manifest. Errors blame a machine whose tools do not tell their version.
pub fn describe(toolchain: &Toolchain, workspace: &Workspace) -> Result<ToolchainInfo> {
    let silent = |what: &str| {
        let cause = format!("the {what} does not tell its version");
        Failure::machine(cause, "run `tessera setup --check`")
    };
    Ok(ToolchainInfo {
        rustc: toolchain
            .rustc_identity()
            .ok_or_else(|| silent("compiler"))?,
        linker: toolchain.linker_version().ok_or_else(|| silent("linker"))?,
        cargo_lock_sha256: workspace.lock_sha256()?,
    })
}

impl Product {
    /// Puts the [`FILES`] into `folder`, all of them or none; an image without a paravisor has
    /// no `paravisor.elf`. Returns the folder, absolute.
    pub fn publish(&self, folder: &Path) -> Result<PathBuf> {
        let manifest = self.image.manifest.to_json()?;
        let contents = [
            Some(&self.image.igvm[..]),
            Some(&self.inputs.kernel_elf),
            self.inputs.paravisor_elf.as_deref(),
            Some(&self.inputs.stub_elf),
            Some(manifest.as_bytes()),
        ];
        let mut output = Output::prepare(folder)?;
        for (name, content) in FILES.iter().zip(contents) {
            if let Some(content) = content {
                output.add(name, content)?;
            }
        }
        output.publish()
    }
}
