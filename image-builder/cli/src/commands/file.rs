//! `tessera inspect` and `tessera measure`: an IGVM file is all they need.

use std::path::Path;
use tessera_image_builder::{
    Failure, Result,
    image::{self, slurp},
};

/// What the file holds.
pub fn inspect(path: &Path) -> Result<()> {
    show(path, image::inspect)
}

/// What hardware will report.
pub fn measure(path: &Path) -> Result<()> {
    show(path, image::measure)
}

fn show(path: &Path, describe: fn(&[u8]) -> Result<String>) -> Result<()> {
    let text = describe(&slurp(path)?).map_err(|failure| named(path, failure))?;
    super::say(&text)
}

/// The same failure with the file's name in front.
fn named(path: &Path, failure: Failure) -> Failure {
    let cause = format!("{}: {}", path.display(), failure.cause);
    Failure { cause, ..failure }
}
