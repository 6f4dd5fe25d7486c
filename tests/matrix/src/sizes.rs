//! What the image may weigh: limits that the project set itself, measured on what is booted.

use object::{Object, ObjectSection};
use std::{fs, path::Path};
use tessera_image_builder::{Failure, Result};

/// Bytes of a kernel's .text.
const KERNEL_TEXT: u64 = 128 << 10;
/// Bytes of a paravisor's .text: it emulates interrupt controllers and carries guests of others.
const PARAVISOR_TEXT: u64 = 96 << 10;
/// Bytes of the IGVM file.
const IMAGE: u64 = 4 << 20;

/// One line for people, or which limit is exceeded.
pub fn line(programs: &[(String, impl AsRef<Path>)], image: &Path) -> Result<String> {
    let mut parts = Vec::new();
    for (name, limit) in [("kernel", KERNEL_TEXT), ("paravisor", PARAVISOR_TEXT)] {
        if let Some((_, path)) = programs.iter().find(|(program, _)| program == name) {
            parts.push(part(&format!("{name} .text"), text(path.as_ref())?, limit)?);
        }
    }
    let bytes = fs::metadata(image)
        .map_err(|error| Failure::io("read", image, &error))?
        .len();
    parts.push(part("image", bytes, IMAGE)?);
    Ok(parts.join(", "))
}

fn part(what: &str, bytes: u64, limit: u64) -> Result<String> {
    if bytes > limit {
        let cause = format!("{what} is {bytes} bytes, over its limit of {limit}");
        return Err(Failure::image(
            cause,
            "make it smaller, or change the limit with a reason",
        ));
    }
    Ok(format!("{what} {bytes} of {limit} bytes"))
}

fn text(path: &Path) -> Result<u64> {
    let bytes = fs::read(path).map_err(|error| Failure::io("read", path, &error))?;
    let file = object::File::parse(&*bytes).ok();
    let section = file.as_ref().and_then(|file| file.section_by_name(".text"));
    section.map(|section| section.size()).ok_or_else(|| {
        let cause = format!("{} is no ELF file with a .text section", path.display());
        Failure::image(cause, "build it again")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_limit() {
        assert!(part("image", IMAGE, IMAGE).is_ok());
        let failure = part("image", IMAGE + 1, IMAGE).unwrap_err().to_string();
        assert!(failure.contains("over its limit"), "{failure}");
    }

    #[test]
    fn a_file_that_is_no_program_is_named() {
        assert!(text(Path::new("Cargo.toml")).is_err());
    }
}
