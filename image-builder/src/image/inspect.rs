//! What `tessera inspect FILE` and `tessera measure FILE` print; the IGVM file is all they need.

use super::measure_snp::Zeros;
use super::read::{Action, Parsed, read};
use super::{launch_text, loaders, manifest, measure_tdx, vmsa::MILAN};
use crate::Result;
use igvm_defs::IgvmPlatformType;
use std::fmt::Write;

/// Human text on a file: platforms, pages, launch block, loader demands.
pub fn inspect(bytes: &[u8]) -> Result<String> {
    let file = read(bytes)?;
    let mut text = format!("IGVM file, {} bytes\n", bytes.len());
    platforms(&mut text, &file);
    text += &launch_text::describe(&file);
    for loader in [loaders::QEMU_10_1, loaders::QEMU_MADT] {
        let refusals = loaders::refusals(&file, loader);
        let verdict = match refusals.is_empty() {
            true => "takes it".to_owned(),
            false => format!("refuses it: {}", refusals.join("; ")),
        };
        line(&mut text, loader.name, &verdict);
    }
    Ok(text)
}

/// Human text on what hardware will report: SNP digests by processor count, MRTD.
pub fn measure(bytes: &[u8]) -> Result<String> {
    let file = read(bytes)?;
    let mut text = String::new();
    if file.mask_of(IgvmPlatformType::SEV_SNP).is_some() {
        for (zeros, how) in [
            (Zeros::Normal, "zero pages as NORMAL"),
            (Zeros::Native, "zero pages as ZERO (QEMU)"),
        ] {
            for (count, digest) in manifest::digests(&file, zeros)? {
                line(
                    &mut text,
                    &format!("SNP launch digest, {how}, {count} vCPU"),
                    &digest,
                );
            }
        }
        let note = format!("{MILAN:#x} (counts above 1 hold for this model)");
        line(&mut text, "CPUID signature", &note);
    }
    if file.mask_of(IgvmPlatformType::TDX).is_some() {
        line(
            &mut text,
            "TDX MRTD",
            &manifest::hex(&measure_tdx::measure(&file)?),
        );
    }
    Ok(text)
}

fn platforms(text: &mut String, file: &Parsed<'_>) {
    for platform in &file.platforms {
        let pages: Vec<_> = file
            .pages_of(platform.mask)
            .map(|page| page.action)
            .collect();
        let count = |test: fn(&Action<'_>) -> bool| pages.iter().filter(|a| test(a)).count();
        let what = format!(
            "{} pages with content, {} of zeros, {} unmeasured, {} secrets or CPUID, {} contexts",
            count(|action| matches!(action, Action::Normal(Some(_)))),
            count(|action| matches!(action, Action::Normal(None))),
            count(|action| matches!(action, Action::Unmeasured)),
            count(|action| matches!(action, Action::Secrets | Action::Cpuid)),
            count(|action| matches!(action, Action::Context(_))),
        );
        line(text, &format!("platform {}", name(platform.kind)), &what);
    }
    for (mask, policy) in &file.policies {
        line(
            text,
            &format!("guest policy, mask {mask}"),
            &format!("{policy:#x}"),
        );
    }
}

fn name(kind: u8) -> String {
    match IgvmPlatformType(kind) {
        IgvmPlatformType::SEV_SNP => "SEV-SNP".into(),
        IgvmPlatformType::TDX => "TDX".into(),
        IgvmPlatformType::NATIVE => "native".into(),
        IgvmPlatformType(other) => format!("type {other}"),
    }
}

/// One `what: value` line.
pub(super) fn line(text: &mut String, what: &str, value: &str) {
    writeln!(text, "{what}: {value}").expect("writing to a string cannot fail");
}
