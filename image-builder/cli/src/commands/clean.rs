//! `tessera clean`.

use std::path::Path;
use tessera_image_builder::{
    Result,
    build::{self, Workspace},
    setup::Host,
};

/// Removes what this command made, and names it.
pub fn run(host: &Host, out: &Path) -> Result<()> {
    let workspace = Workspace::find(host)?;
    let removed = build::clean(host, &workspace, out)?;
    if removed.is_empty() {
        super::say("Nothing to remove.\n")?;
    }
    for path in removed {
        super::say(&format!("removed {}\n", path.display()))?;
    }
    Ok(())
}
